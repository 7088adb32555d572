# SPDX-License-Identifier: MIT
"""
Nothing hangs but what is asked for: file systems that never answer, FIFOs without a peer, leases that are kept, and
directories without end hold up those who asked, for as long as was agreed, and nobody else.
"""
import errno
import fcntl
import os
import signal
import time

from broker import OPEN, ask
from fuse import Hanging
from hangs import ME, Caller, Setting, descriptors, in_place, until
from linux import mount
from tap import check, equal, main

# A million take some seconds to make.
ENTRIES = int(os.environ.get("FDBROKER_TEST_ENTRIES", 200000))
LIST = 6
F_SETLEASE, F_WRLCK, F_UNLCK = 1024, 1, 2


def hanging_beside(operation, path="h/file", request=OPEN, **mounted):
    def run(place):
        with Hanging(place.directory("h"), file=b"text") as fuse, \
             Setting(place, f"allow read,list,stat {place.name('h')}{{,/**}}") as s:
            equal(ask(s.address, place.name("h/file")), "OK")
            try:
                fuse.hang(operation)
                s.beside(lambda caller: caller.send(request, place.name(path)))
            finally:
                fuse.release()
            equal(ask(s.address, place.name("h/file")), "OK")
            equal(len(s.broker.events("ready")), 1, "the worker was started again")
    in_place(run)


def test_others_beside_opens_that_never_return():
    hanging_beside("open")


def test_others_beside_look_ups_that_never_return():
    hanging_beside("lookup", "h/sub/file")


def test_others_beside_attributes_that_never_come():
    hanging_beside("getattr", "h/file", 3)


def test_others_beside_a_listing_that_never_comes():
    hanging_beside("readdir", "h", LIST)


def test_others_beside_fifos_without_a_peer():
    def run(place):
        place.directory("p")
        os.mkfifo(place.name("p/fifo"))
        with Setting(place, f"allow read {place.name('p')}/* type fifo") as s:
            s.beside(lambda caller: caller.send(OPEN, place.name("p/fifo")))
    in_place(run)


def test_others_beside_a_file_under_a_lease():
    def run(place):
        with Setting(place, f"allow read {place.name('l')}/*") as s:
            path = place.file("l/file", "text")
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            holder = os.open(path, os.O_RDWR)
            fcntl.fcntl(holder, F_SETLEASE, F_WRLCK)
            s.beside(lambda caller: caller.send(OPEN, path))
            with s.callers(1)[0] as caller:
                caller.send(OPEN, path, flags=os.O_NONBLOCK)
                equal(caller.error(), "EAGAIN")
                caller.send(OPEN, path)
                time.sleep(0.3)
                fcntl.fcntl(holder, F_SETLEASE, F_UNLCK)
                equal(caller.error(), "OK")
            os.close(holder)
    in_place(run)


def test_others_beside_a_directory_without_end():
    def run(place):
        mount("tmpfs", place.directory("big"), "tmpfs")
        inode = place.file("big/0")
        directory = os.open(place.name("big"), os.O_RDONLY)
        for number in range(1, ENTRIES):
            os.close(os.open(f"{number:07}", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        os.close(directory)
        with Setting(place, f"allow list {place.name('big')}") as s:
            s.beside(lambda caller: [caller.send(LIST, place.name("big")) for _ in range(4)], outcome="OK", settle=0)
    in_place(run)


def test_others_beside_files_that_cannot_be_closed():
    """The one who opened it has its descriptor; only the broker's own waits for the server to be told."""
    def run(place):
        with Hanging(place.directory("h"), file=b"text") as fuse, \
             Setting(place, f"allow read {place.name('h')}/*") as s:
            equal(ask(s.address, s.x), "OK")
            # It is told before all is closed.
            until(lambda: "/x" not in descriptors(s.broker.worker), "the file stays open")
            time.sleep(0.3)
            before = descriptors(s.broker.worker)
            callers, kept = s.callers(20), []
            # Nothing may be forked from here on: its end would hang too.
            with Caller(s.address, ME) as other:
                try:
                    fuse.hang("flush")
                    for caller in callers:
                        caller.send(OPEN, place.name("h/file"))
                    until(lambda: fuse.pending() == 8, "so many are closed at once, and no more")
                    begin = time.monotonic()
                    other.send(OPEN, s.x)
                    equal(other.error(), "OK")
                    check(time.monotonic() - begin < 0.5, "others wait")
                    for caller in callers:
                        error, _, held = caller.receive()[1:]
                        kept += held
                        check(error in (0, errno.ETIMEDOUT), error)
                    check(len(kept) >= 8, kept)
                    equal(fuse.pending(), 8)
                finally:
                    fuse.release()
            for file in kept:
                os.close(file)
            for caller in callers:
                caller.socket.close()
            until(lambda: descriptors(s.broker.worker) == before,
                  lambda: f"descriptors are left open: {before} {descriptors(s.broker.worker)}")
    in_place(run)


main(globals())
