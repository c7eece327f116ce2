"""What other DKIM verifiers say of a message.

dkimpy must be there.  Mail::DKIM is asked where perl has it, mailauth (npm)
where MAILAUTH names the folder of the package.
"""

import functools
import os
import shutil
import subprocess

import dkim

HERE = os.path.dirname(os.path.abspath(__file__))


def ask_dkimpy(data, keys, _):
    found = {}
    count = sum(1 for n, _ in dkim.rfc822_parse(data)[0]
                if n.lower() == b"dkim-signature")
    for i in range(count):
        d = dkim.DKIM(data)
        try:
            ok = d.verify(idx=i, dnsfunc=lambda name, timeout=5:
                          keys.get(name.decode().lower()))
        except dkim.DKIMException as why:
            ok = f"{type(why).__name__}: {why}"
        found[d.selector.decode()] = ok
    return found


def ask_program(command, data, keys, lab):
    """The lines of a program that prints SELECTOR RESULT (DETAIL)."""
    zone = f"{lab}/dkim-keys"
    with open(zone, "wb") as out:
        for name, record in keys.items():
            out.write(name.encode() + b" " + record + b"\n")
    done = subprocess.run([*command, zone], input=data, capture_output=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    found = {}
    for line in done.stdout.decode().splitlines():
        selector, _, result = line.partition(" ")
        known = {"pass": True, "fail": False, "unknown": None}
        assert selector not in found, done.stdout
        found[selector] = known.get(result.split()[0], result)
    return found


PROGRAMS = {"Mail::DKIM": ("perl", f"{HERE}/mail_dkim.pl"),
            "mailauth": ("node", f"{HERE}/mailauth.js")}
JUDGES = ["dkimpy", *PROGRAMS]


@functools.lru_cache(None)
def present(judge):
    if judge == "dkimpy":
        return True
    if judge == "mailauth" and not os.environ.get("MAILAUTH"):
        return False
    command = PROGRAMS[judge]
    if not shutil.which(command[0]):
        return False
    done = subprocess.run([*command, os.devnull], input=b"From: a@b.c\r\n\r\n",
                          capture_output=True, timeout=60)
    assert done.returncode in (0, 77), done.stderr
    return done.returncode == 0


def ask(judge, data, keys, lab):
    """selector: True, False, None (knows no such algorithm) or why not."""
    if judge == "dkimpy":
        return ask_dkimpy(data, keys, lab)
    if judge == "mailauth" and b"\r\n\r\n" not in data:
        # It looks for signatures when it meets the empty line, though a
        # message may end with its header (RFC 5322, section 3.5).  Nothing
        # that is signed changes with that line.
        data += b"\r\n"
    return ask_program(PROGRAMS[judge], data, keys, lab)


def verdicts(data, keys, lab):
    """selector: does it verify, of every signature; where the judges do not
    agree, what each of them says."""
    said = {judge: ask(judge, data, keys, lab)
            for judge in JUDGES if present(judge)}
    together = {}
    for selector in {name for found in said.values() for name in found}:
        words = {judge: found.get(selector, "not seen")
                 for judge, found in said.items()
                 if found.get(selector, "") is not None}
        same = all(word == words["dkimpy"] for word in words.values())
        together[selector] = words["dkimpy"] if same else words
    return together
