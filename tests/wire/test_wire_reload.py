"""A policy exchanged under load, and what a broken one does."""

import threading

import pytest

from milterclient import FIELDS, Closed, MilterClient
from net import wait_for
from smtpclient import message, token


def policy(name, other):
    return f"""
on rcpt {{
	reject "550 5.7.1 policy {name}"	if rcpt = "{name}@example.net"
}}
on message {{
	header "X-Policy" "{name}"
	reject "550 5.7.2 message {name}"	if rcpt = "fail{other}@example.net"
}}
"""


A, B = policy("a", "b"), policy("b", "a")


class Load:
    """Connections that send messages and check that each is of one piece."""

    def __init__(self, path):
        self.path = path
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.done = 0
        self.seen = {"a": 0, "b": 0}
        self.errors = []

    def run(self):
        while not self.stop.is_set():
            try:
                with MilterClient(self.path) as m:
                    m.negotiate()
                    assert m.connect() == "c"
                    assert m.helo() == "c"
                    for _ in range(10):
                        self.message(m)
                    m.quit()
            except (OSError, Closed, AssertionError) as error:
                self.errors.append(repr(error))
                return

    def message(self, m):
        assert m.mail() == "c"
        heard = []
        for name in "ab":
            answer = m.rcpt(f"{name}@example.net")
            assert answer in ("c", "y"), answer
            if answer == "y":
                assert m.reply == f"550 5.7.1 policy {name}", m.reply
                heard.append(name)
        assert len(heard) == 1, heard
        assert m.rcpt("ok@example.net") == "c"
        fail = self.done % 5 == 0
        if fail:
            assert m.rcpt("faila@example.net") == "c"
            assert m.rcpt("failb@example.net") == "c"
        m.data()
        assert m.content(FIELDS) == "c"
        answer = m.end()
        if fail:
            other = "a" if heard == ["a"] else "b"
            assert answer == "y", answer
            assert m.reply == f"550 5.7.2 message {other}", m.reply
        else:
            assert answer in ("a", "c"), (answer, m.reply)
            assert m.added()["X-Policy"] == heard[0]
        with self.lock:
            self.done += 1
            self.seen[heard[0]] += 1


def test_200_reloads_under_load(postern, milter):
    daemon = postern(A)
    load = Load(milter)
    threads = [threading.Thread(target=load.run) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for i in range(200):
            daemon.write(A if i % 2 else B)
            if i % 4 == 0:
                done = daemon.cli("reload")
                assert done.returncode == 0, done.stdout + done.stderr
            else:
                daemon.hup()
            daemon.wait_log("event=reload", count=i + 1, timeout=10)
            assert not load.errors
        wait_for(lambda: load.done >= 5000 or load.errors, 60,
                 "5,000 messages")
    finally:
        load.stop.set()
        for t in threads:
            t.join(30)
    assert load.errors == []
    assert load.done >= 5000
    assert min(load.seen.values()) > 100, load.seen
    assert daemon.metric("reloads") >= 200
    assert daemon.metric("reloads_failed") == 0
    assert daemon.metric("internal_errors") == 0
    daemon.wait_metric("connections_open", 0)


@pytest.mark.parametrize("how", ["hup", "command"])
def test_a_broken_policy_keeps_the_old(mta, postern, sink, how):
    daemon = postern(A)
    daemon.write(A + "on rcpt {\n\trejct if rcpt = \"x@example.net\"\n}\n")
    if how == "command":
        done = daemon.cli("reload")
        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert "postern.conf:" in said and "rejct" in said
    else:
        daemon.hup()
    line = daemon.wait_log("event=reload-failed")[0]
    assert "postern.conf" in line
    assert daemon.metric("reloads_failed") == 1
    with mta.connect() as c:
        assert c.mail().code == 250
        reply = c.rcpt("a@example.net")
        assert reply.code == 550 and reply.says.endswith("policy a")
        assert c.rcpt("b@example.net").code == 250
    # Mended, it is taken.
    daemon.write(B)
    assert daemon.cli("reload").returncode == 0
    with mta.connect() as c:
        assert c.mail().code == 250
        assert c.rcpt("a@example.net").code == 250
        assert c.rcpt("b@example.net").code == 550


def test_an_open_session_takes_the_new_at_mail(mta, postern, sink):
    """A message keeps its policy; the next message has the new one."""
    daemon = postern(A)
    marks = [token(), token()]
    with mta.connect() as c:
        assert c.mail().code == 250
        assert c.rcpt("a@example.net").code == 550
        daemon.write(B)
        assert daemon.cli("reload").returncode == 0
        assert c.rcpt("a@example.net").code == 550
        assert c.rcpt("b@example.net").code == 250
        assert c.data(message(marks[0])).code == 250
        assert c.mail().code == 250
        assert c.rcpt("a@example.net").code == 250
        assert c.rcpt("b@example.net").code == 550
        assert c.data(message(marks[1])).code == 250
    assert sink.one(marks[0]).field("X-Policy") == [b" a"]
    assert sink.one(marks[1]).field("X-Policy") == [b" b"]


def test_stage_that_the_old_policy_did_not_want(mta, postern, sink):
    """Negotiated before a reload: the new policy's needs can't be met on
    that connection, and nothing may break; the next one has all of it."""
    daemon = postern('on rcpt {\n\treject if rcpt = "x@example.net"\n}\n')
    marks = [token(), token()]
    with mta.connect() as c:
        assert c.mail().code == 250
        daemon.write('on message {\n\theader "X-Body" "yes"'
                     ' if body ~ /hello/\n}\n')
        assert daemon.cli("reload").returncode == 0
        assert c.rcpt().code == 250
        assert c.data(message(marks[0])).code == 250
        assert c.post(message(marks[0])).code in (250, 451)
    with mta.connect() as c:
        assert c.post(message(marks[1])).code == 250
    assert sink.one(marks[1]).field("X-Body") == [b" yes"]


def test_limits_survive_a_reload(postern, milter):
    rules = """
limit few per sender { 3 messages/1h }
on rcpt {
	tempfail "451 4.7.1 enough"	if over few
}
"""
    daemon = postern(rules)

    def send():
        with MilterClient(milter) as m:
            m.negotiate()
            m.connect()
            m.helo()
            m.mail()
            if m.rcpt() != "c":
                return False
            m.data()
            m.content(FIELDS)
            return m.end() in ("a", "c")
    assert [send() for _ in range(2)] == [True, True]
    daemon.write(rules)
    assert daemon.cli("reload").returncode == 0
    assert [send() for _ in range(3)] == [True, False, False]
