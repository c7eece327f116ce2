#!/usr/bin/python3
"""The ARC validation suite (YAML) as lines that test_arc.c reads.

    scenario NAME
    zone     LINE of a zone file
    case     NAME RESULT MESSAGE

separated by tabs; the message in hexadecimal.  RESULT is empty where the
suite leaves open what a chain whose sealer gave it up comes to.
"""

import sys

import yaml


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        scenarios = list(yaml.safe_load_all(f))
    for scenario in scenarios:
        if not scenario:
            continue
        print("scenario", scenario["description"].strip(), sep="\t")
        for name, text in (scenario.get("txt-records") or {}).items():
            text = "".join(text.split("\n")).replace('"', '\\"')
            print("zone", f'{name} TXT "{text}"', sep="\t")
        for name, t in scenario["tests"].items():
            print("case", name, str(t.get("cv") or "").strip().lower(),
                  (t["message"] or "").encode().hex(), sep="\t")


main()
