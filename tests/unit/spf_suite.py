#!/usr/bin/python3
"""A suite of SPF tests (openspf's YAML) as lines that test_spf.c reads.

    scenario NAME
    zone     LINE of a zone file
    case     NAME HOST HELO MAILFROM RESULTS EXPLANATION

separated by tabs.  A record of type SPF is also served as TXT unless its
name has TXT of its own; "TXT: NONE" says that there is none.  TIMEOUT holds
for the types that are not listed.
"""

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


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
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


main()
