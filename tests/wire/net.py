"""Ports, waiting and private directories: what every part of the lab needs."""

import os
import shutil
import socket
import stat
import tempfile
import time

CANDIDATES = ("/run", "/var/lib", "/root")


def free_port():
    """A TCP port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(ready, timeout=10.0, what="a condition", step=0.02):
    """Polls ready() until it is true; its value is returned."""
    end = time.monotonic() + timeout
    while True:
        value = ready()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(step)


def answers(port):
    """Whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def private_directory():
    """A new directory whose parents only root may write: Sendmail insists.

    Room for some copies of a 30 MB message is wanted as well.
    """
    for parent in CANDIDATES:
        try:
            mode = os.stat(parent).st_mode
            room = shutil.disk_usage(parent).free
        except OSError:
            continue
        if mode & (stat.S_IWGRP | stat.S_IWOTH) or room < 300 << 20:
            continue
        if not mode & stat.S_IXOTH:
            continue
        path = tempfile.mkdtemp(prefix="postern-wire-", dir=parent)
        os.chmod(path, 0o755)
        return path
    raise RuntimeError("no directory with 300 MB that only root can write")
