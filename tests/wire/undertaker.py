#!/usr/bin/python3
"""undertaker.py LAB: ends what a test run left behind.

Its standard input closes when the tests are gone, whatever killed them; then
the private MTAs and daemons, which all have LAB on their command line or as
their Postfix configuration, are ended and LAB is removed.
"""

import glob
import os
import shutil
import signal
import subprocess
import sys


def main(lab):
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    sys.stdin.buffer.read()
    etc = f"{lab}/postfix/etc"
    if os.path.exists(etc):
        subprocess.run(["postfix", "-c", etc, "stop"],
                       stdin=subprocess.DEVNULL, capture_output=True)
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        pid = int(path.split("/")[2])
        try:
            with open(path, "rb") as words:
                ours = lab.encode() in words.read()
            if ours and pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    if not os.environ.get("WIRE_KEEP"):
        shutil.rmtree(lab, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
