#!/usr/bin/python3
"""Suites of SPF tests as lines that test_spf_suite.c reads.

    scenario NAME
    zone     LINE of a zone file
    case     NAME HOST HELO MAILFROM RESULTS EXPLANATION
    both     the same, of the HELO identity and, where that passes, MAIL FROM

separated by tabs.

A file is openspf's YAML: a record of type SPF is also served as TXT unless
its name has TXT of its own; "TXT: NONE" says that there is none; TIMEOUT
holds for the types that are not listed.  A folder has Stalwart's: lines of
"WORD: TEXT" that are read from the top, each "expect:" a case of what
stands above it.  A later record replaces one of its name and type, and those
of a file stay until its end; "domain:" is the HELO name; "mx:" lists the
hosts' addresses; "_dns_error." in a name is a server failure.
"""

import glob
import ipaddress
import os
import sys

import yaml

TYPES = ("A", "AAAA", "MX", "PTR", "TXT")


def quoted(value):
    parts = value if isinstance(value, list) else [value]
    data = "".join(str(p) for p in parts).encode("latin-1")
    return '"' + "".join(
        chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\%03d" % c
        for c in data) + '"'


def fits(name):
    return len(name) <= 253 and all(0 < len(x) <= 63 for x in name.split("."))


def zone_lines(zone):
    for name, records in zone.items():
        name = str(name).rstrip(".")
        if not fits(name):
            continue
        name = name.replace(" ", "\\032")
        pairs = [next(iter(r.items())) for r in records if r != "TIMEOUT"]
        if not any(t == "TXT" for t, _ in pairs):
            pairs += [("TXT", v) for t, v in pairs if t == "SPF"]
        pairs = [(t, v) for t, v in pairs if t != "SPF"]
        if "TIMEOUT" in records:
            have = {t for t, v in pairs if v != "NONE"}
            for t in TYPES:
                if t not in have:
                    yield f"{name} {t} !timeout"
        for t, v in pairs:
            if v == "NONE":
                continue
            if t == "TXT":
                v = quoted(v)
            elif t == "MX":
                v = f"{v[0]} {v[1] or '.'}"
            yield f"{name} {t} {v}"


def openspf(path):
    with open(path, encoding="utf-8") as f:
        scenarios = list(yaml.safe_load_all(f))
    for scenario in scenarios:
        if not scenario or "tests" not in scenario:
            continue
        print("scenario", scenario["description"].strip(), sep="\t")
        for line in zone_lines(scenario.get("zonedata") or {}):
            print("zone", line, sep="\t")
        for name, t in scenario["tests"].items():
            results = t["result"]
            if isinstance(results, str):
                results = [results]
            print("case", name, t["host"], t.get("helo") or "",
                  t.get("mailfrom") or "", "|".join(results),
                  t.get("explanation") or "", sep="\t")


def stalwart_hosts(name, addresses):
    """The MX records of a name, and what its hosts' names stand for."""
    for n, address in enumerate(addresses, 1):
        host = f"{n}.mx-host.{name}"
        yield f"{name} MX {n} {host}"
        yield f"{host} {'AAAA' if ':' in address else 'A'} {address}"


def stalwart_record(kind, text):
    """The zone lines of one record line."""
    name, _, value = text.partition(" ")
    values = [v.strip() for v in value.split(",")]
    if kind == "ptr":
        name = ipaddress.ip_address(name).reverse_pointer
    if not fits(name):
        return name, []
    if kind in ("spf", "exp"):
        return name, [f"{name} TXT {quoted(value)}"]
    if kind == "mx":
        return name, list(stalwart_hosts(name, values))
    return name, [f"{name} {kind.upper()} {v}" for v in values]


def stalwart_file(path):
    zone, faults, state = {}, set(), {}
    with open(path, encoding="utf-8") as f:
        sections = f.read().split("---\n")
    for section in sections:
        state = {"name": "", "sender": "", "domain": ""}
        n = 0
        for line in section.splitlines():
            word, _, text = line.strip().removeprefix("-").partition(":")
            word, text = word.strip(), text.strip()
            if word in ("spf", "exp", "a", "aaaa", "mx", "ptr"):
                name, lines = stalwart_record(word, text)
                kind = "txt" if word in ("spf", "exp") else word
                zone[name, kind] = lines
                faults.update(w.split(":")[1] for w in text.split()
                              if "_dns_error." in w)
            elif word == "expect":
                n += 1
                if "_dns_error." in state["domain"]:
                    faults.add(state["domain"])
                print("scenario", state["name"], sep="\t")
                for line in sum(zone.values(), []) + \
                        [f"{x} TXT !servfail" for x in sorted(faults)]:
                    print("zone", line, sep="\t")
                result, _, why = text.partition(" ")
                print("both", f"{os.path.basename(path)}: {state['name']}: "
                      f"{n}", state["ip"], state["domain"], state["sender"],
                      result, why, sep="\t")
            else:
                state[word] = text


def main():
    if os.path.isdir(sys.argv[1]):
        for path in sorted(glob.glob(f"{sys.argv[1]}/*.yml")):
            stalwart_file(path)
    else:
        openspf(sys.argv[1])


main()
