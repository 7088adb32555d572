# SPDX-License-Identifier: MIT
"""
A worker that is not itself any more, against its supervisor: the test takes the worker's own descriptors
(pidfd_getfd(2), as root) and says with them what a worker never says.
"""
import os
import signal
import socket
import struct
import time

from broker import Broker, Client, Place, ask
from linux import as_user, libc, result
from tap import check, equal, main

SYS_PIDFD_GETFD = 438
# broker/channel.h: type, index, attributes, error, (a map,) text.
HEADER = struct.Struct("=IIIi16x")
START, VIEW, READY, LISTENER, STOP = range(1, 6)


class Taken:
    """A broker whose worker has been taken over."""

    def __init__(self):
        self.place = Place()
        self.place.file("d/x", "x")
        self.broker = Broker(self.place, (
            f"subject a {{\n user 5001\n allow read {self.place.name('d')}/*\n}}\n"))
        equal(as_user(5001, ask, self.broker.abstract, self.place.name("d/x")), "OK")
        self.pidfd = os.pidfd_open(self.broker.worker)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        os.close(self.pidfd)
        self.broker.__exit__()
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
        equal(as_user(5001, ask, self.broker.abstract, self.place.name("d/x")), "OK")


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
                    HEADER.pack(STOP, 0, 0, 0), HEADER.pack(START, 0, 0, 0)):
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


def test_shutting_the_listening_sockets_down():
    with Taken() as taken:
        for listener in taken.listeners():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        # The worker notices, and the next one has others.
        taken.broker.wait_event("ready", 2)
        for address in (taken.broker.abstract, taken.broker.pathname):
            equal(as_user(5001, ask, address, taken.place.name("d/x")), "OK")
        check(len(taken.broker.events("ready")) < 4, "it is started again and again")


def test_a_worker_that_dies_again_and_again_is_not_started_at_every_instant():
    with Taken() as taken:
        end = time.monotonic() + 1
        killed = 0
        while time.monotonic() < end:
            worker = taken.broker.wait_event("ready", killed + 1)["worker"]
            os.kill(worker, signal.SIGKILL)
            killed += 1
        check(killed <= 60, killed)
        taken.broker.wait_event("ready", killed + 1)


def test_nobody_of_the_workers_uid_can_touch_it():
    with Taken() as taken:
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
        equal(as_user(61234, neighbour), [1, 13])


main(globals())
