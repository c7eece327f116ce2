"""who, show, release, block, limits: what an admin sees and changes."""

import contextlib
import glob
import gzip
import json
import os
import pwd
import re
import sqlite3
import subprocess
import time

import pytest

import postern as program
from milterclient import FIELDS, MilterClient
from mta_postfix import USERS
from net import wait_for
from postern import Postern
from redisserver import Redis
from smtpclient import message, token

POLICY = """
limit submission per user { 4 messages/1h  100 recipients/1d }
limit senders per sender { 3 messages/1h }
limit near per client/24 { 50 messages/1h }
on mail {
	tempfail "450 4.7.1 {user} is blocked"	if blocked user
	reject "550 5.7.1 sender is blocked"	if blocked sender
}
on rcpt {
	block sender for 1h	if sender = "bad@example.org"
	tempfail "451 4.7.1 enough"	if over submission
	tempfail "451 4.7.1 enough of you"	if over senders
	tempfail "451 4.7.1 enough from there"	if over near
}
"""


def send(milter, sender="s@example.org", user=None, rcpts=1,
         client="192.0.2.1"):
    """One message; the reply of what refused it, or that of its end."""
    with MilterClient(milter) as m:
        m.negotiate()
        m.connect(client)
        m.helo()
        if m.mail(sender, user=user) != "c":
            return m.reply
        passed = 0
        for i in range(rcpts):
            passed += m.rcpt(f"r{i}@example.net") == "c"
        if not passed:
            return m.reply
        m.data()
        m.content(FIELDS)
        return m.end(token()[:12])


def rows(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def state(request, tmp_path, lab):
    """A spec of each kind of store."""
    if request.param == "memory":
        yield "memory:"
    elif request.param == "sqlite":
        yield f"sqlite:{tmp_path}/state.db"
    else:
        if Redis.missing():
            pytest.skip(Redis.missing())
        redis = Redis(f"{lab}/redis-{token()}")
        try:
            yield redis.start().spec
        finally:
            redis.kill()


def test_who(postern, milter, state):
    daemon = postern(POLICY, state=state)
    assert "nobody" in daemon.cli("who").stdout
    assert rows(daemon.cli("who", "--json")) == []
    for _ in range(3):
        assert send(milter, "often@example.org") in ("a", "c")
    assert send(milter, "Seldom+tag@Example.org") in ("a", "c")
    assert send(milter, "bad@example.org") in ("a", "c")
    seen = rows(daemon.cli("who", "--json"))
    assert seen[0]["kind"] == "block"
    assert seen[0]["key"] == "sender=bad@example.org"
    assert seen[0]["by"].startswith("postern.conf:")
    assert 3590 <= seen[0]["seconds"] <= 3600
    assert [(r["key"], r["limit"], r["unit"], r["used"], r["max"],
             r["percent"], r["window"]) for r in seen[1:]] == [
        ("sender=often@example.org", "senders", "messages", 3, 3, 100, 3600),
        ("sender=bad@example.org", "senders", "messages", 1, 3, 33.3, 3600),
        ("sender=seldom@example.org", "senders", "messages", 1, 3, 33.3,
         3600),
        ("client=192.0.2.0/24", "near", "messages", 5, 50, 10, 3600)]
    assert 0 < seen[1]["room_in"] <= 3660
    assert seen[2]["room_in"] == 0 and 0 < seen[2]["empty_in"] <= 3660
    human = daemon.cli("who").stdout.splitlines()
    assert human[0].startswith("blocked  sender=bad@example.org ")
    assert human[1].split()[:5] == ["100%", "sender=often@example.org", "3",
                                    "of", "3"]


def test_distinct_and_own_maxima(postern, milter, state, tmp_path):
    table = tmp_path / "own"
    table.write_text("busy 9 distinct recipients/1h\nfree unlimited\n")
    daemon = postern(f"""
limit spray per user {{
	3 distinct recipients/1h
	override file "{table}"
}}
on rcpt {{ tempfail "451 4.7.1 too many" if over spray }}
""", state=state)
    for user in ("plain", "busy", "free"):
        for _ in range(2):
            assert send(milter, user=user, rcpts=2) in ("a", "c")
    seen = rows(daemon.cli("who", "--json"))
    assert [(r["key"], r["unit"], r["used"], r["max"]) for r in seen] == [
        ("user=plain", "distinct recipients", 2, 3),
        ("user=busy", "distinct recipients", 2, 9),
        ("user=free", "distinct recipients", 2, None)]
    assert all(r["room_in"] == 0 and 3500 < r["empty_in"] < 3700
               for r in seen)


def test_who_is_short(postern, milter):
    daemon = postern(POLICY)
    for i in range(25):
        assert send(milter, f"s{i:02}@example.org") in ("a", "c")
    some = daemon.cli("who").stdout.splitlines()
    assert len(some) == 21 and "6 more" in some[-1]
    assert len(daemon.cli("who", "--all").stdout.splitlines()) == 26
    assert len(rows(daemon.cli("who", "--json", "--all"))) == 26


@pytest.mark.parametrize("key,found", [
    ("sender=often@example.org", ["sender=often@example.org"]),
    ("sender=Often+x@Example.ORG", ["sender=often@example.org"]),
    ("often@example.org", ["sender=often@example.org"]),
    ("Often+x@Example.ORG", ["sender=often@example.org"]),
    ("192.0.2.1", ["client=192.0.2.0/24"]),
    ("client=192.0.2.77", ["client=192.0.2.0/24"]),
    ("client=192.0.2.99/24", ["client=192.0.2.0/24"]),
    ("192.0.3.1", []), ("example.org", []), ("sender=often", [])])
def test_show(postern, milter, key, found):
    daemon = postern(POLICY)
    assert send(milter, "often@example.org") in ("a", "c")
    seen = rows(daemon.cli("show", "--json", key))
    assert [r["key"] for r in seen] == found
    human = daemon.cli("show", key)
    assert human.returncode == 0
    assert (found[0] if found else "nothing is used") in human.stdout


def test_block_and_release(postern, milter, state):
    daemon = postern(POLICY, state=state)
    me = pwd.getpwuid(os.geteuid()).pw_name
    done = daemon.cli("block", "sender=S@example.org", "2h")
    assert done.returncode == 0, done.stderr
    assert "note" not in done.stdout
    line = daemon.wait_log("event=admin", "what=block")[0]
    said = program.values(line)
    assert (said["key"], said["seconds"], said["by"], said["uid"]) == \
        ("sender=s@example.org", "7200", me, str(os.geteuid()))
    shown = rows(daemon.cli("show", "--json", "s@example.org"))
    assert [(r["kind"], r["key"], r["by"]) for r in shown] == \
        [("block", "sender=s@example.org", f"admin {me}")]
    assert send(milter) == "550 5.7.1 sender is blocked"
    assert rows(daemon.cli("release", "--json", "s@example.org")) == [
        {"kind": "released", "key": "sender=s@example.org", "counters": 0,
         "blocked": True}]
    line = daemon.wait_log("event=admin", "what=release")[0]
    assert program.values(line)["by"] == me
    for _ in range(3):
        assert send(milter) in ("a", "c")
    assert send(milter) == "451 4.7.1 enough of you"
    done = daemon.cli("release", "sender=s@example.org")
    assert done.returncode == 0 and "1 counter emptied" in done.stdout
    assert send(milter) in ("a", "c")


def test_refusals(postern):
    daemon = postern(POLICY)
    for args, word in ((("block", "alice", "2h"), "user=alice"),
                       (("block", "a@example.org", "2h"),
                        "sender=a@example.org"),
                       (("block", "192.0.2.1", "2h"), "client=192.0.2.1"),
                       (("block", "user=alice", "soon"), "30m"),
                       (("block", "user=alice", "0s"), "30m"),
                       (("block", "usr=alice", "2h"), "no key"),
                       (("show", "client=nonsense"), "no key"),
                       (("release", "user=nobody"), "nothing is used")):
        done = daemon.cli(*args)
        assert done.returncode == 1, args
        assert word in done.stderr and not done.stdout, (args, done.stderr)
    assert "no rule of the policy asks" in \
        daemon.cli("block", "helo=spammer", "2h").stdout
    for args in (("show",), ("block", "user=a"), ("who", "x"),
                 ("who", "--from", "x"), ("show", "--all", "x")):
        assert daemon.cli(*args).returncode == 2, args
    assert not daemon.log("event=admin", "what=release")


def test_strange_keys(postern, state):
    """What an admin writes comes through as it is, and does no harm."""
    daemon = postern(POLICY, state=state)
    for key, normal in (("user=a b%c", "user=a%20b%25c"),
                        ("user=a+b", "user=a%2Bb"),
                        ("user=a%2Bb", "user=a%2Bb"),
                        ("user=--json", "user=--json"),
                        ("user=x\ny", "user=x%0Ay"),
                        ("client=2001:DB8::1/64+user=B",
                         "client=2001:db8::/64+user=b"),
                        ("sender.domain=B\u00fccher.example",
                         "sender.domain=xn--bcher-kva.example"),
                        ("all", "all")):
        done = daemon.cli("block", "--json", key, "2h")
        assert rows(done)[0]["key"] == normal, key
        shown = rows(daemon.cli("show", "--json", normal))
        assert [r["key"] for r in shown] == [normal], key
    assert daemon.cli("show", "user=" + "x" * 3000).returncode == 1
    assert daemon.cli("show", "user=" + "x" * 9000).returncode in (1, 2)
    assert daemon.alive


def test_only_whom_the_socket_lets_in(postern):
    daemon = postern(POLICY)
    done = daemon.cli("who", user="nobody", cwd="/")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


def test_reload_is_audited(postern):
    daemon = postern(POLICY)
    assert daemon.cli("reload").returncode == 0
    line = daemon.wait_log("event=admin", "what=reload")[0]
    assert program.values(line)["uid"] == str(os.geteuid())
    # Counters of a limit that is gone are shown, without a maximum.
    daemon.write("on rcpt { accept }\n")
    assert daemon.cli("reload").returncode == 0
    assert daemon.alive


def test_after_a_reload(postern, milter, state):
    daemon = postern(POLICY, state=state)
    assert send(milter) in ("a", "c")
    daemon.write(POLICY.replace("limit senders per sender { 3 mess",
                                "limit senders per sender { 30 mess"))
    assert daemon.cli("reload").returncode == 0
    row = rows(daemon.cli("show", "--json", "s@example.org"))[0]
    assert (row["used"], row["max"]) == (1, 30)
    daemon.write("on rcpt { accept }\n")
    assert daemon.cli("reload").returncode == 0
    row = rows(daemon.cli("show", "--json", "s@example.org"))[0]
    assert (row["used"], row["max"]) == (1, None)
    assert rows(daemon.cli("who", "--json")) == []


def test_through_postfix(postern, postfix):
    if not postfix.sasl:
        pytest.skip("saslpasswd2 (sasl2-bin) is not installed")
    daemon = postern(POLICY)
    user = sorted(USERS)[0]

    def deliver():
        with postfix.connect() as c:
            assert c.login(user, USERS[user]).code == 235
            reply = c.mail(f"w{token()}@example.org")
            if reply.code == 250:
                reply = c.rcpt("r@example.net")
            if reply.code == 250:
                reply = c.data(message(token()))
            return reply
    for _ in range(3):
        assert deliver().code == 250
    seen = rows(daemon.cli("show", "--json", user))
    assert {r["unit"]: (r["used"], r["max"]) for r in seen
            if r["limit"] == "submission"} == \
        {"messages": (3, 4), "recipients": (3, 100)}
    assert daemon.cli("block", f"user={user}", "1h").returncode == 0
    assert "is blocked" in str(deliver())
    assert daemon.cli("release", user).returncode == 0
    assert deliver().code == 250


def test_a_long_answer(postern, milter, state):
    """Longer than one part, whole; and one who leaves early."""
    daemon = postern(POLICY.replace("50 messages", "500 messages"),
                     state=state)
    with MilterClient(milter) as m:
        m.negotiate()
        m.connect()
        m.helo()
        for i in range(200):
            assert m.mail(f"{i:04}-{'x' * 200}@{'y' * 60}.example") == "c"
            assert m.rcpt() == "c"
            m.data()
            m.content(FIELDS)
            assert m.end() in ("a", "c")
    done = daemon.cli("who", "--all", "--json")
    assert len(done.stdout) > 65536
    assert len(rows(done)) == 201
    done = subprocess.run(
        f"{program.program()} who --all --json -c {daemon.conf} | head -1",
        shell=True, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["kind"] == "limit"
    assert daemon.cli("status").returncode == 0


@pytest.fixture
def redis(lab):
    if Redis.missing():
        pytest.skip(Redis.missing())
    one = Redis(f"{lab}/redis-{token()}")
    try:
        yield one.start()
    finally:
        one.kill()


def test_two_hosts(postern, milter, redis, tmp_path):
    """What is told one host that shares a Redis holds on the other."""
    here = postern(POLICY, state=redis.spec)
    there = Postern(str(tmp_path), f"{tmp_path}/postern.sock", POLICY,
                    state=redis.spec).start()
    try:
        assert send(there.milter) in ("a", "c")
        assert [r["used"] for r in rows(
            here.cli("show", "--json", "s@example.org"))] == [1]
        assert there.cli("block", "sender=s@example.org",
                         "1h").returncode == 0
        assert send(milter) == "550 5.7.1 sender is blocked"
        done = here.cli("release", "s@example.org")
        assert "1 counter emptied, block lifted" in done.stdout
        assert rows(there.cli("show", "--json", "s@example.org")) == []
        assert send(there.milter) in ("a", "c")
    finally:
        there.stop()


def test_away(postern, milter, redis):
    """Nobody is told "nothing" while the server that knows is away."""
    daemon = postern(POLICY, state=redis.spec)
    assert send(milter) in ("a", "c")
    redis.kill()
    for args in (("who",), ("who", "--json"), ("show", "s@example.org"),
                 ("release", "s@example.org"),
                 ("block", "sender=late@example.org", "1h")):
        done = daemon.cli(*args)
        assert done.returncode == 1 and not done.stdout, args
        assert "the state store is down" in done.stderr, args
    assert daemon.wait_log("event=admin", "what=block")
    redis.start()
    wait_for(lambda: '"block"' in daemon.cli("who", "--json").stdout, 10,
             "the block to be told")
    assert [r["used"] for r in rows(
        daemon.cli("show", "--json", "s@example.org"))] == [1]


def test_counted_when_it_is_back(postern, milter, redis):
    """What `on fault accept' lets pass is counted all the same."""
    daemon = postern(POLICY, state=redis.spec, settings="on fault accept")
    assert send(milter, user="u") in ("a", "c")
    redis.kill()
    for _ in range(5):
        assert send(milter, user="u", rcpts=3) in ("a", "c")
    with MilterClient(milter) as m:	# given up: counts for nothing
        m.negotiate()
        m.connect()
        m.helo()
        assert m.mail("s@example.org", user="u") == "c"
        assert m.rcpt("r@example.net") == "c"
        m.abort()
    redis.start()
    daemon.wait_log("event=store", "state=back")
    wait_for(lambda: {r["unit"]: r["used"] for r in rows(
        daemon.cli("show", "--json", "user=u"))} ==
        {"messages": 6, "recipients": 16}, 5, "what passed to be counted")
    assert send(milter, user="u") == "451 4.7.1 enough"


# --- limits try ------------------------------------------------------------

TRY = """
table bulk { news@example.org }
limit submission per user { 3 messages/1h  100 recipients/1d }
limit probing per client { 2 rejected recipients/1h }
on connect {
	tempfail		if over probing
}
on rcpt {
	reject "550 5.7.1 nothing about limits"	if sender = "s@example.org"
	greylist
	next			if sender in bulk
	tempfail "{limit.max}"	if user and over submission
	notify "touch {touched}"	if over submission at 60%
}
"""
HOUR = ["10:00:{:02} mx postfix/submission/smtpd[7]: Q{}ABC: "
        "client=c[192.0.2.1], sasl_method=PLAIN, sasl_username={}",
        "10:00:{:02} mx postfix/qmgr[8]: Q{}ABC: from=<{}@example.org>, "
        "size=500, nrcpt=1 (queue active)",
        "10:00:{:02} mx postfix/lmtp[9]: Q{}ABC: to=<x@example.net>, "
        "relay=x, status=sent (ok)"]


def try_limits(conf, *args, **more):
    done = program.run("limits", "try", "--json", *args, conf, **more)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def tried(tmp_path):
    path = tmp_path / "try.conf"
    path.write_text(TRY.replace("{touched}", str(tmp_path / "touched")))
    return str(path)


def refusals(said):
    return [s for s in said
            if s["kind"] == "hit" and "tempfail" in s["source"]]


def synthetic(users):
    lines = []
    for at, user in enumerate(users):
        lines += ["Nov 20 " + line.format(at, 1000 + at, user)
                  for line in HOUR]
    return "\n".join(lines) + "\n"


def test_limits_try(tried, tmp_path):
    text = synthetic(["alice"] * 5 + ["bob"] * 2 + ["news"] * 9 + ["s"] * 3)
    done, said = try_limits(tried, "--log", "-", input=text)
    assert done.returncode == 0, done.stderr
    hits = refusals(said)
    assert [(h["key"], h["limit"], h["unit"], h["times"], h["used"], h["max"])
            for h in hits] == \
        [("user=alice", "submission", "messages", 2, 3, 3)]
    assert "T10:00:03" in hits[0]["first"] and "T10:00:04" in hits[0]["last"]
    near = {s["key"]: s for s in said if s["kind"] == "near"}
    # Refused by a rule about something else: that decides nothing here.
    assert near["user=s"]["used"] == 3
    assert near["user=bob"]["used"] == 2 and "user=news" not in near
    assert {s["key"] for s in said if "notify" in s.get("source", "")} == \
        {"user=alice", "user=bob", "user=s"}
    summary = said[-1]
    assert (summary["messages"], summary["recipients"], summary["bad"]) == \
        (19, 19, 0)
    # Nothing is done but counting.
    assert not os.path.exists(tmp_path / "touched")
    human = program.run("limits", "try", "--log", "-", tried, input=text)
    assert "2 times  user=alice  submission: 3 messages/1h" in human.stdout


def test_limits_try_files(tried, tmp_path):
    one, two = tmp_path / "mail.log.1.gz", tmp_path / "mail.log"
    text = synthetic(["alice"] * 4).splitlines(keepends=True)
    with gzip.open(one, "wt") as out:
        out.writelines(text[:7])
    two.write_text("".join(text[7:]) + "no log line\n")
    _, said = try_limits(tried, "--log", str(one), "--log", str(two))
    assert [(s["key"], s["times"]) for s in refusals(said)] == \
        [("user=alice", 1)]
    assert (said[-1]["lines"], said[-1]["bad"]) == (13, 1)
    done, _ = try_limits(tried, "--log", str(tmp_path / "none"))
    assert done.returncode == 2 and "none" in done.stderr
    cut = tmp_path / "cut.gz"
    cut.write_bytes(one.read_bytes()[:-20])
    done, _ = try_limits(tried, "--log", str(cut))
    assert done.returncode == 2 and "cut.gz" in done.stderr
    broken = tmp_path / "broken.conf"
    broken.write_text("on rcpt {\n")
    done, _ = try_limits(str(broken), "--log", str(two))
    assert done.returncode == 3
    assert program.run("limits", "try", tried).returncode == 2
    assert program.run("limits").returncode == 2
    assert program.run("limits", "dry", "--log", "x").returncode == 2


def test_limits_try_on_a_real_log(postern, postfix, tried):
    """What Postfix itself has written just now."""
    if not postfix.sasl:
        pytest.skip("saslpasswd2 (sasl2-bin) is not installed")
    postern("on rcpt { accept }\n")
    user = sorted(USERS)[0]
    began = len(postfix.log())
    for count in (1, 2, 1, 3, 1):
        with postfix.connect() as c:
            assert c.login(user, USERS[user]).code == 235
            assert c.mail(f"{user}@example.org").code == 250
            for i in range(count):
                assert c.rcpt(f"r{i}@example.net").code == 250
            assert c.data(message(token())).code == 250

    def logged():
        return postfix.log()[began:]
    wait_for(lambda: logged().count(" removed\n") >= 5, 20, "deliveries")
    done, said = try_limits(tried, "--log", "-", input=logged())
    assert done.returncode == 0, done.stderr
    assert (said[-1]["messages"], said[-1]["recipients"],
            said[-1]["bad"], said[-1]["unnamed"]) == (5, 8, 0, 0), \
        logged() + done.stdout
    hit = refusals(said)[0]
    # The fourth message had three recipients, the fifth one.
    assert (hit["key"], hit["times"]) == (f"user={user}", 4)
    assert any(s["kind"] == "near" and s["unit"] == "recipients" and
               s["used"] == 4 for s in said)


# --- why -------------------------------------------------------------------

WHY = """
limit few per sender { 2 recipients/1h }
on connect { tag seen if client = 192.0.2.1 }
on mail {
	reject "550 5.7.1 not you"	if sender = "bad@example.org"
}
on rcpt {
	reject "550 5.1.1 no such user"	if rcpt = "none@example.net"
	tempfail "451 4.7.1 enough"	if over few
}
on message {
	reject "550 5.7.1 spam"		if subject = "spam"
	quarantine "held"		if subject = "hold"
	score 2.5			if tag seen
}
"""


def why(daemon, *args):
    done = daemon.cli("why", "--json", *args)
    return rows(done)


def test_why(postern, milter):
    daemon = postern(WHY)
    with MilterClient(milter) as m:
        m.negotiate()
        m.connect()
        m.helo("h.example.org")
        m.mail("a\\\t\"b\"@example.org", user="alice")
        m.queue_id = "4XqWHY1"
        assert m.rcpt("none@example.net") != "c"
        assert m.rcpt("R1@example.net") == "c"
        m.data()
        m.content(FIELDS)
        assert m.end("4XqWHY1") in ("a", "c")
    one, = why(daemon, "4XqWHY1")
    assert (one["queue_id"], one["verdict"], one["stage"], one["client"],
            one["helo"], one["user"], one["score"]) == \
        ("4XqWHY1", "accept", "message", "192.0.2.1", "h.example.org",
         "alice", 2.5)
    assert one["from"] == "a\\\t\"b\"@example.org"
    assert one["rcpts"] == [
        {"rcpt": "none@example.net", "action": "reject",
         "rule": "postern.conf:13"},
        {"rcpt": "R1@example.net", "action": "accept", "rule": ""}]
    asked = [(r["stage"], r["answer"]) for r in one["rules"]]
    assert asked == [("connect", "yes"), ("mail", "no"), ("rcpt", "yes"),
                     ("rcpt", "no"), ("rcpt", "no"), ("message", "no"),
                     ("message", "no"), ("message", "yes")]
    assert one["rules"][2]["detail"] == "550 5.1.1 no such user"
    assert one["rules"][4]["facts"][0]["name"] == "over few"
    human = daemon.cli("why", "4XqWHY1").stdout
    assert "  verdict     accept\n" in human
    assert "none@example.net  reject  postern.conf:13" in human
    assert "rcpt: yes  reject" in human and "over few" in human
    # by envelope, whatever the case
    assert why(daemon, "--to", "r1@EXAMPLE.net") == [one]
    assert why(daemon, "--to", "<r1@example.net>", "4XqWHY1") == [one]
    for args in (("4XqWHY",), ("--to", "1@example.net"),
                 ("--from", "nobody@example.org"), ("4XqWHY1' OR 1",),
                 ("4XqWHY1", "--from", "x@example.org")):
        done = daemon.cli("why", *args)
        assert done.returncode == 1, args
        assert "knows nothing" in done.stderr
    assert daemon.cli("why").returncode == 1
    assert daemon.cli("why", "a", "b").returncode == 2


def test_why_refused(postern, milter):
    """Mail that came to no end, and has no queue id."""
    daemon = postern(WHY)
    assert send(milter, "bad@example.org") == "550 5.7.1 not you"
    assert send(milter, "ok@example.org", rcpts=2) in ("a", "c")
    assert send(milter, "ok@example.org") == "451 4.7.1 enough"
    refused, = why(daemon, "--from", "bad@example.org")
    assert (refused["verdict"], refused["stage"], refused["reply"],
            refused["queue_id"]) == \
        ("reject", "mail", "550 5.7.1 not you", "")
    later, first = why(daemon, "--from", "ok@example.org")
    assert (later["verdict"], later["stage"], later["rule"],
            later["reply"]) == \
        ("tempfail", "rcpt", "postern.conf:14", "451 4.7.1 enough")
    assert first["verdict"] == "accept"


def test_why_verdicts(postern, milter):
    daemon = postern(WHY)
    for subject, verdict in (("spam", "reject"), ("hold", "quarantine")):
        with MilterClient(milter) as m:
            m.negotiate()
            m.connect()
            m.helo()
            m.mail(f"{subject}@example.org")
            m.rcpt()
            m.data()
            m.content([("Subject", subject), *FIELDS[:2]])
            m.end(f"4XqV{subject}")
        one, = why(daemon, f"4XqV{subject}")
        assert one["verdict"] == verdict and one["stage"] == "message"
        assert one["rule"].startswith("postern.conf:")


REFUSING = """
on connect { reject "go away" if client in { 192.0.2.66 2001:db8::/32 } }
on helo {
	tempfail "450 4.7.1 not {helo}"	if helo = "localhost"
}
on rcpt {
	reject "550 5.1.1 no such user"	if rcpt = "none@example.net"
}
"""


def test_why_refused_connection(postern, milter):
    """A partner that can't reach us is found by its address."""
    daemon = postern(REFUSING)
    for _ in range(3):
        with MilterClient(milter) as m:
            m.negotiate()
            assert m.connect("192.0.2.66", "mail.example.org") == "r"
    with MilterClient(milter) as m:
        m.negotiate()
        assert m.connect("192.0.2.67", "mail.example.org") == "c"
        assert m.helo("localhost") != "c"
        assert m.reply == "450 4.7.1 not localhost"
    one, = why(daemon, "--client", "192.0.2.66")
    assert (one["queue_id"], one["client"], one["client_name"],
            one["verdict"], one["stage"], one["reply"], one["rule"],
            one["times"], one["rcpts"]) == \
        ("", "192.0.2.66", "mail.example.org", "reject", "connect",
         "550 5.7.1 go away", "postern.conf:7", 3, [])
    assert "from" not in one and "helo" not in one
    assert [r["answer"] for r in one["rules"]] == ["yes"]
    assert one["last"] >= one["at"]
    # The address may stand in brackets, or be a network.
    assert why(daemon, "--client", "[192.0.2.66]") == [one]
    helo, same = why(daemon, "--client", "192.0.2.64/26")
    assert same == one
    assert (helo["stage"], helo["helo"], helo["reply"], helo["times"]) == \
        ("helo", "localhost", "450 4.7.1 not localhost", 1)
    human = daemon.cli("why", "--client", "192.0.2.66").stdout
    assert human.startswith("connection refused, 20")
    assert ", 3 times until 20" in human
    assert "  rule        postern.conf:7\n" in human
    for args, said in ((("--client", "192.0.2.1"), "knows nothing"),
                       (("--from", "x@example.org"), "--client"),
                       (("--client", "192.0.2.66", "--from", "x@y"),
                        "knows nothing"),
                       (("--client", "mail.example.org"), "not an IP"),
                       (("--client", "192.0.2.66/24"), "behind the prefix")):
        done = daemon.cli("why", *args)
        assert done.returncode == 1 and said in done.stderr, args


def test_why_by_client(postern, milter):
    """Messages are found by their client as well."""
    daemon = postern(REFUSING)
    assert send(milter, "a@example.org", client="2001:db9::1") in ("a", "c")
    with MilterClient(milter) as m:
        m.negotiate()
        m.connect("2001:db9::1")
        m.helo()
        assert m.mail("b@example.org") == "c"
        assert m.rcpt("none@example.net") != "c"
    wait_for(lambda: len(rows(daemon.cli(
        "why", "--json", "--client", "2001:DB9:0::1"))) == 2, 5, "both")
    refused, passed = sorted(why(daemon, "--client", "2001:db9::/64"),
                             key=lambda row: row["stage"], reverse=True)
    assert (refused["from"], refused["verdict"], refused["stage"]) == \
        ("b@example.org", "reject", "rcpt")
    assert (passed["from"], passed["verdict"], passed["times"]) == \
        ("a@example.org", "accept", 1)


def test_why_flood(postern, milter):
    """However often it is refused: counted, and mail stays."""
    daemon = postern(REFUSING, settings="history 1d 1M")
    assert send(milter, "first@example.org") in ("a", "c")
    for i in range(400):
        with MilterClient(milter) as m:
            m.negotiate()
            assert m.connect(f"2001:db8::{i % 40:x}") == "r"
    assert why(daemon, "--from", "first@example.org")
    found = why(daemon, "--client", "2001:db8::/32")
    assert len(found) == 20 and {f["times"] for f in found} == {10}
    assert daemon.metric("history_lost") == 0
    assert daemon.metric("history_left_out") == 0


def test_why_outlives_the_daemon(postern, milter, lab):
    path = f"{lab}/why-{token()}.db"
    daemon = postern(WHY, state=f"sqlite:{path}")
    assert send(milter, "first@example.org") in ("a", "c")
    # A kill loses what was decided in the last second.
    time.sleep(1.6)
    daemon.kill()
    daemon.start()
    assert why(daemon, "--from", "first@example.org")
    assert os.stat(path + ".history").st_mode & 0o777 == 0o600
    daemon.stop()
    for end in ("", "-wal", "-shm", ".history"):
        if os.path.exists(path + end):
            os.unlink(path + end)


def test_why_of_a_damaged_file(postern, milter, lab):
    """It is moved aside, at the start or later, and mail goes on."""
    path = f"{lab}/why-{token()}.db"
    history = path + ".history"
    broken = b"SQLite format 3\0" + b"not a database" * 100
    with open(history, "wb") as out:
        out.write(broken)
    os.chmod(history, 0o640)
    daemon = postern(WHY, state=f"sqlite:{path}")
    assert daemon.log("event=store", "state=corrupt", "not a database")
    aside, = glob.glob(history + ".corrupt-*")
    assert re.fullmatch(r"\.corrupt-\d{8}-\d{6}", aside[len(history):])
    with open(aside, "rb") as left:
        assert left.read() == broken
    assert os.stat(aside).st_mode & 0o777 == 0o640
    assert send(milter, "first@example.org") in ("a", "c")
    assert why(daemon, "--from", "first@example.org")
    assert os.stat(history).st_mode & 0o777 == 0o640
    daemon.stop()
    # A daemon that meets another one's damage.
    os.unlink(aside)
    daemon.start()
    pages = os.stat(history).st_size - 4096
    with open(history, "r+b") as out:
        out.seek(4096)
        out.write(b"x" * pages)
    assert send(milter, "second@example.org") in ("a", "c")
    wait_for(lambda: glob.glob(history + ".corrupt-*"), 5, "the new file")
    assert send(milter, "third@example.org") in ("a", "c")
    assert why(daemon, "--from", "third@example.org")
    assert why(daemon, "--from", "second@example.org")
    daemon.stop()
    # Somebody else's database stays where it is.
    os.unlink(history)
    with contextlib.closing(sqlite3.connect(history)) as db:
        db.execute("create table t (x)")
    daemon.start()
    assert daemon.log("event=store", "history=memory")
    assert send(milter, "fourth@example.org") in ("a", "c")
    assert why(daemon, "--from", "fourth@example.org")
    daemon.stop()
    with contextlib.closing(sqlite3.connect(history)) as db:
        assert db.execute("select count(*) from t").fetchone() == (0,)
    for name in glob.glob(path + "*"):
        os.unlink(name)


def test_why_off(postern, milter):
    daemon = postern(WHY, settings="history off")
    assert send(milter) in ("a", "c")
    done = daemon.cli("why", "--from", "s@example.org")
    assert done.returncode == 1 and "no history" in done.stderr


def test_why_through_postfix(postern, postfix):
    daemon = postern(WHY)
    with postfix.connect() as c:
        assert c.mail("p@example.org").code == 250
        assert c.rcpt("none@example.net").code == 550
        assert c.rcpt("r@example.net").code == 250
        reply = c.data(message(token()))
    queue_id = str(reply).split("queued as ")[1].split()[0].rstrip("'\")")
    one, = why(daemon, queue_id)
    assert one["from"] == "p@example.org"
    assert [r["action"] for r in one["rcpts"]] == ["reject", "accept"]


def test_why_refused_through_the_mta(mta, postern):
    """An MTA keeps the answer for MAIL, and does not tell us of that."""
    daemon = postern("""
on connect { reject		if client = 127.0.0.66 }
on helo { tempfail "450 4.7.1 no"	if helo = "localhost" }
""")
    with mta.connect("127.0.0.66", ehlo=None) as c:
        assert c.greeting.code == 554
    with mta.connect("127.0.0.67", ehlo=None) as c:
        c.ehlo("localhost")
        assert c.mail("partner@example.org").code == 450
    one, = why(daemon, "--client", "127.0.0.66")
    assert (one["stage"], one["verdict"], one["times"]) == \
        ("connect", "reject", 1)
    helo, = why(daemon, "--client", "127.0.0.67")
    assert (helo["stage"], helo["helo"], helo["reply"]) == \
        ("helo", "localhost", "450 4.7.1 no")
