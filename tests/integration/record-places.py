# SPDX-License-Identifier: MIT
"""Where the record goes: to a file, which may be opened anew, to a pipe, to the journal."""
import multiprocessing
import os
import re
import resource
import signal
import socket
import struct
import threading
import time

from broker import WORKER_UID, Broker, Client, Place, ask
from linux import as_user
from records import ME, Logging, policy, records, within
from schema import check_record
from tap import check, equal, main


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


main(globals())
