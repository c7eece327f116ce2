"""What reaches the house: header edits on top of an unchanged message."""

import base64
import os
import random
import shutil
import subprocess

import pytest

from milterclient import FIELDS, LEADING_SPACE, MilterClient
from smtpclient import message, token

try:
    import dkim
except ImportError:
    dkim = None

CHECKS = 'on message {\n\tlog "checked" if dkim = pass and spf = pass\n}\n'



def test_header_and_strip(mta, postern, sink):
    postern("""
on mail {
	header "X-Early" "from {sender}"
}
on message {
	strip header "X-Bad"
	header "X-Seen" "by {hostname}: {subject}"
}
""")
    mark = token()
    mail = message(mark, "X-Bad: one", "X-Good: stays", "x-bad: two\r\n\tfold",
                   "X-Bad:three", "X-Badly: stays too")
    with mta.connect() as c:
        assert c.post(mail).code == 250
    got = sink.one(mark)
    assert got.field("X-Bad") == []
    assert got.field("X-Good") == [b" stays"]
    assert got.field("X-Badly") == [b" stays too"]
    assert got.field("X-Seen") == [b" by mx.example.net: a message"]
    assert got.field("X-Early") == [b" from sender@example.org"]


def test_strip_of_many_same_fields(mta, postern, sink):
    """Removal goes by index: none may be left, no neighbour may go."""
    postern('on message {\n\tstrip header "X-Many"\n}\n')
    mark = token()
    extra = []
    for i in range(20):
        extra += [f"X-Many: {i}", f"X-Kept: {i}"]
    with mta.connect() as c:
        assert c.post(message(mark, *extra)).code == 250
    got = sink.one(mark)
    assert got.field("X-Many") == []
    assert got.field("X-Kept") == [f" {i}".encode() for i in range(20)]


def test_own_fields_from_outside_go(mta, postern, sink):
    """Who sends our X- field along does not get it believed."""
    postern('''
on message {
	header "X-Spam-Status" "No, {hostname}"
	header "Comments" "checked"
}
''')
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark, "X-Spam-Status: No, trust me",
                              "x-spam-status:\r\n\tNo, really",
                              "Comments: mine")).code == 250
    got = sink.one(mark)
    assert got.field("X-Spam-Status") == [b" No, mx.example.net"]
    assert sorted(got.field("Comments")) == [b" checked", b" mine"]


FORGED = [
    "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=x.org",
    "authentication-results: MX.Example.NET; dkim=pass header.d=x.org",
    "Authentication-Results: (said by) mx.example.net (really) 1; none",
    'Authentication-Results: "mx.example.net"; dmarc=pass',
    "Authentication-Results:\r\n\tmx.example.net\r\n\t; spf=pass",
    "Authentication-Results: (a (nested \\) one)) mx.example.net; none",
    "AUTHENTICATION-RESULTS:mx.example.net;spf=pass",
    "Authentication-Results: mx.example.net",
]
FOREIGN = [
    "Authentication-Results: mx.other.example; spf=pass",
    "Authentication-Results: mx.example.net.evil.example; spf=fail",
    "Authentication-Results: mail.example.net; none",
    "Authentication-Results: other.example (mx.example.net); none",
]


def test_authentication_results(mta, postern, sink):
    postern(CHECKS)
    mark = token()
    mixed = [f for pair in zip(FORGED, FOREIGN + FOREIGN) for f in pair]
    with mta.connect() as c:
        assert c.post(message(mark, *mixed)).code == 250
    got = sink.one(mark)
    # Ours is the first of all fields, above the MTA's own Received.
    name, value = got.fields[0]
    assert name == "Authentication-Results"
    assert value.lstrip().startswith(b"mx.example.net;")
    assert b"spf=none" in value and b"dkim=none" in value
    names = [n.lower() for n, _ in got.fields]
    assert names.index("authentication-results") < names.index("received")
    rest = got.field("Authentication-Results")[1:]
    assert [v.strip().decode() for v in rest] == \
        [f.split(": ", 1)[1] for f in FOREIGN + FOREIGN]


ODD = [
    "X-Folded: one\r\n\ttwo\r\n   three   \r\n\t four",
    "X-Long: " + "x" * 900,
    "X-Nospace:value",
    "X-Tab:\tvalue",
    "X-Two:  spaces",
    "X-Empty:",
    "X-Trail: spaces  ",
    "X-8bit: caf\udce9 \udcff",
    "X-Percent: %s%n%d",
    "Keywords: a,b , c",
]


def test_fields_and_body_unchanged(mta, postern, sink):
    postern(CHECKS + 'on message {\n\theader "X-Seen" "yes"\n}\n')
    mark = token()
    body = (b"line\r\n..two dots\r\n.one dot\r\n\r\n\r\n"
            b"trailing \t \r\n\xe4\xf6\xfc \x01\x7f\r\n" + b"y" * 900
            + b"\r\n\r\n")
    mail = message(mark, *ODD, body=body)
    with mta.connect() as c:
        assert c.post(mail, arguments="BODY=8BITMIME").code == 250
    got = sink.one(mark)
    assert got.body == body
    for field in ODD:
        name, _, value = field.partition(":")
        raw = value.encode("utf-8", "surrogateescape")
        seen = got.field(name)
        if mta.name == "sendmail":
            # It takes white space off the end of a field, and all of it
            # where nothing else is there.
            assert [v.rstrip() for v in seen] == [raw.rstrip()], name
        else:
            assert seen == [raw], name


def test_big_message(mta, postern, sink):
    """30 MB arrive as they were sent."""
    postern("""
body max 1M
on message {
	reject "550 5.7.1 no"	if body ~ /never there at all/
	header "X-Size" "{size}"
}
""")
    mark = token()
    rng = random.Random(8)
    block = b"".join(
        b"%030x %030x\r\n" % (rng.getrandbits(120), rng.getrandbits(120))
        for _ in range(16384))
    body = block * (30 * 1024 * 1024 // len(block) + 1)
    mail = message(mark, body=body)
    with mta.connect() as c:
        assert c.post(mail).code == 250
    got = sink.one(mark, 60)
    assert len(got.body) == len(body)
    assert got.body == body
    own = [f for f in got.fields if f[0] not in
           ("Received", "Authentication-Results", "X-Size", "Return-Path")]
    sent = message(mark).split(b"\r\n\r\n")[0].split(b"\r\n")
    assert [n.encode() + b":" + v for n, v in own] == sent
    assert int(got.field("X-Size")[0]) == len(mail)
    sink.clear()


def test_smtputf8(mta, postern, sink):
    daemon = postern("""
on rcpt {
	reject "550 5.7.1 {sender}"	if rcpt = "tell@example.net"
}
on message {
	header "X-Domain" "{sender.domain}"
	header "X-Kind" "greeting"	if subject ~ /^Gr\u00fc\u00dfe/
}
""")
    mark = token()
    with mta.connect() as c:
        if not any("SMTPUTF8" in line for line in c.ehlo().lines):
            pytest.skip("this MTA has no SMTPUTF8")
        mail = message(mark, subject="Gr\u00fc\u00dfe \u2603",
                       sender="j\u00fcrgen@ex\u00e4mple.org")
        reply = c.mail("j\u00fcrgen@ex\u00e4mple.org", "SMTPUTF8")
        assert reply.code == 250
        assert c.rcpt("tell@example.net").code == 550
        assert c.rcpt("\u03b4\u03bf\u03ba@example.net").code == 250
        assert c.data(mail).code == 250
    got = sink.one(mark)
    assert got.sender == "j\u00fcrgen@ex\u00e4mple.org"
    assert "SMTPUTF8" in got.arguments
    assert got.field("Subject") == [" Gr\u00fc\u00dfe \u2603".encode()]
    assert got.field("X-Domain") == [b" xn--exmple-cua.org"]
    assert got.field("X-Kind") == [b" greeting"]
    assert daemon.wait_log("event=message")


def test_8bit_subject_without_smtputf8(mta, postern, sink):
    postern('on message {\n\theader "X-Kind" "greeting" '
            'if subject ~ /^Gr\u00fc\u00dfe/\n}\n')
    mark = token()
    with mta.connect() as c:
        mail = message(mark, subject="Gr\u00fc\u00dfe")
        assert c.post(mail, arguments="BODY=8BITMIME").code == 250
    got = sink.one(mark)
    assert got.field("Subject") == [" Gr\u00fc\u00dfe".encode()]
    assert got.field("X-Kind") == [b" greeting"]


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """A key pair: private in PEM, public as the zone has it."""
    if dkim is None or not shutil.which("openssl"):
        pytest.skip("python3-dkim and openssl are wanted")
    pem = tmp_path_factory.mktemp("key") / "private.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", pem,
                    "2048"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "rsa", "-in", pem, "-pubout",
                          "-outform", "DER"], check=True,
                         capture_output=True).stdout
    return pem.read_bytes(), base64.b64encode(der).decode()


def signed(mail, private, canon):
    how = tuple(canon.encode().split(b"/"))
    field = dkim.sign(mail, b"sel", b"example.org", private,
                      canonicalize=how, include_headers=[
                          b"From", b"To", b"Subject", b"X-Odd", b"Date"])
    return field + mail


@pytest.mark.parametrize("canon", ["simple/simple", "relaxed/relaxed"])
@pytest.mark.parametrize("broken", [False, True])
def test_dkim(mta, postern, sink, lab, key, canon, broken):
    private, public = key
    zone = f"{lab}/dkim.zone"
    with open(zone, "w", encoding="ascii") as out:
        out.write('sel._domainkey.example.org TXT '
                  f'"v=DKIM1; k=rsa; p={public}"\n')
    postern("""
on message {
	header "X-Dkim" "{dkim} {dkim.domain}"
	header "X-Yes" "yes"	if dkim = pass
}
""", resolver=f"file:{zone}")
    mark = token()
    mail = signed(message(mark, "X-Odd:  two  blanks \r\n\t and a fold",
                          body=b"a  body \r\n\r\n..dots\r\n\r\n"),
                  private, canon)
    if broken:
        mail = mail.replace(b"a  body", b"a evil body")
    with mta.connect() as c:
        assert c.post(mail).code == 250
    got = sink.one(mark)
    name, value = got.fields[0]
    assert name == "Authentication-Results"
    if broken:
        assert b"dkim=fail" in value
        assert got.field("X-Yes") == []
    else:
        assert b"dkim=pass" in value and b"header.d=example.org" in value
        assert got.field("X-Dkim") == [b" pass example.org"]
        assert got.field("X-Yes") == [b" yes"]
        # And it still verifies behind us.
        record = f"v=DKIM1; k=rsa; p={public}".encode()
        assert dkim.verify(got.data, dnsfunc=lambda *_, **__: record)


@pytest.mark.parametrize("broken", [False, True])
def test_arc(mta, postern, sink, lab, key, broken):
    """A policy that asks for ARC alone gets the header and the body."""
    private, public = key
    zone = f"{lab}/arc.zone"
    with open(zone, "w", encoding="ascii") as out:
        out.write('sel._domainkey.lists.example TXT '
                  f'"v=DKIM1; k=rsa; p={public}"\n')
    postern("""
table sealers { lists.example }
on message {
	header "X-Arc" "{arc} {arc.domain} {arc.dmarc}"
	header "X-Yes" "yes"	if arc.domain in sealers and arc.dmarc = pass
}
""", resolver=f"file:{zone}")
    mark = token()
    mail = (b"Authentication-Results: mx.lists.example; spf=fail; "
            b"dmarc=pass header.from=example.org\r\n" +
            message(mark, "X-Odd:  two  blanks \r\n\t and a fold",
                    body=b"a  body \r\n\r\n..dots\r\n\r\n"))
    mail = b"".join(dkim.ARC(mail).sign(
        b"sel", b"lists.example", private, b"mx.lists.example",
        include_headers=[b"from", b"to", b"subject", b"x-odd"])) + mail
    if broken:
        mail = mail.replace(b"a  body", b"a evil body")
    with mta.connect() as c:
        assert c.post(mail).code == 250
    got = sink.one(mark)
    name, value = got.fields[0]
    assert name == "Authentication-Results"
    if broken:
        assert b"arc=fail" in value
        assert got.field("X-Yes") == []
    else:
        assert b"arc=pass" in value and b"header.oldest-pass=0" in value
        assert got.field("X-Arc") == [b" pass lists.example pass"]
        assert got.field("X-Yes") == [b" yes"]


def test_own_signature(mta, postern, sink, lab, key):
    private, public = key
    with open(f"{lab}/sign.pem", "wb") as out:
        out.write(private)
    os.chmod(f"{lab}/sign.pem", 0o600)
    postern(f'on message {{\n\tinsert header "To" "more@example.net"\n'
            f'\tsign "example.org" selector "sel" '
            f'key "{lab}/sign.pem"\n}}\n')
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark)).code == 250
    got = sink.one(mark)
    assert len(got.field("DKIM-Signature")) == 1
    assert got.field("To")[0] == b" more@example.net"
    record = f"v=DKIM1; k=rsa; p={public}".encode()
    assert dkim.verify(got.data, dnsfunc=lambda *_, **__: record)


def test_mta_keeps_the_leading_space(postern, milter, lab, key):
    """One that does not tell it: what is hashed has it all the same."""
    private, public = key
    zone = f"{lab}/space.zone"
    with open(zone, "w", encoding="ascii") as out:
        out.write('sel._domainkey.example.org TXT '
                  f'"v=DKIM1; k=rsa; p={public}"\n')
    with open(f"{lab}/space.pem", "wb") as out:
        out.write(private)
    os.chmod(f"{lab}/space.pem", 0o600)
    postern(f"""
on message {{
	header "X-Dkim" "{{dkim}}"
	sign "example.org" selector "sel" key "{lab}/space.pem" canon simple
}}
""", resolver=f"file:{zone}")
    text = "".join(f"{name}: {value}\r\n" for name, value in FIELDS).encode()
    text = signed(text + b"\r\nhello\r\n", private, "simple/simple")
    name, value = text.split(b"\r\nFrom:")[0].decode().split(": ", 1)
    with MilterClient(milter) as m:
        m.negotiate(steps=0x1fffff & ~LEADING_SPACE)
        m.connect()
        m.helo()
        m.mail()
        m.rcpt()
        m.data()
        m.content([(name, value.replace("\r\n", "\n"))] + FIELDS)
        assert m.end() in ("a", "c")
    assert m.added()["X-Dkim"] == "pass"
    field, = (data[4:].rstrip(b"\0").split(b"\0") for letter, data in m.edits
              if letter == "i" and b"DKIM-Signature" in data)
    assert not field[1].startswith(b" ")
    mail = field[0] + b": " + field[1].replace(b"\n", b"\r\n") + b"\r\n" \
        + text[text.index(b"From:"):]
    record = f"v=DKIM1; k=rsa; p={public}".encode()
    assert dkim.verify(mail, dnsfunc=lambda *_, **__: record)
