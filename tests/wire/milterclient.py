"""The MTA's side of the milter protocol, version 6, for tests that need more
speed or more control than an MTA gives."""

import socket
import struct

NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT = 0x1, 0x2, 0x4, 0x8
NO_BODY, NO_HEADERS, NO_EOH, NR_HEADER = 0x10, 0x20, 0x40, 0x80
NO_UNKNOWN, NO_DATA, SKIP, RCPT_REJ = 0x100, 0x200, 0x400, 0x800
NR_CONNECT, NR_HELO, NR_MAIL, NR_RCPT = 0x1000, 0x2000, 0x4000, 0x8000
NR_DATA, NR_UNKNOWN, NR_EOH, NR_BODY = 0x10000, 0x20000, 0x40000, 0x80000
LEADING_SPACE = 0x100000

EDITS = b"+-2bhimqelo"


class Closed(Exception):
    """The filter hung up."""


class MilterClient:
    """One connection; each command returns the answer's letter.

    c continue, a accept, r reject, t tempfail, d discard, y a reply of its
    own (in .reply), s skip.  Edits of the last message are in .edits.
    """

    def __init__(self, path, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")
        self.out = bytearray()
        self.reply = None
        self.edits = []
        self.steps = self.actions = 0
        self.queue_id = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def put(self, command, data=b""):
        self.out += struct.pack("!I", len(data) + 1) + command + data

    def flush(self):
        if self.out:
            self.sock.sendall(self.out)
            self.out.clear()

    def packet(self):
        self.flush()
        head = self.file.read(4)
        if len(head) < 4:
            raise Closed
        data = self.file.read(struct.unpack("!I", head)[0])
        return data[:1], data[1:]

    def answer(self):
        while True:
            letter, data = self.packet()
            if letter == b"p":
                continue
            if letter in EDITS:
                self.edits.append((letter.decode(), data))
                continue
            self.reply = data.rstrip(b"\0").decode("utf-8", "replace") \
                if letter == b"y" else None
            return letter.decode()

    def step(self, command, data, unwanted, silent):
        """Sends what the filter wants to see; "c" for what it does not."""
        if self.steps & unwanted:
            return "c"
        self.put(command, data)
        if self.steps & silent:
            return "c"	# and unsent until an answer is wanted, as Postfix
        return self.answer()

    def macros(self, stage, **named):
        data = stage
        for name, value in named.items():
            data += (name if len(name) == 1 else f"{{{name}}}").encode() \
                + b"\0" + value.encode() + b"\0"
        self.put(b"D", data)

    def negotiate(self, actions=0x1ff, steps=0x1fffff):
        self.put(b"O", struct.pack("!III", 6, actions, steps))
        letter, data = self.packet()
        assert letter == b"O", letter
        _, self.actions, self.steps = struct.unpack("!III", data[:12])
        return self

    def connect(self, address="192.0.2.1", name="client.example.org"):
        self.macros(b"C", j="mx.example.net", daemon_name="smtpd",
                    v="Postfix 3.7.11")
        family = b"6" if ":" in address else b"4"
        return self.step(b"C", name.encode() + b"\0" + family
                         + struct.pack("!H", 12345) + address.encode()
                         + b"\0", NO_CONNECT, NR_CONNECT)

    def helo(self, name="client.example.org"):
        return self.step(b"H", name.encode() + b"\0", NO_HELO, NR_HELO)

    def mail(self, sender="sender@example.org", *arguments, user=None):
        self.edits = []
        if user:
            self.macros(b"M", auth_authen=user, auth_type="PLAIN")
        words = [f"<{sender}>", *arguments]
        return self.step(b"M", b"".join(w.encode() + b"\0" for w in words),
                         NO_MAIL, NR_MAIL)

    def rcpt(self, rcpt="user@example.net", mailer="smtp"):
        named = {"i": self.queue_id} if self.queue_id else {}
        self.macros(b"R", rcpt_mailer=mailer, **named)
        return self.step(b"R", f"<{rcpt}>".encode() + b"\0", NO_RCPT,
                         NR_RCPT)

    def data(self):
        return self.step(b"T", b"", NO_DATA, NR_DATA)

    def content(self, fields, body=b"hello\r\n"):
        """Headers, EOH and body; the first answer that is not c or s."""
        for name, value in fields:
            lead = " " if self.steps & LEADING_SPACE else ""
            answer = self.step(b"L", f"{name}\0{lead}{value}\0".encode(),
                               NO_HEADERS, NR_HEADER)
            if answer != "c":
                return answer
        answer = self.step(b"N", b"", NO_EOH, NR_EOH)
        if answer != "c":
            return answer
        for start in range(0, len(body), 65535):
            answer = self.step(b"B", body[start:start + 65535], NO_BODY,
                               NR_BODY)
            if answer == "s":
                break
            if answer != "c":
                return answer
        return "c"

    def end(self, queue_id="4XqTEST"):
        self.macros(b"E", i=queue_id)
        self.put(b"E")
        return self.answer()

    def abort(self):
        self.put(b"A")
        self.flush()

    def quit(self):
        self.put(b"Q")
        self.flush()
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def added(self):
        """Headers that the filter added or inserted: {name: value}."""
        found = {}
        for letter, data in self.edits:
            if letter in "hi":
                name, value = data[4 * (letter == "i"):].split(b"\0")[:2]
                found[name.decode()] = value.decode().strip()
        return found


FIELDS = [("From", "sender@example.org"), ("To", "user@example.net"),
          ("Subject", "a message"), ("Date", "Fri, 20 Nov 2026 10:00:00 +0000")]
