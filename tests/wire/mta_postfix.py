"""A private Postfix: own configuration, queue, log and ports on loopback."""

import os
import pwd
import shutil
import subprocess

from net import answers, free_port, wait_for
from smtpclient import Client

MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
myhostname = pf.example
myorigin = $myhostname
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = all
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,
    reject_unauth_destination
relay_domains = example.net, closed.example
relay_recipient_maps = inline:{{ @example.net=ok, open@closed.example=ok }}
relayhost = [127.0.0.1]:{sink}
relay_transport = smtp:[127.0.0.1]:{sink}
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.1
message_size_limit = 60000000
queue_minfree = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1001
smtpd_milters = unix:{milter}
non_smtpd_milters = unix:{milter}
milter_protocol = 6
milter_default_action = tempfail
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {dir}/etc/sasl
smtpd_sasl_security_options = noanonymous
smtpd_tls_auth_only = no
smtpd_tls_security_level = {tls}
smtpd_tls_chain_files = {dir}/etc/tls.pem
"""

MASTER = """\
127.0.0.1:{port} inet n - n - 200 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {dir}/etc/sasl/users
mech_list: PLAIN LOGIN
"""

USERS = {"alice": "wonder", "bob": "builder", "carol": "singer"}


class Postfix:
    """One instance for all tests; the filter behind it comes and goes."""

    name = "postfix"
    hostname = "pf.example"

    def __init__(self, lab, milter, sink):
        self.dir = f"{lab}/postfix"
        self.etc = f"{self.dir}/etc"
        self.milter = milter
        self.sink = sink
        self.port = free_port()

    @staticmethod
    def missing():
        """Why it can't be used here; None if it can."""
        if not shutil.which("postfix", path="/usr/sbin:/usr/bin"):
            return "Postfix is not installed"
        if not os.path.exists("/usr/lib/postfix/sbin/smtpd"):
            return "Postfix's daemons are not in /usr/lib/postfix/sbin"
        try:
            pwd.getpwnam("postfix")
        except KeyError:
            return "there is no user postfix"
        return None

    def start(self):
        postfix = pwd.getpwnam("postfix")
        for sub in ("", "/etc", "/queue", "/data", "/etc/sasl"):
            os.mkdir(self.dir + sub, 0o755)
        os.chown(f"{self.dir}/data", postfix.pw_uid, 0)
        names = {"dir": self.dir, "sink": self.sink.port,
                 "milter": self.milter, "port": self.port,
                 "tls": "may" if self._certificate() else "none"}
        self._write("etc/main.cf", MAIN.format(**names))
        self._write("etc/master.cf", MASTER.format(**names))
        self._write("etc/sasl/smtpd.conf", SASL.format(**names))
        self._add_users(postfix)
        self._run("check")
        self._run("start")
        wait_for(lambda: answers(self.port), 10, "Postfix to listen")

    def _certificate(self):
        """A key and a certificate of its own in one file."""
        self.tls = shutil.which("openssl") is not None
        if self.tls:
            key, cert = f"{self.etc}/key.pem", f"{self.etc}/cert.pem"
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                 "-subj", f"/CN={self.hostname}", "-days", "2", "-keyout",
                 key, "-out", cert], check=True, capture_output=True)
            with open(f"{self.etc}/tls.pem", "wb") as out:
                for path in (key, cert):
                    with open(path, "rb") as part:
                        out.write(part.read())
            os.chmod(f"{self.etc}/tls.pem", 0o600)
        return self.tls

    def stop(self):
        subprocess.run(["postfix", "-c", self.etc, "stop"],
                       capture_output=True, timeout=60)

    def _write(self, name, text):
        with open(f"{self.dir}/{name}", "w", encoding="ascii") as out:
            out.write(text)

    def _run(self, verb):
        done = subprocess.run(["postfix", "-c", self.etc, verb],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr + self.log()

    def _add_users(self, postfix):
        tool = shutil.which("saslpasswd2", path="/usr/sbin:/usr/bin")
        self.sasl = tool is not None
        if not self.sasl:
            return
        for user, password in USERS.items():
            subprocess.run([tool, "-c", "-p", "-f", f"{self.etc}/sasl/users",
                            "-u", self.hostname, user],
                           input=password.encode(), check=True)
        os.chown(f"{self.etc}/sasl/users", 0, postfix.pw_gid)
        os.chmod(f"{self.etc}/sasl/users", 0o640)

    def log(self):
        try:
            with open(f"{self.dir}/log", encoding="utf-8",
                      errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def connect(self, client=None, name=None, ehlo="client.example.org"):
        """A session that has said EHLO; client is an address to pose as."""
        c = Client(self.port)
        if client:
            c.ehlo("lab.example")
            host = name or "[UNAVAILABLE]"
            greeting = c.cmd(f"XCLIENT ADDR={client} NAME={host}")
            assert greeting.code != 501, greeting
            c.greeting = greeting
        if ehlo and c.greeting.code == 220:
            reply = c.ehlo(ehlo)
            assert reply.code == 250, reply
        return c

    def sendmail(self, message, *args):
        """sendmail(1): mail that comes without SMTP."""
        return subprocess.run(["/usr/sbin/sendmail", "-C", self.etc, *args],
                              input=message, capture_output=True, timeout=30)

    def _files(self, *queues):
        found = []
        for queue in queues:
            for base, _, names in os.walk(f"{self.dir}/queue/{queue}"):
                found += [f"{base}/{name}" for name in names]
        return found

    def settle(self):
        """Waits until nothing more is on its way to the sink."""
        wait_for(lambda: not self._files("maildrop", "incoming", "active"),
                 20, "Postfix's queue to drain")

    def held(self, mark):
        """Held messages with this mark."""
        found = []
        for path in self._files("hold"):
            done = subprocess.run(
                ["postcat", "-c", self.etc, "-q", os.path.basename(path)],
                capture_output=True, timeout=20)
            if mark.encode() in done.stdout:
                found.append(done.stdout)
        return found

    def deferred(self):
        return self._files("deferred")

    def empty(self):
        subprocess.run(["postsuper", "-c", self.etc, "-d", "ALL"],
                       capture_output=True, timeout=20)
