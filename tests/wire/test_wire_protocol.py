"""An MTA that is broken, silent, gone or not one at all."""

import os
import random
import resource
import socket
import struct
import threading
import time

from milterclient import FIELDS, Closed, MilterClient
from net import wait_for
from postern import slack, values

POLICY = """
on mail { reject "no" if sender = "bad@example.org" }
on rcpt { reject "no such user" if rcpt = "nobody@example.net" }
on message {
    reject "viagra" if body ~ /viagra/
    tag links if header("Subject") ~ /x/
    header "X-Size" "{size}"
}
"""


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def connected(milter):
    client = MilterClient(milter).negotiate()
    assert client.connect() == "c"
    return client


def whole_message(milter):
    with connected(milter) as client:
        assert client.helo() == client.mail() == client.rcpt() == "c"
        assert client.content(FIELDS) == "c"
        answer = client.end()
        client.quit()
        return answer


def test_silent_connections_cost_no_time(postern, milter):
    daemon = postern(POLICY)
    clients = [connected(milter) for _ in range(200)]
    before = cpu(daemon.pid)
    time.sleep(2)
    assert cpu(daemon.pid) - before < 0.1 * slack()
    for client in clients:
        client.quit()
    daemon.wait_metric("connections_open", 0)


def test_more_connections_than_descriptors(postern, milter):
    daemon = postern(POLICY)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (64, 64))
    before = cpu(daemon.pid)
    clients, refused = [], 0
    for _ in range(150):
        try:
            clients.append(connected(milter))
        except (Closed, OSError):
            refused += 1
    assert 20 < len(clients) < 64 and refused > 80
    # It neither turns in circles nor fills the log.
    assert cpu(daemon.pid) - before < 1 * slack()
    assert 1 <= len(daemon.wait_log('what="too many connections"')) < 10
    for client in clients:
        client.quit()
    daemon.wait_metric("connections_open", 0)
    wait_for(lambda: threads(daemon.pid) < 20, 5, "the threads to end")
    assert whole_message(milter) == "a"


# --- chaos ----------------------------------------------------------------

def packet(letter, data=b""):
    return struct.pack("!I", len(data) + 1) + letter + data


OFFER = packet(b"O", struct.pack("!III", 6, 0x1ff, 0x1fffff))
CONNECT = packet(b"C", b"a.example\0" + b"4" + struct.pack("!H", 25)
                 + b"192.0.2.1\0")
HELO = packet(b"H", b"a.example\0")
MAIL = packet(b"M", b"<a@example.org>\0SIZE=10\0")
RCPT = packet(b"R", b"<b@example.net>\0")
HEADER = packet(b"L", b"Subject\0 x\0")
EOH = packet(b"N")
BODY = packet(b"B", b"hello\r\n" * 1000)
END = packet(b"E")
ABORT = packet(b"A")
QUIT = packet(b"Q")
AGAIN = packet(b"K")
GOOD = [OFFER, CONNECT, HELO, MAIL, RCPT, HEADER, EOH, BODY, END]

ODD = [
    RCPT, END, BODY, EOH, HEADER, MAIL, HELO, CONNECT, OFFER, ABORT, AGAIN,
    packet(b"D", b"Mi\0Q1\0{auth_authen}\0bob\0"),
    packet(b"D", b"M"), packet(b"D", b"?x\0y\0"), packet(b"D"),
    packet(b"D", b"Ri"), packet(b"T"), packet(b"U", b"XYZZY\0"),
    packet(b"U"), packet(b"!"), packet(b"\0"), packet(b"z", b"z" * 100),
    packet(b"M"), packet(b"M", b"\0"), packet(b"M", b"no NUL"),
    packet(b"R", b"\0\0\0"), packet(b"R", b"<" + b"x" * 60000 + b">\0"),
    packet(b"L", b"Subject\0"), packet(b"L", b"\0\0"),
    packet(b"L", b"no NUL"), packet(b"L", b"X:\xff\n\0\xff\n\r\0"),
    packet(b"L", b"Subject\0" + b"=?utf-8?q?" * 6000 + b"\0"),
    packet(b"H", b"\0"), packet(b"H", b"no NUL"), packet(b"H", b"\xff\n\0"),
    packet(b"C", b"a\0"), packet(b"C", b"a\0L\0\0/x\0"),
    packet(b"C", b"a\0" + b"6\0\0zzz\0"), packet(b"C", b"\0U"),
    packet(b"B"), packet(b"B", b"\0" * 65534), packet(b"E", b"rest\r\n"),
    packet(b"O"), packet(b"O", b"\0" * 12), packet(b"O", b"\xff" * 12),
    struct.pack("!I", 0), struct.pack("!I", 0xffffffff),
    struct.pack("!I", 0x7fffffff) + b"B", struct.pack("!I", 1 << 20) + b"B",
    b"GET / HTTP/1.0\r\n\r\n", b"\0\0", QUIT,
]


def conversation(dice):
    """Mostly in order, with something odd somewhere, perhaps cut off."""
    packets = list(GOOD) + (GOOD[3:] if dice.random() < 0.3 else [])
    for _ in range(dice.randint(1, 4)):
        at = dice.randint(0, len(packets))
        if dice.random() < 0.7:
            packets.insert(at, dice.choice(ODD))
        elif at < len(packets):
            del packets[at]
    whole = b"".join(packets)
    if dice.random() < 0.6:
        whole = whole[:dice.randint(0, len(whole))]
    return whole


def play(milter, dice):
    """Sends without listening, or takes the answers, then is gone."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        try:
            sock.connect(milter)
            sock.sendall(conversation(dice))
            how = dice.random()
            if how < 0.5:
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            elif how < 0.7:
                sock.settimeout(0.1)
                sock.recv(100)
        except OSError:
            pass    # It may hang up on us, but never be silent for long.


def storm(milter, seed, count):
    def many(number):
        dice = random.Random(f"{seed} {number}")
        for _ in range(count // 20):
            play(milter, dice)
    players = [threading.Thread(target=many, args=(i,)) for i in range(20)]
    for player in players:
        player.start()
    for player in players:
        player.join()


def test_chaos(postern, milter):
    daemon = postern(POLICY)
    count = int(500 if slack() > 1 else 1000)
    storm(milter, 1, count)
    daemon.wait_metric("connections_open", 0, 10 * slack())
    wait_for(lambda: threads(daemon.pid) < 20, 10, "the threads to end")
    before = resident(daemon.pid)
    storm(milter, 2, count)
    storm(milter, 3, count)
    daemon.wait_metric("connections_open", 0, 10 * slack())
    assert daemon.alive
    assert daemon.metric("messages") > count / 10
    # An allocator keeps some, and a sanitizer remembers what was freed.
    assert resident(daemon.pid) - before < 16e6 * slack() ** 2
    assert whole_message(milter) == "a"


def test_wrong_order_is_never_accepted(postern, milter):
    daemon = postern(POLICY)
    orders = [[END], [RCPT, END], [HEADER, EOH, BODY, END],
              [packet(b"U", b"x\0"), BODY, END],
              [packet(b"U", b"x\0"), RCPT, BODY, END],
              GOOD[3:] + [BODY, END], GOOD[3:] + [END], [MAIL, ABORT, END]]
    for order in orders:
        with connected(milter) as client:
            client.helo()
            client.out += b"".join(order) + QUIT
            letters = []
            try:
                while True:
                    letters.append(client.packet()[0])
            except Closed:
                pass
            whole = order[:len(GOOD) - 3] == GOOD[3:]
            assert letters.count(b"a") <= whole, (order, letters)
    assert daemon.alive
    assert daemon.metric("messages") == 2


def test_a_connection_of_many_messages(postern, milter):
    """Nothing of a message stays with its connection."""
    daemon = postern(POLICY)
    with connected(milter) as client:
        client.helo()
        for number in range(int(3000 / slack())):
            sender = "bad@example.org" if number % 7 == 0 else "a@example.org"
            answer = client.mail(sender)
            if number % 7 == 0:
                assert answer == "y"
                continue
            assert answer == client.rcpt() == "c"
            assert client.rcpt("nobody@example.net") == "y"
            if number % 5 == 0:
                client.abort()
                continue
            assert client.content(FIELDS) == "c"
            assert client.end() == "a"
        client.quit()
    assert daemon.metric("arena_overflows") == 0


def test_a_long_stranger_hides_no_verdict(postern, milter):
    daemon = postern('on rcpt { reject "no, {helo} {sender} {rcpt}" }\n')
    with connected(milter) as client:
        client.put(b"H", b"\xff" * 600 + b"\0")
        client.macros(b"M", i="\x01" * 600, auth_authen="\x02" * 600)
        client.put(b"M", b"<" + b"\xfe" * 600 + b"@example.org>\0")
        client.put(b"R", b"<" + b"\xfd" * 600 + b"@example.net>\0")
        assert client.answer() == "y"
    line, = daemon.wait_log("event=refused")
    found = values(line)
    assert found["verdict"] == "reject" and found["stage"] == "rcpt"
    assert found["rule"].endswith(":6") and found["reply"].startswith("550")
    assert "truncated" not in found
    assert found["from"].startswith(r"\xfe") and len(line) < 8000


def test_memory_goes_with_the_message(postern, milter):
    daemon = postern(POLICY)
    line = b"x" * 70 + b"\r\n"
    before = resident(daemon.pid)

    def large():
        with connected(milter) as client:
            assert client.helo() == client.mail() == client.rcpt() == "c"
            assert client.content(FIELDS, line * (20_000_000 // 72)) == "c"
            answers.append(client.end())
            client.quit()
    answers = []
    senders = [threading.Thread(target=large) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert answers == ["a"] * 4
    daemon.wait_metric("connections_open", 0)
    if slack() == 1:    # A sanitizer keeps what was freed.
        assert resident(daemon.pid) - before < 30e6


def test_a_reason_is_one_line(postern, milter):
    daemon = postern('on message { quarantine "{score.report} {subject}" }\n')
    with connected(milter) as client:
        assert client.helo() == client.mail() == client.rcpt() == "c"
        assert client.content(FIELDS, b"x" * 5000) == "c"
        assert client.end() == "a"
        (letter, reason), = client.edits
        assert letter == "q" and reason.endswith(b"\0")
        assert 0 < len(reason) < 500 and b"\n" not in reason, reason
        client.quit()
    assert daemon.metric("verdict_quarantine") == 1


# --- the control socket ---------------------------------------------------

def test_a_slow_admin_holds_up_nobody(postern):
    daemon = postern(POLICY)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(daemon.control)

        def drip():
            try:
                while True:
                    slow.send(b"s")
                    time.sleep(0.3)
            except OSError:
                pass
        dripper = threading.Thread(target=drip, daemon=True)
        dripper.start()
        began = time.monotonic()
        assert daemon.cli("status").returncode == 0
        assert time.monotonic() - began < 2.5 * slack()
        dripper.join(5)


def test_many_silent_admins_hold_up_no_reload(postern):
    daemon = postern(POLICY)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(25)]
    for sock in silent:
        sock.connect(daemon.control)
    began = time.monotonic()
    assert daemon.cli("reload").returncode == 0
    assert time.monotonic() - began < 1.5 * slack()
    for sock in silent:
        sock.close()


def test_a_silent_admin_does_not_hold_up_the_end(postern):
    daemon = postern(POLICY)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(daemon.control)
        time.sleep(0.2)
        assert daemon.stop(within=1.0) < 1.0 * slack()


def test_garbage_on_the_control_socket(postern):
    daemon = postern(POLICY)
    for data in (b"\n", b"\0\n", b"x" * 5000, b"\xff\n", b"status\0x\n",
                 b"GET / HTTP/1.1\r\n\r\n", b"GET /metrics", b"",
                 b"reload x\n"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(daemon.control)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while got := sock.recv(65536):
                    answer += got
            except ConnectionResetError:
                pass    # It had not read all that we said.
            assert not answer.startswith(b"ok"), (data, answer)
    assert daemon.cli("status").returncode == 0
