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


# --- all stock rules ---------------------------------------------------------

ALL = """
on message {
	header "X-Spam-Status" "{score.report}"
	reject "550 5.7.1 test of a gate"	if rule GTUBE
	reject "550 5.7.1 spam ({score})"	if score >= 500
}
"""


@pytest.fixture(name="key", scope="module")
def fixture_key():
    if dkim is None:
        pytest.skip("no module dkim")
    return subprocess.run(["openssl", "genrsa", "2048"], check=True,
                          capture_output=True).stdout


def zone(key):
    der = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"],
                         input=key, check=True, capture_output=True).stdout
    text = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
    return ('good.example.org TXT "v=spf1 ip4:127.0.0.1 ip4:192.0.2.1 -all"\n'
            '_dmarc.good.example.org TXT "v=DMARC1; p=reject"\n'
            f'sel._domainkey.good.example.org TXT "{text[:200]}" '
            f'"{text[200:]}"\n'
            'bad.example.org TXT "v=spf1 -all"\n'
            '_dmarc.bad.example.org TXT "v=DMARC1; p=reject"\n')


def signed(mail, key):
    names = [b"from", b"to", b"subject", b"date", b"message-id"]
    return dkim.sign(mail, b"sel", b"good.example.org", key,
                     include_headers=names,
                     canonicalize=(b"relaxed", b"relaxed")) + mail


def names_in(value):
    """The names in tests= of a report, folds taken out."""
    text = re.sub(r"\s+", "", value.decode())
    return re.search(r"tests=(.*?)autolearn", text)[1].split(",")


def test_stock_rules_know_who_sends(mta, postern, sink, key):
    """SPF_PASS and its like come from our own checks of DNS."""
    with dnsserver.DnsServer(zone(key)) as server:
        daemon = postern(ALL, settings=f'rules "{stock()}"',
                         resolver=f"127.0.0.1@{server.port}")
        marks = [token(), token()]
        with mta.connect() as c:
            mail = message(marks[0], sender="a@good.example.org")
            assert c.post(signed(mail, key), "a@good.example.org").code == 250
            mail = message(marks[1], sender="a@bad.example.org")
            assert c.post(mail, "a@bad.example.org").code == 250
        names = names_in(sink.one(marks[0]).field("X-Spam-Status")[0])
        assert {"SPF_PASS", "DKIM_SIGNED", "DKIM_VALID", "DKIM_VALID_AU",
                "DKIM_VALID_EF", "DMARC_PASS"} <= set(names), names
        names = names_in(sink.one(marks[1]).field("X-Spam-Status")[0])
        assert {"SPF_FAIL", "DMARC_REJECT"} <= set(names), names
        assert not {"SPF_PASS", "DKIM_VALID", "DMARC_PASS"} & set(names)
        assert daemon.log("event=start", "score_rules=")


def test_stock_rules_reject(mta, postern, sink):
    postern(ALL, settings=f'rules "{stock()}"')
    mark = token()
    with mta.connect() as c:
        assert c.post(message(mark, body=GTUBE + b"\r\n")) == \
            "550 5.7.1 test of a gate"
        assert c.post(message(mark)).code == 250
    assert len(sink.wait(mark)) == 1


def test_scan_says_the_same(postern, milter, tmp_path):
    """The daemon, scan and what scan tells scripts are of one mind."""
    daemon = postern(ALL, settings=f'rules "{stock()}"')
    bodies = [b"hello\r\n", b"Dear winner, click http://192.0.2.7/a "
              b"to claim $5,000,000\r\nViagra, cialis\r\n",
              b"<html><body bgcolor=red><font size=7>BUY</font></html>\r\n"]
    for i, body in enumerate(bodies):
        fields = FIELDS[:2] + [("Subject", "FREE MONEY!!! " * i), FIELDS[3]]
        heard = one_message(milter, fields, body)
        path = tmp_path / f"{i}.eml"
        path.write_bytes("".join(f"{n}: {v}\r\n" for n, v in fields).encode()
                         + b"\r\n" + body)
        done = daemon.cli("scan", "--client", "192.0.2.1", "--client-name",
                          "client.example.org", "--helo",
                          "client.example.org", "--from",
                          "sender@example.org", "--rcpt", "user@example.net",
                          "--json", str(path))
        one = json.loads(done.stdout)
        said = {h["name"]: h["value"] for h in one["headers"]}
        assert said["X-Spam-Status"] == heard
        names = [h["rule"] for h in one["hits"]]
        assert sorted(names) == names_in(heard.encode())
        total = sum(h["score"] for h in one["hits"])
        assert abs(one["score"] - total) < 0.0005


# --- other rules while mail goes on ------------------------------------------

def many(letter, count=60):
    """Rules that all hit; a message has all of these or it has a fault."""
    return "".join(f"body {letter}{i} /hello/\nscore {letter}{i} 0.5\n"
                   f"header __{letter}{i} Subject =~ /message/\n"
                   f"meta {letter}M{i} __{letter}{i} && {letter}{i}\n"
                   for i in range(count))


class Load:
    """Connections that send messages until they are stopped."""

    def __init__(self, path, count, each):
        self.path, self.each = path, each
        self.stop = threading.Event()
        self.seen, self.errors = [], []
        self.threads = [threading.Thread(target=self._run)
                        for _ in range(count)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join(30)

    def _run(self):
        try:
            while not self.stop.is_set():
                with MilterClient(self.path) as m:
                    m.negotiate()
                    m.connect()
                    m.helo()
                    for _ in range(10):
                        self.seen.append(self.each(m))
        except Exception as error:	# shown by the test
            self.errors.append(repr(error))


def test_reload_of_rules_under_load(postern, milter, own):
    """Each message is judged by one set of rules as a whole."""
    write(own, many("A"))
    daemon = postern('on message {\n\theader "X-Hits" "{hits}"\n'
                     '\theader "X-Score" "{score}"\n}\n',
                     settings=f'rules "{own}"')
    whole = {letter: {f"{letter}{kind}{i}" for i in range(60)
                      for kind in ("", "M")} for letter in "AB"}

    def each(m):
        hits = next_message(m, name="X-Hits").split(", ")
        assert set(hits) == whole[hits[0][0]], hits
        assert m.added()["X-Score"] == "90"
        return hits[0][0]

    with Load(milter, 4, each) as load:
        for i in range(20):
            write(own, many("AB"[(i + 1) % 2]))
            if i % 2:
                assert daemon.cli("reload").returncode == 0
            else:
                daemon.hup()
            daemon.wait_log("event=reload", "score_rules=180", count=i + 1)
            sent = len(load.seen)
            wait_for(lambda: len(load.seen) >= sent + 15 or load.errors, 30,
                     "messages between two reloads")
        assert not load.errors
    assert not load.errors
    assert len(load.seen) >= 200
    assert set(load.seen) == {"A", "B"}
    assert daemon.metric("internal_errors") == 0


def test_broken_rules_keep_the_old(postern, milter, own):
    """No file, or none of a rule that the policy names."""
    daemon = postern(POLICY, settings=f'rules "{own}"')
    body = b"hello, cheap pills\r\n"
    before = one_message(milter, body=body)
    assert "tests=OWN_PILLS" in before
    os.rename(own, own + ".gone")
    done = daemon.cli("reload")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "own.cf: no such file" in said
    assert "the running policy stays in force" in said
    daemon.hup()
    daemon.wait_log("event=reload-failed", "no such file", count=2)
    assert one_message(milter, body=body) == before
    write(own, OWN.replace("/cheap pills/i", "/cheap (pills/i"))
    done = daemon.cli("reload")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "own.cf:2: left out: body OWN_PILLS" in said
    assert one_message(milter, body=body) == before
    assert daemon.metric("reloads_failed") == 3
    # One that nobody names is left out alone, and said.
    write(own, OWN + "body OTHER /(/\n")
    done = daemon.cli("reload")
    assert done.returncode == 0
    assert "left out: body OTHER" in done.stdout + done.stderr
    daemon.wait_log("event=reload", "left_out=1")
    assert one_message(milter, body=body) == before


def resident(pid):
    """Megabytes of memory that are its own now."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) / 1024


def test_rules_are_freed(postern, milter):
    """Memory stays as it was over twenty loads of all stock rules."""
    daemon = postern(ALL, settings=f'rules "{stock()}"')
    memory = []
    for _ in range(6 if program.sanitized() else 24):
        assert daemon.cli("reload").returncode == 0
        one_message(milter)
        memory.append(resident(daemon.pid))
    print("MB after each reload:", [round(m, 1) for m in memory])
    # A sanitizer keeps what was freed for a while.
    if not program.sanitized():
        assert memory[-1] - memory[3] < 8, memory


# --- rules that would not end ------------------------------------------------

HOSTILE = {
    "body": ("body HOSTILE /(a+)+$/", b"a" * 900 + b"!\r\n"),
    "lines": ("body HOSTILE /(a+)+$/", (b"a" * 70 + b"!\r\n\r\n") * 800),
    "rawbody": ("rawbody HOSTILE /(a+)+$/", (b"a" * 70 + b"!\r\n") * 800),
    "full": ("full HOSTILE /(a+)+$/", (b"a" * 70 + b"!\r\n") * 800),
    "header": ("header HOSTILE X-Long =~ /(a+)+$/", b"hello\r\n"),
    "multiple": ("body HOSTILE /(a+)+$/\ntflags HOSTILE multiple",
                 (b"a" * 24 + b"!\r\n\r\n") * 2000),
}


def computed(pid):
    """Seconds a process has computed, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)


def cost(daemon, milter, body):
    """Of one hostile message: seconds computed, seconds waited."""
    fields = FIELDS + [("X-Long", "a" * 900 + "!")]
    with MilterClient(milter) as m:
        m.negotiate()
        m.connect()
        m.helo()
        cpu, began = computed(daemon.pid), time.monotonic()
        next_message(m, fields, body)
        return computed(daemon.pid) - cpu, time.monotonic() - began


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_rule_without_end(postern, milter, own, kind):
    line, body = HOSTILE[kind]
    plain = "body WELL /hello/\n"
    write(own, plain)
    daemon = postern('on message {\n\theader "X-Spam-Status" '
                     '"{score.report}"\n}\n', settings=f'rules "{own}"')
    without = min(cost(daemon, milter, body)[0] for _ in range(3))
    assert daemon.metric("rules_limited") == 0
    write(own, plain + line + "\n")
    assert daemon.cli("reload").returncode == 0
    costs = [cost(daemon, milter, body)[0] - without for _ in range(3)]
    print(f"{kind}: {[round(c * 1000, 1) for c in costs]} ms more than "
          f"{without * 1000:.1f}")
    assert max(costs) < 0.1 * program.slack(), costs
    told = daemon.wait_log("event=score", "rule=HOSTILE")
    assert len(told) == 1 and "problem=" in told[0], told
    assert daemon.metric("rules_limited") == 3


def test_others_go_on_beside_it(postern, milter, own):
    """Two connections of hostile mail; small mail passes at once, and after
    too many strikes the rule rests, as the log says."""
    body = HOSTILE["lines"][1]
    count = 20
    write(own, "body WELL /well, well/\n" +
          "".join(f"body HOSTILE{i}_ /(?:b{{{i}}})?(a+)+$/\n"
                  for i in range(1, count + 1)))
    daemon = postern('on message {\n\theader "X-Spam-Status" '
                     '"{score.report}"\n}\n', settings=f'rules "{own}"')
    took = []

    def hostile(m):
        return next_message(m, body=body)

    with Load(milter, 2, hostile) as load:
        with MilterClient(milter) as m:
            m.negotiate()
            m.connect()
            m.helo()
            while len(load.seen) < 40 and not load.errors:
                began = time.monotonic()
                assert "tests=WELL" in next_message(m, body=b"well, well\r\n")
                took.append(time.monotonic() - began)
                time.sleep(0.005)
    assert not load.errors
    took.sort()
    print(f"small mail: {len(took)}, median {took[len(took) // 2] * 1000:.1f}"
          f" ms, worst {took[-1] * 1000:.1f} ms")
    assert took[len(took) // 2] < 0.1 * program.slack()
    assert took[-1] < 1 * program.slack()
    for i in range(1, count + 1):
        daemon.wait_log("event=score", f"rule=HOSTILE{i}_", "pause_s=900")
        assert len(daemon.log("event=score", f"rule=HOSTILE{i}_")) == 2
    limited = daemon.metric("rules_limited")
    assert 20 * count <= limited <= 22 * count
    for _ in range(3):
        assert "tests=none" in one_message(milter, body=body)
    assert daemon.metric("rules_limited") == limited
    # A new set of rules begins anew.
    assert daemon.cli("reload").returncode == 0
    one_message(milter, body=body)
    assert daemon.metric("rules_limited") == limited + count
