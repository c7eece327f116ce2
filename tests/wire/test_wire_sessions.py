"""Life cycles: many messages on a connection, and clients that misbehave."""

import re
import time

import pytest

from postern import values
from smtpclient import Gone, message, stuffed, token

MIXED = """
on mail {
	reject "550 5.7.1 bad sender"	if sender = "bad@example.org"
}
on rcpt {
	reject "550 5.1.1 nobody"	if rcpt = "nobody@example.net"
	tempfail "451 4.7.1 later"	if rcpt = "later@example.net"
}
on message {
	reject "550 5.7.1 spam"		if subject = "spam"
	discard				if subject = "drop"
	header "X-Subject" "{subject} to {rcpt}"
}
"""


def test_several_messages_on_a_connection(mta, postern, sink):
    daemon = postern(MIXED)
    marks = [token() for _ in range(8)]
    with mta.connect() as c:
        assert c.post(message(marks[0])).code == 250
        assert c.mail("bad@example.org").code == 550
        assert c.post(message(marks[1], subject="spam")).code == 550
        assert c.post(message(marks[2], subject="drop")).code == 250
        assert c.mail().code == 250
        assert c.rcpt("nobody@example.net").code == 550
        assert c.cmd("RSET").code == 250
        assert c.post(message(marks[3], subject="three"),
                      rcpts=["c@example.net"]).code == 250
        assert c.mail().code == 250
        assert c.rcpt("later@example.net").code == 451
        assert c.rcpt("d@example.net").code == 250
        assert c.data(message(marks[4], subject="four")).code == 250
        assert c.quit().code == 221
    assert sink.one(marks[0]).field("X-Subject") == \
        [b" a message to user@example.net"]
    assert sink.one(marks[3]).field("X-Subject") == \
        [b" three to c@example.net"]
    assert sink.one(marks[4]).rcpts == ["d@example.net"]
    mta.settle()
    assert not sink.all(marks[1]) and not sink.all(marks[2])
    daemon.wait_metric("connections_open", 0)
    assert daemon.metric("messages") == 5
    assert daemon.metric("verdict_discard") == 1


def test_an_early_accept_stays_with_its_message(mta, postern):
    """`accept' at mail is for this message alone."""
    postern("""
on mail {
	accept	if sender = "friend@example.org"
}
on message {
	reject "550 5.7.1 not you"
}
""")
    with mta.connect() as c:
        assert c.post(message(token()), "friend@example.org").code == 250
        assert c.post(message(token()), "other@example.org").code == 550
        assert c.mail("friend@example.org").code == 250
        assert c.cmd("RSET").code == 250
        assert c.post(message(token()), "other@example.org").code == 550


def test_rset_and_new_ehlo(mta, postern, sink):
    daemon = postern(MIXED)
    mark = token()
    with mta.connect() as c:
        assert c.cmd("RSET").code == 250
        assert c.mail().code == 250
        assert c.cmd("RSET").code == 250
        assert c.mail().code == 250
        assert c.rcpt("x@example.net").code == 250
        assert c.ehlo("again.example.org").code == 250
        assert c.rcpt("y@example.net").code == 503
        assert c.mail().code == 250
        assert c.ehlo("third.example.org").code == 250
        assert c.cmd("HELO fourth.example.org").code == 250
        assert c.cmd("NOOP").code == 250
        assert c.cmd("BOGUS").code in (500, 502)
        assert c.post(message(mark)).code == 250
    assert sink.one(mark).rcpts == ["user@example.net"]
    daemon.wait_metric("connections_open", 0)
    assert daemon.metric("messages") == 1


def test_helo_is_the_last_one(mta, postern, sink):
    postern('on helo {\n\treject "550 5.7.1 bad name" '
            'if helo = "evil.example"\n}\n'
            'on message {\n\theader "X-Helo" "{helo}"\n}\n')
    mark = token()
    with mta.connect(ehlo="first.example.org") as c:
        c.ehlo("second.example.org")
        assert c.post(message(mark)).code == 250
        assert sink.one(mark).field("X-Helo") == [b" second.example.org"]


def test_pipelining(mta, postern, sink):
    daemon = postern(MIXED)
    mark, second = token(), token()
    with mta.connect() as c:
        codes = [r.code for r in c.pipeline(
            "MAIL FROM:<a@example.org>", "RCPT TO:<x@example.net>",
            "RCPT TO:<nobody@example.net>", "RCPT TO:<y@example.net>",
            "DATA")]
        assert codes == [250, 250, 550, 250, 354]
        # The end of one message and all of the next in one write.
        c.send(stuffed(message(mark)) + b".\r\n"
               b"MAIL FROM:<b@example.org>\r\nRCPT TO:<later@example.net>\r\n"
               b"RCPT TO:<z@example.net>\r\nDATA\r\n")
        assert [c.read().code for _ in range(5)] == [250, 250, 451, 250, 354]
        c.send(stuffed(message(second)) + b".\r\nQUIT\r\n")
        assert [c.read().code for _ in range(2)] == [250, 221]
    assert sorted(sink.one(mark).rcpts) == ["x@example.net", "y@example.net"]
    assert sink.one(second).rcpts == ["z@example.net"]
    daemon.wait_metric("connections_open", 0)


STEPS = ["connect", "ehlo", "mail", "rcpt", "refused", "data", "body",
         "unknown", "done"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_drops(mta, postern, sink, how):
    """At whatever point a client goes, nothing stays behind."""
    daemon = postern(MIXED)
    mark = token()
    for last in STEPS:
        for _ in range(3):
            drop_after(mta, last, how, mark)
    daemon.wait_metric("connections_open", 0, 10)
    mta.settle()
    assert len(sink.all(mark)) == 3	# those of "done"
    assert daemon.metric("messages") == 3
    assert daemon.metric("internal_errors") == 0
    good = token()
    with mta.connect() as c:
        assert c.post(message(good)).code == 250
    sink.one(good)


def drop_after(mta, last, how, mark):
    c = mta.connect(ehlo=None)
    try:
        at = STEPS.index(last)
        if at >= 1:
            c.ehlo()
        if at >= 2:
            assert c.mail().code == 250
        if at >= 3:
            assert c.rcpt().code == 250
        if at >= 4:
            assert c.rcpt("nobody@example.net").code == 550
        if last == "unknown":
            c.cmd("BOGUS")
        elif at >= 5:
            assert c.cmd("DATA").code == 354
        if last == "body":
            c.send(message(mark, body=b"half\r\n" * 20000)[:100000])
        if last == "done":
            c.send(stuffed(message(mark)) + b".\r\n")
            assert c.read().code == 250
    finally:
        c.close() if how == "close" else c.drop()


def test_null_sender(mta, postern, sink):
    postern("""
on mail {
	tag bounce	if not sender
}
on message {
	header "X-Bounce" "[{sender}]"	if tag bounce
}
""")
    mark, other = token(), token()
    with mta.connect() as c:
        assert c.post(message(mark), sender="").code == 250
        assert c.post(message(other)).code == 250
    got = sink.one(mark)
    assert got.sender == ""
    assert got.field("X-Bounce") == [b" []"]
    assert sink.one(other).field("X-Bounce") == []


def test_sendmail_command(postfix, postern, sink):
    """sendmail -t comes through non_smtpd_milters; no RCPT is refused."""
    daemon = postern("""
on rcpt {
	reject "550 5.7.1 no"	if rcpt = "refused@example.net"
}
on message {
	header "X-Local" "{client} [{user}] {rcpt}"
}
""")
    mark = token()
    mail = message(mark).replace(b"\r\n", b"\n")
    assert postfix.sendmail(mail, "-t", "-f", "me@example.org") \
        .returncode == 0
    got = sink.one(mark)
    assert got.sender == "me@example.org"
    assert got.field("X-Local") == [b" 127.0.0.1 [] user@example.net"]
    mark = token()
    assert postfix.sendmail(message(mark), "-f", "", "refused@example.net",
                            "other@example.net").returncode == 0
    # Refused there, it would be stuck in the queue for ever.
    assert sorted(sink.one(mark).rcpts) == \
        ["other@example.net", "refused@example.net"]
    postfix.settle()
    assert not postfix.deferred()
    assert len(daemon.wait_log("event=message", count=2)) == 2


def test_the_mtas_own_refusals(mta, postern, sink):
    """Counted as rejected recipients, never as recipients.

    Sendmail tells of them only where it was built for that, and Debian's
    was not.
    """
    told = mta.name == "postfix"
    client = "192.0.2.77" if told else "127.0.0.1"
    daemon = postern("""
limit probing per client { 3 rejected recipients/10m }
on rcpt {
	tempfail "451 4.7.1 too many unknown"	if over probing
}
on message {
	header "X-Count" "{recipients}"
}
""")
    mark = token()
    with mta.connect(client=client) as c:
        assert c.mail().code == 250
        no = c.rcpt("one@closed.example")
        assert (no.code, no.enhanced) == (550, "5.1.1")
        assert c.rcpt("good@example.net").code == 250
        if told:
            assert c.rcpt("x@elsewhere.example").code == 554
        assert c.data(message(mark)).code == 250
        assert c.mail().code == 250
        assert c.rcpt("three@closed.example").code == 550
        last = c.rcpt("good@example.net")
        assert last.code == (451 if told else 250)
    got = sink.one(mark)
    assert got.rcpts == ["good@example.net"]
    assert got.field("X-Count") == [b" 1"]
    assert daemon.metric("recipients_mta_refused") == (3 if told else 0)
    assert daemon.metric("recipients") == (1 if told else 2)


FACTS = """
on message {
	header "X-Client" "{client} [{client.name}] {helo}"
	header "X-Sender" "{sender} {sender.domain} {size.declared}"
	header "X-User" "[{user}] [{auth.method}] [{tls.version}]"
	header "X-Queue" "{queue_id}"
	header "X-Rcpts" "{recipients}"
	header "X-Anon" "yes"	if not user and not tls.version
}
"""


def test_facts(mta, postern, sink):
    daemon = postern(FACTS)
    mark = token()
    with mta.connect(ehlo="name.example.org") as c:
        c.mail("Some.One@EXAMPLE.org", "SIZE=500")
        c.rcpt("a@example.net")
        c.rcpt("b@example.net")
        done = c.data(message(mark))
        assert done.code == 250
    got = sink.one(mark)
    name = b"localhost" if mta.name == "sendmail" else b""
    assert got.field("X-Client") == \
        [b" 127.0.0.1 [" + name + b"] name.example.org"]
    assert got.field("X-Sender") == [b" Some.One@example.org example.org 500"]
    assert got.field("X-User") == [b" [] [] []"]
    assert got.field("X-Anon") == [b" yes"]
    assert got.field("X-Rcpts") == [b" 2"]
    queue_id = re.search(r"queued as (\w+)|2\.0\.0 (\w+) Message", done.text)
    queue_id = queue_id[1] or queue_id[2]
    assert got.field("X-Queue") == [b" " + queue_id.encode()]
    line = daemon.wait_log("event=message")[0]
    assert queue_id in values(line).values()


def test_client_of_xclient(postfix, postern, sink):
    postern(FACTS + """
table known { 192.0.2.64/26 }
on connect {
	reject "554 5.7.1 we know you"	if client in known
}
""")
    mark = token()
    with postfix.connect(client="192.0.2.1", name="mail.example.org") as c:
        assert c.post(message(mark)).code == 250
    assert sink.one(mark).field("X-Client") == \
        [b" 192.0.2.1 [mail.example.org] client.example.org"]
    mark = token()
    with postfix.connect(client="IPV6:2001:db8::7") as c:
        assert c.post(message(mark)).code == 250
    assert sink.one(mark).field("X-Client") == \
        [b" 2001:db8::7 [] client.example.org"]
    with postfix.connect(client="192.0.2.65") as c:
        assert c.greeting.code == 554
        assert c.ehlo().code == 250
        assert c.mail().code in (550, 554)


def test_starttls(postfix, postern, sink):
    if not postfix.tls:
        pytest.skip("openssl, which makes a certificate, is not installed")
    daemon = postern(FACTS)
    mark = token()
    with postfix.connect() as c:
        assert c.mail().code == 250
        assert c.cmd("RSET").code == 250
        assert c.starttls().code == 220
        assert c.ehlo("inside.example.org").code == 250
        assert c.post(message(mark)).code == 250
    got = sink.one(mark)
    assert re.fullmatch(rb" \[\] \[\] \[TLSv1\.[23]\]",
                        got.field("X-User")[0])
    assert got.field("X-Client")[0].endswith(b" inside.example.org")
    assert got.field("X-Anon") == []
    daemon.wait_metric("connections_open", 0)


def test_login(postfix, postern, sink):
    if not postfix.sasl:
        pytest.skip("saslpasswd2 (sasl2-bin) is not installed")
    postern(FACTS + """
on mail {
	reject "550 5.7.1 {user} may not"	if user = "carol"
}
""")
    mark = token()
    with postfix.connect() as c:
        assert c.login("alice", "wrong").code == 535
        assert c.login("alice", "wonder").code == 235
        assert c.post(message(mark)).code == 250
    got = sink.one(mark)
    assert re.fullmatch(rb" \[alice(@pf\.example)?\] \[PLAIN\] \[\]",
                        got.field("X-User")[0])
    assert got.field("X-Anon") == []
    with postfix.connect() as c:
        assert c.login("carol", "singer").code == 235
        assert c.mail().code == 550


def test_no_filter_is_a_temporary_failure(mta, postern, sink):
    """What the MTAs do while postern is away, and that it is taken again."""
    daemon = postern(MIXED)
    daemon.stop()
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark)).code == 451
    daemon.start()
    with mta.connect() as c:
        assert c.post(message(mark)).code == 250
    sink.one(mark)


def test_many_sessions_at_once(mta, postern, sink):
    """Held open together, each with its own facts."""
    daemon = postern('on mail {\n\treject if sender = "no@example.org"\n}\n'
                     'on message {\n\theader "X-Me" "{helo} {sender}"\n}\n')
    mark = token()
    clients = []
    try:
        for i in range(20):
            clients.append(mta.connect(ehlo=f"h{i}.example.org"))
        for i, c in enumerate(clients):
            assert c.mail(f"s{i}@example.org").code == 250
        assert daemon.metric("connections_open") == 20
        for c in reversed(clients):
            assert c.rcpt().code == 250
        for c in clients:
            assert c.data(message(mark)).code == 250
    finally:
        for c in clients:
            c.close()
    seen = {d.field("X-Me")[0] for d in sink.wait(mark, 20)}
    assert seen == {f" h{i}.example.org s{i}@example.org".encode()
                    for i in range(20)}
    daemon.wait_metric("connections_open", 0)


def test_idle_session_over_a_stop(mta, postern):
    """A session open when postern ends is told to come back."""
    daemon = postern(MIXED)
    with mta.connect() as c:
        assert c.mail().code == 250
        daemon.stop()
        time.sleep(0.1)
        try:
            assert c.rcpt().code in (250, 451, 421)
            assert c.data(message(token())).code in (451, 421, 503, 554)
        except (Gone, OSError):
            pass


