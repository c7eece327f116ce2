"""The commands: what scripts rely on."""

import json
import os

import pytest

import postern as program
from milterclient import FIELDS, MilterClient
from smtpclient import message, token

KEYS = {"file", "verdict", "stage", "reply", "rule", "spf", "dkim", "dmarc",
        "score", "hits", "headers", "unknown"}
POLICY = """hostname mx.example.net
state memory:
resolver file:{zone}
control unix:{dir}/control.sock
listen unix:{dir}/x.sock
on rcpt {{
	reject "550 5.7.1 spf of {{spf.domain}}" if spf = fail
}}
on message {{
	reject "550 5.7.1 spam"		if subject = "spam"
	tempfail "451 4.7.1 later"	if subject = "later"
	discard				if subject = "drop"
	quarantine "held"		if subject = "hold"
	tag signed			if dkim = pass
	header "X-Dmarc" "{{dmarc}}"
}}
"""


@pytest.fixture
def conf(tmp_path):
    if program.program() is None:
        pytest.skip("build/postern is not built")
    zone = tmp_path / "zone"
    zone.write_text('example.org TXT "v=spf1 ip4:192.0.2.1 -all"\n'
                    '_dmarc.example.org TXT "v=DMARC1; p=reject"\n'
                    'slow.example.org TXT !servfail\n')
    path = tmp_path / "postern.conf"
    path.write_text(POLICY.format(zone=zone, dir=tmp_path))
    return str(path)


@pytest.fixture
def mail(tmp_path):
    def write(subject, name="one.eml"):
        path = tmp_path / name
        path.write_bytes(message(token(), subject=subject))
        return str(path)
    return write


def scan(conf, *args, **more):
    return program.run("scan", "-c", conf, "--client", "192.0.2.1",
                       "--from", "sender@example.org",
                       "--rcpt", "user@example.net", *args, **more)


@pytest.mark.parametrize("subject,verdict,reply", [
    ("fine", "accept", ""), ("spam", "reject", "550 5.7.1 spam"),
    ("later", "tempfail", "451 4.7.1 later"), ("drop", "discard", ""),
    ("hold", "quarantine", "")])
def test_scan_json(conf, mail, subject, verdict, reply):
    done = scan(conf, "--json", mail(subject))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    said = json.loads(lines[0])
    assert KEYS <= set(said)
    assert said["verdict"] == verdict
    assert (said["reply"] or "") == reply
    assert said["stage"] == "message"
    assert said["spf"] == {"result": "pass", "domain": "example.org"}
    if verdict in ("accept", "quarantine"):
        assert said["dmarc"] == {"result": "pass", "policy": "reject",
                                 "domain": "example.org"}
    else:
        # The rule that decided came before any that asks for it.
        assert said["dmarc"] is None
    assert said["hits"] == [] and said["unknown"] == []
    if verdict == "accept":
        assert {"op", "name", "value"} <= set(said["headers"][0])
        assert any(h["name"] == "X-Dmarc" and h["value"].strip() == "pass"
                   for h in said["headers"])
    else:
        assert "postern.conf:" in said["rule"]


def test_scan_refused_at_rcpt(conf, mail):
    done = program.run("scan", "-c", conf, "--json", "--client",
                       "198.51.100.1", "--from", "a@example.org",
                       "--rcpt", "user@example.net", mail("fine"))
    said = json.loads(done.stdout)
    assert (said["verdict"], said["stage"], said["reply"]) == \
        ("reject", "rcpt", "550 5.7.1 spf of example.org")
    assert said["spf"]["result"] == "fail"


def test_scan_unknown(conf, mail):
    done = program.run("scan", "-c", conf, "--json", "--client", "192.0.2.1",
                       "--from", "a@slow.example.org", "--rcpt",
                       "user@example.net", mail("fine"))
    said = json.loads(done.stdout)
    assert said["spf"]["result"] == "temperror"


def test_scan_many(conf, mail, tmp_path):
    """Files, a folder, an mbox and stdin; a line each."""
    one = mail("spam", "one.eml")
    os.mkdir(tmp_path / "folder")
    mail("fine", "folder/a.eml")
    mail("drop", "folder/b.eml")
    mbox = tmp_path / "two.mbox"
    with open(mbox, "wb") as out:
        for subject in ("later", "hold"):
            out.write(b"From x@example.org Fri Nov 20 10:00:00 2026\n"
                      + message(token(), subject=subject)
                      .replace(b"\r\n", b"\n") + b"\n")
    done = scan(conf, "--json", one, str(tmp_path / "folder"), str(mbox), "-",
                input=message(token(), subject="spam").decode())
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(s["verdict"] for s in said) == \
        ["accept", "discard", "quarantine", "reject", "reject", "tempfail"]


def test_scan_explains(conf, mail):
    done = scan(conf, mail("spam"))
    assert done.returncode == 0
    assert "550 5.7.1 spam" in done.stdout
    assert "postern.conf:" in done.stdout


def test_exit_codes(conf, mail, tmp_path):
    assert scan(conf, "--json", str(tmp_path / "missing")).returncode == 2
    assert scan(conf, "--no-such-option", mail("fine")).returncode == 2
    assert program.run("scan", "-c", conf).returncode == 2
    broken = tmp_path / "broken.conf"
    broken.write_text("on rcpt {\n\trejct\n}\n")
    assert scan(str(broken), mail("fine")).returncode == 3
    assert scan(str(tmp_path / "none.conf"), mail("fine")).returncode == 3
    assert program.run("nonsense").returncode == 2
    assert program.run().returncode == 2


def test_check(conf, tmp_path):
    done = program.run("check", "-c", conf)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "broken.conf"
    broken.write_text("hostname mx.example.net\non rcpt {\n\trejct\n"
                      "\treject if sendr = \"x\"\n}\n"
                      "on mail {\n\treject if subject = \"x\"\n}\n")
    done = program.run("check", "-c", str(broken))
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "broken.conf:3:2:" in said
    assert "broken.conf:4:12:" in said
    assert "broken.conf:7:12:" in said
    assert "reject" in said and "sender" in said


def test_status_and_friends(postern, milter):
    daemon = postern("""
limit few per sender { 3 messages/1h }
on rcpt {
	tempfail "451 4.7.1 enough"	if over few
	reject "550 5.7.1 blocked"	if blocked sender
}
""")

    def answer():
        with MilterClient(milter) as m:
            m.negotiate()
            m.connect()
            m.helo()
            m.mail("s@example.org")
            first = m.rcpt()
            if first != "c":
                return m.reply
            m.data()
            m.content(FIELDS)
            return m.end("4XqWHY")
    assert answer() in ("a", "c")
    human = daemon.cli("status")
    assert human.returncode == 0
    assert "messages" in human.stdout
    assert daemon.metric("messages") == 1
    assert daemon.metric("connections") == 1
    shown = daemon.cli("show", "sender=s@example.org")
    assert shown.returncode == 0 and "few" in shown.stdout
    assert "s@example.org" in daemon.cli("who").stdout
    why = daemon.cli("why", "4XqWHY")
    assert why.returncode == 0 and "accept" in why.stdout
    assert daemon.cli("block", "sender=s@example.org", "1h").returncode == 0
    assert answer() == "550 5.7.1 blocked"
    assert daemon.cli("release", "sender=s@example.org").returncode == 0
    assert answer() in ("a", "c")


def test_no_daemon(postern):
    daemon = postern("", run=False)
    done = daemon.cli("status")
    assert done.returncode != 0
    assert daemon.control in done.stderr
