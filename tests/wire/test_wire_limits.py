"""Limits with real logins: counted where it matters, behind the MTA."""

import json
import os
import random
import shutil
import threading
import time

import pytest

from milterclient import FIELDS, Closed, MilterClient
from mta_postfix import USERS
from net import wait_for
from postern import Postern, slack
from redisserver import Redis
from smtpclient import Gone, message, token

LIMIT = """
limit submission per user { 5 messages/1h  12 recipients/1h }
on rcpt {
	tempfail "451 4.7.1 {limit.name}: {limit.max} per {limit.window}" if user and over submission
	reject "550 5.1.1 nobody"	if rcpt = "nobody@example.net"
}
on message {
	reject "550 5.7.1 spam"		if subject = "spam"
	tempfail "451 4.7.1 later"	if subject = "later"
}
"""


@pytest.fixture
def logins(postfix):
    if not postfix.sasl:
        pytest.skip("saslpasswd2 (sasl2-bin) is not installed")
    return USERS


@pytest.fixture
def state(lab):
    """A new SQLite file."""
    path = f"{lab}/state-{token()}.db"
    yield f"sqlite:{path}"
    for end in ("", "-wal", "-shm"):
        if os.path.exists(path + end):
            os.unlink(path + end)


class Sender:
    """A user who sends messages of N recipients, and much that fails."""

    def __init__(self, postfix, user, mark, recipients):
        self.postfix = postfix
        self.user = user
        self.mark = mark
        self.rcpts = [f"r{i}@example.net" for i in range(recipients)]

    def connect(self):
        c = self.postfix.connect()
        assert c.login(self.user, USERS[self.user]).code == 235
        return c

    def mail(self, c):
        reply = c.mail(f"{self.user}@example.org")
        assert reply.code == 250, reply

    def deliver(self, c):
        """One message: how many recipients were let pass."""
        self.mail(c)
        passed = 0
        for rcpt in self.rcpts:
            reply = c.rcpt(rcpt)
            assert reply.code in (250, 451), reply
            passed += reply.code == 250
        if not passed:
            c.cmd("RSET")
            return 0
        assert c.data(message(self.mark)).code == 250
        return passed

    def fail(self, c):
        """Transactions that come to nothing: none may be charged."""
        self.mail(c)
        c.rcpt(self.rcpts[0])
        c.cmd("RSET")
        self.mail(c)
        c.rcpt("nobody@example.net")
        if c.rcpt(self.rcpts[0]).code == 250:
            assert c.data(message(token(), subject="spam")).code == 550
        else:
            c.cmd("RSET")
        self.mail(c)
        if c.rcpt(self.rcpts[0]).code == 250:
            assert c.data(message(token(), subject="later")).code == 451
        else:
            c.cmd("RSET")
        self.mail(c)
        c.rcpt("missing@closed.example")
        c.cmd("RSET")

    def hang_up(self):
        c = self.connect()
        self.mail(c)
        if c.rcpt(self.rcpts[0]).code == 250:
            c.cmd("DATA")
            c.send(b"Subject: half\r\n\r\nhal")
        c.drop()

    def until_full(self):
        """One after the other until nothing passes."""
        with self.connect() as c:
            passed = 0
            for _ in range(20):
                self.fail(c)
                now = self.deliver(c)
                passed += now
                if not now:
                    return passed
        raise AssertionError(f"{self.user} is never full")


def crowd(senders, each, rounds):
    """All senders at once, each on several connections."""
    errors = []

    def work(sender):
        try:
            with sender.connect() as c:
                for _ in range(rounds):
                    sender.fail(c)
                    sender.deliver(c)
            sender.hang_up()
        except Exception as error:	# shown by the test
            errors.append(repr(error))
    threads = [threading.Thread(target=work, args=(s,))
               for s in senders for _ in range(each)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not errors


def counted(postfix, sink, marks):
    """(messages, recipients) of each user at the sink."""
    postfix.settle()
    out = {}
    for user, mark in marks.items():
        got = sink.all(mark)
        assert all(d.sender == f"{user}@example.org" for d in got)
        out[user] = (len({d.field("Message-ID")[0] + d.field("Received")[0]
                          for d in got}), sum(len(d.rcpts) for d in got))
    return out


@pytest.mark.parametrize("recipients", [1, 5])
def test_exactly_that_many(postfix, postern, sink, logins, state, recipients):
    daemon = postern(LIMIT, state=state)
    marks = {user: token() for user in logins}
    senders = [Sender(postfix, u, m, recipients) for u, m in marks.items()]
    crowd(senders, 3, 2)
    daemon.wait_metric("connections_open", 0)
    for sender in senders:
        sender.until_full()
    want = (5, 5) if recipients == 1 else None
    for user, (messages, rcpts) in counted(postfix, sink, marks).items():
        if want:
            assert (messages, rcpts) == want, user
        else:
            assert messages <= 5 and rcpts <= 12, user
            assert messages == 5 or rcpts == 12, user
    with senders[0].connect() as c:
        senders[0].mail(c)
        reply = c.rcpt()
        assert reply.code == 451
        assert reply.says.startswith("submission: ")
        assert reply.says.endswith(" per 1h")


def test_twelve_recipients(postfix, postern, sink, logins, state):
    """Five, five and two: the message that is cut short is delivered."""
    postern(LIMIT, state=state)
    mark = token()
    alice = Sender(postfix, "alice", mark, 5)
    with alice.connect() as c:
        assert [alice.deliver(c) for _ in range(4)] == [5, 5, 2, 0]
    assert counted(postfix, sink, {"alice": mark}) == {"alice": (3, 12)}
    # The others are not concerned, nor is anyone without a login.
    mark = token()
    bob = Sender(postfix, "bob", mark, 5)
    with bob.connect() as c:
        assert bob.deliver(c) == 5
    with postfix.connect() as c:
        assert c.post(message(token()), "alice@example.org").code == 250


def test_kill_between(postfix, postern, sink, logins, state):
    """What was sent before kill -9 counts after it."""
    daemon = postern(LIMIT, state=state)
    marks = {user: token() for user in logins}
    senders = [Sender(postfix, u, m, 1) for u, m in marks.items()]
    for sender in senders:
        with sender.connect() as c:
            assert [sender.deliver(c) for _ in range(3)] == [1, 1, 1]
            # Still reserved when the process dies: given back.
            sender.mail(c)
            assert c.rcpt().code == 250
            if sender is senders[-1]:
                daemon.kill()
    daemon.start()
    assert all(sender.until_full() == 2 for sender in senders)
    assert set(counted(postfix, sink, marks).values()) == {(5, 5)}
    daemon.stop()
    daemon.start()
    assert all(sender.until_full() == 0 for sender in senders)


def test_kill_in_the_middle(postfix, postern, sink, logins, state):
    """Three kills under load: never more than allowed, none lost for good."""
    daemon = postern(LIMIT, state=state)
    mark = token()
    stop = threading.Event()
    accepted, in_flight = [], []

    def work():
        sender = Sender(postfix, "alice", mark, 1)
        while not stop.is_set():
            try:
                with sender.connect() as c:
                    while not stop.is_set():
                        if c.mail("alice@example.org").code != 250:
                            break
                        if c.rcpt("r@example.net").code != 250:
                            break
                        reply = c.data(message(mark))
                        (accepted if reply.code == 250 else
                         in_flight).append(reply)
            except (Gone, OSError, AssertionError):
                pass
            stop.wait(0.02)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(3):
        stop.wait(0.15)
        daemon.kill()
        daemon.start()
    stop.wait(0.3)
    stop.set()
    for t in threads:
        t.join(30)
    left = Sender(postfix, "alice", mark, 1).until_full()
    messages, rcpts = counted(postfix, sink, {"alice": mark})["alice"]
    assert rcpts == messages == len(accepted) + left
    assert messages <= 5
    # A message judged but not yet answered when the process died may have
    # been charged; there were at most four of them a kill.
    assert messages + len(in_flight) >= 5


def test_per_sender(mta, postern, sink):
    """Without a login, by address; tags do not make a new key."""
    postern("""
limit slow per sender { 3 messages/1h }
on rcpt {
	tempfail "451 4.7.1 slow down, {limit.retry}"	if over slow
}
on message {
	reject "550 5.7.1 spam"	if subject = "spam"
}
""")
    mark = token()
    with mta.connect() as c:
        codes = []
        for i in range(6):
            codes.append(c.post(message(mark),
                                f"a{'+' + str(i) if i else ''}@example.org",
                                ).code)
            assert c.post(message(token(), subject="spam"),
                          "a@EXAMPLE.org").code in (550, 451)
        assert codes == [250, 250, 250, 451, 451, 451]
        assert c.post(message(token()), "b@example.org").code == 250
    mta.settle()
    assert len(sink.all(mark)) == 3


def test_bytes(mta, postern, sink):
    """What the messages really had counts, declared or not."""
    postern("""
limit volume per sender { 100K bytes/1h }
on message {
	tempfail "451 4.7.1 too much"	if over volume
}
""")
    body = b"x" * 70 + b"\r\n"
    with mta.connect() as c:
        codes = [c.post(message(token(), body=body * 500)).code
                 for _ in range(4)]
    assert codes == [250, 250, 451, 451]


def test_block(postfix, postern, sink):
    """Too many unknown recipients block the network for a while."""
    daemon = postern("""
limit probing per client/24 { 3 rejected recipients/10m }
on rcpt {
	block client for 1h		if over probing
	reject "550 5.7.1 blocked"	if blocked client
}
""")
    with postfix.connect(client="192.0.2.9") as c:
        c.mail()
        for i in range(3):
            assert c.rcpt(f"x{i}@closed.example").code == 550
        assert c.rcpt("good@example.net") == "550 5.7.1 blocked"
    with postfix.connect(client="198.51.100.9") as c:
        assert c.post(message(token())).code == 250
    assert daemon.wait_log("event=block")


def test_notify_mail(postfix, postern, sink):
    """A mail to the postmaster, once, which the policy lets by."""
    settings = f"mta smtp://127.0.0.1:{postfix.port}"
    daemon = postern("""
limit slow per sender { 4 messages/1h }
on mail {
	notify mail "postmaster@example.net" "null sender"	if not sender
}
on rcpt {
	notify mail "postmaster@example.net" "{sender}: {limit.used}"	if over slow at 50%
	tempfail "451 4.7.1 slow down"	if over slow
}
""", settings=settings)
    with postfix.connect(client="192.0.2.9") as c:
        codes = [c.post(message(token()), "a@example.org").code
                 for _ in range(6)]
    assert codes == [250] * 4 + [451] * 2
    got = sink.one("Auto-Submitted: auto-generated")
    assert got.sender == "" and got.rcpts == ["postmaster@example.net"]
    assert got.field("Subject") == [b" postern: a@example.org: 1"]
    assert b"\r\nclient       192.0.2.9\r\n" in got.data
    assert daemon.wait_log("event=notify", "what=given")
    postfix.settle()
    assert len(sink.all("Auto-Submitted")) == 1


# --- many at once ----------------------------------------------------------

HUNDRED = """
limit hourly per user { 100 recipients/1h }
on rcpt {
	tempfail "451 4.7.1 {limit.max} per {limit.window}"	if over hourly
}
"""


class Crowd:
    """Fifty clients with one login, who send until they are told to stop."""

    def __init__(self, postfix, mark, pause):
        self.postfix = postfix
        self.mark = mark
        self.pause = pause
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.accepted = self.refused = self.unanswered = 0
        self.threads = [threading.Thread(target=self._work, args=(n,))
                        for n in range(50)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive()

    def _work(self, n):
        dice = random.Random(n)
        while not self.stop.wait(dice.uniform(0, self.pause)):
            try:
                with self.postfix.connect() as c:
                    if c.login("alice", USERS["alice"]).code == 235:
                        while self._send(c, dice) and self.pause == 0:
                            pass
            except (Gone, OSError):
                self.stop.wait(0.02)

    def _send(self, c, dice):
        """One message of one to three; false: this connection is no good."""
        if self.stop.is_set() or c.mail("alice@example.org").code != 250:
            return False
        rcpts = 0
        for i in range(dice.randint(1, 3)):
            code = c.rcpt(f"r{i}@example.net").code
            rcpts += code == 250
            self.refused += code == 451
        if rcpts == 0:
            return c.cmd("RSET").code == 250
        try:
            code = c.data(message(self.mark)).code
        except (Gone, OSError):
            self.unanswered += rcpts
            raise
        with self.lock:
            self.accepted += rcpts * (code == 250)
            self.unanswered += rcpts * (code != 250)
        return code == 250


def at_sink(postfix, sink, mark):
    postfix.settle()
    return sum(len(d.rcpts) for d in sink.all(mark))


def used(daemon, key):
    """What `show' says of each window."""
    done = daemon.cli("show", "--json", key)
    return [json.loads(line)["used"] for line in done.stdout.splitlines()]


def test_fifty_clients(postfix, postern, sink, logins, state):
    """One login, fifty clients, a hundred recipients: exactly a hundred."""
    daemon = postern(HUNDRED, state=state)
    mark = token()
    crowd_of_50 = Crowd(postfix, mark, 0).start()
    wait_for(lambda: crowd_of_50.accepted >= 100 and
             crowd_of_50.refused > 200, 20 * slack(), "a hundred to pass")
    crowd_of_50.end()
    daemon.wait_metric("connections_open", 0)
    assert crowd_of_50.refused > 100
    assert crowd_of_50.accepted == 100
    assert at_sink(postfix, sink, mark) == 100
    assert used(daemon, "user=alice") == [100]


def test_fifty_clients_and_ten_kills(postfix, postern, sink, logins, state):
    """Never more than a hundred, and what was accepted stays counted."""
    slow = "on message {\n\tdelay 200ms\n}\n"	# so that kills meet messages
    daemon = postern(HUNDRED + slow, state=state)
    mark = token()
    fifty = Crowd(postfix, mark, 6).start()
    for _ in range(10):
        fifty.stop.wait(0.3 * slack())
        daemon.kill()
        daemon.start()
        before = fifty.accepted
        assert used(daemon, "user=alice") >= [before] or before == 0
    fifty.stop.wait(1)
    fifty.end()
    daemon.wait_metric("connections_open", 0)
    rest = Sender(postfix, "alice", mark, 3)
    with rest.connect() as c:
        while rest.deliver(c):
            pass
    delivered = at_sink(postfix, sink, mark)
    assert delivered <= 100
    assert fifty.accepted <= delivered
    assert used(daemon, "user=alice") == [100]
    # What a dying process had charged, and nobody was told "accepted" of.
    assert delivered + fifty.unanswered >= 100


# --- two hosts, one Redis --------------------------------------------------

@pytest.fixture
def redis(lab):
    why = Redis.missing()
    if why:
        pytest.skip(why)
    one = Redis(f"{lab}/redis-{token()}")
    yield one.start()
    one.kill()
    shutil.rmtree(one.dir)


@pytest.fixture
def pair(lab, redis):
    """pair(rules, ...): two daemons with one store."""
    started = []

    def start(rules, **more):
        for _ in range(2):
            path = f"{lab}/host-{token()}"
            os.makedirs(path)
            started.append(Postern(path, f"{path}/milter", rules,
                                   state=redis.spec, **more).start())
        return started
    yield start
    for one in started:
        one.stop()
        one.kill()
        assert not one.complaints, "\n".join(one.complaints[:60])
        shutil.rmtree(one.lab)


class Forty:
    """Forty clients of one login, half of them on each host."""

    def __init__(self, hosts, seconds=None, pause=0.0):
        self.hosts = hosts
        self.pause = pause
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.accepted = self.refused = self.faults = 0
        self.unsure = 0	# judged by a host that could not say it was counted
        self.threads = [threading.Thread(target=self._work, args=(n,))
                        for n in range(40)]
        for t in self.threads:
            t.start()
        if seconds is not None:
            time.sleep(seconds)
            self.end()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive()

    def until(self, enough):
        """Ends when that is so."""
        try:
            wait_for(enough, 20 * slack(), "forty clients")
        finally:
            self.end()

    def until_full(self):
        self.until(lambda: self.accepted + self.unsure >= 100 and
                   self.refused > 100)

    def _work(self, n):
        dice = random.Random(n)
        with MilterClient(self.hosts[n % 2].milter, 60) as m:
            m.negotiate()
            m.connect()
            m.helo()
            while not self.stop.is_set():
                self._send(m, dice)
                self.stop.wait(dice.uniform(0, self.pause))

    def _send(self, m, dice):
        if m.mail("alice@example.org", user="alice") not in "ca":
            return
        rcpts = refused = 0
        for i in range(dice.randint(1, 3)):
            answer = m.rcpt(f"r{i}@example.net")
            rcpts += answer == "c"
            refused += answer != "c"
            if m.reply and "store" in m.reply:
                self.faults += 1
        answer = ""
        if rcpts:
            m.data()
            m.content(FIELDS)
            answer = m.end()
        else:
            m.abort()
        with self.lock:
            self.refused += refused
            if answer and answer in "ac":
                self.accepted += rcpts
            elif answer:
                self.unsure += rcpts


@pytest.mark.parametrize("fault", ["none", "killed", "cut off"])
def test_two_hosts(pair, redis, fault):
    """Forty clients on two hosts get a hundred, whatever Redis goes through."""
    hosts = pair(HUNDRED, settings="on fault tempfail")
    if fault == "none":
        forty = Forty(hosts)
        forty.until_full()
        assert (forty.accepted, forty.unsure) == (100, 0)
    else:
        forty = Forty(hosts, pause=6)
        time.sleep(1)
        if fault == "killed":
            redis.kill()
            time.sleep(1)
            redis.start()
        else:
            redis.pause()
            time.sleep(5)
            redis.resume()
        forty.until(lambda: forty.accepted + forty.unsure >= 100 and
                    all(len(h.log("event=store", "state=down")) ==
                        len(h.log("event=store", "state=back"))
                        for h in hosts))
        assert forty.faults > 0
        assert 100 - forty.unsure <= forty.accepted <= 100
        rest = Forty(hosts)
        rest.until(lambda: rest.refused > 100)
        assert rest.faults == 0
        assert forty.accepted + rest.accepted <= 100
        assert forty.accepted + rest.accepted + forty.unsure >= 100
    assert forty.refused > 0
    for host in hosts:
        assert used(host, "user=alice") == [100]


def test_two_hosts_accept(pair, redis):
    """`on fault accept': nobody waits for a Redis that is gone."""
    hosts = pair(HUNDRED, settings="on fault accept")
    first = Forty(hosts, 1, pause=4)
    assert 0 < first.accepted <= 100
    redis.kill()
    gone = Forty(hosts)
    gone.until(lambda: gone.accepted > 200)
    assert gone.refused == 0 and gone.accepted > 0
    assert all(h.wait_log("event=store") for h in hosts)
    redis.start()
    for host in hosts:
        host.wait_log("event=store", count=2)
    last = Forty(hosts)
    last.until(lambda: last.refused > 100)
    for host in hosts:
        assert used(host, "user=alice")[0] >= 100
