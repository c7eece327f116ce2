"""A private Redis for tests: killed, stopped and started again at will."""

import os
import shutil
import signal
import socket
import subprocess

from net import wait_for


class Redis:
    """Listens on a unix socket alone; what it has said is in its file."""

    def __init__(self, path):
        self.dir = path
        self.socket = f"{path}/redis.sock"
        self.child = None
        os.makedirs(path)

    @staticmethod
    def missing():
        """Why it can't be used here; None if it can."""
        if not shutil.which("redis-server"):
            return "redis-server is not installed"
        return None

    @property
    def spec(self):
        return f"redis+unix://{self.socket}"

    def start(self):
        self.child = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket,
             "--dir", self.dir, "--save", "", "--appendonly", "yes",
             # else a slow disk keeps back what has been answered
             "--appendfsync", "always",
             "--logfile", f"{self.dir}/log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(self.answers, 10, "Redis")
        return self

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(1)
                s.connect(self.socket)
                s.sendall(b"PING\r\n")
                return s.recv(100) == b"+PONG\r\n"
        except OSError:
            return False

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        if self.child is not None:
            self.child.kill()
            self.child.wait(10)
            self.child = None

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)
