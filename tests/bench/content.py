"""All of SpamAssassin's stock rules in force: speed beside spamd and rspamd,
the time to the first answer, and memory."""
import concurrent.futures
import contextlib
import glob
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from drive import (DATA, MESSAGES, ROUNDS, TOOLS, load, machine, start_postern,
                   stop)

TITLE = "# Score rules\n"
STOCK = "/usr/share/spamassassin/*.cf"
STARTS = 10

POLICY = """
hostname mx.example.net
listen unix:{dir}/postern.sock mode 0666
control off
state memory:
resolver {address}@{dns}
log syslog error
rules "%s"
on rcpt {{
    tag spf-failed if spf = fail
}}
on message {{
    tag dmarc-failed if dmarc = reject
    header "X-Spam-Status" "{{score.report}}"
    header "X-Postern" "dkim={{dkim}}"
}}
""" % STOCK

# What a filter must say of the signed mails, so that it is the real work.
WANTED = {"postern": ["dkim=pass", "spf=pass", "dmarc=pass", "DKIM_VALID"],
          "rspamd": ["dkim=pass", "spf=pass", "dmarc=pass"],
          "rspamd with the stock rules": ["dkim=pass", "spf=pass",
                                          "dmarc=pass", "__NOT_SPOOFED"],
          "spamd": ["X-Spam-Status", "tests="]}


# --- the others --------------------------------------------------------------

def peers_script(verb, out):
    return subprocess.Popen(["bash", os.path.join(TOOLS, "peers.sh"), verb],
                            env=dict(os.environ, TMPDIR=peers_home()),
                            stdout=out, stderr=out, start_new_session=True)


def peers_home():
    return os.environ.get("TMPDIR", "/tmp")


def peers_missing():
    """Why they are not measured; None if they can be."""
    home = peers_home()
    if os.geteuid() != 0:
        return "only root can start them"
    if not os.path.exists(os.path.join(TOOLS, "peers.sh")):
        return "no peers.sh among the tools"
    for path in ("signed.eml", "signed-big.eml", "peers/sel.txt",
                 "noop_milter"):
        if not os.path.exists(os.path.join(home, path)):
            return "peers.sh install has not been run (%s)" % path
    if not shutil.which("spamc"):
        return "no spamc"
    if subprocess.run(["ss", "-Hlnu", "sport = :53"], capture_output=True,
                      check=False).stdout.strip():
        return "port 53 is taken"
    return None


def peers_wait(home, timeout=90):
    """Until all of them listen; a busy machine takes its time."""
    wanted = [home + "/" + name for name in ("spamd.pid", "spamd.sock",
                                             "rspamd.pid", "rspamd.sock")]
    end = time.monotonic() + timeout
    while not all(os.path.exists(path) for path in wanted):
        if time.monotonic() > end:
            raise SystemExit("peers.sh did not start all of " +
                             " ".join(wanted))
        time.sleep(0.2)


@contextlib.contextmanager
def peers():
    home = os.path.join(peers_home(), "peers")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(home + "/spamd.pid")
    # A server that outlives peers.sh would hold a pipe open: a file instead.
    with tempfile.TemporaryFile() as out:
        up = peers_script("up", out)
        try:
            up.wait()
            peers_wait(home)
            yield home
        finally:
            peers_script("down", out).wait()
            time.sleep(1)
            # What it could not end, of those that it has started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(up.pid, signal.SIGTERM)


@contextlib.contextmanager
def rspamd_with_rules(home, work):
    """The socket and the worker of one more rspamd, set up as the first, that
    runs the same rule files besides, in its `spamassassin' module."""
    top = os.path.join(work, "rspamd")
    shutil.copytree(home + "/rs/conf", top + "/conf")
    for path in glob.glob(top + "/conf/local.d/*"):
        text = read(path).replace(home + "/rspamd.sock", top + "/milter.sock")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(home + "/rs/", top + "/"))
    for name, text in (
            ("spamassassin.conf", 'ruleset = "%s";\n' % STOCK),
            ("milter_headers.conf",
             'use = ["authentication-results", "x-spamd-result"];\n'),
            ("logging.inc", 'type = "file"; level = "info"; '
             'filename = "%s/rspamd.log";\n' % top)):
        with open(top + "/conf/local.d/" + name, "w", encoding="utf-8") as f:
            f.write(text)
    os.mkdir(top + "/run")
    os.chmod(work, 0o755)
    subprocess.run(["chown", "-R", "_rspamd", top], check=True)
    found = {"CONFDIR": top + "/conf", "LOCAL_CONFDIR": top + "/conf",
             "RUNDIR": top + "/run", "DBDIR": top + "/run", "LOGDIR": top}
    up = subprocess.Popen(
        ["/opt/rspamd/usr/bin/rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd",
         "-c", top + "/conf/rspamd.conf"] +
        ["--var=%s=%s" % pair for pair in found.items()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # Its regexes are compiled for Hyperscan in the background.
        wait_for_line(top + "/rspamd.log", "rspamd_worker_hyperscan_ready")
        worker = subprocess.run(["pgrep", "-P", str(up.pid), "-f", "proxy"],
                                capture_output=True, text=True, check=True)
        yield top + "/milter.sock", worker.stdout.split()
    finally:
        stop(up)


def wait_for_line(path, word, timeout=300):
    end = time.monotonic() + timeout
    while not os.path.exists(path) or word not in read(path):
        if time.monotonic() > end:
            raise SystemExit("%s does not say %s" % (path, word))
        time.sleep(1)


def family(pid):
    """It and its children."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True,
                           text=True, check=False).stdout.split()
    return [str(pid), *found]


def cpu_of(pids):
    total = 0
    for pid in pids:
        with open("/proc/%s/stat" % pid, encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def memory_of(pids, word="VmRSS"):
    total = 0
    for pid in pids:
        with open("/proc/%s/status" % pid, encoding="ascii") as f:
            total += int(re.search(word + r":\s+(\d+)", f.read())[1])
    return total


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().strip()


class Spamd:
    """Asked by spamc, four at a time; its own CPU time counts alone."""

    name = "spamd, local rules"

    def __init__(self, home):
        self.sock = home + "/spamd.sock"
        self.pid = read(home + "/spamd.pid")

    def ask(self, mail):
        with open(mail, "rb") as f:
            done = subprocess.run(["spamc", "-x", "-U", self.sock], stdin=f,
                                  capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace")

    def run(self, mail, count):
        count = max(4, count // 40)
        pids = family(self.pid)
        cpu, began = cpu_of(pids), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self.ask, [mail] * count))
        took = time.monotonic() - began
        return {"rate": count / took, "cpu": (cpu_of(pids) - cpu) * 1e6 / count,
                "rss": memory_of(pids)}


class Milter:
    """Driven as Postfix would, 8 connections of 10 messages."""

    def __init__(self, name, driver, sock, pids, share=1):
        self.name, self.driver, self.sock = name, driver, sock
        self.pids, self.share = pids, share

    def ask(self, mail):
        return subprocess.run(
            [self.driver, "-v", "-s", "unix:" + self.sock, "-c", "1", "-n",
             "1", "-i", "192.0.2.1", mail], capture_output=True, text=True,
            check=True).stdout

    def run(self, mail, count):
        return load(self.driver, self.sock, ",".join(self.pids), mail, 8,
                    max(80, count // self.share), 10)


def check(contestant, mails):
    for mail in mails.values():
        out = contestant.ask(mail)
        for word in WANTED[contestant.name.partition(",")[0]]:
            if word not in out:
                raise SystemExit("%s does not say %s:\n%s" % (
                    contestant.name, word, out))


def compare(contestants, mails):
    """Rows of (mail, name, rate, CPU us, MB)."""
    rows = []
    for contestant in contestants:
        check(contestant, mails)
    for size, mail in mails.items():
        count = MESSAGES // (4 if size == "57 KB" else 1)
        runs = {c.name: [] for c in contestants}
        for _ in range(ROUNDS):
            for c in contestants:
                runs[c.name].append(c.run(mail, count))
        for c in contestants:
            middle = {what: statistics.median(r[what] for r in runs[c.name])
                      for what in ("rate", "cpu")}
            rows.append((size, c.name, middle["rate"], middle["cpu"],
                         max(r["rss"] for r in runs[c.name]) / 1024))
    return rows


def comparison(binary, driver, mails, work, zone):
    """The rows, and why the others are not among them."""
    why = peers_missing()
    if why:
        from dnsserver import DnsServer
        with DnsServer(zone, ttl=3600) as dns:
            return contest(binary, driver, mails, work,
                           (dns.address, dns.port), []), why
    with peers() as home:
        rspamd = family(read(home + "/rspamd.pid"))
        mails = {"5 KB": os.path.join(peers_home(), "signed.eml"),
                 "57 KB": os.path.join(peers_home(), "signed-big.eml")}
        with rspamd_with_rules(home, work) as (sock, worker):
            others = [Spamd(home),
                      Milter("rspamd, SPF + DKIM + DMARC", driver,
                             home + "/rspamd.sock", rspamd, 4),
                      Milter("rspamd with the stock rules, SPF + DKIM + DMARC",
                             driver, sock, worker, 20)]
            return contest(binary, driver, mails, work, ("127.0.0.1", 53),
                           others), None


def contest(binary, driver, mails, work, dns, others):
    postern = start_postern(binary, POLICY, work, dns[1], dns[0])
    try:
        return compare([Milter(
            "postern, stock rules + SPF + DKIM + DMARC", driver,
            work + "/postern.sock", [str(postern.pid)]), *others], mails)
    finally:
        stop(postern)


# --- start and memory --------------------------------------------------------

def first_answer(binary, work):
    """Seconds from exec to the first answer, and the daemon's CPU time."""
    from milterclient import MilterClient
    sock = work + "/postern.sock"
    began = time.monotonic()
    postern = start_postern(binary, POLICY, work, 53, "127.0.0.1", wait=False)
    while True:
        try:
            with MilterClient(sock) as m:
                m.negotiate()
                m.connect()
            break
        except OSError:
            if postern.poll() is not None:
                raise SystemExit("postern has ended") from None
            time.sleep(0.002)
    took = time.monotonic() - began, cpu_of([postern.pid])
    stop(postern)
    return took


def corpus(count=200):
    """Messages of a corpus, spread over all of it."""
    found = sorted(glob.glob(os.path.join(DATA, "corpus", "sa-public", "*",
                                          "*")))
    return found[::max(1, len(found) // count)][:count]


def memory(binary, driver, work):
    """Megabytes at the end and at most, after real mail; None without."""
    mails = corpus()
    if not mails:
        return None
    from dnsserver import DnsServer
    with DnsServer("") as dns:
        postern = start_postern(binary, POLICY, work, dns.port, dns.address)
        load(driver, work + "/postern.sock", postern.pid, mails, 8,
             len(mails), 5)
        found = [memory_of([postern.pid], word) / 1024
                 for word in ("VmRSS", "VmHWM")]
        stop(postern)
    return found


# --- the report --------------------------------------------------------------

def ratios(rows):
    """How often postern's messages a second, and those per core, by mail."""
    lines = []
    for size in dict.fromkeys(row[0] for row in rows):
        found = [row[1:4] for row in rows if row[0] == size]
        _, own_rate, own_us = found[0]
        lines += ["- %s: %.1f times the messages a second of %s, %.1f times "
                  "per core" % (size, own_rate / rate, name, us / own_us)
                  for name, rate, us in found[1:]]
    return lines + [""] if lines else []


def engine(binary, mails):
    """Prefiltered against rule by rule, in a program of its own."""
    timer = os.path.join(os.path.dirname(binary), "bench", "rules")
    if not os.path.exists(timer):
        return []
    lines = ["The rules alone, in one thread:", ""]
    for size, mail in mails.items():
        out = subprocess.run([timer, mail], capture_output=True, text=True,
                             check=True).stdout.strip()
        lines.append("- %s: %s" % (size, out))
    return lines + [""]


def report(binary, driver, mails, work, zone):
    if not glob.glob(STOCK):
        print("bench: no rules at %s: score rules are not measured" % STOCK)
        return None
    rows, why = comparison(binary, driver, mails, work, zone)
    lines = [TITLE, "%s, %s" % (time.strftime("%Y-%m-%d"), machine()), "",
             "All of %s in force, with %s. A milter is driven over a unix "
             "socket, spamd by spamc, 4 at a time, without network tests. "
             "Median of %d rounds taken in turn; `per core' is a second "
             "of CPU time of the filter's processes." % (
                 STOCK, "SPF, DKIM and DMARC of signed mail", ROUNDS), "",
             "| mail | filter | messages/s | per core | CPU us/message | MB |",
             "| --- | --- | --- | --- | --- | --- |"]
    lines += ["| %s | %s | %.0f | %.0f | %.0f | %.1f |" % (
        size, name, rate, 1e6 / us, us, mb) for size, name, rate, us, mb
              in rows]
    lines += [""] + ratios(rows)
    if why:
        lines += ["spamd and rspamd were not measured: %s." % why, ""]
    starts = [first_answer(binary, work) for _ in range(STARTS)]
    lines += ["From exec to the first answer, %d times: median %.2f s, at "
              "most %.2f s; CPU time %.2f s." % (
                  STARTS, statistics.median(s for s, _ in starts),
                  max(s for s, _ in starts),
                  statistics.median(c for _, c in starts)), ""]
    used = memory(binary, driver, work)
    if used:
        lines += ["Memory after 200 messages of a corpus over 8 connections: "
                  "%.1f MB, at most %.1f MB." % tuple(used), ""]
    return "\n".join(lines + engine(binary, mails))
