"""The daemon under test: its policy, its life, what it logs and tells."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time

from net import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


SANITIZER = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:|"
                       r"Assertion .* failed")


def program():
    """The binary: $POSTERN, or what the last build left."""
    named = os.environ.get("POSTERN")
    if named:
        return os.path.abspath(named)
    built = [f"{ROOT}/build/{sub}postern" for sub in ("gcc/", "", "clang/")]
    for path in built:
        if os.path.isfile(path):
            return path
    return None


def sanitized():
    return any(word in (program() or "") for word in ("asan", "tsan"))


def slack():
    """By how much a build with sanitizers may be later than asked."""
    return float(os.environ.get("POSTERN_SLACK", "5" if sanitized() else "1"))


def environment():
    """A sanitizer does not see the locks inside of GLib's own allocator."""
    if not sanitized():
        return dict(os.environ)
    return dict(os.environ, G_SLICE="always-malloc")


class Postern:
    """A daemon with a policy of its own at the socket the MTAs know."""

    def __init__(self, lab, milter, rules, settings="", args=(), listen=True,
                 state="memory:", resolver=None, conf="postern.conf"):
        self.lab = lab
        self.milter = milter
        self.control = f"{lab}/control.sock"
        self.conf = f"{lab}/{conf}"
        self.args = list(args)
        self.head = f"hostname mx.example.net\ncontrol unix:{self.control}" \
            f" mode 0600\nstate {state}\n"
        if listen:
            self.head += f"listen unix:{milter} mode 0666\n"
        if resolver:
            self.head += f"resolver {resolver}\n"
        elif resolver is None:
            # No zone: every name is unknown, and nobody outside is asked.
            zone = f"{lab}/empty.zone"
            open(zone, "w", encoding="ascii").close()
            self.head += f"resolver file:{zone}\n"
        self.head += settings.strip() + "\n" if settings else ""
        self.lines = []
        self.complaints = []
        self.child = None
        self.write(rules)

    def write(self, rules):
        """A new policy, whole at once, as an editor's rename does it."""
        with open(self.conf + ".new", "w", encoding="utf-8") as out:
            out.write(self.head + rules)
        os.rename(self.conf + ".new", self.conf)

    def spawn(self, **more):
        # A runner such as valgrind may stand before the program.
        before = shlex.split(os.environ.get("POSTERN_RUNNER", ""))
        more.setdefault("env", environment())
        self.child = subprocess.Popen(
            [*before, program(), "run", "-f", "-c", self.conf, *self.args],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True, **more)
        self.reader = threading.Thread(
            target=self._collect, args=(self.child.stderr,), daemon=True)
        self.reader.start()
        return self

    def start(self, **more):
        self.lines = []
        self.spawn(**more)
        self.wait_log("event=start", 10)
        return self

    def _collect(self, pipe):
        with pipe:
            for raw in pipe:
                line = raw.decode("utf-8", "replace").rstrip()
                self.lines.append(line)
                # Kept over restarts: what a sanitizer has to say.
                if self.complaints or SANITIZER.search(line):
                    self.complaints.append(line)

    @property
    def pid(self):
        return self.child.pid

    @property
    def alive(self):
        return self.child is not None and self.child.poll() is None

    def log(self, *words):
        """Log lines that have all these words in them."""
        return [line for line in list(self.lines)
                if all(word in line for word in words)]

    def wait_log(self, *words, timeout=10, count=1):
        if isinstance(words[-1], (int, float)):
            timeout, words = words[-1], words[:-1]

        def seen():
            if len(self.log(*words)) >= count:
                return True
            if not self.alive:
                self.reader.join(2)
                if len(self.log(*words)) >= count:
                    return True
                raise AssertionError(f"postern ended ({self.child.poll()}): "
                                     + "\n".join(self.lines[-20:]))
            return False
        try:
            wait_for(seen, timeout, f"{words} in the log")
        except TimeoutError as late:
            raise AssertionError(f"{late}:\n" + "\n".join(self.lines[-30:])) \
                from None
        return self.log(*words)

    def stop(self, within=2.0):
        """SIGTERM; must end by itself with 0 in time."""
        if not self.alive:
            code = self.child.wait() if self.child else 0
            assert code == 0, f"postern had ended with {code}: " \
                + "\n".join(self.lines[-30:])
            return 0.0
        began = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        try:
            code = self.child.wait(max(within, 10))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("postern did not end on SIGTERM") from None
        took = time.monotonic() - began
        self.reader.join(5)
        assert code == 0, f"exit {code}: " + "\n".join(
            self.complaints[:80] or self.lines[-30:])
        assert took <= within * slack(), f"took {took:.1f} s to end"
        return took

    def kill(self):
        if self.child and self.child.poll() is None:
            self.child.kill()
        if self.child:
            self.child.wait(10)
            self.reader.join(5)

    def hup(self):
        self.child.send_signal(signal.SIGHUP)

    def cli(self, *args, **more):
        """`postern ARGS -c CONF`, finished."""
        return run(args[0], "-c", self.conf, *args[1:], **more)

    def status(self):
        """Numbers of `postern status' by name."""
        done = self.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def metric(self, name):
        return find_metric(self.status(), name)

    def wait_metric(self, name, value, timeout=5):
        wait_for(lambda: self.metric(name) == value, timeout,
                 f"{name} to be {value}; it is {self.metric(name)}")


def find_metric(tree, name):
    if isinstance(tree, dict):
        if name in tree:
            return tree[name]
        for below in tree.values():
            found = find_metric(below, name)
            if found is not None:
                return found
    return None


def run(*args, **more):
    """Any command of the binary."""
    more.setdefault("timeout", 30)
    return subprocess.run([program(), *args], capture_output=True, text=True,
                          **more)


def values(line):
    """key=value of a log line."""
    found = re.findall(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {key: value[1:-1] if value[:1] == '"' else value
            for key, value in found}
