"""A whole policy of an inbound and submission host, as its users meet it."""

import time

import pytest

from smtpclient import message, token

ZONE = """
evil.example.org TXT "v=spf1 -all exp=why.example.org"
why.example.org TXT "no mail for %{d} from %{i}"
good.example.org TXT "v=spf1 ip4:192.0.2.0/24 -all"
_dmarc.bank.example.org TXT "v=DMARC1; p=reject"
9.113.0.203.zen.example.org A 127.0.0.2
10.113.0.203.zen.example.org A 127.0.0.99
"""

POLICY = """
table trusted  { 198.51.100.7 2001:db8::/32 }
table bulk     file "{lab}/bulk-senders"
dnsbl zen      "zen.example.org" { 127.0.0.2-127.0.0.11 }

limit submission per user        { 4 messages/1h  20 recipients/1d }
limit probing    per client/24   { 2 rejected recipients/10m }

on connect {
	accept                                  if client in trusted
	tempfail "too many unknown recipients"  if over probing
}
on helo {
	reject "that is not your name"          if helo ~ /^(localhost|mx\\.example\\.net)$/i
}
on mail {
	reject "{spf.explanation}"              if spf = fail and not user
}
on rcpt {
	reject "listed by {dnsbl.zone}"         if listed zen and not user
	next                                    if user and sender in bulk
	tempfail "{limit.name}: {limit.max} per {limit.window}, try again in {limit.retry}"   if user and over submission
}
on message {
	reject "DMARC policy of {from.domain}"  if dmarc = reject
	score 10                                if subject ~ /winner/i
	score 8                                 if subject ~ /lottery/i
	reject "this looks like spam ({score})" if score >= 15
	quarantine "score {score}"              if score >= 8
	header "X-Score" "{score}"
}
"""


@pytest.fixture
def daemon(postern, lab):
    with open(f"{lab}/policy.zone", "w", encoding="ascii") as out:
        out.write(ZONE)
    with open(f"{lab}/bulk-senders", "w", encoding="ascii") as out:
        out.write("# who may send more\nnews@example.org\n")
    return postern(POLICY.replace("{lab}", lab),
                   resolver=f"file:{lab}/policy.zone")


def test_trusted(postfix, daemon, sink):
    mark = token()
    for client in ("198.51.100.7", "IPV6:2001:db8::9"):
        with postfix.connect(client=client, ehlo="localhost") as c:
            assert c.post(message(mark, subject="lottery winner"),
                          "x@evil.example.org").code == 250
    assert len(sink.wait(mark, 2)) == 2


def test_helo(postfix, daemon):
    with postfix.connect(client="203.0.113.1", ehlo="LOCALHOST") as c:
        assert c.mail() == "550 5.7.1 that is not your name"


def test_spf_and_its_explanation(postfix, daemon):
    with postfix.connect(client="203.0.113.1") as c:
        assert c.mail("x@evil.example.org") == \
            "550 5.7.1 no mail for evil.example.org from 203.0.113.1"
        assert c.mail("x@good.example.org").code == 550
    with postfix.connect(client="192.0.2.1") as c:
        assert c.mail("x@good.example.org").code == 250


def test_dnsbl(postfix, daemon):
    with postfix.connect(client="203.0.113.9") as c:
        assert c.mail().code == 250
        assert c.rcpt() == "550 5.7.1 listed by zen.example.org"
    with postfix.connect(client="203.0.113.10") as c:
        assert c.post(message(token())).code == 250


def test_dmarc(postfix, daemon, sink):
    with postfix.connect(client="203.0.113.1") as c:
        assert c.post(message(token(), sender="x@bank.example.org")) == \
            "550 5.7.1 DMARC policy of bank.example.org"
        mark = token()
        assert c.post(message(mark)).code == 250
    got = sink.one(mark)
    assert b"dmarc=none" in got.field("Authentication-Results")[0]
    assert got.field("X-Score") == [b" 0"]


def test_score(postfix, daemon, sink):
    with postfix.connect(client="203.0.113.1") as c:
        assert c.post(message(token(), subject="lottery Winner")) == \
            "550 5.7.1 this looks like spam (18)"
        mark = token()
        assert c.post(message(mark, subject="a winner")).code == 250
    postfix.settle()
    assert len(postfix.held(mark)) == 1 and not sink.all(mark)


def test_probing(postfix, daemon):
    """A network that guesses names is told to come back later."""
    with postfix.connect(client="203.0.113.20") as c:
        assert c.mail().code == 250
        assert c.rcpt("a@closed.example").code == 550
        assert c.rcpt("b@closed.example").code == 550
    with postfix.connect(client="203.0.113.21", ehlo=None) as c:
        c.ehlo()
        assert c.mail().code == 451
    with postfix.connect(client="203.0.114.21") as c:
        assert c.mail().code == 250


def test_submission(postfix, daemon, sink):
    if not postfix.sasl:
        pytest.skip("saslpasswd2 (sasl2-bin) is not installed")
    mark = token()
    with postfix.connect(client="203.0.113.9") as c:
        assert c.login("bob", "builder").code == 235
        # Neither SPF nor a list is asked about who has logged in.
        codes = [c.post(message(mark), "x@evil.example.org").code
                 for _ in range(5)]
        assert codes == [250] * 4 + [451]
        c.mail("x@evil.example.org")
        reply = c.rcpt()
        assert reply.says.startswith("submission: 4 messages per 1h, "
                                     "try again in ")
        c.cmd("RSET")
        assert c.post(message(mark), "news@example.org").code == 250
    assert len(sink.wait(mark, 5)) == 5


def test_greylisting(mta, postern, sink, lab):
    """Asked to come back, known over a restart."""
    path = f"{lab}/grey-{token()}.db"
    daemon = postern("on rcpt {\n\tgreylist for 1s\n}\n",
                     state=f"sqlite:{path}")
    mark = token()
    with mta.connect() as c:
        assert c.mail().code == 250
        reply = c.rcpt()
        assert reply.code == 451 and "greylisted" in reply.says
        daemon.stop()
        daemon.start()
    time.sleep(1.1)
    with mta.connect() as c:
        assert c.post(message(mark)).code == 250
        assert c.post(message(mark)).code == 250
        assert c.mail("other@example.org").code == 250
        assert c.rcpt().code == 451
    sink.wait(mark, 2)


def test_delay(mta, postern):
    postern('on rcpt {\n\tdelay 400ms if rcpt = "slow@example.net"\n}\n')
    with mta.connect() as c:
        c.mail()
        began = time.monotonic()
        assert c.rcpt("slow@example.net").code == 250
        assert 0.4 <= time.monotonic() - began < 3
        assert c.data(message(token())).code == 250
