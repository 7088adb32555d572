# SPDX-License-Identifier: MIT
"""Whatever a client sends gets an errno, and leaves the broker and everybody else unharmed."""
import os
import resource
import socket
import struct
import time

from broker import NAMES, OPEN, REQUEST, STATUS, Broker, Client, Place, ask, attempt
from linux import as_user, in_child
from tap import check, equal, main

ME = 5001


class Setting:
    """A broker, a file that ME may read, and a well-behaved client that must not notice anything."""

    def __init__(self, **popen):
        self.place = Place()
        self.file = self.place.file("d/x", "x", 0o600)
        self.broker = Broker(self.place, (
            f"subject a {{\n user {ME}\n allow read,write,create {self.place.name('d')}/**\n}}\n"), **popen)
        self.worker = self.broker.worker
        # From then on the worker has all the descriptors of its own.
        for address in (self.broker.pathname, self.broker.abstract):
            equal(as_user(ME, ask, address, self.file), "OK")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            if exception[0] is None:
                equal(as_user(ME, ask, self.broker.abstract, self.file), "OK", "afterwards")
                equal(len(self.broker.events("ready")), 1, "the worker was started again")
                os.kill(self.worker, 0)
        finally:
            self.broker.__exit__()
            self.place.__exit__()

    def run(self, function):
        return as_user(ME, function)


def test_paths():
    with Setting() as s:
        d = s.place.name("d").encode()
        table = [
            (b"", "ENOENT"), (b"x", "EINVAL"), (b"d/x", "EINVAL"), (b"./x", "EINVAL"),
            (b"/" + b"a" * 4999, "ENAMETOOLONG"), (b"/" + b"a/" * 2048, "ENAMETOOLONG"),
            (d + b"/" + b"n" * 256, "ENAMETOOLONG"),
            (d + b"/x\0", "EINVAL"), (b"\0" + d + b"/x", "EINVAL"), (d + b"/x\0.txt", "EINVAL"),
            (d + b"/../d/x", "EINVAL"), (d + b"/..", "EINVAL"), (b"/..", "EINVAL"),
            (d + b"/./x", "EINVAL"), (d + b"/.", "EINVAL"), (d + b"//x", "EINVAL"),
            (b"/" + d + b"/x", "EINVAL"), (d + b"/x/", "EINVAL"), (b"//", "EINVAL"),
            (b"/", "EACCES"), (d + b"/..x", "ENOENT"), (d + b"/x.", "ENOENT"),
            (d + b"/n\n\"\xff\xc3(", "ENOENT"), (d, "EACCES"), (d + b"/x", "OK"),
            (d + b"/x/y", "ENOTDIR"),
        ]

        def client():
            with Client(s.broker.abstract) as c:
                return [(path[:40], c.ask(path=path)) for path, _ in table]
        equal(s.run(client), [(path[:40], error) for path, error in table])


def test_flags():
    with Setting() as s:
        table = [
            (3, "EINVAL"), (os.O_PATH, "EINVAL"), (os.O_CREAT | os.O_DIRECTORY, "EINVAL"),
            (0o20000, "EINVAL"), (1 << 30, "EINVAL"), (1 << 31, "EINVAL"), (1 << 40, "EINVAL"),
            (1 << 63, "EINVAL"), (os.O_DIRECTORY, "ENOTDIR"), (os.O_TMPFILE | os.O_RDWR, "ENOTDIR"),
            (os.O_RDWR, "OK"), (os.O_WRONLY | os.O_APPEND, "OK"), (os.O_NOFOLLOW, "OK"),
            (os.O_CLOEXEC | 0o100000, "OK"), (os.O_NONBLOCK, "OK"), (os.O_SYNC, "OK"),
            (os.O_NOCTTY, "OK"), (os.O_DSYNC | os.O_RDWR, "OK"),
        ]

        def client():
            with Client(s.broker.abstract) as c:
                return [(flags, c.ask(path=s.file, flags=flags)) for flags, _ in table]
        equal(s.run(client), table)


def test_modes():
    with Setting() as s:
        def client():
            with Client(s.broker.abstract) as c:
                return [c.ask(path=s.file, mode=0o600),
                        c.ask(path=s.file + "n", flags=os.O_CREAT | os.O_RDWR, mode=0o10000),
                        c.ask(path=s.file + "n", flags=os.O_CREAT | os.O_RDWR, mode=1 << 31)]
        equal(s.run(client), ["EINVAL"] * 3)
        check(not os.path.exists(s.file + "n"))


def test_the_record_names_what_was_wrong():
    with Setting() as s:
        s.run(lambda: ask(s.broker.abstract, s.file, os.O_PATH))
        record = s.broker.wait_event("request")
        equal((record["verdict"], record["errno"]), ("error", "EINVAL"))
        check("O_PATH" in record["reason"], record)


def refused(raw, error, ends=True):
    """A raw message is answered with `error`; then the connection ends, and the reason has arrived."""
    with Setting() as s:
        def client():
            with Client(s.broker.abstract) as c:
                # Some more behind it must not cost the client the reason.
                c.socket.send(raw)
                for _ in range(3 if ends else 0):
                    attempt(c.socket.send, REQUEST.pack(1, STATUS, 99, 0, 0, 0, 0))
                got = c.receive()
                end = attempt_end(c) if ends else None
                return got[0], got[1], end
        id, number, end = s.run(client)
        equal(NAMES[number], error)
        if ends:
            equal(end, "END")
            record = s.broker.wait_event("request")
            equal((record["verdict"], record["errno"]), ("error", error))
        return id


def attempt_end(client):
    try:
        return "END" if client.receive() is None else "MORE"
    except ConnectionResetError:
        return "END"


def request(version=1, operation=OPEN, id=7, flags=0, mode=0, path=b"/x", length=None, extra=0):
    return REQUEST.pack(version, operation, id, flags, mode,
                        len(path) if length is None else length, extra) + path


def test_a_message_too_short():
    equal(refused(b"x", "EBADMSG"), 0)
    equal(refused(request()[:7], "EBADMSG"), 0)
    equal(refused(request()[:8], "EBADMSG"), 7)
    equal(refused(request()[:23], "EBADMSG"), 7)


def test_a_message_of_zero_length():
    refused(b"", "EBADMSG")


def test_a_message_too_long():
    refused(request(path=b"/" + b"x" * 65535, length=65535), "EBADMSG")
    refused(b"\0" * 100000, "EBADMSG")


def test_lengths_that_do_not_add_up():
    equal(refused(request(length=1), "EBADMSG"), 7)
    equal(refused(request(length=3), "EBADMSG"), 7)
    equal(refused(request(length=65535), "EBADMSG"), 7)
    equal(refused(request(extra=1), "EBADMSG"), 7)
    equal(refused(request(length=1, extra=1), "EBADMSG"), 7)


def test_another_version():
    equal(refused(request(version=0), "EPROTONOSUPPORT"), 7)
    equal(refused(request(version=2), "EPROTONOSUPPORT"), 7)


def test_an_unknown_operation():
    for operation in (0, 66, 77, 65535):
        equal(refused(request(operation=operation), "EOPNOTSUPP", ends=False), 7)


def test_descriptors_attached():
    with Setting() as s:
        def client():
            answers = []
            for count in (1, 2, 200):
                with Client(s.broker.abstract) as c:
                    files = [os.open("/", os.O_PATH) for _ in range(count)]
                    try:
                        socket.send_fds(c.socket, [request()], files)
                    except OSError as error:
                        # The kernel can refuse them for the broker (SO_PASSRIGHTS, Linux 6.16).
                        answers.append(error.errno == 1)
                        continue
                    finally:
                        for file in files:
                            os.close(file)
                    answers.append(c.receive()[1] == 74 and attempt_end(c) == "END")
            return answers
        before = len(os.listdir(f"/proc/{s.worker}/fd"))
        equal(s.run(client), [True, True, True])
        wait_for(lambda: len(os.listdir(f"/proc/{s.worker}/fd")) <= before, "descriptors were kept")


def wait_for(condition, what, timeout=5):
    end = time.monotonic() + timeout
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.01)


def test_silent_clients():
    with Setting() as s:
        def client():
            silent = [Client(s.broker.abstract) for _ in range(50)]
            answer = ask(s.broker.abstract, s.file)
            for c in silent:
                c.socket.close()
            return answer
        equal(s.run(client), "OK")


def test_clients_that_close_in_the_middle():
    with Setting() as s:
        before = len(os.listdir(f"/proc/{s.worker}/fd"))

        def client():
            for i in range(300):
                c = Client(s.broker.abstract)
                for _ in range(i % 7):
                    c.send(path=s.file)
                c.socket.close()
        s.run(client)
        wait_for(lambda: len(os.listdir(f"/proc/{s.worker}/fd")) <= before, "descriptors were kept")


def test_clients_that_send_and_never_read():
    with Setting() as s:
        before = len(os.listdir(f"/proc/{s.worker}/fd"))

        def client():
            clients = [Client(s.broker.abstract) for _ in range(20)]
            sent = 0
            for c in clients:
                c.socket.setblocking(False)
                while attempt(c.send, OPEN, s.file) == "OK":
                    sent += 1
            # What the kernel holds for one of them is bounded: it is not read from any more. That many
            # replies are under way, and as many requests as fit into the other direction.
            check(sent < 20 * 400, sent)
            # Who reads after all gets every reply, in order.
            c = clients[0]
            c.socket.setblocking(True)
            last = c.id if attempt(c.socket.getpeername) == "OK" else 0
            for id in range(1, last):
                got = c.receive()
                # More than so many descriptors of one uid are not sent until some have been received.
                equal((got[0], NAMES.get(got[1], "OK") in ("OK", "EDQUOT")), (id, True))
                for d in got[3]:
                    os.close(d)
            for other in clients[1:]:
                other.socket.close()
            return ask(s.broker.abstract, s.file)
        equal(s.run(client), "OK")
        record, = s.broker.events("limit")
        equal((record["limit"], record["most"]), ("descriptors", 512))
        wait_for(lambda: len(os.listdir(f"/proc/{s.worker}/fd")) <= before, "descriptors were kept")


def test_the_unread_replies_of_one_client_are_few():
    with Setting() as s:
        readable = in_child(stopped_client, s)
        check(10 < readable <= 64, readable)


def stopped_client(s):
    """How many replies wait for a client that has not read any; root stops the worker to count them."""
    c = Client(s.broker.abstract)
    c.socket.setblocking(False)
    while attempt(c.send, OPEN, "/fdbroker-test/denied") == "OK":
        pass
    time.sleep(0.3)
    os.kill(s.worker, 19)
    count = 0
    try:
        while attempt(c.receive) == "OK":
            count += 1
    finally:
        os.kill(s.worker, 18)
    return count


def test_the_connections_of_one_uid_are_limited():
    with Setting() as s:
        def crowd():
            clients = [Client(s.broker.abstract) for _ in range(300)]
            for c in clients:
                attempt(lambda: c.send(path=s.file))
            got = []
            for c in clients:
                reply = c.receive()
                got.append((reply[0], NAMES.get(reply[1], "OK")))
                for d in reply[3]:
                    os.close(d)
            return got
        got = s.run(crowd)
        # The reason comes before any request was looked at: it is a reply to none. Which of those that come at the
        # same time are too many, is chance.
        equal(sorted(got), [(0, "EDQUOT")] * 44 + [(1, "OK")] * 256)
        equal(got[:200], [(1, "OK")] * 200)
        record, = s.broker.events("limit")
        equal((record["uid"], record["errno"], record["limit"], record["most"]),
              (ME, "EDQUOT", "connections", 256))
        # Others have their own, and so has this one when it has closed some.
        equal(as_user(5044, ask, s.broker.abstract, s.file), "EACCES")


def test_a_caller_that_matches_no_subject_is_answered_and_then_let_go():
    with Setting() as s:
        def client():
            with Client(s.broker.abstract, timeout=20) as c:
                first = [c.ask(path=s.file), c.ask(path=s.file)]
                return first, attempt_end(c)
        equal(as_user(5055, client), (["EACCES", "EACCES"], "END"))


def test_a_record_that_nobody_reads_stops_nobody():
    with Setting(options=["--log-grants"]) as s:
        def client():
            with Client(s.broker.abstract) as c:
                return {c.ask(path=s.file) for _ in range(3000)}
        equal(s.run(client), {"OK"})
        s.broker.read()
        # What was lost meanwhile is counted as soon as there is room again.
        s.run(lambda: ask(s.broker.abstract, "/etc/shadow"))
        check(any(r.get("lost", 0) > 100 for r in s.broker.events("request")), "nothing was lost")


def test_the_connections_of_one_do_not_exhaust_the_broker():
    """More connections than the worker has room for: those who are connected go on, and it recovers."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    with Setting(preexec_fn=few) as s:

        def client():
            with Client(s.broker.abstract) as good:
                crowd = [Client(s.broker.abstract) for _ in range(100)]
                time.sleep(0.3)
                # The crowd waits in the backlog, and leaves room for what those need who are connected.
                while_full = good.ask(path=s.file)
                for c in crowd:
                    c.socket.close()
                end = time.monotonic() + 10
                while good.ask(path=s.file) != "OK":
                    check(time.monotonic() < end, "no recovery")
                return while_full, ask(s.broker.abstract, s.file)
        equal(s.run(client), ("OK", "OK"))
        # CPU time shows whether accepting spun meanwhile.
        check(len(s.broker.events("accept")) < 20, len(s.broker.events("accept")))


main(globals())
