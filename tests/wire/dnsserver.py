#!/usr/bin/python3
"""A DNS server on loopback for tests: answers from a zone file.

A line is "NAME TYPE VALUE", as filter/service/resolver.h has it, faults
("!servfail", "!timeout", "!delay=MS", "!ttl=SECONDS") and wildcards
included.  A delay holds up its own query and no other.

As a program: dnsserver.py [--port N] [--ttl S] ZONEFILE prints the port it
got and serves until its standard input closes or SIGTERM comes.  SIGHUP
reads the file again.
"""

import argparse
import collections
import heapq
import ipaddress
import re
import signal
import socket
import struct
import sys
import threading
import time

from dnslib import (A, AAAA, CNAME, DNSLabel, DNSRecord, MX, NS, PTR, QTYPE,
                    RCODE, RR, SOA, TXT, EDNS0)

CHAIN_MAX = 10
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*')
ESCAPE = re.compile(r'\\(\d\d\d|.)')


def _unescape(text):
    def one(match):
        code = match.group(1)
        return chr(int(code) & 255) if len(code) == 3 else code
    return ESCAPE.sub(one, text).encode('utf-8' if not text.isascii()
                                        else 'latin-1')


def _strings(value):
    """The rdata's strings: longer ones are cut at 255 bytes."""
    out, at = [], 0
    while at < len(value):
        match = STRING.match(value, at)
        if not match:
            raise ValueError('TXT wants strings in double quotes')
        data = _unescape(match.group(1))
        out += [data[i:i + 255] for i in range(0, len(data), 255)] or [b'']
        at = match.end()
    if not out:
        raise ValueError('TXT wants strings in double quotes')
    return out


def _name(text):
    return DNSLabel(text.rstrip('.').lower())


def _mx(value):
    pref, host = value.split()
    return MX(_name(host), int(pref))


RDATA = {
    'A': lambda v: A(str(ipaddress.IPv4Address(v))),
    'AAAA': lambda v: AAAA(str(ipaddress.IPv6Address(v))),
    'TXT': lambda v: TXT(_strings(v)),
    'MX': _mx,
    'PTR': lambda v: PTR(_name(v)),
    'NS': lambda v: NS(_name(v)),
    'CNAME': lambda v: CNAME(_name(v)),
}


# lame: REFUSED, and no answer.  wrongid: an answer to another question's id.
# truncated: nothing by UDP but the hint to ask again by TCP.
FAULTS = ('!servfail', '!timeout', '!lame', '!wrongid', '!truncated')


class RRset:
    def __init__(self, ttl):
        self.ttl, self.delay, self.fault, self.rdata = ttl, 0.0, None, []

    def take_faults(self, value):
        while value.startswith('!'):
            word, _, value = value.partition(' ')
            value = value.strip()
            key, _, number = word[1:].partition('=')
            if word in FAULTS:
                self.fault = key
            elif key == 'delay':
                self.delay = int(number) / 1000
            elif key == 'ttl':
                self.ttl = int(number)
            else:
                raise ValueError('unknown fault ' + word)
        return value


class Zone:
    def __init__(self, text, ttl=60):
        self.names = collections.defaultdict(dict)
        for number, line in enumerate(text.split('\n'), 1):
            line = line.strip()
            if not line or line[0] in '#;':
                continue
            try:
                self._line(line, ttl)
            except (ValueError, KeyError) as problem:
                raise ValueError(f'zone line {number}: {problem}') from None

    def _line(self, line, ttl):
        name, kind, *value = line.split(None, 2)
        name, kind = name.rstrip('.').lower(), kind.upper()
        if kind not in RDATA:
            raise ValueError('unknown record type ' + kind)
        rrset = self.names[name].setdefault(kind, RRset(ttl))
        value = rrset.take_faults(value[0] if value else '')
        if value or not rrset.fault:
            rrset.rdata.append(RDATA[kind](value))

    def find(self, name):
        node = self.names.get(name)
        while node is None and '.' in name:
            name = name.partition('.')[2]
            node = self.names.get('*.' + name)
        return node

    def resolve(self, name, kind):
        """(rcode, [(owner, kind, ttl, rdata)], delay, fault)"""
        out, delay, fault = [], 0.0, None
        for _ in range(CHAIN_MAX):
            node = self.find(name)
            if node is None:
                return RCODE.NXDOMAIN, out, delay, None
            used = kind if kind in node else 'CNAME'
            rrset = node.get(used)
            if rrset is None:
                return RCODE.NOERROR, out, delay, None
            delay += rrset.delay
            if rrset.fault in ('servfail', 'timeout'):
                return RCODE.SERVFAIL, [], delay, rrset.fault
            if rrset.fault == 'lame':
                return RCODE.REFUSED, [], delay, rrset.fault
            fault = rrset.fault or fault
            out += [(name, used, rrset.ttl, r) for r in rrset.rdata]
            if used == kind:
                return RCODE.NOERROR, out, delay, fault
            name = _text(rrset.rdata[0].label)
        return RCODE.SERVFAIL, [], delay, None


def _text(label):
    """Lower case; a label with a dot or a non-ASCII byte matches no name."""
    return '.'.join(part.decode('latin-1').replace('.', '\\.')
                    for part in label.label).lower()


class DnsServer:
    """start() it, ask it on address:port; log has (name, type) as asked."""

    def __init__(self, zone_text='', ttl=60, port=0, address='127.0.0.1'):
        self.address = address
        self.ttl, self.port, self.log = ttl, port, []
        self._later, self._count = [], 0
        self._wake = threading.Condition()
        self._stopped = False
        self._threads = []
        self.set_zone(zone_text)

    def set_zone(self, text):
        self.zone, self._memory = Zone(text, self.ttl), {}

    def asked(self, name=None):
        return [q for q in list(self.log) if name in (None, q[0])]

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()

    def start(self):
        self._bind()
        for work in (self._serve_udp, self._serve_tcp, self._serve_later):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self):
        with self._wake:
            self._stopped = True
            self._wake.notify()
        for sock in (self._udp, self._tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(2)
        self._udp.close()
        self._tcp.close()

    def _bind(self):
        """The same port for UDP and TCP."""
        for attempt in range(20):
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            try:
                self._udp.bind((self.address, self.port))
                self._tcp.bind((self.address, self._udp.getsockname()[1]))
                self._tcp.listen(64)
                self.port = self._udp.getsockname()[1]
                return
            except OSError:
                self._udp.close()
                self._tcp.close()
                if self.port or attempt == 19:
                    raise

    def _answer(self, query, udp):
        """(bytes or None, delay, (name, type))"""
        request = DNSRecord.parse(query)
        name, kind = _text(request.q.qname), QTYPE.get(request.q.qtype)
        rcode, records, delay, fault = self.zone.resolve(name, str(kind))
        asked = (name, str(kind))
        if fault == 'timeout':
            return None, delay, asked
        reply = request.reply(ra=1, aa=0)
        reply.header.rcode = rcode
        for owner, used, ttl, rdata in records:
            reply.add_answer(RR(DNSLabel(owner), getattr(QTYPE, used),
                                ttl=ttl, rdata=rdata))
        if not records and rcode != RCODE.SERVFAIL:
            reply.add_auth(RR('.', QTYPE.SOA, ttl=self.ttl, rdata=SOA(
                '.', '.', (1, 3600, 600, 86400, self.ttl))))
        limit = 512
        for extra in request.ar:
            if extra.rtype == QTYPE.OPT:
                limit = max(limit, extra.rclass)
                reply.add_ar(EDNS0(udp_len=4096))
        packed = reply.pack()
        if fault == 'wrongid':
            reply.header.id ^= 0x5555
            return reply.pack(), delay, asked
        if udp and (len(packed) > limit or fault == 'truncated'):
            reply.rr, reply.header.tc = [], 1
            packed = reply.pack()
        return packed, delay, asked

    def _lookup(self, query, udp):
        """As _answer(), remembered by all but the query's id."""
        memory, key = self._memory, (query[2:], udp)
        if key not in memory:
            memory[key] = self._answer(query, udp)
            memory[key + ('id',)] = struct.unpack('!H', query[:2])[0]
        packed, delay, asked = memory[key]
        self.log.append(asked)
        # A wrong id stays as wrong for the next one who asks.
        difference = 0 if packed is None else \
            struct.unpack('!H', packed[:2])[0] ^ memory[key + ('id',)]
        number = struct.unpack('!H', query[:2])[0] ^ difference
        return packed and struct.pack('!H', number) + packed[2:], delay

    def _serve_udp(self):
        while not self._stopped:
            try:
                query, peer = self._udp.recvfrom(65535)
                if not query:
                    continue
                packed, delay = self._lookup(query, True)
            except OSError:
                return
            except Exception as problem:        # not a query: no answer
                print('dnsserver:', problem, file=sys.stderr)
                continue
            if packed and not delay:
                self._udp.sendto(packed, peer)
            elif packed:
                self._send_later(time.monotonic() + delay, packed, peer)

    def _send_later(self, due, packed, peer):
        with self._wake:
            self._count += 1
            heapq.heappush(self._later, (due, self._count, packed, peer))
            self._wake.notify()

    def _serve_later(self):
        with self._wake:
            while not self._stopped:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    _, _, packed, peer = heapq.heappop(self._later)
                    self._udp.sendto(packed, peer)
                self._wake.wait(self._later[0][0] - now if self._later
                                else None)

    def _serve_tcp(self):
        while not self._stopped:
            try:
                conn, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(conn,),
                             daemon=True).start()

    def _converse(self, conn):
        with conn, conn.makefile('rb') as stream:
            while not self._stopped:
                head = stream.read(2)
                if len(head) < 2:
                    return
                query = stream.read(struct.unpack('!H', head)[0])
                packed, delay = self._lookup(query, False)
                if packed is None:
                    return
                time.sleep(delay)
                conn.sendall(struct.pack('!H', len(packed)) + packed)


def _read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--ttl', type=int, default=60)
    parser.add_argument('zone')
    args = parser.parse_args()
    server = DnsServer(_read(args.zone), args.ttl, args.port)
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(0))
    signal.signal(signal.SIGHUP,
                  lambda *unused: server.set_zone(_read(args.zone)))
    with server:
        # One write: who has read the port may close the pipe.
        sys.stdout.write(f'{server.port}\n')
        sys.stdout.flush()
        while sys.stdin.buffer.read(4096):
            pass


if __name__ == '__main__':
    main()
