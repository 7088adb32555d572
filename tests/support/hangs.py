# SPDX-License-Identifier: MIT
"""Callers whose requests hang, and what an open takes beside them."""
import errno
import os
import statistics
import time

from broker import Broker, Client, Place
from linux import CLONE_NEWNS, as_user, in_child, mount, unshare
from tap import check, equal

ROUNDS = int(os.environ.get("FDBROKER_TEST_ROUNDS", 2))
# Of the median beside so many callers that hang, to the usual one. The benchmark `hanging` wants 1.2.
AT_MOST = float(os.environ.get("FDBROKER_TEST_RATIO", 3))
CALLERS = 50
TIMEOUT = 2
ME, FIRST = 5001, 6000


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
        try:
            if self.broker.process.poll() is None:
                self.broker.stop()
            # What a sanitizer has to say.
            equal(self.broker.noise, [])
        finally:
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
                got = caller.error()
                check(outcome in (None, got), got)
            if outcome == "ETIMEDOUT":
                check(TIMEOUT - 0.2 < time.monotonic() - begin < TIMEOUT + 1, "ETIMEDOUT came too early or too late")
            for caller in callers:
                caller.socket.close()
        # Of several rounds the quickest: what holds others up does so in each, what the machine does besides does not.
        ratio = min(hanging) / min(usual)
        print(f"# {min(usual) * 1e6:.1f} us usually, {min(hanging) * 1e6:.1f} us beside "
              f"{CALLERS} callers: {ratio:.2f}", flush=True)
        check(ratio < AT_MOST, "others are held up:", usual, hanging)
