#!/usr/bin/python3
"""Another DKIM implementation (dkimpy) to test ours with.

    dkim_oracle.py make DIR      keys, zone and signed messages into DIR
    dkim_oracle.py verify DIR    DIR/signed.eml with the keys of DIR/zone:
                                 prints pass or fail

Exit status 77: dkimpy is not here.
"""

import os
import subprocess
import sys

try:
    import dkim
except ImportError:
    sys.exit(77)

MESSAGE = (b"Received: from a.example by b.example;\r\n"
           b"\tMon, 1 Jan 2024 00:00:00 +0000\r\n"
           b"From: Alice <alice@example.org>\r\n"
           b"To: bob@example.net\r\n"
           b"Subject: A folded\r\n  subject   line \r\n"
           b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
           b"Message-ID: <1@example.org>\r\n"
           b"\r\n"
           b"Hello,  world \t\r\n.leading dot\r\n\r\n  x \r\n\r\n\r\n")


def openssl(*args):
    return subprocess.run(("openssl",) + args, check=True,
                          capture_output=True).stdout


def make_keys(where):
    """PEM files and the zone of their public halves."""
    with open(f"{where}/zone", "w", encoding="ascii") as zone:
        for name, args in (
                ("rsa", ("-algorithm", "RSA", "-pkeyopt",
                         "rsa_keygen_bits:2048")),
                ("short", ("-algorithm", "RSA", "-pkeyopt",
                           "rsa_keygen_bits:768")),
                ("ed", ("-algorithm", "ED25519"))):
            path = f"{where}/{name}.pem"
            openssl("genpkey", *args, "-out", path)
            public = openssl("pkey", "-in", path, "-pubout", "-outform",
                             "DER")
            if name == "ed":
                public = public[-32:]
            text = subprocess.run(("base64", "-w0"), input=public,
                                  check=True, capture_output=True).stdout
            kind = "ed25519" if name == "ed" else "rsa"
            zone.write(f"{name}._domainkey.example.org TXT "
                       f"\"v=DKIM1; k={kind}; p={text.decode()}\"\n")
        zone.write("revoked._domainkey.example.org TXT \"v=DKIM1; p=\"\n"
                   "broken._domainkey.example.org TXT !servfail\n"
                   "slow._domainkey.example.org TXT !timeout\n")


def sign(where, selector=b"rsa", key="rsa", **options):
    with open(f"{where}/{key}.pem", "rb") as f:
        pem = f.read()
    return dkim.sign(MESSAGE, selector, b"example.org", pem, **options)


def make(where):
    make_keys(where)
    simple, relaxed = b"simple", b"relaxed"
    messages = {
        "plain": b"",
        "relaxed": sign(where, canonicalize=(relaxed, relaxed)),
        "simple": sign(where, canonicalize=(simple, simple)),
        "mixed": sign(where, canonicalize=(simple, relaxed)),
        "length": sign(where, canonicalize=(relaxed, relaxed), length=True),
        "length-simple": sign(where, canonicalize=(simple, simple),
                              length=True),
        "once": sign(where, include_headers=[b"from", b"to", b"subject"]),
        "sha1": sign(where, signature_algorithm=b"rsa-sha1"),
        "short": sign(where, b"short", "short"),
        "revoked": sign(where, b"revoked"),
        "broken": sign(where, b"broken"),
        "slow": sign(where, b"slow"),
        "missing": sign(where, b"missing"),
        "unfit": sign(where, b"ed"),
        "below": sign(where, identity=b"x@below.example.org"),
    }
    for name, field in messages.items():
        with open(f"{where}/{name}.eml", "wb") as f:
            f.write(field + MESSAGE)
    with open(f"{where}/broken-body.eml", "wb") as f:
        f.write(messages["relaxed"] + MESSAGE + b"more\r\n")


def verify(where):
    records = {}
    with open(f"{where}/zone", encoding="ascii") as f:
        for line in f:
            name, _, value = line.split(None, 2)
            records[name] = value.strip().strip('"').encode()
    with open(f"{where}/signed.eml", "rb") as f:
        message = f.read()
    ok = dkim.verify(message, dnsfunc=lambda name, **_: records.get(
        name.decode().rstrip(".")))
    print("pass" if ok else "fail")


if __name__ == "__main__":
    {"make": make, "verify": verify}[sys.argv[1]](os.path.abspath(sys.argv[2]))
