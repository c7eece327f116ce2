#!/usr/bin/python3
"""spf_random.py COUNT SEED: random SPF zones and identities, and what pyspf
says about them, as the lines that spf_suite.py describes.

pyspf departs from RFC 7208 in a few ways.  DEPARTURES lists them, each with
the sentence it departs from; Letter is pyspf without them, and its answers
are what is expected.  The last lines count the cases where pyspf as it is
says something else, by the departure that causes it.  Exit status 77: pyspf
is not here.
"""

import collections
import ipaddress
import random
import re
import sys

try:
    import spf
except ImportError:
    sys.exit(77)

RECEIVER = "receiver.example.com"
TEXT_MAX = 900          # of an explanation

DEPARTURES = {
    "void": "4.6.4: limit the number of \"terms\" for which DNS queries return "
            "nothing (pyspf counts queries, aliases twice)",
    "mx": "4.6.4: MUST NOT result in querying more than 10 address records; "
          "5.4: If any address matches, the mechanism matches (pyspf asks "
          "for all hosts first)",
    "ptr": "5.5: If a DNS error occurs while doing the PTR RR lookup, then "
           "this mechanism fails to match [...] an A RR lookup, then that "
           "domain name is skipped",
    "p": "7.3: the <domain> itself, a subdomain of it, any name; if a DNS "
         "error occurs, \"unknown\" (pyspf keeps the first domain's)",
    "macro": "7.1: the grammar of macro-string (pyspf passes other "
             "delimiters, control characters, an unclosed brace)",
    "join": "7.3: rejoined using \".\" and not the original splitting "
            "characters (pyspf does so for l and s only)",
    "cut": "7.3: removing successive domain labels until the total length "
           "does not exceed 253 characters, of a domain name in a query "
           "(pyspf removes one, from explanations as well)",
    "redirect": "4.6.4: during SPF evaluation (pyspf counts a redirect that "
                "is not followed)",
    "modifier": "6: Unrecognized modifiers MUST be ignored no matter where, "
                "or how often; names are case-insensitive (RFC 5234 2.3)",
    "itself": "5.2: include is evaluated in its turn (pyspf refuses a record "
              "that includes its own domain)",
    "empty": "4.8: an expanded name need not be one that can be asked (pyspf "
             "calls the record wrong)",
    "sender": "4.3: zero-length label not at the end; 2.4: the domain is "
              "what follows the last \"@\"",
    "utf8": "RFC 8616 4: If the local-part contains non-ASCII characters, "
            "terms that include %{s} or %{l} do not match anything",
    "single": "4.3: or is not a multi-label domain name [...] none",
    "mapped": "5.6: an IPv4 client in a network of mapped addresses",
}

MACRO = re.compile(r"%\{([a-z])([0-9]*)(r?)([.\-+,/_=]*)\}|%[%_-]|"
                   r"[\x21-\x24\x26-\x7e ]", re.I)


def plain(text):
    data = text.encode("latin-1")[:TEXT_MAX]
    return "".join(chr(c) if 32 <= c < 127 else "?" for c in data)


def askable(name):
    name = name.rstrip(".") if name != "." else ""
    return len(name) <= 253 and all(0 < len(x) < 64 for x in name.split("."))


class Names(list):
    """PTR names, validated one by one against a domain."""

    def __init__(self, query):
        super().__init__()
        self.query = query


def domainmatch(ptrs, suffix, plain_match=spf.domainmatch):
    if not isinstance(ptrs, Names):
        return plain_match(ptrs, suffix)
    suffix = suffix.lower()
    return any(p == suffix or p.endswith("." + suffix)
               for p in ptrs.query.names()
               if (p == suffix or p.endswith("." + suffix))
               and ptrs.query.points_back(p))


spf.domainmatch = domainmatch


class Letter(spf.query):
    """pyspf, the departures in `fix' put right."""

    def __init__(self, fix, client, sender, helo):
        self.fix = fix
        self.term_void = self.just = self.quiet = self.running = False
        self.skip = False
        # A character a byte, as they are counted in names.
        sender = sender.encode().decode("latin-1")
        super().__init__(i=client, s=sender, h=helo, receiver=RECEIVER,
                         strict=True)
        if "sender" in fix:
            local, _, domain = self.s.rpartition("@")
            if "@" in self.s or not self.s:
                self.l, self.o = local or "postmaster", domain
                self.o = self.o[:-1] if self.o.endswith(".") else self.o
                self.s = f"{self.l}@{self.o}"
            self.d = self.o
        self.set_default_explanation("DEFAULT")

    def answer(self):
        result, _, why = self.check()
        if result != "fail":
            return result, ""
        return result, plain(why) or "DEFAULT"

    # Limits.

    def check_lookups(self):
        if "redirect" in self.fix and self.skip:
            self.skip = False
            return
        self.term_void, self.just = False, True
        super().check_lookups()

    def dns_spf(self, domain):
        if "redirect" in self.fix and self.running and not self.just:
            self.check_lookups()
        self.running, self.just = True, False
        if "single" in self.fix and "." not in domain.rstrip("."):
            return None
        return super().dns_spf(domain)

    def dns(self, name, qtype, cnames=None, ignore_void=False):
        if qtype != "TXT" and not self.quiet:
            self.just = False
        if "utf8" in self.fix and not str(name).isascii():
            return []
        if "void" not in self.fix or cnames is not None:
            return super().dns(name, qtype, cnames,
                               ignore_void or "void" in self.fix or self.quiet)
        if not askable(name):
            return []
        found = super().dns(name, qtype, None, True)
        if not (found or ignore_void or self.quiet or self.term_void):
            self.term_void = True
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError("void")
        return found

    def cidrmatch(self, ipaddrs, n):
        return any(super(Letter, self).cidrmatch([ip], n) for ip in ipaddrs)

    def dns_mx(self, domainname):
        if "mx" not in self.fix:
            return super().dns_mx(domainname)
        return self.hosts(sorted(self.dns(domainname, "MX")))

    def hosts(self, records):
        for n, (_, host) in enumerate(records):
            if n == spf.MAX_MX:
                raise spf.PermError("hosts")
            yield from self.dns_a(host, self.A)

    # PTR names.

    def names(self):
        try:
            return [p.lower() for p in self.dns_ptr(self.i)[:spf.MAX_PTR]]
        except spf.TempError:
            return []

    def points_back(self, name):
        try:
            return self.cidrmatch(self.dns_a(name, self.A), self.cidrmax)
        except spf.TempError:
            return False

    def validated_ptrs(self):
        if "ptr" not in self.fix:
            return super().validated_ptrs()
        self.dns_ptr_void()
        return Names(self)

    def dns_ptr_void(self):
        """The lookup itself may be one too many, where no name fits."""
        self.names()

    def getp(self):
        if "p" not in self.fix:
            return super().getp()
        self.quiet = True
        try:
            good = [p for p in self.names() if self.points_back(p)]
        finally:
            self.quiet = False
        d = self.d.lower()
        below = [p for p in good if p.endswith("." + d)]
        self.p = ([d] if d in good else below or good or ["unknown"])[0]
        return self.p

    # Macros.

    def expand(self, s, stripdot=True):
        if "macro" in self.fix:
            self.check_macros(s, stripdot)
        elif not self.fix & {"join", "cut"} or not self.macros_valid(
                s, stripdot):
            return super().expand(s, stripdot)
        out = "".join(map(self.one, MACRO.finditer(s)))
        if stripdot and out.endswith("."):
            out = out[:-1]
        if "cut" not in self.fix:
            return out.partition(".")[2] if len(out) > 253 and "." in out \
                else out
        return self.cut(out) if stripdot else out

    def macros_valid(self, s, stripdot):
        end = 0
        for m in MACRO.finditer(s):
            letter, digits = m.group(1) or "", m.group(2) or "1"
            if m.start() != end or int(digits) == 0:
                return False
            if letter and letter.lower() not in (
                    "slodiphv" if stripdot else "slodiphvcrt"):
                return False
            if m.group(0) == " " and stripdot:
                return False
            end = m.end()
        return end == len(s)

    def check_macros(self, s, stripdot):
        if not self.macros_valid(s, stripdot):
            raise spf.PermError("macro")

    def one(self, m):
        text = m.group(0)
        if len(text) < 3:
            return {"%%": "%", "%_": " ", "%-": "%20"}.get(text, text)
        letter, digits, reverse, delimiters = m.groups()
        low = letter.lower()
        value = self.getp() if low == "p" else getattr(self, low)
        if "join" in self.fix or low in "ls":
            parts = re.split("[" + re.escape(delimiters or ".") + "]", value)
            if reverse:
                parts.reverse()
            if digits:
                parts = parts[-int(digits):]
            value = ".".join(parts)
        else:
            value = spf.expand_one(value, text[3:-1], None)
        if letter.isupper():
            value = "".join(
                chr(c) if c < 128 and chr(c).isalnum() or chr(c) in "-._~"
                else f"%{c:02X}" for c in value.encode("latin-1"))
        return value

    def cut(self, name):
        while len(name) > 253 and "." in name:
            name = name.partition(".")[2]
        return name

    # Records.

    def validate_mechanism(self, mech):
        try:
            got = super().validate_mechanism(mech)
        except spf.PermError as error:
            if "itself" in self.fix and "trivial recursion" in error.msg:
                return mech, "include", self.d, self.cidrmax, \
                    spf.RESULTS.get(mech[0], "pass")
            if "empty" in self.fix and error.msg == "empty domain:":
                name, arg = spf.parse_mechanism(mech, "")[:2]
                if arg:
                    return mech, name.lstrip("+-?~"), ".", 0, \
                        spf.RESULTS.get(mech[0], "pass")
            raise
        mech, m, arg, bits, result = got
        if "mapped" in self.fix and m == "ip6" and self.v == "in-addr":
            four = ipaddress.IPv6Address(arg).ipv4_mapped
            if four and bits >= 96:
                return mech, "ip4", str(four), bits - 96, result
        return got

    def check0(self, spf_record, recursion):
        if spf_record and "modifier" in self.fix:
            spf_record = self.tidy(spf_record)
        self.skip = bool(spf_record and " redirect=" in spf_record)
        return super().check0(spf_record, recursion)

    def tidy(self, record):
        terms = record.split(" ")
        out = terms[:1]
        for term in terms[1:]:
            m = spf.RE_MODIFIER.match(term)
            if not m:
                out.append(term)
                continue
            name, value = m.group(1).lower(), term[m.end():]
            if name in ("redirect", "exp"):
                if value and name == "redirect" and "macro" in self.fix and \
                        not spf.RE_TOPLAB.split(value)[-1] and \
                        not self.expand(value):
                    value = "a..example"
                out.append(f"{name}={value}")
            elif "macro" in self.fix:
                self.check_macros(value, True)
            else:
                self.expand(value)
        return " ".join(out)


# Zones.

FAULTS = ("!servfail", "!timeout")


class World:
    """A zone: name -> type -> values, or a fault."""

    def __init__(self, rng):
        self.r = rng
        self.zone = {}
        self.domains = [f"d{n}.example" for n in range(5)] + \
            ["sub.d0.example", "a-b.d1.example", "x.y.d2.example", "d5.test"]
        if self.chance(.04):
            self.domains.append("single")
        self.clients = ["192.0.2.1", "192.0.2.77", "198.51.100.200",
                        "10.11.12.13", "2001:db8::1",
                        "2001:db8:1234:5678::face:b007",
                        "::ffff:192.0.2.1", "::ffff:10.11.12.13"]
        self.make()

    def add(self, name, kind, value):
        self.zone.setdefault(name.lower(), {}).setdefault(
            kind, []).append(value)

    def pick(self, *items):
        return self.r.choice(items)

    def chance(self, p):
        return self.r.random() < p

    def v4(self):
        r = self.r.random()
        if r < .5:
            return self.pick("192.0.2.1", "10.11.12.13", "198.51.100.200")
        if r < .7:
            return f"192.0.2.{self.r.randrange(256)}"
        return str(ipaddress.IPv4Address(self.r.getrandbits(32)))

    def v6(self):
        r = self.r.random()
        if r < .5:
            return self.pick("2001:db8::1", "2001:db8:1234:5678::face:b007")
        if r < .6:
            return f"::ffff:{self.v4()}"
        if r < .8:
            return f"2001:db8::{self.r.getrandbits(16):x}"
        return str(ipaddress.IPv6Address(
            self.r.getrandbits(125) | 1 << 125))

    def addresses(self, name):
        for _ in range(self.pick(1, 1, 1, 2, 3)):
            if self.chance(.85):
                self.add(name, "A", self.v4())
        for _ in range(self.pick(0, 1, 1, 2)):
            self.add(name, "AAAA", self.v6())

    def host(self):
        r = self.r.random()
        if r < .75:
            return f"h{self.r.randrange(8)}.example"
        if r < .85:
            return self.pick(*self.domains)
        if r < .9:
            return f"void{self.r.randrange(9)}.example"
        if r < .93:
            return f"fault{self.r.randrange(2)}.example"
        if r < .97:
            return f"alias{self.r.randrange(3)}.example"
        return self.pick("x" * 64 + ".example", "H1.EXAMPLE",
                         ".".join(["label" * 5] * 10) + ".example",
                         "a..example", "many.example")

    def macro(self, letters="slodiphv"):
        letter = self.pick(*letters)
        if self.chance(.15):
            letter = letter.upper()
        digits = self.pick("", "", "", "1", "2", "3", "9", "128", "01")
        reverse = self.pick("", "", "r", "r" if self.chance(.9) else "R")
        delimiters = "" if self.chance(.6) else "".join(
            self.pick(*".-+,/_=") for _ in range(self.pick(1, 1, 2, 3)))
        text = f"%{{{letter}{digits}{reverse}{delimiters}}}"
        if self.chance(.02):
            text = self.pick("%{d0}", "%{x}", "%{d", "%d", "%", "%{}", "%{c}",
                             "%{dd}", "%{d!}", "%{2d}", "%{dr2}", "%{t}")
        return text

    def spec(self):
        """A domain-spec."""
        r = self.r.random()
        if r < .6:
            return self.host()
        if r < .75:
            return f"{self.macro()}.{self.host()}"
        if r < .8:
            return f"{self.macro()}.{self.macro()}._spf.{self.macro()}"
        if r < .88:
            return self.pick("%{d}", "%{o}", "%{h}", "%{d2}", "%{d1r}.%{d}",
                             "%{p}", "%{l}.%{d}", "sub.%{d}", "%{d}.example")
        if r < .93:
            return f"{self.macro()}.list.example"
        if r < .975:
            return "%{s}." * self.pick(1, 8, 20) + self.host()
        return self.pick(
            "h1.example.", "%%.example", "a%_b.example", "h1", "%-.example",
            "h1.1", "h1.a-", "h1.-a", "h1.a-b", "h1.1a", ".example", "h1..",
            "h/1.example", "h:1.example", "h1.example/8", "[192.0.2.1]",
            "h1.example,", "h\x011.example", "h1.ex\xe4mple", "%{d}.", ".")

    def cidr(self, most):
        if self.chance(.01):
            return self.pick("33", "129", "032", "00", "", "-1", "x", "1/2")
        return str(self.pick(0, 1, most // 2, most - 1, most)
                   if self.chance(.3) else self.r.randrange(most + 1))

    def dual(self):
        r = self.r.random()
        if r < .7:
            return ""
        if r < .8:
            return f"/{self.cidr(32)}"
        if r < .9:
            return f"//{self.cidr(128)}"
        return f"/{self.cidr(32)}//{self.cidr(128)}"

    def mechanism(self):
        kind = self.pick("a", "a", "mx", "mx", "ptr", "ip4", "ip4", "ip6",
                         "ip6", "exists", "exists", "include", "include",
                         "include")
        sign = self.pick("", "", "", "-", "~", "?", "+")
        if self.chance(.05):
            kind = kind.upper()
        low = kind.lower()
        if low in ("a", "mx"):
            arg = self.pick("", ":" + self.spec(), ":" + self.spec()) + \
                self.dual()
        elif low == "ptr":
            arg = self.pick("", ":" + self.spec(), ":d0.example", ":d1.example")
        elif low == "ip4":
            arg = ":" + self.v4() + (
                f"/{self.cidr(32)}" if self.chance(.5) else "")
        elif low == "ip6":
            arg = ":" + self.v6() + (
                f"/{self.cidr(128)}" if self.chance(.5) else "")
        elif low == "include" and self.chance(.8):
            arg = ":" + self.pick(*self.domains, self.pick(
                "chain0.example", "chain6.example", "chain3.example"))
        else:
            arg = ":" + self.spec()
        return sign + kind + arg

    def broken(self, record):
        """One change near something valid."""
        at = self.r.randrange(6, len(record) + 1)
        r = self.r.random()
        if r < .4:
            return record[:at] + self.pick(
                " ", ":", "/", "=", "%", "{", "}", ".", "-", "1", "a", ",",
                "\t", "\x00", "\x7f", "\xfc", "  ") + record[at:]
        if r < .7:
            return record[:at] + record[at + 1:]
        return record + " " + self.pick(
            "moo", "ip:1.2.3.4", "a:", "mx:/24", "all.", "-", "=x", "exp=",
            "redirect=", "redirect=d1.example", "exp=e1.example",
            "redirect=%{h}", "ip4", "ip6:", "include", "exists", "all:x",
            "ptr/24", "include:d1.example/24", "a//", "+", "?-all", "v=spf1",
            "1=2", "a=b=c", "A=", "ip4:1.2.3", "ip4:1.2.3.04", "ip6::::",
            "ip6:1::2::3", "192.0.2.1", "ip4:1.2.3.4/8/8", "all/0")

    def modifiers(self):
        out = []
        if self.chance(.35):
            out.append("exp=" + self.pick(*[f"e{n}.example"
                                            for n in range(8)], self.spec()))
        if self.chance(.12):
            out.append(self.pick("moo=x", "moo=%{d}", "x-y.z_1=", "moo=a:b/c",
                                 "op=auth", "default=-", "moo=%{x}",
                                 "match.sub=%{i}"))
            if self.chance(.15):
                out.append(out[-1])
        if self.chance(.1):
            out = [x.replace("exp=", "EXP=") for x in out]
        return out

    def record(self):
        terms = [self.mechanism() for _ in range(
            self.pick(0, 1, 1, 2, 2, 3, 3, 4, 5,
                      12 if self.chance(.4) else 2))]
        if self.chance(.03):
            terms += [f"ip4:10.0.{n}.1" for n in range(200)]
        r = self.r.random()
        if r < .55:
            terms.append(self.pick("-all", "-all", "~all", "?all", "all",
                                   "-ALL"))
        elif r < .8:
            terms.append("redirect=" + self.pick(
                *self.domains, "chain5.example", self.spec()))
            if self.chance(.1):
                terms[-1] = terms[-1].capitalize()
        for x in self.modifiers():
            terms.insert(self.r.randrange(len(terms) + 1), x)
        if self.chance(.1):
            self.r.shuffle(terms)
        record = (self.pick(" ", " ", " ", "  ")).join(["v=spf1"] + terms)
        if self.chance(.05):
            record = record.replace("v=spf1", "V=SpF1")
        return self.broken(record) if self.chance(.05) else record

    def text(self):
        """An explanation."""
        words = [self.pick("see", "why", "not", "you,", "a.b", "%%", "%_",
                           "%-", "http://x/?") if self.chance(.5)
                 else self.macro("slodiphvcr")
                 for _ in range(self.r.randrange(9))]
        text = " ".join(words)
        if self.chance(.03):
            text += self.pick("\xe9", "%x", "\x01", "%{c", " %{d")
        if self.chance(.03):
            text += " long.dotted" * 40
        return text

    def strings(self, text):
        """A TXT record of one or more strings."""
        data = text.encode("latin-1")
        out = []
        while data:
            n = self.r.randrange(1, 256)
            out, data = out + [data[:n]], data[n:]
        return out or [b""]

    def chains(self):
        """chainN needs 10 - N terms to get to a pass."""
        for n in range(10):
            self.add(f"chain{n}.example", "TXT", self.strings(
                f"v=spf1 include:chain{n + 1}.example"))
        self.add("chain10.example", "TXT", self.strings("v=spf1 ?all"))
        for n in range(1, 14):
            self.add("many.example", "MX", (n // 3, f"many{n}.example"))
            self.addresses(f"many{n}.example")

    def exchanger(self, name):
        host = self.host()
        if askable(host):
            self.add(name, "MX", (self.r.randrange(30), host.lower()))

    def hosts(self):
        for n in range(8):
            self.addresses(f"h{n}.example")
            for _ in range(self.pick(0, 0, 1, 2, 11 if self.chance(.2)
                                     else 3)):
                self.exchanger(f"h{n}.example")
        self.add("void0.example", "TXT", [b"no data of other types"])
        for n, fault in enumerate(FAULTS):
            for kind in ("A", "AAAA", "MX", "TXT", "PTR"):
                if fault == "!servfail":
                    self.zone.setdefault(f"fault{n}.example", {})[
                        kind] = fault
        self.zone.setdefault("fault1.example", {})["A"] = "!servfail"
        self.add("alias0.example", "CNAME", "h1.example")
        self.add("alias1.example", "CNAME", "alias0.example")
        self.add("alias2.example", "CNAME", "nowhere.example")
        self.add("*.list.example", "A", "127.0.0.2")

    def pointers(self):
        for client in sorted({ipaddress.ip_address(c) for c in self.clients},
                             key=str):
            if client.version == 6 and client.ipv4_mapped:
                continue
            name = client.reverse_pointer
            if self.chance(.15):
                continue
            if self.chance(.1):
                self.zone[name] = {"PTR": "!servfail"}
                continue
            kind = "A" if client.version == 4 else "AAAA"
            for n in range(self.pick(1, 1, 2, 3, 12)):
                host = self.pick(self.host(), self.pick(*self.domains),
                                 f"p{n}.{self.pick(*self.domains)}")
                if not askable(host):
                    continue
                self.add(name, "PTR", host.lower())
                have = self.zone.get(host.lower(), {}).get(kind, [])
                if self.chance(.6) and isinstance(have, list) and \
                        "CNAME" not in self.zone.get(host.lower(), {}):
                    self.add(host, kind, str(client))

    def make(self):
        self.hosts()
        self.chains()
        self.pointers()
        for domain in self.domains:
            self.addresses(domain)
            for _ in range(self.pick(0, 1, 2)):
                self.exchanger(domain)
            r = self.r.random()
            if r < .03:
                self.zone.setdefault(domain, {})["TXT"] = "!servfail"
                continue
            if r < .033:
                self.zone.setdefault(domain, {})["TXT"] = "!timeout"
                continue
            if self.chance(.2):
                self.add(domain, "TXT", [self.pick(
                    b"some other text", b"v=spf10 -all", b"v=spf1\t-all",
                    b"v=spf2.0/pra -all", b"\xff\xfe", b" v=spf1 -all")])
            if r > .04:
                self.add(domain, "TXT", self.strings(self.record()))
            if r > .993:
                self.add(domain, "TXT", self.strings(self.record()))
        for n in range(8):
            for _ in range(self.pick(1, 1, 1, 1, 1, 1, 1, 2)):
                self.add(f"e{n}.example", "TXT", self.strings(self.text()))
        for name in self.zone:
            for kind, values in self.zone[name].items():
                if kind in ("A", "AAAA", "MX", "PTR") and \
                        isinstance(values, list):
                    values[:] = list(dict.fromkeys(values))

    # The zone as DNS, and as lines of a zone file.

    def find(self, name):
        if name in self.zone:
            return self.zone[name]
        while "." in name:
            name = name.partition(".")[2]
            if f"*.{name}" in self.zone:
                return self.zone[f"*.{name}"]
        return {}

    def lookup(self, name, qtype, _strict=True, _timeout=0):
        name = name.lower()
        if not askable(name):
            return []
        records = self.find(name)
        values = records.get(qtype)
        if values is None and "CNAME" in records:
            return [((name, "CNAME"), records["CNAME"][0])]
        if isinstance(values, str):
            raise spf.TempError("DNS " + values)
        return [((name, qtype), tuple(v) if isinstance(v, list) else v)
                for v in values or []]

    def lines(self):
        for name, records in self.zone.items():
            for kind, values in records.items():
                if isinstance(values, str):
                    yield f"{name} {kind} {values}"
                    continue
                for v in values:
                    if kind == "TXT":
                        v = " ".join(map(quoted, v))
                    elif kind == "MX":
                        v = f"{v[0]} {v[1]}"
                    yield f"{name} {kind} {v}"

    # Identities.

    def sender(self):
        r = self.r.random()
        local = self.pick("user", "strong-bad", "a.b.c", "A+B=c", "x/y,z",
                          "post_master", "joe", "L" * 64, "o'brien", "\xfcser",
                          "100%")
        domain = self.pick(*self.domains)
        if r < .1:
            return ""
        if r < .14:
            return "@" + domain
        if r < .18:
            domain = self.pick(domain.upper(), domain + ".",
                               "nowhere.example", "x" * 64 + ".example",
                               "a." + domain, "chain0.example",
                               "chain1.example")
        return f"{local}@{domain}"

    def helo(self):
        if self.chance(.6):
            return self.pick(*self.domains)
        return self.pick("h1.example", "[192.0.2.1]", "localhost", "",
                         "D1.Example", "a..example", "x" * 64 + ".example",
                         "under_score.example", "d0.example.")


def quoted(data):
    return '"' + "".join(
        chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\{c:03d}"
        for c in data) + '"'


def ask(fix, identity):
    return Letter(fix, *identity).answer()


def blame(identity, answer):
    """The one departure that explains the case, or `several'."""
    for name in DEPARTURES:
        if ask({name}, identity) == answer:
            return name
    every = set(DEPARTURES)
    names = [n for n in DEPARTURES if ask(every - {n}, identity) != answer]
    return " + ".join(names) or "several"


def main():
    count, rng = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    every, kinds = set(DEPARTURES), collections.Counter()
    results = collections.Counter()
    for n in range(count):
        if n % 20 == 0:
            world = World(rng)
            spf.DNSLookup = world.lookup
            print("scenario", n, sep="\t")
            for line in world.lines():
                print("zone", line, sep="\t")
        identity = (rng.choice(world.clients), world.sender(), world.helo())
        answer = ask(every, identity)
        results[answer[0]] += 1
        if ask(set(), identity) != answer:
            kinds[blame(identity, answer)] += 1
        print("case", n, identity[0], identity[2], identity[1], *answer,
              sep="\t")
    print("say", " ".join(f"{k} {v}" for k, v in results.most_common()),
          sep="\t")
    print("say", f"pyspf as it is agrees in {count - sum(kinds.values())} of "
          f"{count}", sep="\t")
    for name, n in kinds.most_common():
        print("say", f"{n} {name}: {DEPARTURES.get(name, '')}", sep="\t")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main()
