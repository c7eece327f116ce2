"""What a name server may do wrong, and that only the mail that asks it pays."""

import threading
import time

import pytest

import postern as program
from milterclient import FIELDS, MilterClient

dnsserver = pytest.importorskip("dnsserver")

RULES = """
deadline stage 2s
on rcpt {
	reject "550 5.7.23 spf"		if spf = fail
	tempfail "451 4.4.3 spf"	if spf = temperror
	header "X-Spf" "{spf}"
}
"""

ZONE = """
well.example.org TXT "v=spf1 ip4:192.0.2.1 -all"
servfail.example.org TXT !servfail
timeout.example.org TXT !timeout
lame.example.org TXT !lame
wrongid.example.org TXT !wrongid "v=spf1 ip4:192.0.2.1 -all"
truncated.example.org TXT !truncated "v=spf1 ip4:192.0.2.1 -all"
slow.example.org TXT !delay=3000 "v=spf1 ip4:192.0.2.1 -all"
late.example.org TXT !delay=1000 "v=spf1 ip4:192.0.2.1 -all"
alias.example.org CNAME well.example.org
nested.example.org TXT "v=spf1 include:timeout.example.org -all"
"""


def ask(path, domain):
    """The answer to RCPT, what it says, the headers, and the seconds."""
    began = time.monotonic()
    m = MilterClient(path)
    m.negotiate()
    m.connect()
    m.helo("client.example.org")
    m.mail("sender@" + domain)
    answer, reply = m.rcpt(), m.reply
    took = time.monotonic() - began
    edits = b""
    if answer == "c":
        m.data()
        m.content(FIELDS)
        assert m.end() == "a"
        edits = b"".join(data for _, data in m.edits)
    m.quit()
    return answer, reply, edits, took


@pytest.fixture
def asked(postern, milter):
    with dnsserver.DnsServer(ZONE) as server:
        daemon = postern(RULES, resolver=f"127.0.0.1@{server.port}")
        yield daemon, milter, server
        daemon.stop()


@pytest.mark.parametrize("domain", ["well", "truncated", "alias", "late"])
def test_answered(asked, domain):
    """Over TCP, through an alias, after a while: an answer is an answer."""
    _, milter, _ = asked
    answer, _, edits, _ = ask(milter, domain + ".example.org")
    assert answer == "c"
    assert b"spf=pass" in edits


@pytest.mark.parametrize("domain", [
    "servfail", "timeout", "lame", "wrongid", "slow", "nested"])
def test_not_answered(asked, domain):
    """Ends as temperror, at the stage's deadline and not much later."""
    daemon, milter, _ = asked
    answer, reply, _, took = ask(milter, domain + ".example.org")
    assert (answer, reply) == ("y", "451 4.4.3 spf")
    assert took < 2 + 1.5 * program.slack()
    daemon.wait_log("event=dns", "example.org")
    assert daemon.metric("dns_failed") + daemon.metric("dns_timeouts") > 0


def test_a_stalled_server_costs_those_who_ask(asked):
    """Thirty senders whose server is silent, and thirty whose is well."""
    _, milter, _ = asked
    assert ask(milter, "well.example.org")[0] == "c"
    slow, well, errors = [], [], []

    def session(domain, out):
        try:
            out.append(ask(milter, domain))
        except Exception as error:	# shown by the test
            errors.append(repr(error))
    threads = [threading.Thread(target=session, args=pair)
               for _ in range(30)
               for pair in (("timeout.example.org", slow),
                            ("well.example.org", well))]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert not errors
    assert [a for a, _, _, _ in slow] == ["y"] * 30
    assert [a for a, _, _, _ in well] == ["c"] * 30
    assert max(took for *_, took in slow) < 2 + 1.5 * program.slack()
    assert max(took for *_, took in well) < 1.5 * program.slack()


def test_back_again(asked):
    """What failed is asked again when its server is well."""
    _, milter, server = asked
    assert ask(milter, "servfail.example.org")[0] == "y"
    server.set_zone('servfail.example.org TXT "v=spf1 ip4:192.0.2.1 -all"\n')
    limit = time.monotonic() + 20
    while ask(milter, "servfail.example.org")[0] != "c":
        assert time.monotonic() < limit
        time.sleep(0.5)


LINKS = """
deadline stage 3s
uribl dbl "dbl.example.net"
on message {
	reject "550 5.7.1 {dnsbl.domain} {dnsbl.code}"	if listed dbl
	header "X-Links" "none listed"			if not listed dbl
}
"""

LINKS_ZONE = "\n".join(
    [f"d{i}.org.dbl.example.net A !delay=700 127.0.0.1" for i in range(20)] +
    ["evil.org.dbl.example.net A !delay=700 127.0.1.2",
     "stalled.org.dbl.example.net A !timeout"])


def send_links(path, *domains):
    """The answer, its text, what is edited, and the seconds."""
    m = MilterClient(path)
    m.negotiate()
    m.connect()
    m.helo("client.example.org")
    m.mail("sender@example.com")
    m.rcpt()
    m.data()
    began = time.monotonic()
    m.content(FIELDS, "".join(f"http://{d}/\r\n" for d in domains).encode())
    answer = m.end()
    took = time.monotonic() - began
    edits = b"".join(data for _, data in m.edits)
    m.quit()
    return answer, m.reply, edits, took


def test_links_are_looked_up_all_at_once(postern, milter):
    names = [f"d{i}.org" for i in range(20)]
    with dnsserver.DnsServer(LINKS_ZONE) as server:
        postern(LINKS, resolver=f"127.0.0.1@{server.port}")
        answer, reply, _, took = send_links(milter, *names, "www.evil.org")
        assert answer == "y" and "evil.org 127.0.1.2" in reply
        assert took < 0.7 + 1.3 * program.slack()
        assert all(server.asked(f"{n}.dbl.example.net") for n in names)
        # Unlisted: each was asked, none counts.
        answer, _, edits, _ = send_links(milter, *names)
        assert answer == "a" and b"none listed" in edits
        # One that does not answer is waited for no longer than the stage.
        answer, _, edits, took = send_links(milter, "stalled.org")
        assert answer == "a" and b"none listed" not in edits
        assert took < 3 + 1.5 * program.slack()
