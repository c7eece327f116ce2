#!/usr/bin/python3
"""dkimpy's own tests as lines that test_dkim_corpus.c reads.

    dkimpy_tests.py DIR

    TEST METHOD RESULT MESSAGE [NAME=RECORD...]
    files USED UNUSED...

separated by tabs; message and records in hexadecimal.  Each is a message
that a test has verified, with the keys it was told; RESULT is pass or fail,
of the first signature (METHOD dkim) or of the chain (arc).  Only tests that
succeed are shown, so RESULT is what the test wants.  The last line tells
how many of the message files in DIR, which stand in for dkimpy's copies,
were verified, and names the others.  Exit status 77: dkimpy or its tests
are not here.
"""

import glob
import os
import sys
import unittest

try:
    import dkim
    from dkim.tests import (test_arc, test_dkim, test_dkim_ed25519,
                            test_dkim_rsavariants, test_dkim_tlsrpt)
except ImportError:
    sys.exit(77)

MODULES = (test_dkim, test_dkim_ed25519, test_dkim_rsavariants,
           test_dkim_tlsrpt, test_arc)
ROWS = []


def prefer_data(where, plain):
    def read_test_data(name):
        path = f"{where}/{name}"
        if not os.path.exists(path):
            return plain(name)
        with open(path, "rb") as f:
            return f.read()
    return read_test_data


def message_files(where):
    found = {}
    for kind in ("msg", "message", "mbox"):
        for path in glob.glob(f"{where}/*.{kind}"):
            with open(path, "rb") as f:
                found[os.path.basename(path)] = f.read()
    return found


def keep_message(plain):
    def set_message(self, message):
        self.raw = message or b""
        return plain(self, message)
    return set_message


def text_of(record):
    return record.encode() if isinstance(record, str) else record


def record_verify(method, plain):
    """As it was, but the message, its keys and the result are kept."""
    def verify(self, *args, dnsfunc, **more):
        keys = {}

        def ask(name, **options):
            answer = dnsfunc(name, **options)
            if answer:
                keys[name.decode().rstrip(".")] = text_of(answer).strip()
            return answer

        row = [method, "fail", self.raw, keys]
        ROWS.append(row)
        result = plain(self, *args, dnsfunc=ask, **more)
        if result is True or method == "arc" and result[0] == dkim.CV_Pass:
            row[1] = "pass"
        return result
    return verify


def main():
    files = message_files(sys.argv[1])
    unused = set(files)
    for module in MODULES:
        module.read_test_data = prefer_data(sys.argv[1],
                                            module.read_test_data)
    dkim.DomainSigner.set_message = keep_message(dkim.DomainSigner.set_message)
    dkim.DKIM.verify = record_verify("dkim", dkim.DKIM.verify)
    dkim.ARC.verify = record_verify("arc", dkim.ARC.verify)
    suite = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromModule(m) for m in MODULES)
    for tests in suite:
        for case in (test for cases in tests for test in cases):
            ROWS.clear()
            result = unittest.TestResult()
            case.run(result)
            if not result.wasSuccessful():
                print(case.id(), file=sys.stderr)
                continue
            name = ".".join(case.id().split(".")[2::2])
            for method, want, message, keys in ROWS:
                unused -= {n for n in unused if message.endswith(files[n])}
                print(name, method, want, message.hex(),
                      *(f"{k}={v.hex()}" for k, v in keys.items()), sep="\t")
    print("files", len(files) - len(unused), *sorted(unused), sep="\t")


main()
