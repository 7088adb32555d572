# SPDX-License-Identifier: MIT
"""The record: where it goes, what is in it, what is not; and what status tells in numbers."""
import json
import multiprocessing
import os
import random
import re
import resource
import select
import signal
import socket
import struct
import threading
import time

import fuse
from broker import OPEN, WORKER_UID, Broker, Client, Place, ask, tool
from linux import CLONE_NEWNS, as_user, in_child, mount, umount, unshare
from schema import check_record
from tap import Skip, check, equal, main

ME = 5001


def policy(place, more=""):
    return (f"subject mine {{\n user {ME}\n{more} allow read,list,stat {place.name('d')}/**\n"
            f" deny write {place.name('d')}/**\n}}\n")


def within(seconds, function, *arguments):
    """What `function` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while True:
        value = function(*arguments)
        if value:
            return value
        check(time.monotonic() < end, "nothing came in time:", function, arguments)
        time.sleep(0.02)


def records(path, event=None):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        found = [json.loads(line) for line in file]
    for record in found:
        check_record(record)
    return [r for r in found if event in (None, r["event"])]


class Logging:
    """A broker whose record goes elsewhere than to standard error."""

    def __init__(self, place, *options, more=""):
        self.place = place
        self.file = place.file("d/x", "x")
        self.log = place.name("log")
        self.broker = Broker(place, policy(place, more), options=options, wait=False)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__(*exception)

    def ready(self):
        """Of a broker that logs to `log`."""
        within(10, records, self.log, "ready")
        return self

    def deny(self, path="/etc/shadow", times=1):
        def client():
            with Client(self.broker.abstract) as c:
                return {c.ask(path=path) for _ in range(times)}
        return as_user(ME, client)


# ---- where it goes ------------------------------------------------------------------------------


def test_a_file_is_opened_anew_by_the_supervisor_and_its_worker():
    with Place() as place, Logging(place, "--log", place.name("log")) as s:
        s.ready()
        equal(os.stat(s.log).st_mode & 0o777, 0o640)
        s.deny("/etc/a")
        within(5, records, s.log, "request")
        os.rename(s.log, s.log + ".1")
        s.deny("/etc/b")
        s.broker.process.send_signal(signal.SIGUSR1)
        equal(within(5, records, s.log, "log")[0]["reason"], "opened anew")
        time.sleep(0.3)
        before = os.stat(s.log + ".1").st_size
        s.deny("/etc/c")
        equal([r["path"] for r in within(5, records, s.log, "request")], ["/etc/c"])
        equal([r["path"] for r in records(s.log + ".1", "request")], ["/etc/a", "/etc/b"])
        # A worker that is started from then on, and what the supervisor says of it.
        os.kill(records(s.log + ".1", "ready")[0]["worker"], signal.SIGKILL)
        within(5, records, s.log, "worker")
        within(5, records, s.log, "ready")
        s.deny("/etc/d")
        within(5, lambda: [r for r in records(s.log, "request") if r["path"] == "/etc/d"])
        equal(os.stat(s.log + ".1").st_size, before)
        # Nobody holds the old one open.
        os.unlink(s.log + ".1")
        for pid in (s.broker.process.pid, records(s.log, "ready")[-1]["worker"]):
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            check(not any("deleted" in link for link in links if "/memfd:" not in link), links)
            equal(links.count(s.log), 1, links)


def test_where_no_other_file_is_to_be_had_the_old_one_is_kept():
    with Place() as place:
        place.directory("logs")
        with Logging(place, "--log", place.name("logs/log")) as s:
            s.log = place.name("logs/log")
            s.ready()
            os.rename(place.name("logs"), place.name("moved"))
            s.broker.process.send_signal(signal.SIGUSR1)
            moved = place.name("moved/log")
            record, = within(5, records, moved, "log")
            equal((record["verdict"], record["errno"]), ("error", "ENOENT"))
            s.deny()
            within(5, records, moved, "request")


def take_descriptors(worker):
    """The worker gets no descriptor more from now on. It keeps those that it has."""
    as_user(WORKER_UID, resource.prlimit, worker, resource.RLIMIT_NOFILE, (3, 3))


def test_where_the_worker_has_no_descriptor_for_it_no_connection_ends():
    with Place() as place, Logging(place, "--log", place.name("log")) as s:
        s.ready()

        def client():
            with Client(s.broker.abstract) as c:
                c.ask(path="/etc/a")
                reached.write("x")
                reached.flush()
                time.sleep(1)
                return c.ask(path="/etc/b")
        ends = os.pipe()
        with os.fdopen(ends[0]) as reader, os.fdopen(ends[1], "w") as reached:
            def limit():
                reader.read(1)
                take_descriptors(records(s.log, "ready")[0]["worker"])
                os.rename(s.log, s.log + ".1")
                s.broker.process.send_signal(signal.SIGUSR1)
            thread = threading.Thread(target=limit)
            thread.start()
            equal(as_user(ME, client), "EACCES")
            thread.join()
        equal([r["errno"] for r in records(s.log + ".1", "log")], ["EMFILE"])
        equal(records(s.log, "worker"), [])


def test_a_worker_that_has_no_descriptor_for_it_gets_it_later():
    with Place() as place, Logging(place, "--log", place.name("log")) as s:
        s.ready()
        old = s.log + ".1"
        worker = records(s.log, "ready")[0]["worker"]
        before = as_user(WORKER_UID, resource.prlimit, worker, resource.RLIMIT_NOFILE)

        def client():
            with Client(s.broker.abstract) as c:
                c.ask(path="/etc/a")
                start.wait(10)
                equal(c.ask(path="/etc/b"), "EACCES")
                late.wait(10)
                return c.ask(path="/etc/c")
        start, late = multiprocessing.Event(), multiprocessing.Event()
        results = []
        thread = threading.Thread(target=lambda: results.append(as_user(ME, client)))
        thread.start()
        within(5, records, s.log, "request")
        # A new soft limit: the hard one is kept, to have it back.
        as_user(WORKER_UID, resource.prlimit, worker, resource.RLIMIT_NOFILE, (3, before[1]))
        os.rename(s.log, old)
        s.broker.process.send_signal(signal.SIGUSR1)
        within(5, records, old, "log")
        start.set()
        within(5, lambda: len(records(old, "request")) == 2)
        # It is tried again and again, and told once.
        time.sleep(2)
        equal([(r["verdict"], r["errno"]) for r in records(old, "log")], [("error", "EMFILE")])
        equal([r["reason"] for r in records(s.log, "log")], ["opened anew"])
        as_user(WORKER_UID, resource.prlimit, worker, resource.RLIMIT_NOFILE, before)
        within(5, lambda: len(records(s.log, "log")) == 2)
        equal([r["reason"] for r in records(s.log, "log")], ["opened anew", "opened anew, late"])
        late.set()
        thread.join()
        equal(results, ["EACCES"])
        equal([r["path"] for r in within(5, records, s.log, "request")], ["/etc/c"])
        equal(records(old, "worker") + records(s.log, "worker"), [])
        check(not any("log.1" in os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")))


def test_lines_that_are_too_long_for_a_pipe():
    """There each is written in one piece, shortened; to a file it goes as it is."""
    path = "/" + "/".join(["\x01" * 200] * 18)
    with Place() as place:
        with Logging(place) as s:
            s.broker.wait_event("ready")
            equal(s.deny(path), {"EACCES"})
            record = s.broker.wait_event("request")
            equal(record["shortened"], "path")
            check(path.startswith(record["path"][:-1]) and record["path"][-1] == "\u2026", record)
            # No more is cut than it takes: a byte of this path is six of the line.
            check(500 < len(record["path"]) <= 4096 // 6, len(record["path"]))
            check(record["uid"] == ME and record["errno"] == "EACCES" and "us" in record, record)
        with Logging(place, "--log", place.name("log")) as s:
            s.ready()
            equal(s.deny(path), {"EACCES"})
            record, = within(5, records, s.log, "request")
            equal((record["path"], "shortened" in record), (path, False))


def test_clients_for_whom_there_is_no_room_do_not_fill_it():
    with Place() as place, Logging(place, "--log", place.name("log")) as s:
        s.ready()
        take_descriptors(records(s.log, "ready")[0]["worker"])
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(100)]
        for one in waiting:
            one.connect("\0" + s.broker.abstract[1:])
        time.sleep(1)
        record, = records(s.log, "accept")
        equal(record["errno"], "EMFILE")
        for one in waiting:
            one.close()


def test_standard_error_stays_what_it_is():
    with Place() as place:
        place.file("d/x", "x")
        with Broker(place, policy(place)) as broker:
            broker.process.send_signal(signal.SIGUSR1)
            as_user(ME, ask, broker.abstract, "/etc/shadow")
            broker.wait_event("request")
            equal(broker.events("log"), [])
            equal(broker.stop(), 0)


def fields(datagram):
    """An entry of the journal, as JOURNAL_NATIVE_PROTOCOL has it."""
    found = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length, = struct.unpack_from("<Q", rest)
            value, rest = rest[8:8 + length], rest[8 + length:]
            equal(rest[:1], b"\n")
            rest = rest[1:]
        check(re.fullmatch(rb"[A-Z][A-Z0-9_]*", name), name)
        check(name not in found, "twice", name)
        found[name.decode()] = value
        datagram = rest
    return found


class Journal:
    """Takes what comes to a socket of its own."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(5)
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()
        os.unlink(self.path)

    def wait(self, event):
        while True:
            entry = fields(self.socket.recv(1 << 20))
            if entry["FDBROKER_EVENT"].decode() == event:
                return entry


def test_the_journal_gets_fields():
    with Place() as place, Journal(place.name("journal")) as journal:
        with Logging(place, "--log", f"journal:{journal.path}", "--log-grants") as s:
            ready = journal.wait("ready")
            equal(ready["MESSAGE"], b"ready")
            equal(ready["PRIORITY"], b"6")
            equal(ready["SYSLOG_IDENTIFIER"], b"fdbrokerd")
            evil = b"/etc/a\nPRIORITY=0\nMESSAGE=forged\xff\x1b[2J"
            s.deny(evil)
            entry = journal.wait("request")
            equal(entry["FDBROKER_PATH"], evil)
            equal(entry["PRIORITY"], b"5")
            equal(entry["MESSAGE"], b"deny read /etc/a\\x0aPRIORITY=0\\x0aMESSAGE=forged\\xff\\x1b[2J: "
                                    b"no rule allows it, uid 5001")
            # What would be a line of the record is, name for name, in the fields.
            record = {k[9:].lower(): v.decode() for k, v in entry.items()
                      if k.startswith("FDBROKER_") and k != "FDBROKER_PATH"}
            for name in ("uid", "gid", "pid", "us"):
                record[name] = int(record[name])
            check_record(record)
            equal((record["uid"], record["subject"], record["right"], record["errno"]),
                  (ME, "mine", "read", "EACCES"))
            as_user(ME, ask, s.broker.abstract, s.file)
            equal(journal.wait("request")["FDBROKER_VERDICT"], b"allow")
            equal(s.broker.process.poll(), None)
            equal(s.broker.noise + s.broker.events(), [])


def test_a_journal_that_does_not_read_or_is_gone_stops_nobody():
    with Place() as place:
        with Journal(place.name("journal")) as journal:
            s = Logging(place, "--log", f"journal:{journal.path}", "--log-grants")
            journal.wait("ready")

            def client():
                with Client(s.broker.abstract) as c:
                    return {c.ask(path=s.file) for _ in range(3000)}
            equal(as_user(ME, client), {"OK"})
        with s:
            # It is gone, and comes anew: the daemon is told so.
            equal(as_user(ME, client), {"OK"})
            with Journal(place.name("journal")) as journal:
                s.broker.process.send_signal(signal.SIGUSR1)
                journal.wait("log")
                time.sleep(0.3)
                as_user(ME, ask, s.broker.abstract, s.file)
                entry = journal.wait("request")
                check(int(entry["FDBROKER_LOST"]) > 3000, entry)


def test_a_log_that_cannot_be_opened_is_a_mistake_at_the_start():
    with Place() as place:
        for log, error in (("journal:" + place.name("none"), "ENOENT"), (place.name("none/log"), "ENOENT"),
                           ("journal:/" + "x" * 200, "ENAMETOOLONG")):
            with Broker(place, policy(place), options=["--log", log], wait=False) as broker:
                equal(broker.wait_end(), 1)
                check(error in "".join(broker.noise), broker.noise)
        with Broker(place, policy(place), options=["--log", "journal:"], wait=False) as broker:
            equal(broker.wait_end(), 2)


# ---- what is in it ------------------------------------------------------------------------------


def test_grants_are_recorded_where_somebody_wants_to_know():
    def granted(*options, more=""):
        with Place() as place:
            file = place.file("d/x", "x")
            os.symlink("x", place.name("d/link"))
            with Broker(place, policy(place, more), options=options) as broker:
                def client():
                    with Client(broker.abstract) as c:
                        return [c.ask(path=place.name("d/link")), c.ask(3, file), c.ask(6, place.name("d")),
                                c.ask(path=place.name("d/none"))]
                equal(as_user(ME, client), ["OK", "OK", "EACCES", "ENOENT"])
                broker.stop()
                return place, [r for r in broker.events("request") if r["verdict"] == "allow"]
    equal(granted()[1], [])
    for place, found in (granted("--log-grants"), granted(more=" log grants\n")):
        link, stat = found
        equal({k: link[k] for k in ("event", "subject", "uid", "gid", "right", "path", "opened", "rule")},
              {"event": "request", "subject": "mine", "uid": ME, "gid": ME, "right": "read",
               "path": place.name("d/link"), "opened": place.name("d/x"), "rule": link["rule"]})
        check(re.fullmatch(re.escape(place.name("policy")) + r":[34]", link["rule"]), link)
        check(link["via"].startswith("@fdbroker-test-") and link["pid"] > 1, link)
        check("errno" not in link and "reason" not in link, link)
        check(1 <= link["us"] < 1000000, link)
        equal((stat["right"], stat["path"]), ("stat", place.name("d/x")))


def test_log_grants_of_one_subject_is_not_that_of_another():
    with Place() as place:
        file = place.file("d/x", "x")
        text = policy(place, " log grants\n") + (
            f"subject yours {{\n user 5002\n allow read {file}\n}}\n")
        with Broker(place, text) as broker:
            for uid in (5002, ME):
                equal(as_user(uid, ask, broker.abstract, file), "OK")
            broker.stop()
            equal([r["uid"] for r in broker.events("request")], [ME])
        done = tool("explain", "--policy", place.name("policy"), "--user", str(ME), "read", file)
        check("user 5001, log grants\n" in done.stdout, done)
        done = tool("explain", "--policy", place.name("policy"), "--user", "5002", "read", file)
        check("log grants" not in done.stdout, done)
        done = tool("explain", "--policy", place.name("policy"), "--json", "--user", str(ME), "read", file)
        equal(json.loads(done.stdout)["subjects"][0]["logs_grants"], True)
        equal(tool("fmt", place.name("policy")).returncode, 0)
        check("\n\tlog   grants\n" in open(place.name("policy")).read())


def test_comm_is_recorded_where_the_process_is_looked_at_anyway():
    def client(address):
        with open("/proc/self/comm", "wb") as file:
            file.write(b"\n\xff\"odd")
        return ask(address, "/etc/shadow")
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            equal(as_user(ME, client, broker.abstract), "EACCES")
            check("comm" not in broker.wait_event("request"))
        text = policy(place) + "subject other {\n user 5002\n unit x.service\n allow read /x\n}\n"
        with Broker(place, text) as broker:
            equal(as_user(ME, client, broker.abstract), "EACCES")
            record = broker.wait_event("request")
            equal((record["comm"], record["comm_hex"]), ("\n\ufffd\"odd", b"\n\xff\"odd".hex()))


def test_repeated_denials_are_counted():
    with Place() as place:
        # Where nothing happens that would wake the daemon.
        file = "/usr/share/x"
        text = f"subject mine {{\n user {ME}\n allow read /usr/share/*\n deny write /usr/share/*\n}}\n"
        with Broker(place, text) as broker:
            def client():
                with Client(broker.abstract) as c:
                    return {c.ask(path="/etc/shadow") for _ in range(300)} | {
                        c.ask(OPEN, file, os.O_WRONLY) for _ in range(20)}
            equal(as_user(ME, client), {"EACCES"})
            equal(as_user(5002, ask, broker.abstract, file), "EACCES")
            time.sleep(0.2)
            found = broker.events("request")
            equal([r["uid"] for r in found], [ME] * 10 + [5002], found)
            check(all("repeated" not in r for r in found), found)
            # Told when ten seconds are over, from the first one on.
            broker.wait_event("request", 12, 12)
            time.sleep(0.2)
            first, second = broker.events("request")[11:]
            equal({k: first.get(k) for k in ("uid", "subject", "verdict", "right", "rule", "reason", "errno",
                                             "repeated", "path", "pid")},
                  {"uid": ME, "subject": "mine", "verdict": "deny", "right": "read", "rule": None,
                   "reason": "no rule allows it", "errno": "EACCES", "repeated": 295, "path": None,
                   "pid": None})
            equal((second["right"], second["rule"], second["repeated"]),
                  ("write", f"{place.name('policy')}:4", 15))
            # Then the first ones have lines again; and what is counted is told at the end.
            equal(as_user(ME, client), {"EACCES"})
            broker.stop()
            found = broker.events("request")[13:]
            equal(len(found), 12)
            equal(sorted(r["repeated"] for r in found[10:]), [15, 295])


def test_a_flood_of_denials_costs_little_of_the_log():
    """With paths that make the longest lines, of every kind there is, by several uids."""
    with Place() as place, Logging(place, "--log", place.name("log")) as s:
        s.ready()
        evil = b"/" + b"\xff" * 250

        def client():
            asked = 0
            end = time.monotonic() + 1
            with Client(s.broker.abstract) as c:
                while time.monotonic() < end:
                    for flags in (0, os.O_WRONLY, os.O_RDWR, os.O_CREAT | os.O_WRONLY, 1 << 40, 3):
                        c.ask(OPEN, evil * 16, flags)
                    for operation in (3, 4, 5, 6, 7):
                        c.ask(operation, evil * 16)
                    asked += 11
            return asked
        asked = sum(as_user(uid, client) for uid in (ME, 5002, 5003))
        check(asked > 3000, asked)
        equal(s.broker.stop(), 0)
        check(os.stat(s.log).st_size < 300000, os.stat(s.log).st_size)
        found = records(s.log, "request")
        # Not one of them is forgotten.
        equal(sum(r.get("repeated", 1) for r in found), asked)


def test_any_bytes_are_valid_json_and_come_back():
    odd = ["\u2028", "\u0085", "\x7f", "\ufffd", "\U0001f600", "é"]
    paths = [bytes([b]) for b in range(256)] + [c.encode() for c in odd]
    paths += [b"\xed\xa0\x80", b"\xed\xa0\x80\xed\xb0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"a\"b\\c\x00d",
              b"\\u0041"]
    chance = random.Random(1)
    paths += [bytes(chance.randrange(256) for _ in range(chance.randrange(1, 200))) for _ in range(300)]
    paths = [b"/" + p for p in paths]
    # Of one uid not more than get lines of their own.
    groups = [[(b"/" + b"\xff" * 250) * 16], [(b"/" + b"\x01" * 250) * 16]]
    groups += [paths[i:i + 4] for i in range(0, len(paths), 4)]
    with Place() as place:
        log = place.name("log")
        asked = []
        def client(address, some):
            with Client(address) as c:
                for path in some:
                    c.ask(path=path)
        for start in range(0, len(groups), 60):
            with Logging(place, "--log", log) as s:
                count = len(records(log, "ready"))
                within(10, lambda: len(records(log, "ready")) > count)
                for i, some in enumerate(groups[start:start + 60]):
                    as_user(6000 + i, client, s.broker.abstract, some)
                    asked += some
                equal(s.broker.stop(), 0)
        raw = open(log, "rb").read()
        raw.decode()  # UTF-8
        check(not any(c < 0x20 and c != 10 or c == 0x7f for c in raw), "a control character")
        check("\u2028" not in raw.decode() and "\u0085" not in raw.decode())
        got = []
        for r in records(log, "request"):
            check("repeated" not in r, r)
            r["path"].encode()  # no lone surrogates
            got.append(bytes.fromhex(r["path_hex"]) if "path_hex" in r else r["path"].encode())
        equal([p for p in asked if p not in got], [])
        equal(got, asked)


# ---- status -------------------------------------------------------------------------------------


def metrics(text):
    """{name{labels}: value}, and the types; every line is one of those that Prometheus reads."""
    values, types = {}, {}
    label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
    last = None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name not in types, "twice", name)
            check(kind in ("counter", "gauge", "histogram", "untyped"), line)
            types[name] = kind
            last = name
        elif line.startswith("# HELP "):
            check(re.fullmatch(r"# HELP [a-z_]+ \S.*\.", line), line)
        else:
            got = re.fullmatch(rf"([a-z_]+)((?:\{{{label}(?:,{label})*\}})?) ([0-9.]+)", line)
            check(got, "no sample", line)
            check(re.sub("_(bucket|sum|count)$", "", got[1]) == last or got[1] == last, line, last)
            check(got[1] + got[2] not in values, "twice", line)
            values[got[1] + got[2]] = float(got[3])
    return values, types


def test_status_in_numbers():
    with Place() as place:
        file = place.file("d/x", "x")
        with Broker(place, policy(place)) as broker:
            def client():
                with Client(broker.abstract) as c:
                    for _ in range(7):
                        c.ask(path=file)
                    for _ in range(5):
                        c.ask(path="/etc/shadow")
                    for _ in range(3):
                        c.ask(path=place.name("d/none"))
                    c.ask(3, file)
                    c.ask(77)
                with Client(broker.abstract) as c:
                    c.socket.send(b"x")
                    c.receive()
            as_user(ME, client)
            status = json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
            wanted = {"requests_open_allow": 7, "requests_open_deny": 5, "requests_open_error": 3,
                      "requests_stat_allow": 1, "requests_invalid_error": 2, "requests": 18, "denials": 5,
                      "accepted": 3, "connections": 1, "limits_connections": 0, "subjects": 1, "rules": 2,
                      "latency_us_inf": 18, "latency_us_10000000": 18}
            wanted.update(lane_waiting=0, lane_running=0, lane_stuck=0)
            equal({k: status.get(k) for k in wanted}, wanted)
            check(0 < status["latency_us_sum"] < 5000000, status)
            buckets = [v for k, v in status.items() if re.fullmatch("latency_us_[0-9]+", k)]
            equal(buckets, sorted(buckets))
            check(status["age"] < 60, status)
            time.sleep(1.1)
            done = tool("status", "--metrics", "--socket", broker.abstract)
            equal((done.returncode, done.stderr), (0, ""))
            values, types = metrics(done.stdout)
            name = "fdbroker_requests_total"
            equal(types[name], "counter")
            equal({k: v for k, v in values.items() if k.startswith(name) and "status" not in k and v},
                  {name + '{operation="open",result="allow"}': 7, name + '{operation="open",result="deny"}': 5,
                   name + '{operation="open",result="error"}': 3,
                   name + '{operation="stat",result="allow"}': 1,
                   name + '{operation="invalid",result="error"}': 2})
            equal(values[name + '{operation="status",result="allow"}'], 1)
            equal(values['fdbroker_info{version="0.1.0"}'], 1)
            equal(values["fdbroker_denials_total"], 5)
            equal(values["fdbroker_connections"], 1)
            equal((values["fdbroker_lane_stuck"], types["fdbroker_lane_stuck"]), (0, "gauge"))
            equal(values["fdbroker_connections_accepted_total"], 4)
            equal(values['fdbroker_limits_hit_total{limit="connections"}'], 0)
            equal((values["fdbroker_policy_rules"], values["fdbroker_policy_subjects"]), (2, 1))
            check(1 <= values["fdbroker_policy_age_seconds"] < 60, values)
            histogram = "fdbroker_request_duration_seconds"
            equal(types[histogram], "histogram")
            equal(values[histogram + '_bucket{le="+Inf"}'], 19)
            equal(values[histogram + "_count"], 19)
            equal(values[histogram + '_bucket{le="10.000000"}'], 19)
            check(histogram + '_bucket{le="0.000005"}' in values, values)
            check(0 < values[histogram + "_sum"] < 5, values)
            equal(tool("status", "--metrics", "--json").returncode, 2)


def test_what_is_not_answered_in_time_is_told():
    with Place() as place:
        place.directory("d")
        os.mkfifo(place.name("d/fifo"))
        os.chmod(place.name("d/fifo"), 0o666)
        text = f"subject mine {{\n user {ME}\n allow read {place.name('d')}/fifo type fifo\n log grants\n}}\n"
        with Broker(place, text, options=["--open-timeout", "1"]) as broker:
            equal(as_user(ME, ask, broker.abstract, place.name("d/fifo")), "ETIMEDOUT")
            record = broker.wait_event("request")
            equal((record["verdict"], record["errno"], record["path"]),
                  ("error", "ETIMEDOUT", place.name("d/fifo")))
            check(990000 <= record["us"] < 3000000, record)
            # What becomes of it afterwards is not told as if it had been granted.
            os.close(os.open(place.name("d/fifo"), os.O_RDWR))
            time.sleep(0.3)
            status = json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
            equal([status[f"requests_open_{r}"] for r in ("allow", "deny", "error")], [0, 0, 1])
            equal(len(broker.events("request")), 1)
            # One that waits for the other end and gets it took that long.
            def client():
                with Client(broker.abstract) as c:
                    c.send(OPEN, place.name("d/fifo"))
                    time.sleep(0.3)
                    writer = os.open(place.name("d/fifo"), os.O_WRONLY)
                    got = c.receive()
                    os.close(writer)
                    return got[1]
            equal(as_user(ME, client), 0)
            record = broker.wait_event("request", 2)
            equal(record["verdict"], "allow")
            check(250000 <= record["us"] < 900000, record)


def test_what_is_opened_too_late_is_not_told_as_granted():
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse")

    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        held, usual = threading.Event(), fuse.answer

        def late(operation, node, body):
            if operation == fuse.OPEN:
                held.wait(10)
            return usual(operation, node, body)
        fuse.answer = late
        try:
            fuse.mount_folding(d)
        except OSError as error:
            raise Skip(f"no FUSE: {error}")
        try:
            text = f"subject mine {{\n user {ME}\n allow read {d}/*\n log grants\n}}\n"
            with Broker(place, text, options=["--open-timeout", "1"]) as broker:
                status = lambda: json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
                equal(as_user(ME, ask, broker.abstract, f"{d}/other"), "ETIMEDOUT")
                now = status()
                equal((now["lane_stuck"], now["lane_running"]), (1, 1))
                held.set()
                now = within(5, lambda: status()["lane_running"] == 0 and status())
                equal((now["lane_stuck"], now["requests_open_allow"], now["requests_open_error"]), (0, 0, 1))
                broker.stop()
                equal([r["errno"] for r in broker.events("request")], ["ETIMEDOUT"])
        finally:
            held.set()
            umount(d)
    with Place() as place:
        in_child(run, place)


def test_every_operation_has_a_name():
    source = os.environ["FDBROKER_SOURCE"]
    header = open(f"{source}/include/fdbroker-protocol.h").read()
    operations = re.findall(r"^\tFDBROKER_([A-Z]+) = (\d+),$", header, re.M)
    check(len(operations) >= 7)
    names = re.search(r"operations\[STATISTICS_OPERATIONS\] = \{(.*?)\}",
                      open(f"{source}/broker/statistics.c").read(), re.S)[1]
    names = re.findall(r'"([a-z]+)"', names)
    equal([names[int(number)] for _, number in operations], [name.lower() for name, _ in operations])


def test_limits_that_are_hit_are_counted():
    with Place() as place:
        place.file("d/x", "x")
        with Broker(place, policy(place, " limit connections 2\n")) as broker:
            def client():
                clients = [Client(broker.abstract) for _ in range(5)]
                told = lambda: select.select([c.socket for c in clients], [], [], 0)[0]
                return within(10, lambda: len(told()) == 3)
            equal(as_user(ME, client), True)
            status = json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
            equal(status["limits_connections"], 3)
            equal(len(broker.events("limit")), 1)


main(globals())
