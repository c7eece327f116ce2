"""An SMTP client at socket level: it can be rude, and tells all it hears."""

import re
import socket
import ssl
import uuid


class Reply:
    """A reply: code, and the lines without it."""

    def __init__(self, code, lines):
        self.code = code
        self.lines = lines

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        found = re.match(r"[245]\.\d+\.\d+", self.lines[0])
        return found[0] if found else ""

    @property
    def says(self):
        """The text without the enhanced codes."""
        return "\n".join(re.sub(r"^[245]\.\d+\.\d+ ", "", line)
                         for line in self.lines)

    def __repr__(self):
        return f"{self.code} " + " / ".join(self.lines)

    def __eq__(self, other):
        """Compares with "550 5.7.1 text"."""
        return repr(self) == other


class Gone(Exception):
    """The server closed the connection."""


class Client:
    """One connection; greeting holds what the server said first."""

    def __init__(self, port, source="127.0.0.1", timeout=60):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout,
                                             (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")
        self.greeting = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self):
        lines = []
        while True:
            raw = self.file.readline()
            if not raw:
                raise Gone(lines)
            line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), lines)

    def send(self, raw):
        if isinstance(raw, str):
            raw = raw.encode("utf-8", "surrogateescape")
        self.sock.sendall(raw)

    def cmd(self, line):
        self.send(line + "\r\n")
        return self.read()

    def pipeline(self, *lines):
        """All lines at once; a reply for each."""
        self.send("".join(line + "\r\n" for line in lines))
        return [self.read() for _ in lines]

    def ehlo(self, name="client.example.org"):
        return self.cmd("EHLO " + name)

    def mail(self, sender="sender@example.org", arguments=""):
        return self.cmd(f"MAIL FROM:<{sender}> {arguments}".rstrip())

    def rcpt(self, rcpt="user@example.net"):
        return self.cmd(f"RCPT TO:<{rcpt}>")

    def data(self, message):
        """DATA and all of the message; the reply to its end."""
        go = self.cmd("DATA")
        if go.code != 354:
            return go
        self.send(stuffed(message) + b".\r\n")
        return self.read()

    def post(self, message, sender="sender@example.org",
             rcpts=("user@example.net",), arguments=""):
        """A whole transaction; the reply of its first refusal or its end."""
        reply = self.mail(sender, arguments)
        if reply.code != 250:
            return reply
        for rcpt in rcpts:
            reply = self.rcpt(rcpt)
            if reply.code != 250:
                self.cmd("RSET")
                return reply
        return self.data(message)

    def login(self, user, password):
        import base64
        plain = f"\0{user}\0{password}".encode()
        return self.cmd("AUTH PLAIN " + base64.b64encode(plain).decode())

    def starttls(self):
        reply = self.cmd("STARTTLS")
        if reply.code == 220:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.file.close()
            self.sock = context.wrap_socket(self.sock)
            self.file = self.sock.makefile("rb")
        return reply

    def quit(self):
        reply = self.cmd("QUIT")
        self.close()
        return reply

    def drop(self):
        """Hangs up at once, with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()


def stuffed(message):
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..")



def token():
    """A word that no other message has."""
    return "t" + uuid.uuid4().hex


def message(mark, *extra, body=b"hello\r\n", subject="a message",
            sender="sender@example.org"):
    """A small message with the mark in it; extra are whole header fields."""
    head = [f"From: {sender}", "To: user@example.net",
            f"Subject: {subject}", f"X-Mark: {mark}",
            f"Message-ID: <{mark}@example.org>",
            "Date: Fri, 20 Nov 2026 10:00:00 +0000", *extra]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") \
        + b"\r\n\r\n" + body
