"""What all measurements share: the tools, the daemon, the load, the table."""
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "wire"))
DATA = os.environ.get("DATA", os.path.join(TOP, "..", "shared", "data"))
TOOLS = os.path.join(DATA, "..", "tools")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
MESSAGES = int(os.environ.get("MESSAGES", "4000"))

# opendkim asks port 53 only: an address of the loopback net that nobody has.
DNS_ADDRESS = "127.0.53.77"


def compile_tool(name, libs, work):
    out = os.path.join(work, name)
    subprocess.check_call(["cc", "-O2", "-w", "-pthread", "-o", out,
                           os.path.join(TOOLS, name + ".c")] + libs)
    return out


def wait_socket(path):
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            return
        except OSError:
            time.sleep(0.02)
        finally:
            s.close()
    raise SystemExit("nothing listens on " + path)


def load(driver, sock, pid, mail, conns, messages, per_conn):
    """mail: a file, or several."""
    mails = [mail] if isinstance(mail, str) else mail
    out = subprocess.run(
        [driver, "-T", "120", "-s", "unix:" + sock, "-c", str(conns), "-n",
         str(messages), "-k", str(per_conn), "-P", str(pid), "-i",
         "192.0.2.1", *mails], capture_output=True, text=True).stdout
    found = re.search(r"messages (\d+)\s+seconds ([\d.]+)\s+msgs/s (\d+)"
                      r".*errors (\d+)\s+filter_cpu_us/msg ([\d.]+)"
                      r"\s+rss_kb (\d+)", out)
    if not found or found.group(4) != "0" or int(found.group(1)) != messages:
        raise SystemExit("the load failed:\n" + out)
    return {"rate": float(found.group(3)), "cpu": float(found.group(5)),
            "rss": int(found.group(6)), "seconds": float(found.group(2))}


def start_postern(binary, policy, work, dns_port, address=DNS_ADDRESS,
                  wait=True):
    conf = os.path.join(work, "bench.conf")
    with open(conf, "w") as f:
        f.write(policy.format(dir=work, dns=dns_port, address=address))
    proc = subprocess.Popen([binary, "run", "-f", "-c", conf],
                            stdout=subprocess.DEVNULL)
    if wait:
        wait_socket(os.path.join(work, "postern.sock"))
    return proc


def stop(proc):
    proc.send_signal(signal.SIGTERM)
    proc.wait()


def measure(driver, contestants, mails):
    """contestants: (name, socket, pid); the first is what others are held
    against.  Rows of (mail, name, rate, cpu, MB, ratio)."""
    rows = []
    for name, mail in mails.items():
        runs = {who: [] for who, _, _ in contestants}
        for _ in range(ROUNDS):
            for who, sock, pid in contestants:
                runs[who].append(load(driver, sock, pid, mail, 8, MESSAGES,
                                      10))
        first = runs[contestants[0][0]]
        for who, _, _ in contestants:
            rows.append((
                name, who, statistics.median(r["rate"] for r in runs[who]),
                statistics.median(r["cpu"] for r in runs[who]),
                max(r["rss"] for r in runs[who]) / 1024,
                statistics.median(r["rate"] / f["rate"]
                                  for r, f in zip(runs[who], first))))
    return rows


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}, ",
         "libmilter1.0.1", "libpcre2-8-0", "libunbound8"],
        capture_output=True, text=True).stdout.rstrip(", ")
    return "%s, %d cores; Linux %s; %s" % (model, os.cpu_count(),
                                           platform.release(), version)


def table(rows, against):
    lines = ["| mail | filter | messages/s | CPU us/message | MB | %s |" %
             against, "| --- | --- | --- | --- | --- | --- |"]
    return lines + ["| %s | %s | %.0f | %.0f | %.1f | %.2f |" % row
                    for row in rows] + [""]
