"""The mail that weights are made from, and the mail they are measured on."""

import glob
import hashlib
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
RULES = os.path.join(ROOT, "rules")
FOLDER = "corpus/sa-public"


def for_weights(path):
    """One half of the messages, by a hash of the name; the other half is for
    tests/rules/measure, and no rule or weight was made from it."""
    name = os.path.basename(path).encode()
    return int(hashlib.sha1(name).hexdigest()[0], 16) % 2 == 0


def is_spam(path):
    return os.path.basename(os.path.dirname(path)).startswith("spam")


def messages(weights):
    """The messages of a half, None where there is no corpus."""
    data = os.environ.get("DATA", os.path.join(ROOT, "../shared/data"))
    found = sorted(glob.glob(os.path.join(data, FOLDER, "*", "*")))
    return [path for path in found if for_weights(path) == weights] or None


class Rule:
    def __init__(self):
        self.score = self.opinion = None
        self.flags = set()
        self.words = {}         # how often a line of a kind is there
        self.file = None

    def by_hand(self):
        return self.score if self.opinion is None else self.opinion


def rules():
    """What the files say of each rule, by name."""
    table = {}
    for path in sorted(glob.glob(os.path.join(RULES, "*.cf"))):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                match = re.match(r"(\w+)\s+(\w+)\s+(.*)", line)
                if not match:
                    continue
                word, name, rest = match.groups()
                rule = table.setdefault(name, Rule())
                rule.file = path
                if word == "score":
                    score, _, opinion = rest.partition("#")
                    rule.score = float(score)
                    rule.opinion = float(opinion) if opinion else None
                elif word == "tflags":
                    rule.flags |= set(rest.split())
                if word == "test":
                    word += " " + rest.split()[0]
                rule.words[word] = rule.words.get(word, 0) + 1
    return table
