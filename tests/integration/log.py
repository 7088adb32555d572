# SPDX-License-Identifier: MIT
"""`fdbroker log`: the record as a person reads it."""
import json
import os
import pty
import select
import signal
import subprocess
import time

from broker import FDBROKER, Broker, Place, ask, tool
from linux import as_user
from tap import check, equal, main

ME = 5001
BERLIN = {**os.environ, "TZ": "CET-1"}


def record(event="request", **fields):
    return json.dumps({"time": "2026-11-20T21:37:13.000042Z", "event": event, **fields}) + "\n"


DENIED = record(verdict="deny", subject="mine", uid=ME, gid=ME, pid=17, via="@fdbroker", right="read",
                path="/etc/shadow", rule="/etc/fdbroker/policy:5", reason="a rule denies it", errno="EACCES", us=31)
GRANTED = record(verdict="allow", subject="yours", uid=0, gid=0, pid=18, via="@fdbroker", right="read,write",
                 path="/srv/link", opened="/srv/x", rule="/etc/fdbroker/policy:6", us=12)
SUMMED = record(verdict="deny", subject="mine", uid=ME, right="read", reason="no rule allows it", errno="EACCES",
                repeated=295)
READY = record("ready", version="0.1.0", pid=1, worker=2, policy="/etc/fdbroker/policy", summary="1 subjects",
               listen="@fdbroker", lost=3)
LIMIT = record("limit", verdict="error", uid=0, reason="too many", connections=256, errno="EDQUOT")


def shown(text, *options, env=BERLIN, **more):
    return subprocess.run([FDBROKER, "log", "--file", "-", *options], env=env, timeout=20, capture_output=True,
                          input=text if isinstance(text, bytes) else text.encode(), **more)


def lines(text, *options):
    done = shown(text, *options)
    equal(done.returncode, 0, done)
    return done.stdout.decode().splitlines()


def test_who_what_verdict_rule():
    equal(lines(DENIED + GRANTED + SUMMED + READY + LIMIT), [
        "2026-11-20 22:37:13 deny  5001 (mine) read /etc/shadow: a rule denies it, EACCES [/etc/fdbroker/policy:5]",
        "2026-11-20 22:37:13 allow root (yours) read,write /srv/link -> /srv/x [/etc/fdbroker/policy:6], 12 us",
        "2026-11-20 22:37:13 deny  5001 (mine) read: no rule allows it, EACCES, 295 times more",
        "2026-11-20 22:37:13 ready version=0.1.0 pid=1 worker=2 policy=/etc/fdbroker/policy summary=1 subjects "
        "listen=@fdbroker; lines lost before it: 3",
        "2026-11-20 22:37:13 limit error user=root reason=too many connections=256 errno=EDQUOT"])


def test_filters():
    text = DENIED + GRANTED + SUMMED + READY + LIMIT + "no record\n"
    of = lambda *options: [line[20:27].strip() for line in lines(text, *options)]
    equal(of("--uid", "5001"), ["deny  5", "deny  5"])
    equal(of("--uid", "root"), ["allow r", "limit e"])
    equal(of("--subject", "yours"), ["allow r"])
    equal(of("--verdict", "deny"), ["deny  5", "deny  5"])
    equal(of("--verdict", "error,allow"), ["allow r", "limit e"])
    equal(of("--verdict", "deny", "--uid", "0"), [])
    equal(len(of("--since", "2026-11-20T21:37:13Z")), 5)
    equal(len(of("--since", "2026-11-20T21:37")), 5)
    equal(of("--since", "2026-11-20T21:37:14"), [])
    equal(of("--since", "2026-11-21"), [])
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 3000))
    recent = DENIED.replace("2026-11-20T21:37:13.000042Z", now)
    equal(len(lines(recent, "--since", "1h")), 1)
    equal(lines(recent, "--since", "40m"), [])
    # What is no record is counted where it is not shown.
    check(b"1 lines are no record" in shown(text, "--uid", "0").stderr)
    equal(shown(DENIED + GRANTED, "--json", "--uid", "5001").stdout.decode(), DENIED)


def test_mistakes():
    for options, word in ((("--uid", "no-such-user"), "no-such-user"), (("--verdict", "denied"), "denied"),
                          (("--verdict", ""), "verdict"), (("--since", "yesterday"), "--since"),
                          (("--since", "2026-11-20T"), "--since"), (("file",), "file"), (("--since", "5x"), "--since")):
        done = shown("", *options)
        equal(done.returncode, 2, options)
        check(word in done.stderr.decode(), done)
    done = tool("log", "--file", "/nonexistent/log")
    equal(done.returncode, 1)
    check("/nonexistent/log: No such file or directory (ENOENT)" in done.stderr, done)


def test_other_lines_are_shown_but_not_obeyed():
    text = (b"fdbrokerd: warning: x\n\x1b[2Jclear\xff\n{\"event\":\"request\"}\n[1,2]\n{\"time\n"
            + DENIED.encode().rstrip(b"\n"))
    equal(lines(text), ["fdbrokerd: warning: x", "\\x1b[2Jclear\\xff", '{"event":"request"}', "[1,2]", '{"time',
                        lines(DENIED)[0]])


def test_no_byte_of_a_record_is_obeyed():
    path = b"/a\n\x1b[2J\xff\x00b\xc2\x9b"
    text = json.dumps({"time": "2026-11-20T21:37:13.000042Z", "event": "request", "verdict": "deny\x1b[2J", "uid": ME,
                       "path": path.decode(errors="replace"), "path_hex": path.hex(),
                       "reason": "r\u0007\x00"}) + "\n"
    out = shown(text).stdout
    check(all(byte >= 0x20 or byte == 10 for byte in out) and out.count(b"\n") == 1 and b"\xc2\x9b" not in out, out)
    check(b" /a\\x0a\\x1b[2J\\xff\\x00b\\x9b: r\\x07\\x00" in out, out)


def test_what_the_journal_makes_of_it():
    entry = {"__REALTIME_TIMESTAMP": "1", "_PID": "3", "MESSAGE": "deny", "PRIORITY": "5",
             "FDBROKER_TIME": "2026-11-20T21:37:13.000042Z", "FDBROKER_EVENT": "request", "FDBROKER_VERDICT": "deny",
             "FDBROKER_UID": "5001", "FDBROKER_RIGHT": "read", "FDBROKER_PATH": list(b"/a\xff"),
             "FDBROKER_REASON": "no rule allows it"}
    equal(lines(json.dumps(entry) + "\n", "--uid", "5001"),
          ["2026-11-20 22:37:13 deny  5001 read /a\\xff: no rule allows it"])
    entry.update(FDBROKER_EVENT="worker", FDBROKER_SIGNAL="KILL")
    got, = lines(json.dumps(entry) + "\n")
    check(got.startswith("2026-11-20 22:37:13 worker deny user=5001 "), got)
    check("signal=KILL" in got and "_PID" not in got and "MESSAGE" not in got and "event=" not in got, got)


def on_terminal(text, **environment):
    with Place() as place:
        ours, theirs = pty.openpty()
        with subprocess.Popen([FDBROKER, "log", "--file", place.file("log", text)], stdout=theirs,
                              env={**BERLIN, "TERM": "xterm", **environment}):
            os.close(theirs)
            out = b""
            try:
                while chunk := os.read(ours, 4096):
                    out += chunk
            except OSError:  # the end of a terminal
                pass
        os.close(ours)
        return out


def test_colours_on_a_terminal_only():
    check(b" \x1b[31mdeny\x1b[0m  5001 " in on_terminal(DENIED), on_terminal(DENIED))
    check(b" \x1b[32mallow\x1b[0m root " in on_terminal(GRANTED))
    check(b"\x1b[33merror\x1b[0m" in on_terminal(LIMIT))
    check(b"\x1b" not in on_terminal(DENIED, NO_COLOR="1"))
    check(b"\x1b" in on_terminal(DENIED, NO_COLOR=""))
    check(b"\x1b" not in on_terminal(DENIED, TERM="dumb"))
    check(b"\x1b" not in shown(DENIED, env={**BERLIN, "TERM": "xterm"}).stdout)


class Follower:
    def __init__(self, path, *options):
        self.process = subprocess.Popen([FDBROKER, "log", "--follow", "--file", path, *options], env=BERLIN,
                                        stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.communicate()

    def wait(self, *words, seconds=10):
        """What came, until each word is in it, in that order and once."""
        end = time.monotonic() + seconds
        while not all(w.encode() in self.text for w in words):
            left = end - time.monotonic()
            check(left > 0 and self.process.poll() is None, words, self.text)
            if select.select([self.process.stdout], [], [], left)[0]:
                self.text += self.process.stdout.read() or b""
        places = [self.text.index(w.encode()) for w in words]
        equal(places, sorted(places), self.text)
        check(all(self.text.count(w.encode()) == 1 for w in words), self.text)


def denial(path):
    return DENIED.replace("/etc/shadow", path)


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def test_follows_a_file_that_grows_is_cut_and_is_replaced():
    with Place() as place:
        path = place.file("log", denial("/one/"))
        with Follower(path) as f:
            f.wait("/one/")
            append(path, denial("/two/")[:40])
            time.sleep(0.5)
            append(path, denial("/two/")[40:])
            f.wait("/one/", "/two/")
            # Renamed, while who writes does not know yet.
            old = open(path, "a")
            os.rename(path, path + ".1")
            old.write(denial("/three/"))
            old.flush()
            f.wait("/two/", "/three/")
            place.file("log", "")
            time.sleep(0.5)
            old.write(denial("/four/"))
            old.flush()
            append(path, denial("/five/"))
            time.sleep(0.4)
            old.write(denial("/six/"))
            old.close()
            f.wait("/three/", "/four/", "/six/", "/five/")
            # Cut, and written to anew.
            os.truncate(path, 0)
            time.sleep(1.5)
            append(path, denial("/seven/"))
            f.wait("/five/", "/seven/")
            equal(f.text.count(b"\n"), 7, f.text)
            f.process.send_signal(signal.SIGINT)
            equal(f.process.wait(5), -signal.SIGINT)


def test_follows_a_broker():
    with Place() as place:
        log = place.name("log")
        policy = f"subject mine {{\n user {ME}\n allow read /etc/hostname\n}}\n"
        with Broker(place, policy, options=["--log", log], wait=False) as broker:
            while not (os.path.exists(log) and '"ready"' in open(log).read()):
                check(broker.process.poll() is None)
                time.sleep(0.02)
            with Follower(log, "--uid", str(ME)) as f:
                as_user(ME, ask, broker.abstract, "/first")
                as_user(5002, ask, broker.abstract, "/others")
                f.wait(f"5001 (mine) read /first: no rule allows it")
                os.rename(log, log + ".1")
                broker.process.send_signal(signal.SIGUSR1)
                while not os.path.exists(log):
                    time.sleep(0.02)
                as_user(ME, ask, broker.abstract, "/second")
                f.wait("/first", "/second")
                check(b"/others" not in f.text, f.text)


def test_long_lines_and_ends():
    with Place() as place:
        long = "x" * (3 << 20)
        path = place.file("log", long + "\n" + DENIED + "tail")
        done = tool("log", "--file", path)
        got = done.stdout.splitlines()
        equal((len(got[0]), got[0].strip("x"), len(got), got[2]), (1 << 20, "", 3, "tail"))
        with Follower("/dev/null") as f:
            time.sleep(0.3)
            equal(f.process.poll(), None)
        # A pipe's end is the end, also for who follows.
        equal(len(lines(DENIED, "--follow")), 1)


main(globals())
