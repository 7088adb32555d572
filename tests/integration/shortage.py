# SPDX-License-Identifier: MIT
"""
What the machine is out of (ENFILE, ENOMEM), by system calls that fail as if it were: the daemon goes on, the caller gets
a clear error, the operator a clear line; and afterwards all is as it was.
"""
import errno
import os
import socket
import struct
import threading
import time

from broker import NAMES, OPEN, Broker, Client, Place, ask, attempt, makers
from endpoints import CONNECT, STREAM, listener
from faults import Faults
from linux import as_user
from tap import Skip, check, equal, main

ME, OTHER = 5001, 5002
POLICY = "subject a {\n user 5001 5002\n allow read,list %s/**\n allow connect unix:%s\n}\n"


class Setting:
    """A broker of which some calls can be made to fail."""

    def __init__(self, *calls, options=()):
        self.faults = Faults(*calls)
        self.place = Place()
        self.path = self.place.file("d/x", "x")
        policy = POLICY % (self.place.name("d"), self.place.name("s"))
        self.broker = Broker(self.place, policy, options=options, **self.faults.options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.faults.end()
        self.broker.__exit__(*exception)
        self.place.__exit__()

    def ask(self, uid=ME):
        return as_user(uid, ask, self.broker.abstract, self.path)

    def until_ok(self):
        end = time.monotonic() + 10
        while (got := self.ask()) != "OK":
            check(time.monotonic() < end, "no recovery:", got)
            time.sleep(0.05)

    def skip_sanitized(self):
        with open(f"/proc/{self.broker.worker}/maps") as maps:
            if "libasan" in maps.read():
                raise Skip("a sanitizer ends the process where its own memory fails")


def connect(address):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    s.connect("\0" + address[1:])
    return Client(s)


def none_accepted(number):
    """Whoever is connected goes on, whoever comes waits, and is served in the end."""
    with Setting("accept4") as s:
        def run():
            with Client(s.broker.abstract) as old:
                equal(old.ask(path=s.path), "OK")
                ready.write(b"x")
                ready.flush()
                more.read(1)
                with Client(s.broker.abstract) as new:
                    new.send(OPEN, s.path)
                    for _ in range(10):
                        equal(old.ask(path=s.path), "OK")
                        time.sleep(0.1)
                    equal(attempt_now(new), "EAGAIN")
                    ready.write(b"y")
                    ready.flush()
                    return new.receive()[1]
        one, other = os.pipe(), os.pipe()
        with os.fdopen(one[1], "wb") as ready, os.fdopen(other[0], "rb") as more, \
                os.fdopen(one[0], "rb", 0) as reader, os.fdopen(other[1], "wb", 0) as writer:
            results = []
            thread = threading.Thread(target=lambda: results.append(as_user(ME, run)))
            thread.start()
            equal(reader.read(1), b"x")
            s.faults.fail("accept4", number, s.broker.process.pid)
            writer.write(b"x")
            equal(reader.read(1), b"y")
            tried = s.faults.end()
            thread.join()
        equal(results, [0])
        # It is tried again, ten times a second.
        check(3 <= tried <= 30, tried)
        record, = s.broker.events("accept")
        equal((record["errno"], record["connections"]), (NAMES[number], 1))
        equal(s.ask(OTHER), "OK")


def attempt_now(client):
    client.socket.setblocking(False)
    try:
        return attempt(client.receive)
    finally:
        client.socket.setblocking(True)
        client.socket.settimeout(10)


def test_no_open_file_is_left_for_a_connection():
    none_accepted(errno.ENFILE)


def test_no_memory_is_left_for_a_connection():
    none_accepted(errno.ENOMEM)


def test_no_open_file_or_memory_is_left_for_an_open():
    with Setting("openat2") as s:
        for number in (errno.ENFILE, errno.EMFILE, errno.ENOMEM):
            s.faults.fail("openat2", number, s.broker.worker)

            def run():
                with Client(s.broker.abstract) as client:
                    return [client.ask(path=s.path) for _ in range(20)]
            equal(as_user(ME, run), [NAMES[number]] * 20)
            check(s.faults.end() >= 20)
            equal(s.ask(), "OK")
            # Five lines, and a number later.
            lines = [r for r in s.broker.events("request") if r["errno"] == NAMES[number]]
            equal([(r["verdict"], r["path"]) for r in lines], [("error", s.path)] * 5)
        reasons = {r["errno"]: r["reason"] for r in s.broker.events("request")}
        check("fs.file-max" in reasons["ENFILE"] and "LimitNOFILE" in reasons["EMFILE"] and
              "memory" in reasons["ENOMEM"], reasons)
        equal(s.broker.events("worker"), [])


def controlled(pid):
    """Whether what sendmsg(2) is given has a descriptor with it."""
    def look(descriptor, header, *rest):
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:
            memory.seek(header)
            return struct.unpack_from("6Q", memory.read(48))[5] != 0
    return look


def test_a_reply_that_cannot_carry_its_descriptor():
    with Setting("sendmsg") as s:
        for number in (errno.ETOOMANYREFS, errno.ENOMEM, errno.ENOBUFS):
            s.faults.fail("sendmsg", number, s.broker.worker, controlled(s.broker.worker))
            # The connection goes on.
            def run():
                with Client(s.broker.abstract) as client:
                    return client.ask(path=s.path), client.ask(path="/none")
            equal(as_user(ME, run), (NAMES[number], "EACCES"))
            equal(s.faults.end(), 1)
            line, = [r for r in s.broker.events("request") if r["errno"] == NAMES[number]]
            equal((line["verdict"], line["path"]), ("error", s.path))
            equal(s.ask(), "OK")
        equal(s.broker.events("worker"), [])


def test_replies_that_cannot_be_sent_at_all():
    with Setting("sendmsg") as s:
        s.faults.fail("sendmsg", errno.ENOMEM, s.broker.worker)
        equal(s.ask(), "END")
        s.faults.end()
        s.until_ok()
        equal(s.broker.process.poll(), None)


def test_nothing_can_be_received():
    """A worker that does not hear its supervisor is replaced. Those who were connected lose nothing but time."""
    with Setting("recvmsg") as s:
        def run():
            with Client(s.broker.abstract) as client:
                equal(client.ask(path=s.path), "OK")
                time.sleep(1)
                client.send(OPEN, s.path)
                # That another worker serves it now, and what it asked the one or the other.
                return {(got[0], got[1]) for got in (client.receive(), client.receive())}
        results = []
        thread = threading.Thread(target=lambda: results.append(as_user(ME, run)))
        thread.start()
        time.sleep(0.5)
        s.faults.fail("recvmsg", errno.ENOMEM, s.broker.worker)
        with connect(s.broker.abstract):
            s.broker.wait_event("worker")
        check(s.faults.end() >= 1)
        thread.join()
        equal(results, [{(0, 0), (2, 0)}])
        s.until_ok()
        equal(s.broker.process.poll(), None)


def test_a_worker_without_memory():
    """It has what it has. Who finds no room waits or is told; nobody crashes, and nobody is forgotten."""
    with Setting("mmap", "brk", "clone") as s:
        s.skip_sanitized()
        for call in ("mmap", "brk", "clone"):
            s.faults.fail(call, errno.ENOMEM, s.broker.worker)

        def run():
            clients = [connect(s.broker.abstract) for _ in range(250)]
            for client in clients:
                client.send(OPEN, s.path)
            time.sleep(2)
            early = [attempt_now(client) for client in clients]
            os.mkdir(s.place.name("open/flag"))
            # Those that have not been answered are.
            late = [c.receive() for c, got in zip(clients, early) if got == "EAGAIN"]
            errors = {NAMES.get(got[1], "OK") if got else "END" for got in late}
            again = {c.ask(path=s.path) for c, got in zip(clients, early) if got == "OK"}
            return early.count("OK"), len(late), errors, again
        s.place.directory("open", owner=ME)
        results = []
        thread = threading.Thread(target=lambda: results.append(as_user(ME, run, timeout=60)))
        thread.start()
        while thread.is_alive() and not os.path.exists(s.place.name("open/flag")):
            time.sleep(0.02)
        failed = s.faults.end()
        thread.join()
        early, late, errors, again = results[0]
        print(f"# {failed} calls failed; {early} were served meanwhile, {late} later: {errors}")
        print("#", [(r["event"], r.get("errno")) for r in s.broker.events()])
        check(failed > 0)
        equal(again, {"OK"})
        check(errors <= {"OK"}, errors)
        equal(s.broker.events("worker"), [])
        s.until_ok()

        check(any(r["errno"] == "ENOMEM" for r in s.broker.events("accept")), s.broker.events())


def test_no_process_can_be_made_in_the_place_of_one_that_died():
    with Setting("clone") as s:
        with Client(s.broker.abstract) as client:
            client.ask(path="/none")
            s.faults.fail("clone", errno.ENOMEM, s.broker.process.pid)
            os.kill(s.broker.worker, 9)
            s.broker.wait_event("worker")
            time.sleep(1)
            tried = s.faults.end()
            check(2 <= tried <= 10, tried)
            s.broker.wait_event("ready", 2, timeout=15)
            equal(client.receive()[:2], (0, 0))
            equal(client.ask(path="/none"), "EACCES")
        check(any("starting a worker" in line and "ENOMEM" in line for line in s.broker.noise), s.broker.noise)
        equal(s.ask(), "OK")


# ---- views --------------------------------------------------------------------------------------


def renew(s):
    """The directory is another one: its view is made anew with the next request."""
    d = s.place.name("d")
    os.rename(d, d + ".old")
    os.rename(d + ".old", d)


def test_views_that_cannot_be_made():
    calls = {"open_tree": errno.ENFILE, "mount_setattr": errno.ENOMEM, "inotify_add_watch": errno.ENOSPC}
    with Setting(*calls) as s:
        maker, = makers(s.broker)
        equal(s.ask(), "OK")
        for call, number in calls.items():
            s.faults.fail(call, number, maker)
            renew(s)
            equal([s.ask() for _ in range(20)], [NAMES[number]] * 20, call)
            check(s.faults.end() >= 20)
            equal(s.ask(), "OK")
            # What failed and where; five lines of a kind.
            lines = [r for r in s.broker.events("view") if r["errno"] == NAMES[number]]
            equal([(r["verdict"], r["path"], r["rule"]) for r in lines],
                  [("error", s.place.name("d"), f"{s.broker.policy}:3")] * 5, call)
        equal(s.broker.events("worker") + s.broker.events("maker"), [])
        # That it is not there is its owner's business.
        os.rename(s.place.name("d"), s.place.name("e"))
        equal(s.ask(), "ENOENT")
        equal(len(s.broker.events("view")), 15)
        os.rename(s.place.name("e"), s.place.name("d"))
        equal(s.ask(), "OK")
        # How many more there were.
        s.broker.wait_event("view", 18, timeout=20)
        equal({(r["errno"], r["repeated"], "path" in r) for r in s.broker.events("view")[15:]},
              {(NAMES[number], 15, False) for number in calls.values()})


def test_no_process_can_be_made_for_a_caller():
    with Setting("clone") as s, listener(s.place.name("s"), backlog=100, mode=0o777):
        maker, = makers(s.broker)

        def run():
            with Client(s.broker.abstract) as client:
                return [client.ask(CONNECT, f"unix:{s.place.name('s')}", STREAM) for _ in range(10)]
        equal(as_user(ME, run), ["OK"] * 10)
        s.faults.fail("clone", errno.ENOMEM, maker)
        equal(as_user(ME, run), ["ENOMEM"] * 10)
        equal(s.faults.end(), 10)
        lines = [r for r in s.broker.events("request") if r["errno"] == "ENOMEM"]
        equal([(r["verdict"], r["reason"]) for r in lines], [("error", "memory is short")] * 5)
        equal(as_user(ME, run), ["OK"] * 10)
        equal(makers(s.broker), [maker])


def test_a_maker_without_memory():
    """Where it cannot go on it is replaced, with its worker; the daemon goes on."""
    with Setting("mmap", "brk", "clone") as s:
        s.skip_sanitized()
        maker, = makers(s.broker)
        for call in ("mmap", "brk", "clone"):
            s.faults.fail(call, errno.ENOMEM, maker)
        equal({as_user(ME, hold_own, s) for _ in range(3)}, {None})
        check(s.faults.end() > 0)
        s.until_ok()
        equal(s.broker.process.poll(), None)


def hold_own(s):
    """Questions of all kinds at once, of many connections."""
    clients = [connect(s.broker.abstract) for _ in range(40)]
    for client in clients:
        for _ in range(4):
            client.send(CONNECT, f"unix:{s.place.name('s')}", STREAM)
            client.send(OPEN, s.path)
    time.sleep(0.5)


if __name__ == "__main__":
    main(globals())
