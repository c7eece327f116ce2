"""A private Sendmail beside whatever the system has, from Debian's packages.

The packages conflict with other MTAs, so that they are only unpacked, into a
directory that later runs use again.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess

from net import answers, free_port, wait_for
from smtpclient import Client

PACKAGES = ["sendmail-bin", "sendmail-base", "sendmail-cf", "libwrap0",
            "liblockfile1"]
# What the binary needs besides, and which package has it.
LIBRARIES = {"libdb-5.3.so": "libdb5.3", "libldap-2.5.so.0": "libldap-2.5-0",
             "liblber-2.5.so.0": "libldap-2.5-0", "libnsl.so.2": "libnsl2",
             "libsasl2.so.2": "libsasl2-2", "libtirpc.so.3": "libtirpc3",
             "libwrap.so.0": "libwrap0", "liblockfile.so.1": "liblockfile1"}

# Sendmail waits a minute for a host without a domain to get one, before it
# reads any configuration.
SHIM = """\
#include <string.h>
int
gethostname(char *name, size_t size)
{{
	strncpy(name, "sm.example", size);
	return 0;
}}
"""

MC = """\
divert(-1)
divert(0)dnl
OSTYPE(`linux')dnl
undefine(`UUCP_RELAY')dnl
undefine(`BITNET_RELAY')dnl
define(`confDOMAIN_NAME', `sm.example')dnl
define(`QUEUE_DIR', `{dir}/queue')dnl
define(`confPID_FILE', `{dir}/pid')dnl
define(`STATUS_FILE', `')dnl
define(`HELP_FILE', `/dev/null')dnl
define(`ALIAS_FILE', `')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confCONTROL_SOCKET_NAME', `')dnl
define(`confSERVICE_SWITCH_FILE', `{dir}/switch')dnl
define(`confDONT_PROBE_INTERFACES', `true')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_ICONNECT', `10s')dnl
define(`confPRIVACY_FLAGS', `noetrn')dnl
define(`confDELIVERY_MODE', `i')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDELAY_LA', `0')dnl
define(`confMAX_MESSAGE_SIZE', `0')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {sink}')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
define(`MAIL_HUB', `relay:[127.0.0.1]')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={port}')dnl
INPUT_MAIL_FILTER(`postern', `S=unix:{milter}, F=T, T=C:10s;S:60s;R:60s;E:5m')dnl
MAILER(`smtp')dnl
LOCAL_CONFIG
Kdequote dequote
LOCAL_RULE_0
R$* < @ closed.example . > $*	$#error $@ 5.1.1 $: "550 User unknown"
R$* < @ closed.example > $*	$#error $@ 5.1.1 $: "550 User unknown"
"""

# What sendmail(1) hands mail to the daemon with.
SUBMIT = """\
divert(-1)
divert(0)dnl
define(`confCF_VERSION', `Submit')dnl
define(`__OSTYPE__', `')dnl
define(`confDOMAIN_NAME', `sm.example')dnl
define(`confTIME_ZONE', `USE_TZ')dnl
define(`confDONT_INIT_GROUPS', `True')dnl
define(`confRUN_AS_USER', `nobody')dnl
define(`MSP_QUEUE_DIR', `{dir}/submit')dnl
define(`STATUS_FILE', `')dnl
define(`confSERVICE_SWITCH_FILE', `{dir}/switch')dnl
define(`confTO_IDENT', `0')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl
FEATURE(`msp', `[127.0.0.1]')dnl
"""


class Sendmail:
    """One daemon for all tests; the filter behind it comes and goes."""

    name = "sendmail"
    hostname = "sm.example"
    sasl = False

    def __init__(self, lab, milter, sink, cache):
        self.dir = f"{lab}/sendmail"
        self.milter = milter
        self.sink = sink
        self.cache = cache
        self.port = free_port()
        self.child = None

    @staticmethod
    def missing(cache):
        """Fetches the packages if need be; why it can't be used, or None."""
        if not shutil.which("m4"):
            return "m4, which makes sendmail.cf, is not installed"
        if os.path.exists(f"{cache}/ready"):
            return None
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            return "Sendmail's packages need apt-get and dpkg"
        os.makedirs(f"{cache}/deb", exist_ok=True)
        why = fetch(cache, PACKAGES)
        if why:
            return why
        why = fetch(cache, sorted({LIBRARIES[lib] for lib in unmet(cache)
                                   if lib in LIBRARIES}))
        if why:
            return why
        if unmet(cache):
            return "Sendmail lacks " + ", ".join(unmet(cache))
        open(f"{cache}/ready", "w", encoding="ascii").close()
        return None

    def start(self):
        os.mkdir(self.dir, 0o755)
        os.mkdir(f"{self.dir}/queue", 0o700)
        self._write("switch", "hosts files\naliases files\n")
        os.mkdir(f"{self.dir}/submit", 0o700)
        nobody = pwd.getpwnam("nobody")
        os.chown(f"{self.dir}/submit", nobody.pw_uid, nobody.pw_gid)
        self._configure("sendmail", MC)
        self._configure("submit", SUBMIT)
        # Not setgid, or the loader would ignore LD_LIBRARY_PATH.
        shutil.copyfile(binary(self.cache), f"{self.dir}/sendmail")
        os.chmod(f"{self.dir}/sendmail", 0o755)
        self.env = self._environment()
        with open(f"{self.dir}/output", "wb") as out:
            # -bD stays in front, so that it ends with us.
            self.child = subprocess.Popen(
                [f"{self.dir}/sendmail", "-C", f"{self.dir}/sendmail.cf",
                 "-X", f"{self.dir}/traffic", "-bD"],
                env=self.env, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True)
        wait_for(lambda: answers(self.port) or self.child.poll() is not None,
                 90, "Sendmail to listen")
        assert self.child.poll() is None, self.log()

    def _configure(self, name, text):
        self._write(f"{name}.mc", text.format(
            dir=self.dir, sink=self.sink.port, port=self.port,
            milter=self.milter))
        cf = f"{self.cache}/root/usr/share/sendmail/cf"
        with open(f"{self.dir}/{name}.cf", "wb") as out:
            subprocess.run(["m4", f"-D_CF_DIR_={cf}/", f"{cf}/m4/cf.m4",
                            f"{self.dir}/{name}.mc"], stdout=out,
                           stderr=subprocess.DEVNULL, check=True)
        os.chmod(f"{self.dir}/{name}.cf", 0o644)

    def _environment(self):
        env = environment(self.cache)
        env["RES_OPTIONS"] = "timeout:1 attempts:1"
        if shutil.which("cc"):
            self._write("shim.c", SHIM.format())
            subprocess.run(["cc", "-shared", "-fPIC", "-o",
                            f"{self.dir}/shim.so", f"{self.dir}/shim.c"],
                           check=True)
            env["LD_PRELOAD"] = f"{self.dir}/shim.so"
        return env

    def stop(self):
        if self.child:
            try:
                os.killpg(self.child.pid, signal.SIGTERM)
                self.child.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _write(self, name, text):
        with open(f"{self.dir}/{name}", "w", encoding="ascii") as out:
            out.write(text)

    def log(self):
        text = ""
        for name in ("output", "traffic"):
            try:
                with open(f"{self.dir}/{name}", encoding="utf-8",
                          errors="replace") as log:
                    text += log.read()[-20000:]
            except OSError:
                pass
        return text

    def connect(self, client=None, name=None, ehlo="client.example.org"):
        """A session that has said EHLO; client must be in 127.0.0.0/8."""
        c = Client(self.port, client or "127.0.0.1")
        if ehlo and c.greeting.code == 220:
            reply = c.ehlo(ehlo)
            assert reply.code == 250, reply
        return c

    def sendmail(self, message, *args):
        """sendmail(1): mail that comes without SMTP, on to the daemon."""
        return subprocess.run(
            [f"{self.dir}/sendmail", "-C", f"{self.dir}/submit.cf", *args],
            input=message, capture_output=True, timeout=60, env=self.env)

    def _queue(self, pattern):
        return glob.glob(f"{self.dir}/queue/{pattern}")

    def settle(self):
        """Waits until nothing more is on its way to the sink."""
        wait_for(lambda: not self._queue("qf*"), 20,
                 "Sendmail's queue to drain")

    def held(self, mark):
        """Quarantined messages with this mark: queue file and data."""
        found = []
        for path in self._queue("hf*"):
            with open(path, "rb") as control:
                held = control.read()
            data = path.replace("/hf", "/df")
            if os.path.exists(data):
                with open(data, "rb") as body:
                    held += body.read()
            if mark.encode() in held:
                found.append(held)
        return found

    def deferred(self):
        return self._queue("qf*")

    def empty(self):
        for path in self._queue("*"):
            os.unlink(path)


def binary(cache):
    return f"{cache}/root/usr/libexec/sendmail/sendmail"


def environment(cache):
    path = glob.glob(f"{cache}/root/usr/lib/*-linux-gnu*") \
        + glob.glob(f"{cache}/root/lib/*-linux-gnu*")
    return dict(os.environ, LD_LIBRARY_PATH=":".join(path))


def fetch(cache, packages):
    """Downloads and unpacks; the reason of a failure, or None."""
    if not packages:
        return None
    done = subprocess.run(["apt-get", "download", *packages],
                          cwd=f"{cache}/deb", capture_output=True, text=True,
                          timeout=300)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["apt-get download failed"]
        return "Sendmail's packages can't be downloaded: " + lines[-1]
    for deb in glob.glob(f"{cache}/deb/*.deb"):
        subprocess.run(["dpkg", "-x", deb, f"{cache}/root"], check=True)
    return None


def unmet(cache):
    """Shared libraries that Sendmail would not find."""
    out = subprocess.run(["ldd", binary(cache)], capture_output=True,
                         text=True, env=environment(cache)).stdout
    return [line.split()[0] for line in out.splitlines()
            if "not found" in line]
