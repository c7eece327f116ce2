"""Rule files of SpamAssassin's syntax in a daemon that serves real MTAs."""

import base64
import glob
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time

import pytest

import postern as program
from milterclient import FIELDS, MilterClient
from net import wait_for
from smtpclient import message, token

dnsserver = pytest.importorskip("dnsserver")

try:
    import dkim
except ImportError:
    dkim = None

STOCK = "/usr/share/spamassassin/*.cf"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

OWN = """
body     OWN_PILLS      /cheap pills/i
describe OWN_PILLS      Pills for sale
score    OWN_PILLS      4.25
header   OWN_SHOUT      Subject =~ /^[A-Z !]{8,}$/
score    OWN_SHOUT      3
body     __OWN_HELLO    /hello/
header   __OWN_MARK     exists:X-Mark
meta     OWN_MARKED     __OWN_HELLO && __OWN_MARK
score    OWN_MARKED     0.5
rawbody  OWN_TEST       /TEST-OF-A-GATE/
score    OWN_TEST       1000
required_score          7.5
"""

POLICY = """
on message {
	header "X-Spam-Status" "{score.report}"
	header "X-Hits" "{hits}"
	header "X-Sub" "yes"		if rule __OWN_HELLO
	header "X-Pills" "yes"		if rule OWN_PILLS
	reject "550 5.7.1 spam ({score})"	if score >= 10
	quarantine "score {score}"	if score >= 7.5
	header "X-Two" "yes"		if hits = OWN_SHOUT
}
"""


def stock():
    if not glob.glob(STOCK):
        pytest.skip("no stock rules at " + STOCK)
    return STOCK


def write(path, text):
    """Whole at once, as an editor's rename does it."""
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.rename(path + ".new", path)


@pytest.fixture(name="own")
def fixture_own(lab):
    path = f"{lab}/own.cf"
    write(path, OWN)
    yield path
    os.unlink(path)


@pytest.fixture(name="scored")
def fixture_scored(postern, own):
    """A daemon with the rules of our own."""
    return postern(POLICY, settings=f'rules "{own}"')


def post(mta, mail):
    with mta.connect() as c:
        return c.post(mail)


# --- what is done about a score ----------------------------------------------

def test_status(mta, scored, sink):
    mark = token()
    assert post(mta, message(mark, body=b"hello\r\nCheap pills\r\n")).code \
        == 250
    got = sink.one(mark)
    # Broken where a line would be longer than 79, a tab being 8.
    assert got.field("X-Spam-Status") == [
        b" No, score=4.8 required=7.5 tests=OWN_MARKED,OWN_PILLS\r\n"
        b"\tautolearn=no"]
    assert got.field("X-Hits") == [b" OWN_PILLS, OWN_MARKED"]
    assert got.field("X-Sub") == [b" yes"]
    assert got.field("X-Pills") == [b" yes"]
    assert got.field("X-Two") == []


def test_nothing_hits(mta, scored, sink):
    mark = token()
    assert post(mta, message(mark, body=b"well\r\n")).code == 250
    got = sink.one(mark)
    assert got.field("X-Spam-Status") == [
        b" No, score=0.0 required=7.5 tests=none autolearn=no"]
    assert got.field("X-Sub") == got.field("X-Pills") == []


def test_quarantine(mta, scored, sink):
    mark = token()
    reply = post(mta, message(mark, body=b"hello, cheap pills\r\n",
                              subject="BUY THEM NOW!"))
    assert reply.code == 250
    mta.settle()
    assert len(mta.held(mark)) == 1
    assert not sink.all(mark)
    assert scored.metric("verdict_quarantine") == 1


def test_reject(mta, scored, sink):
    mark = token()
    reply = post(mta, message(mark, body=b"TEST-OF-A-GATE\r\n"))
    assert reply == "550 5.7.1 spam (1000)"
    assert scored.metric("verdict_reject") == 1
    # What comes next is judged by itself.
    assert post(mta, message(mark, body=b"well\r\n")).code == 250
    assert len(sink.wait(mark)) == 1


def test_why(postern, milter, own):
    daemon = postern(POLICY, settings=f'rules "{own}"')
    with MilterClient(milter) as m:
        m.negotiate()
        m.connect()
        m.helo()
        m.mail()
        m.rcpt()
        m.data()
        m.content(FIELDS + [("X-Mark", "x")], b"hello, cheap pills\r\n")
        assert m.end("4XqSCORE") in ("a", "c")
    done = daemon.cli("why", "--json", "4XqSCORE")
    one = json.loads(done.stdout.splitlines()[0])
    assert one["score"] == 4.75
    assert one["hits"] == [{"rule": "OWN_PILLS", "score": 4.25},
                           {"rule": "OWN_MARKED", "score": 0.5}]
    human = daemon.cli("why", "4XqSCORE").stdout
    assert "OWN_PILLS" in human and "4.25" in human


# --- as SpamAssassin writes it -----------------------------------------------

SPAMASSASSIN = r"""
use Mail::SpamAssassin;
use Mail::SpamAssassin::Plugin::Check;
$| = 1;
my $mail = shift;
local $/; open(my $in, '<', $mail) or die; my $text = <$in>;
foreach my $rules (@ARGV) {
    if (fork()) { wait(); next; }	# rules of another object stay behind
    my $sa = Mail::SpamAssassin->new({ rules_filename => $rules,
        site_rules_filename => '/dev/null', dont_copy_prefs => 1,
        userprefs_filename => '/dev/null', local_tests_only => 1,
        userstate_dir => '/nonexistent', home_dir_for_helpers => '/',
        post_config_text => "report_safe 0\nuse_bayes 0\nclear_headers\n" .
        "loadplugin Mail::SpamAssassin::Plugin::Check\n" .
        "add_header all Status _YESNO_, score=_SCORE_ required=_REQD_ " .
        "tests=_TESTS_ autolearn=no\n" });
    my $status = $sa->check($sa->parse($text));
    $status->rewrite_mail() =~ /^X-Spam-Status:(.*(?:\n[ \t].*)*)/m or die;
    my $field = $1; $field =~ s/\n/\\n/g; print "$field\n"; exit;
}
"""


def random_rules(rng):
    """Rules of which many hit; the sum is often near what is required."""
    lines, total = [], 0.0
    for i in range(rng.choice((0, 1, 3, 12, 60))):
        name = "R" + "".join(rng.choices("ABCXYZ_0", k=rng.choice(
            (3, 10, 20, 40)))) + str(i)
        score = round(rng.uniform(-2, 3), rng.choice((0, 1, 2, 3)))
        hit = rng.random() < 0.7
        lines.append(f"body {name} /{'hello' if hit else 'never there'}/")
        lines.append(f"score {name} {score}")
        total += score if hit else 0
    near = rng.choice((0, 0.04, -0.04, 0.05, 0.001, 3, -3))
    lines.append(f"required_score {total + near:.3f}")
    return "\n".join(lines) + "\n"


def test_status_is_spamassassins(postern, milter, lab, own, tmp_path):
    """Names, order, rounding and folds, over random sets of rules."""
    if not shutil.which("perl") or subprocess.run(
            ["perl", "-MMail::SpamAssassin", "-e", "1"],
            capture_output=True, check=False).returncode:
        pytest.skip("SpamAssassin is not installed")
    rng = random.Random(4)
    files = []
    for i in range(25):
        files.append(str(tmp_path / f"{i}.cf"))
        write(files[-1], random_rules(rng))
    mail = str(tmp_path / "mail")
    with open(mail, "wb") as out:
        out.write("".join(f"{n}: {v}\n" for n, v in FIELDS).encode()
                  + b"\nhello\n")
    done = subprocess.run(["perl", "-e", SPAMASSASSIN, mail, *files],
                          capture_output=True, text=True, check=False,
                          timeout=60 * program.slack())
    wanted = done.stdout.splitlines()
    assert len(wanted) == len(files), done.stderr
    daemon = postern('on message {\n\theader "X-Spam-Status" '
                     '"{score.report}"\n}\n', settings=f'rules "{own}"')
    for path, want in zip(files, wanted):
        shutil.copy(path, own)
        assert daemon.cli("reload").returncode == 0
        got = one_message(milter).replace("\n", "\\n")
        assert " " + got == want, open(path, encoding="utf-8").read()


def one_message(path, fields=None, body=b"hello\r\n", name="X-Spam-Status"):
    """What a field says that is added to a message."""
    with MilterClient(path) as m:
        m.negotiate()
        m.connect()
        m.helo()
        return next_message(m, fields, body, name)


def next_message(m, fields=None, body=b"hello\r\n", name="X-Spam-Status"):
    assert m.mail() == "c"
    assert m.rcpt() == "c"
    m.data()
    assert m.content(fields or FIELDS, body) == "c"
    assert m.end() in ("a", "c"), m.reply
    return m.added().get(name)
