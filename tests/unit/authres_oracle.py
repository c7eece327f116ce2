#!/usr/bin/python3
"""authres_oracle.py FILE: reads Authentication-Results with python3-authres.

Each line of FILE is what was written and what it was written from, as JSON:
{"field": TEXT, "results": [[METHOD, RESULT, REASON, [[NAME, VALUE]...]]...]}.
A line for each that is read otherwise.  Exit status 77: no python3-authres.

What it does by design: it keeps the backslashes of quoted strings, and
loses a property in quotes that is not the last of its result.
"""

import json
import re
import sys

try:
    import authres
    import authres.dmarc
except ImportError:
    sys.exit(77)

CONTEXT = authres.FeatureContext(authres.dmarc)


def unquoted(value):
    return re.sub(r"\\(.)", r"\1", str(value))


def read(field):
    """The results as they are told in FILE."""
    header = CONTEXT.parse("Authentication-Results: " + field)
    out = []
    for r in header.results:
        props = [[f"{p.type}.{p.name}", unquoted(p.value)]
                 for p in r.properties]
        out.append([r.method, r.result, unquoted(r.reason or ""), props])
    return header.authserv_id, out


def was_quoted(field, name, value):
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{quoted}"' in field


def readable(field, results):
    """Without the properties that it loses."""
    return [[method, result, reason,
             [p for i, p in enumerate(props)
              if i + 1 == len(props) or not was_quoted(field, *p)]]
            for method, result, reason, props in results]


def main():
    lines = wrong = 0
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            case = json.loads(line)
            want = ("mx.example.net", readable(case["field"],
                                               case["results"]))
            lines += 1
            try:
                got = read(case["field"])
            except authres.AuthResError as e:
                got = repr(e)
            if got != want:
                wrong += 1
                print(f"{case['field']}\n  read: {got}\n  want: {want}")
    print(f"{lines} fields, {wrong} read otherwise")
    return 1 if wrong or lines == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
