# SPDX-License-Identifier: MIT
"""
A worker that is not itself any more, against its supervisor and its maker: the test takes the worker's own descriptors
(pidfd_getfd(2), as root) and says with them what a worker never says.
"""
import errno
import os
import signal
import socket
import stat
import struct
import time

from broker import WORKER_UID, Broker, Client, Place, attempt
from broker import ask as ask_broker
from linux import as_user, become, libc, result
from taken import let_go_on
from tap import Skip, check, equal, main

SYS_PIDFD_GETFD = 438
# broker/channel.h: type, id, index, attributes, error, (a caller's ids, a map, an endpoint,) text.
HEADER = struct.Struct("=I4xIIi80x")
START, VIEW, READY, CLIENT, STOP = range(1, 6)


class Taken:
    """A broker whose worker has been taken over."""

    def __init__(self, place=None, rule=None):
        self.place = place or Place()
        self.place.file("d/x", "x")
        rule = rule or f"allow read {self.place.name('d')}/*"
        self.broker = Broker(self.place, f"subject a {{\n user 5001\n {rule}\n}}\n")
        self.given = place
        equal(as_user(5001, ask_broker, self.broker.abstract, self.place.name("d/x")), "OK")
        self.pidfd = os.pidfd_open(self.broker.worker)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        let_go_on(self.pidfd)
        os.close(self.pidfd)
        self.broker.__exit__()
        if not self.given:
            self.place.__exit__()

    def take(self, number):
        return result(libc.syscall(SYS_PIDFD_GETFD, self.pidfd, number, 0))

    def channel(self):
        with open(f"/proc/{self.broker.worker}/cmdline") as file:
            arguments = file.read().split("\0")
        number = int(arguments[arguments.index("--worker") + 1])
        channel = socket.socket(fileno=self.take(number))
        channel.settimeout(2)
        return channel

    def questions(self):
        """The socket on which the worker asks: the other one that is neither named nor listens. The worker itself
        is stopped: it would hear the answers."""
        os.kill(self.broker.worker, signal.SIGSTOP)
        channel = self.channel()
        with channel:
            ours = os.fstat(channel.fileno()).st_ino
        for number in os.listdir(f"/proc/{self.broker.worker}/fd"):
            if "socket:" not in os.readlink(f"/proc/{self.broker.worker}/fd/{number}"):
                continue
            taken = socket.socket(fileno=self.take(int(number)))
            if not taken.getsockname() and not taken.getsockopt(socket.SOL_SOCKET, 30) and \
                    os.fstat(taken.fileno()).st_ino != ours:
                taken.settimeout(2)
                return taken
            taken.close()
        raise AssertionError("the worker asks nobody")

    def listeners(self):
        found = []
        for number in os.listdir(f"/proc/{self.broker.worker}/fd"):
            if "socket:" in os.readlink(f"/proc/{self.broker.worker}/fd/{number}"):
                taken = socket.socket(fileno=self.take(int(number)))
                if taken.getsockopt(socket.SOL_SOCKET, 30):  # SO_ACCEPTCONN
                    found.append(taken)
        return found

    def expect_killed(self):
        equal(self.broker.wait_event("worker")["signal"], "KILL")
        self.broker.wait_event("ready", 2)
        equal(as_user(5001, ask_broker, self.broker.abstract, self.place.name("d/x")), "OK")


def test_asking_for_a_view_costs_the_worker_its_life_and_gives_nothing():
    with Taken() as taken:
        with taken.channel() as channel:
            channel.send(HEADER.pack(VIEW, 0, 1, 0) + b"/etc")
            try:
                data, descriptors, _, _ = socket.recv_fds(channel, 8192, 4)
            except OSError:
                data, descriptors = b"", []
            equal((data, descriptors), (b"", []))
        taken.expect_killed()


def test_saying_what_no_worker_says():
    for message in (HEADER.pack(99, 0, 0, 0), HEADER.pack(READY, 0, 0, 0), b"x",
                    HEADER.pack(STOP, 0, 0, 0), HEADER.pack(START, 0, 0, 0),
                    HEADER.pack(PING, 0, 0, 0), HEADER.pack(PONG, 0, 0, 0)):
        with Taken() as taken:
            with taken.channel() as channel:
                channel.send(message)
                taken.expect_killed()


def test_sending_descriptors_to_the_supervisor():
    with Taken() as taken:
        before = len(os.listdir(f"/proc/{taken.broker.process.pid}/fd"))
        with taken.channel() as channel:
            socket.send_fds(channel, [HEADER.pack(READY, 0, 0, 0)], [0, 1])
            taken.expect_killed()
        equal(len(os.listdir(f"/proc/{taken.broker.process.pid}/fd")), before)


def test_a_maker_that_dies_takes_its_worker_with_it():
    with Taken() as taken:
        makers = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_maker(pid, taken)]
        equal(len(makers), 1)
        os.kill(makers[0], signal.SIGKILL)
        taken.broker.wait_event("ready", 2)
        equal(as_user(5001, ask_broker, taken.broker.abstract, taken.place.name("d/x")), "OK")


def is_maker(pid, taken):
    try:
        with open(f"/proc/{pid}/status") as status, open(f"/proc/{pid}/cmdline") as command:
            return f"PPid:\t{taken.broker.process.pid}\n" in status.read() and \
                "--maker" in command.read()
    except OSError:
        return False


# broker/channel.h, further on.
(WATCH, STALE, RENEW, DEVICE, EXE, IDENTIFY, LOADED, REPORT, CLOSED, BACK, RELOAD, RELOADED, HANDOVER, PING,
 PONG, LOG, TEMPLATE, USER, CALLERS) = range(6, 25)


def ask(questions, message):
    questions.send(message)
    try:
        data, descriptors, _, _ = socket.recv_fds(questions, 8192, 4)
    except OSError:
        return None, []
    return HEADER.unpack_from(data) if data else None, descriptors


def test_questions_give_nothing_but_what_was_named():
    for message in (HEADER.pack(VIEW, 1, 1, 0) + b"/etc", HEADER.pack(VIEW, 0, 1, 0) + b"/etc",
                    HEADER.pack(RENEW, 1, 0, 0), HEADER.pack(RENEW, 2 ** 32 - 1, 0, 0) + b"/etc",
                    HEADER.pack(DEVICE, 0, 2, 0) + b"x", HEADER.pack(DEVICE, 9, 2, 0) + b"x",
                    HEADER.pack(EXE, 0, 0, 0) + b"/bin/sh", HEADER.pack(IDENTIFY, 0, 0, 0),
                    HEADER.pack(99, 0, 0, 0)):
        with Taken() as taken:
            with taken.questions() as questions:
                equal(ask(questions, message), (None, []), message)
                taken.expect_killed()


# With a caller's ids.
OF_CALLER = struct.Struct("=I4xIIiII72x")


def with_templates(place):
    """Named: 0 is the directory d, 1 the template spool/%U, 2 the template %h/x. What comes behind are callers'."""
    for uid in (5001, 5002):
        place.file(f"spool/{uid}/f", str(uid))
        os.mknod(place.name(f"spool/{uid}/null"), 0o20666, os.makedev(1, 3))
    return Taken(place, f"allow read {place.name('d')}/*\n allow read {place.name('spool')}/%U/* type chardev\n"
                        " allow read %h/x/*")


def test_a_caller_is_chosen_and_no_path():
    with Place() as place, with_templates(place) as taken, taken.questions() as questions:
        for slot, uid in ((3, 5001), (3 + 1023, 5002), (3, 5002)):
            answer, descriptors = ask(questions, OF_CALLER.pack(CALLERS, slot, 1, 0, uid, uid) + b"/etc")
            equal((answer[3], len(descriptors)), (0, 1))
            check(os.path.samestat(os.stat(descriptors[0]), os.stat(place.name(f"spool/{uid}"))))
            os.close(descriptors[0])
        # Who is in no data base has no home, and there is none of that number.
        for uid, template in ((4294967293, 2), (5003, 1)):
            answer, descriptors = ask(questions, OF_CALLER.pack(CALLERS, 3, template, 0, uid, 0) + b"/etc")
            equal((answer[3], descriptors), (errno.ENOENT, []))
        # A question that another has overtaken, since a thread was late, takes no place away.
        for id, uid, wanted in ((11, 5001, 0), (10, 5002, errno.ETIMEDOUT), (12, 5002, 0)):
            answer, descriptors = ask(questions, struct.pack("=IIIIiII72x", CALLERS, id, 4, 1, 0, uid, 0))
            equal((answer[3], len(descriptors)), (wanted, 0 if wanted else 1), id)
            for descriptor in descriptors:
                os.close(descriptor)
        for name, wanted in ((b"null", 0), (b"f", errno.EACCES), (b"../5001/null", errno.EXDEV)):
            answer, descriptors = ask(questions, OF_CALLER.pack(DEVICE, 1, 0, 0, 5002, 0) + name)
            equal((answer[3], len(descriptors)), (wanted, 0 if wanted else 1), name)
            for descriptor in descriptors:
                os.close(descriptor)


def test_templates_give_nothing_but_what_was_named():
    for message in (OF_CALLER.pack(CALLERS, 2, 1, 0, 5001, 0), OF_CALLER.pack(CALLERS, 3 + 1024, 1, 0, 5001, 0),
                    OF_CALLER.pack(CALLERS, 2 ** 32 - 1, 1, 0, 5001, 0), OF_CALLER.pack(CALLERS, 3, 0, 0, 5001, 0),
                    OF_CALLER.pack(CALLERS, 3, 3, 0, 5001, 0), OF_CALLER.pack(CALLERS, 3, 2 ** 32 - 1, 0, 5001, 0),
                    OF_CALLER.pack(RENEW, 1, 0, 0, 5001, 0), OF_CALLER.pack(RENEW, 3, 0, 0, 5001, 0),
                    OF_CALLER.pack(DEVICE, 3, 0, 0, 5001, 0) + b"null", OF_CALLER.pack(DEVICE, 2, 0, 0, 0, 0) + b"f",
                    OF_CALLER.pack(TEMPLATE, 3, 0, 0, 0, 0) + b"/etc", OF_CALLER.pack(TEMPLATE, 3, 0, 0, 0, 0) + b"%h",
                    OF_CALLER.pack(USER, 0, 0, 0, 4294967293, 0) + b"evil/etc", OF_CALLER.pack(LOADED, 0, 0, 0, 0, 0)):
        with Place() as place, with_templates(place) as taken:
            with taken.questions() as questions:
                equal(ask(questions, message), (None, []), message)
                taken.expect_killed()


def test_a_device_is_asked_for_beneath_its_directory_only():
    with Place() as place:
        place.file("d/f", "f")
        place.file("outside", "outside")
        os.mknod(place.name("d/null"), 0o20666, os.makedev(1, 3))
        os.mknod(place.name("d/disk"), stat.S_IFBLK | 0o600, os.makedev(259, 1048575))
        os.symlink("null", place.name("d/link"))
        os.symlink("../outside", place.name("d/out"))
        with Taken(place, f"allow read {place.name('d')}/* type chardev") as taken:
            with taken.questions() as questions:
                for name, wanted in ((b"null", 0), (b"f", errno.EACCES), (b"link", errno.ELOOP),
                                     (b"out", errno.ELOOP), (b"../outside", errno.EXDEV),
                                     (b"/etc/passwd", errno.EXDEV), (b".", errno.EACCES),
                                     (b"disk", errno.EACCES)):
                    answer, descriptors = ask(questions, HEADER.pack(DEVICE, 0, 0, 0) + name)
                    equal((answer[3], len(descriptors)), (wanted, 0 if wanted else 1), name)
                    for descriptor in descriptors:
                        # It cannot be opened again: what it was opened in is nodev.
                        try:
                            os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR))
                            raise AssertionError("it could be opened again")
                        except PermissionError:
                            pass
                        os.close(descriptor)
                # A view for reading opens nothing for writing: that it is read-only does not keep one from a device.
                for flags in (os.O_WRONLY, os.O_RDWR, 3):
                    answer, descriptors = ask(questions, HEADER.pack(DEVICE, 0, flags, 0) + b"null")
                    equal((answer[3], descriptors), (errno.EACCES, []), flags)
                answer, descriptors = ask(questions, HEADER.pack(DEVICE, 0, os.O_CREAT, 0) + b"n")
                equal((answer[3], descriptors), (errno.ENOENT, []))


def test_a_worker_has_no_listening_socket():
    with Taken() as taken:
        equal(taken.listeners(), [])


def test_a_client_that_the_worker_does_not_have_is_not_its_to_end():
    for kind in (CLOSED, BACK):
        with Taken() as taken:
            with taken.channel() as channel:
                channel.send(HEADER.pack(kind, 7, 0, 0))
            taken.expect_killed()


def test_a_reload_is_for_those_who_may():
    """Whatever the worker says of who has asked."""
    with Taken() as taken:
        pid = os.fork()
        if pid == 0:
            become(5001)
            with Client(taken.broker.abstract) as client:
                client.ask(path=taken.place.name("d/x"))
                client.receive()
            os._exit(0)
        time.sleep(0.3)
        with taken.channel() as channel:
            # Some number is that client's.
            for client in range(64):
                if attempt(channel.send, HEADER.pack(RELOAD, client, 0, 0)) == "EPIPE":
                    break
        try:
            taken.expect_killed()
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_a_worker_that_dies_again_and_again_is_replaced_each_time():
    with Taken() as taken:
        for killed in range(1, 21):
            worker = taken.broker.wait_event("ready", killed)["worker"]
            os.kill(worker, signal.SIGKILL)
        taken.broker.wait_event("ready", 21)
        equal(as_user(5001, ask_broker, taken.broker.abstract, taken.place.name("d/x")), "OK")


def test_nobody_of_the_workers_uid_can_touch_it():
    with Taken() as taken:
        with open(f"/proc/{taken.broker.worker}/maps") as maps:
            if "libasan" in maps.read():
                raise Skip("the leak sanitizer must be able to look into its own process")

        def neighbour():
            errors = []
            try:
                pidfd = os.pidfd_open(taken.broker.worker)
                result(libc.syscall(SYS_PIDFD_GETFD, pidfd, 2, 0))
            except OSError as error:
                errors.append(error.errno)
            try:
                os.listdir(f"/proc/{taken.broker.worker}/fd")
            except OSError as error:
                errors.append(error.errno)
            return errors
        equal(as_user(WORKER_UID, neighbour), [1, 13])


main(globals())
