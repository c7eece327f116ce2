"""What an SMTP client hears for each verdict at each stage, on real MTAs."""

import pytest

from smtpclient import message, token

REJECT = "550 5.7.1 not for us"
TEMPFAIL = "451 4.7.1 not now"

EARLY = {
    # MTA, stage, code of the verdict: greeting, what MAIL is answered.
    ("postfix", "reject"): ("554 pf.example ESMTP not accepting connections",
                            "550 5.7.1"),
    ("postfix", "tempfail"): ("220 pf.example ESMTP Postfix", "451 4.7.1"),
    ("sendmail", "reject"): ("554 sm.example ESMTP not accepting messages",
                             "550 5.0.0 Command rejected"),
    ("sendmail", "tempfail"): ("220 sm.example ESMTP Sendmail 8.17",
                               "451 4.3.2 Please try again later"),
}


def rule(stage, verdict):
    text = REJECT if verdict == "reject" else TEMPFAIL
    return f'on {stage} {{\n\t{verdict} "{text}"\n}}\n'


def heard(mta, verdict, command):
    """Sendmail names the address in a 5xx answer to MAIL and RCPT."""
    text = REJECT if verdict == "reject" else TEMPFAIL
    if mta.name == "sendmail" and verdict == "reject" and command:
        codes, words = text[:10], text[10:]
        return f"{codes}<{command}>... {words}"
    return text


@pytest.mark.parametrize("verdict", ["reject", "tempfail"])
def test_at_connect(mta, postern, sink, verdict):
    daemon = postern(rule("connect", verdict))
    greeting, reply = EARLY[mta.name, verdict]
    mark = token()
    with mta.connect(ehlo=None) as c:
        assert repr(c.greeting).startswith(greeting)
        assert c.ehlo().code == 250
        assert repr(c.mail()).startswith(reply)
        assert c.rcpt().code in (503, 550)
        assert repr(c.mail()).startswith(reply)
        assert c.quit().code == 221
    mta.settle()
    assert not sink.all(mark)
    assert daemon.wait_log("event=refused", "stage=connect")


@pytest.mark.parametrize("verdict", ["reject", "tempfail"])
def test_at_helo(mta, postern, verdict):
    daemon = postern(rule("helo", verdict))
    with mta.connect(ehlo=None) as c:
        assert c.greeting.code == 220
        # Both MTAs keep the answer for MAIL.
        assert c.ehlo().code == 250
        assert c.mail() == heard(mta, verdict, None)
        assert c.rcpt().code in (503, 550, 451)
        assert c.mail() == heard(mta, verdict, None)
    assert daemon.wait_log("event=refused", "stage=helo")


@pytest.mark.parametrize("verdict", ["reject", "tempfail"])
def test_at_mail(mta, postern, verdict):
    daemon = postern(rule("mail", verdict))
    with mta.connect() as c:
        assert c.mail() == heard(mta, verdict, "sender@example.org")
        assert c.rcpt().code == 503
        assert c.mail() == heard(mta, verdict, "sender@example.org")
    assert daemon.wait_log("event=refused", "stage=mail")


@pytest.mark.parametrize("verdict", ["reject", "tempfail"])
def test_at_rcpt(mta, postern, verdict):
    daemon = postern(rule("rcpt", verdict))
    with mta.connect() as c:
        assert c.mail().code == 250
        assert c.rcpt() == heard(mta, verdict, "user@example.net")
        assert c.rcpt("b@example.net") == heard(mta, verdict, "b@example.net")
        assert c.cmd("DATA").code in (503, 554)
        assert c.cmd("RSET").code == 250
    assert len(daemon.wait_log("event=refused", "stage=rcpt", count=2)) == 2


@pytest.mark.parametrize("verdict", ["reject", "tempfail"])
def test_at_message(mta, postern, sink, verdict):
    daemon = postern(rule("message", verdict))
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark)) == heard(mta, verdict, None)
        assert c.post(message(mark)) == heard(mta, verdict, None)
    mta.settle()
    assert not sink.all(mark)
    assert not mta.held(mark)
    assert len(daemon.wait_log("event=message", count=2)) == 2


@pytest.mark.parametrize("stage",
                         ["connect", "helo", "mail", "rcpt", "message"])
def test_accept_ends_the_rules(mta, postern, sink, stage):
    later = "".join(rule(s, "reject") for s in
                    ["helo", "mail", "rcpt", "message"]
                    if s != stage and ORDER[s] > ORDER[stage])
    postern(f"on {stage} {{\n\taccept\n\treject\n}}\n" + later)
    mark = token()
    with mta.connect() as c:
        for _ in range(2):
            assert c.post(message(mark)).code == 250
    assert len(sink.wait(mark, 2)) == 2


ORDER = {"connect": 0, "helo": 1, "mail": 2, "rcpt": 3, "message": 4}


def test_usual_codes(mta, postern):
    """A text without codes gets 550 5.7.1 and 451 4.7.1."""
    postern("""
on rcpt {
	reject "go away"	if rcpt = "r@example.net"
	tempfail "come back"	if rcpt = "t@example.net"
	reject			if rcpt = "bare@example.net"
}
""")
    with mta.connect() as c:
        c.mail()
        r, t = c.rcpt("r@example.net"), c.rcpt("t@example.net")
        bare = c.rcpt("bare@example.net")
        assert (r.code, r.enhanced, r.says.endswith("go away")) == \
            (550, "5.7.1", True)
        assert (t.code, t.enhanced, t.says) == (451, "4.7.1", "come back")
        assert (bare.code, bare.enhanced) == (550, "5.7.1")


@pytest.mark.parametrize("codes", ["554 5.5.4", "552 5.2.2", "553 5.1.8"])
def test_own_codes(mta, postern, codes):
    postern(f'on rcpt {{\n\treject "{codes} as asked"\n}}\n')
    with mta.connect() as c:
        c.mail()
        reply = c.rcpt()
        assert repr(reply).startswith(codes)
        assert reply.says.endswith("as asked")


def test_one_recipient_of_three(mta, postern, sink):
    daemon = postern("""
on rcpt {
	reject "550 5.1.1 no such user"	if rcpt = "nobody@example.net"
}
""")
    mark = token()
    with mta.connect() as c:
        assert c.mail().code == 250
        assert c.rcpt("a@example.net").code == 250
        no = c.rcpt("nobody@example.net")
        assert no == ("550 5.1.1 no such user" if mta.name == "postfix" else
                      "550 5.1.1 <nobody@example.net>... no such user")
        assert c.rcpt("b@example.net").code == 250
        assert c.data(message(mark)).code == 250
    assert sorted(sink.one(mark).rcpts) == ["a@example.net", "b@example.net"]
    daemon.wait_metric("recipients", 2)
    assert daemon.metric("messages") == 1


def test_discard_at_message(mta, postern, sink):
    postern('on message {\n\tdiscard if subject = "drop this"\n}\n')
    gone, kept = token(), token()
    with mta.connect() as c:
        assert c.post(message(gone, subject="drop this")).code == 250
        assert c.post(message(kept)).code == 250
    sink.one(kept)
    mta.settle()
    assert not sink.all(gone)
    assert not mta.held(gone)


def test_discard_at_mail(mta, postern, sink):
    postern('on mail {\n\tdiscard if sender.domain = "black.example"\n}\n')
    gone, kept = token(), token()
    with mta.connect() as c:
        assert c.post(message(gone), "x@black.example").code == 250
        assert c.post(message(kept)).code == 250
    sink.one(kept)
    mta.settle()
    assert not sink.all(gone)


def test_discard_of_one_recipient(mta, postern, sink):
    postern('on rcpt {\n\tdiscard if rcpt = "hole@example.net"\n}\n')
    mark, other = token(), token()
    with mta.connect() as c:
        rcpts = ["a@example.net", "hole@example.net", "b@example.net"]
        assert c.post(message(mark), rcpts=rcpts).code == 250
        # All of them: nothing is left to deliver.
        assert c.post(message(other), rcpts=["hole@example.net"]).code == 250
    assert sorted(sink.one(mark).rcpts) == ["a@example.net", "b@example.net"]
    mta.settle()
    assert not sink.all(other)


def test_quarantine(mta, postern, sink):
    daemon = postern("""
on message {
	quarantine "smells of spam"	if subject = "hold this"
}
""")
    held, kept = token(), token()
    with mta.connect() as c:
        assert c.post(message(held, subject="hold this")).code == 250
        assert c.post(message(kept)).code == 250
    sink.one(kept)
    assert len(mta.held(held)) == 1
    assert not sink.all(held)
    if mta.name == "sendmail":
        assert b"\nqsmells of spam\n" in mta.held(held)[0]
    else:
        assert "milter-hold: END-OF-MESSAGE" in mta.log()
    assert daemon.metric("verdict_quarantine") == 1


def test_quarantine_said_at_rcpt(mta, postern, sink):
    """Held as a whole, and what message rules add is there."""
    postern("""
on rcpt {
	quarantine "trap"	if rcpt = "trap@example.net"
}
on message {
	header "X-Seen" "yes"
}
""")
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark), rcpts=["trap@example.net"]).code == 250
    mta.settle()
    assert len(mta.held(mark)) == 1
    assert not sink.all(mark)


@pytest.mark.parametrize("stage", ["helo", "mail", "rcpt", "message"])
def test_reply_of_several_lines(mta, postern, stage):
    postern(f'on {stage} {{\n\treject "550 5.7.1 first\\nsecond\\nthird"\n}}\n')
    with mta.connect() as c:
        reply = c.post(message(token()))
        assert reply.code == 550
        assert len(reply.lines) == 3
        assert reply.lines[0].startswith("5.7.1 ")
        assert reply.lines[0].endswith("first")
        assert [line.split()[-1] for line in reply.lines[1:]] == \
            ["second", "third"]


@pytest.mark.parametrize("stage", ["helo", "mail", "rcpt", "message"])
def test_percent_in_a_reply(mta, postern, stage):
    postern(f'on {stage} {{\n\ttempfail "100% full, 50%% %s%n%d%"\n}}\n')
    with mta.connect() as c:
        assert c.post(message(token())) == \
            "451 4.7.1 100% full, 50%% %s%n%d%"


def test_fact_in_a_reply_cannot_break_it(mta, postern):
    """What a stranger sends is text in a reply, never a format or a line."""
    postern('on message {\n\treject "about {subject}"\n}\n')
    with mta.connect() as c:
        reply = c.post(message(token(), subject="=?utf-8?q?50%_=0D=0A250_ok?="))
        assert reply.code == 550
        assert all(line.startswith("5.7.1") for line in reply.lines)
        assert "about 50%" in reply.lines[0]


def test_421_closes(mta, postern):
    postern('on rcpt {\n\ttempfail "421 4.7.0 closing"\n}\n')
    with mta.connect() as c:
        c.mail()
        assert c.rcpt() == "421 4.7.0 closing"
        with pytest.raises((OSError, Exception)):
            c.cmd("NOOP")


def test_shadow_changes_nothing(mta, postern, sink):
    daemon = postern("""
shadow on rcpt {
	reject "550 5.7.1 would be refused"
}
on message {
	header "X-Seen" "yes"
}
""")
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark)).code == 250
    assert sink.one(mark).field("X-Seen")
    assert daemon.wait_log("event=shadow")


def test_shadow_run(mta, postern, sink):
    daemon = postern(rule("rcpt", "reject") + rule("message", "reject"),
                     args=["--shadow"])
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark)).code == 250
    sink.one(mark)
    assert daemon.wait_log("event=shadow")
