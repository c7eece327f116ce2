"""What postern signs verifies where it arrives, whatever the MTA made of it."""

import os
import subprocess

import pytest

from smtpclient import message, token

pytest.importorskip("dkim")

from dkimjudges import JUDGES, ask, present, verdicts  # noqa: E402


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True,
                          capture_output=True).stdout


@pytest.fixture(name="keys", scope="module")
def fixture_keys(lab):
    """Two keys, and what DNS says of them."""
    published = {}
    for name, kind in (("rsa", ("-algorithm", "RSA", "-pkeyopt",
                                "rsa_keygen_bits:2048")),
                       ("ed", ("-algorithm", "ED25519"))):
        path = f"{lab}/{name}.pem"
        openssl("genpkey", *kind, "-out", path)
        os.chmod(path, 0o600)
        der = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")
        if name == "ed":
            der = der[-32:]
        text = subprocess.run(["base64", "-w0"], input=der, check=True,
                              capture_output=True).stdout
        word = b"ed25519" if name == "ed" else b"rsa"
        for canon in ("r", "s", "rs", "sr"):
            published[f"{name}-{canon}._domainkey.example.org."] = \
                b"v=DKIM1; k=" + word + b"; p=" + text
    return published


def policy(lab, more=""):
    entries = "".join(
        f'\texample.org selector {key}-{short} key "{lab}/{key}.pem" '
        f"canon {canon}\n" for key in ("rsa", "ed")
        for short, canon in (("r", "relaxed"), ("s", "simple"),
                             ("rs", "relaxed/simple"),
                             ("sr", "simple/relaxed")))
    return f"signing {{\n{entries}}}\non message {{\n{more}\tsign\n}}\n"


ALL = {f"{key}-{canon}": True for key in ("rsa", "ed")
       for canon in ("r", "s", "rs", "sr")}
# What verifies where the MTA writes address lists anew, behind any filter.
REWRITTEN = {"folded": {name: name.endswith(("-r", "-rs")) for name in ALL},
             "commas": {name: False for name in ALL}}

BODIES = {
    "text": b"Hello\r\n..dots\r\n.\r\n  x \t y  \r\n\r\n\r\n",
    "empty": b"",
    "blank": b"\r\n\r\n \r\n",
    "8-bit": "grüße\r\n".encode() + b"\xe4\xff \r\n",
    "long-lines": b"\r\n".join(bytes([97 + i % 26]) * n for i, n in
                               enumerate((70, 500, 900, 980, 988))) + b"\r\n",
    "control": b"a\x01\x7f\x0b b\r\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(mta, postern, sink, lab, keys, name):
    postern(policy(lab))
    mark = token()
    mail = message(mark, body=BODIES[name])
    with mta.connect() as c:
        assert c.post(mail, arguments="BODY=8BITMIME").code == 250
    assert verdicts(sink.one(mark).data, keys, lab) == ALL


FIELDS = {
    "folded": ["Cc: a@example.net,\r\n\tb@example.net,\r\n  c@example.net",
               "References: <1@x>\r\n <2@x>"],
    "commas": ["Cc: a@example.net,b@example.net , \"C, c\" <c@example.net>"],
    "comments": ["Reply-To: a@example.net (a (nested) comment)"],
    "group": ["Reply-To: team: a@example.net, b@example.net;"],
    "8-bit": ["Reply-To: caf\udcc3\udca9 <a@example.net>"],
    "empty": ["Reply-To:", "List-Id: "],
    "spaces": ["MIME-Version:  1.0", "Content-Type:text/plain",
               "Content-Transfer-Encoding:\t8bit"],
    "many": [f"List-Post: <mailto:{i}@example.net>" for i in range(30)],
    "bcc": ["Bcc: hidden@example.net"],
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields(mta, postern, sink, lab, keys, name):
    postern(policy(lab))
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark, *FIELDS[name])).code == 250
    want = REWRITTEN.get(name, ALL) if mta.name == "sendmail" else ALL
    assert verdicts(sink.one(mark).data, keys, lab) == want


def test_after_edits(mta, postern, sink, lab, keys):
    """What a rule removes is not signed, what it adds is, wherever it
    stands."""
    postern(policy(lab, '\tstrip header "Reply-To"\n'
                        '\theader "List-Id" "<list.example.org>"\n')
            + 'on message {\n\theader "Cc" "{rcpt}late@example.net"\n}\n')
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark, "Reply-To: a@example.net",
                              "Reply-To: b@example.net")).code == 250
    got = sink.one(mark)
    assert verdicts(got.data, keys, lab) == ALL
    assert got.field("Reply-To") == []
    signed = b"".join(got.field("DKIM-Signature")).replace(b"\r\n\t ", b"")
    assert b"List-Id" in signed and b":Cc:" in signed
    assert b"Reply-To" not in signed and b"From:From:" in signed


def test_line_that_would_be_broken(mta, postern, sink, lab, keys):
    """MTAs break lines of over 998 bytes: nothing is signed then."""
    p = postern(policy(lab))
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark, body=b"x" * 1500 + b"\r\n")).code == 250
    got = sink.one(mark)
    assert got.field("DKIM-Signature") == []
    p.wait_log("event=sign", "998 bytes")


def test_sendmail_command(mta, postern, sink, lab, keys):
    """LF alone, as programs write it; no Date, no Message-ID."""
    postern(policy(lab))
    mark = token()
    text = f"From: Alice <alice@example.org>\nTo: bob@example.net\n" \
        f"Subject: {mark}\n  folded\n\nHello\n\n  w\u00f6rld\t\n\n\n".encode()
    done = mta.sendmail(text, "-t", "-f", "alice@example.org")
    assert done.returncode == 0, done.stderr
    got = sink.one(mark)
    assert b"w\xc3\xb6rld" in got.body
    assert verdicts(got.data, keys, lab) == ALL


def test_bare_lf(mta, postern, sink, lab, keys):
    """LF alone within DATA: a line's end, where the MTA takes it at all."""
    postern(policy(lab))
    mark = token()
    mail = message(mark, "References: <1@x>\r\n\t<2@x>",
                   body=BODIES["text"]).replace(b"\r\n", b"\n")
    with mta.connect() as c:
        assert c.mail("sender@example.org").code == 250
        assert c.rcpt().code == 250
        assert c.cmd("DATA").code == 354
        c.send(mail.replace(b"\n.", b"\n..") + b"\r\n.\r\n")
        reply = c.read()
    if mta.name == "sendmail" and reply.code == 421:
        assert "Bare linefeed" in reply.text
        assert sink.all(mark) == []
        return
    assert reply.code == 250
    assert verdicts(sink.one(mark).data, keys, lab) == ALL


def test_header_alone(mta, postern, sink, lab, keys):
    """Not even the empty line that ends the header."""
    postern(policy(lab))
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark)[:-len(b"\r\nhello\r\n")]).code == 250
    got = sink.one(mark)
    assert got.body == b""
    assert verdicts(got.data, keys, lab) == ALL


def test_no_date(mta, postern, sink, lab, keys):
    """What the MTA adds below us does not break it."""
    postern(policy(lab))
    mark = token()
    mail = f"From: alice@example.org\r\nX-Mark: {mark}\r\n\r\nhi\r\n"
    with mta.connect() as c:
        assert c.post(mail.encode()).code == 250
    assert verdicts(sink.one(mark).data, keys, lab) == ALL


@pytest.mark.parametrize("judge", JUDGES)
def test_judges(mta, postern, sink, lab, keys, judge):
    """Each judge sees a change, so that what it lets pass means something."""
    if not present(judge):
        pytest.skip(f"{judge} is not here")
    postern(policy(lab))
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark, body=b"a  b\r\n")).code == 250
    data = sink.one(mark).data
    said = ask(judge, data, keys, lab)
    # Mail::DKIM 1.20230212 does not know Ed25519 yet.
    knows = {name for name in ALL if said[name] is not None}
    assert knows >= {name for name in ALL if name.startswith("rsa-")}
    assert judge == "Mail::DKIM" or knows == set(ALL)
    for old, new, stands in (
            (b"a  b\r\n", b"a b \r\n", ("r", "sr")),
            (b"a  b\r\n", b"ab\r\n", ()),
            (b"Subject: a ", b"subject:  a ", ("r", "rs")),
            (b"Subject: a ", b"Subject: b ", ())):
        assert data.count(old) == 1
        said = ask(judge, data.replace(old, new), keys, lab)
        assert {name for name in knows if said[name] is True} == \
            {name for name in knows if name.partition("-")[2] in stands}
