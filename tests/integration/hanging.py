# SPDX-License-Identifier: MIT
"""
Nothing hangs but what is asked for: file systems that never answer, FIFOs without a peer, leases that are kept, and
directories without end hold up those who asked, for as long as was agreed, and nobody else.
"""
import errno
import fcntl
import os
import signal
import statistics
import subprocess
import time

from broker import FDBROKER, OPEN, Broker, Client, Place, ask
from fuse import Hanging
from linux import CLONE_NEWNS, as_user, in_child, mount, umount, unshare
from tap import Skip, check, equal, main

ENTRIES = int(os.environ.get("FDBROKER_TEST_ENTRIES", 200000))
ROUNDS = int(os.environ.get("FDBROKER_TEST_ROUNDS", 2))
# Of the median beside so many callers that hang, to the usual one. Measured more narrowly by tests/bench/hanging.py.
AT_MOST = float(os.environ.get("FDBROKER_TEST_RATIO", 3))
CALLERS = 50
TIMEOUT = 2
LIST = 6
ME, FIRST = 5001, 6000
F_SETLEASE, F_WRLCK, F_UNLCK = 1024, 1, 2


def mounts():
    unshare(CLONE_NEWNS)
    mount(None, "/", None, 1 << 14 | 1 << 18)


def in_place(run):
    """Calls run(place) in a process with a mount namespace of its own."""
    def inside(place):
        mounts()
        return run(place)
    with Place() as place:
        return in_child(inside, place, timeout=110)


class As:
    """This process is somebody else meanwhile, as far as sockets are concerned."""

    def __init__(self, uid):
        self.uid = uid

    def __enter__(self):
        os.setresuid(self.uid, self.uid, 0)

    def __exit__(self, *exception):
        os.setresuid(0, 0, 0)


class Caller(Client):
    def __init__(self, address, uid, timeout=20):
        self.uid = uid
        with As(uid):
            super().__init__(address, timeout)

    def send(self, *arguments, **named):
        with As(self.uid):
            return super().send(*arguments, **named)

    def error(self):
        """Of the next reply, as a name."""
        id, error, _, descriptors = self.receive()
        for descriptor in descriptors:
            os.close(descriptor)
        return errno.errorcode.get(error, error) or "OK"


def median(address, path, count=300):
    """Seconds that an open takes, as ME."""
    def run():
        times = []
        with Client(address) as client:
            for _ in range(count):
                begin = time.perf_counter()
                file = client.open(path)
                times.append(time.perf_counter() - begin)
                os.close(file)
        return statistics.median(times)
    return as_user(ME, run)


def status(broker):
    """The daemon's, as a dictionary."""
    done = subprocess.run([FDBROKER, "status", "--socket", broker.abstract], capture_output=True, text=True, timeout=10)
    equal(done.returncode, 0, done.stderr)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def descriptors(pid):
    """What the descriptors of a process mean, but for the numbers of the sockets."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}").split(":")[0])
        except FileNotFoundError:
            pass  # closed meanwhile
    return sorted(found)


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def until(condition, what, timeout=10):
    end = time.monotonic() + timeout
    while not condition():
        check(time.monotonic() < end, what() if callable(what) else what)
        time.sleep(0.02)


class Setting:
    """A broker and a directory `d` that answers, for everybody."""

    def __init__(self, place, *rules, options=(), who="user *"):
        place.file("d/x", "x")
        text = "".join(f" {rule}\n" for rule in (f"allow read {place.name('d')}/*", *rules))
        self.place = place
        self.x = place.name("d/x")
        self.broker = Broker(place, f"subject a {{\n {who}\n{text}}}\n",
                             options=("--open-timeout", str(TIMEOUT), *options))
        self.address = self.broker.pathname
        self.maker = next(pid for pid in children(self.broker.process.pid) if pid != self.broker.worker)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()

    def callers(self, count=CALLERS):
        return [Caller(self.address, FIRST + number) for number in range(count)]

    def beside(self, send, outcome="ETIMEDOUT", settle=0.3, rounds=ROUNDS):
        """
        In turns: what an open takes usually, and while many callers hang, who begin to by send(caller); they are
        answered with `outcome` in the end.
        """
        usual, hanging = [], []
        median(self.address, self.x)
        for _ in range(rounds):
            usual.append(median(self.address, self.x))
            callers = self.callers()
            begin = time.monotonic()
            for caller in callers:
                send(caller)
            time.sleep(settle)
            hanging.append(median(self.address, self.x))
            check(time.monotonic() - begin < TIMEOUT, "it took so long that nobody hung any more")
            for caller in callers:
                equal(caller.error(), outcome)
            if outcome == "ETIMEDOUT":
                check(TIMEOUT - 0.2 < time.monotonic() - begin < TIMEOUT + 1, "ETIMEDOUT came too early or too late")
            for caller in callers:
                caller.socket.close()
        # Of several rounds the quickest: what holds others up does so in each, what the machine does besides does not.
        ratio = min(hanging) / min(usual)
        print(f"# {min(usual) * 1e6:.1f} us usually, {min(hanging) * 1e6:.1f} us beside "
              f"{CALLERS} callers: {ratio:.2f}", flush=True)
        check(ratio < AT_MOST, "others are held up:", usual, hanging)


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
