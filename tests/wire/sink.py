"""The house behind the gate: an SMTP server that keeps all it is given."""

import re
import socket
import threading
from dataclasses import dataclass, field

from net import wait_for


@dataclass
class Delivery:
    """One message as it was handed over; data is without dot-stuffing."""

    sender: str
    arguments: str
    rcpts: list = field(default_factory=list)
    data: bytes = b""

    @property
    def head(self):
        return self.data.partition(b"\r\n\r\n")[0] + b"\r\n"

    @property
    def body(self):
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def fields(self):
        """(name, value) of each header field; value raw, folds kept."""
        out = []
        for raw in re.split(rb"\r\n(?![ \t])", self.head):
            if raw:
                name, _, value = raw.partition(b":")
                out.append((name.decode("utf-8", "surrogateescape"), value))
        return out

    def field(self, name):
        """Raw values of every field of that name, from the top."""
        return [v for n, v in self.fields if n.lower() == name.lower()]


class Sink:
    """Listens on an ephemeral port, a thread a connection."""

    def __init__(self):
        self.deliveries = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.listener.close()

    def clear(self):
        with self.lock:
            self.deliveries = []

    def all(self, token=None):
        """What came so far; only messages that have the token in them."""
        with self.lock:
            got = list(self.deliveries)
        if token is None:
            return got
        token = token.encode()
        return [d for d in got if token in d.data]

    def wait(self, token, count=1, timeout=20.0):
        """The deliveries with this token, once there are that many."""
        wait_for(lambda: len(self.all(token)) >= count, timeout,
                 f"{count} deliveries of {token}")
        return self.all(token)

    def one(self, token, timeout=20.0):
        got = self.wait(token, 1, timeout)
        assert len(got) == 1, got
        return got[0]

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(conn,),
                             daemon=True).start()

    def _serve(self, conn):
        try:
            with conn:
                Dialogue(self, conn).run()
        except OSError:
            pass


class Dialogue:
    """One connection to the sink."""

    def __init__(self, sink, conn):
        self.sink = sink
        self.conn = conn
        self.buffer = bytearray()
        self.open = None

    def say(self, text):
        self.conn.sendall(text.encode() + b"\r\n")

    def line(self):
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line = bytes(self.buffer[:end]).rstrip(b"\r")
                del self.buffer[:end + 1]
                return line.decode("utf-8", "surrogateescape")
            more = self.conn.recv(65536)
            if not more:
                raise OSError("gone")
            self.buffer += more

    def content(self):
        if self.buffer.startswith(b".\r\n"):
            del self.buffer[:3]
            return b""
        start = 0
        while True:
            end = self.buffer.find(b"\r\n.\r\n", start)
            if end >= 0:
                data = bytes(self.buffer[:end + 2])
                del self.buffer[:end + 5]
                if data.startswith(b"."):
                    data = data[1:]
                return data.replace(b"\r\n..", b"\r\n.")
            start = max(0, len(self.buffer) - 4)
            more = self.conn.recv(1 << 18)
            if not more:
                raise OSError("gone")
            self.buffer += more
            if len(self.buffer) == len(more) and more == b".\r\n":
                self.buffer.clear()
                return b""

    def run(self):
        self.say("220 sink.example ESMTP")
        while True:
            line = self.line()
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler is None:
                self.say("500 5.5.1 what?")
            else:
                handler(rest)

    def on_ehlo(self, _):
        self.open = None
        self.conn.sendall(b"250-sink.example\r\n250-PIPELINING\r\n"
                          b"250-8BITMIME\r\n250-SMTPUTF8\r\n"
                          b"250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n")

    def on_helo(self, _):
        self.open = None
        self.say("250 sink.example")

    def on_mail(self, rest):
        found = re.match(r"(?i)from:\s*<([^>]*)>\s*(.*)", rest)
        self.open = Delivery(found[1], found[2])
        self.say("250 2.1.0 ok")

    def on_rcpt(self, rest):
        found = re.match(r"(?i)to:\s*<([^>]*)>", rest)
        self.open.rcpts.append(found[1])
        self.say("250 2.1.5 ok")

    def on_data(self, _):
        self.say("354 go on")
        self.open.data = self.content()
        with self.sink.lock:
            self.sink.deliveries.append(self.open)
        self.open = None
        self.say("250 2.0.0 kept")

    def on_rset(self, _):
        self.open = None
        self.say("250 2.0.0 ok")

    def on_noop(self, _):
        self.say("250 2.0.0 ok")
