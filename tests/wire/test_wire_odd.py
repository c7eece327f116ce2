"""Bodies of a gigabyte: taken in as they come, with memory for none of it."""

import os

import pytest

import postern as program
from milterclient import FIELDS, NO_BODY, NR_BODY, MilterClient

RULES = """
on message {
	reject "550 5.7.1 program"		if attachment.magic = exe
	reject "550 5.7.1 too large to be read"	if tag body.truncated
}
"""

TYPES = {
    "base64": ([("Content-Type", "application/zip"),
                ("Content-Transfer-Encoding", "base64")],
               b"A" * 76 + b"\r\n", 1 << 30),
    "uuencode": ([("Content-Type", "text/plain")],
                 b"M" + b"0" * 60 + b"\r\n", 62 << 20),
    "nuls": ([("Content-Type", "text/plain")], bytes(76) + b"\r\n",
             200 << 20),
}


def high_water(pid):
    """The most memory it has had, in megabytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def cpu_of(pid):
    """Seconds it has computed."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return sum(int(n) for n in fields[11:13]) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_body_without_end(postern, milter, kind):
    fields, line, size = TYPES[kind]
    if program.sanitized():
        size = min(size, 200 << 20)
    daemon = postern(RULES)
    memory, cpu = high_water(daemon.pid), cpu_of(daemon.pid)
    m = MilterClient(milter)
    m.negotiate()
    m.connect()
    m.helo("client.example.org")
    m.mail("sender@example.com")
    m.rcpt()
    m.data()
    assert m.content(FIELDS + fields, b"") == "c"
    chunk = line * (65535 // len(line))
    for _ in range(size // len(chunk)):
        if m.step(b"B", chunk, NO_BODY, NR_BODY) != "c":
            break
    assert m.end() == "y" and "too large" in m.reply
    m.quit()
    assert cpu_of(daemon.pid) - cpu < 1 * program.slack()
    assert high_water(daemon.pid) - memory < 100 * max(1, program.slack())
