# SPDX-License-Identifier: MIT
"""
Threads that are stuck in the kernel: the daemon stops, loads a policy and replaces a worker although there are some;
nothing is left of them once they are released; and they hold up neither a caller's other requests nor other callers.
"""
import errno
import os
import signal
import subprocess
import time

from broker import FDBROKER, OPEN, Broker, Client, ask, sanitized
from fuse import Hanging
from hangs import FIRST, ME, TIMEOUT, Caller, Setting, descriptors, in_place, until
from linux import as_user, mount, umount
from tap import check, equal, main


def threads(pid):
    """By their number: to look at them one by one slows down, on some kernels, whoever reaps the process."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads"))


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def alive(pid):
    """Whether there is anything left of the process."""
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def stuck(run):
    """Calls run(fuse, setting, callers) with callers whose opens hang in the kernel; all is released at the end."""
    def inside(place):
        with Hanging(place.directory("h"), file=b"text") as fuse:
            s = Setting(place, f"allow read {place.name('h')}/*")
            try:
                equal(ask(s.address, s.x), "OK")
                callers = s.callers(20)
                fuse.hang("open")
                for caller in callers:
                    caller.send(OPEN, place.name("h/file"))
                until(lambda: fuse.pending() == 8, "nobody hangs")
                run(fuse, s, callers)
            finally:
                fuse.release()
                s.__exit__()
    in_place(inside)


def test_the_daemon_stops_although_threads_are_stuck():
    def run(fuse, s, callers):
        begin = time.monotonic()
        s.broker.process.terminate()
        equal(s.broker.process.wait(5), 0)
        check(time.monotonic() - begin < 1.5, time.monotonic() - begin)
        for caller in callers:
            equal(caller.receive(), None)
        check(alive(s.broker.worker), "nothing was stuck")
        fuse.release()
        until(lambda: not alive(s.broker.worker) and not alive(s.maker), "they stay for ever")
    stuck(run)


def test_the_daemon_is_killed_although_threads_are_stuck():
    def run(fuse, s, callers):
        s.broker.process.kill()
        s.broker.process.wait(1.5)
        fuse.release()
        until(lambda: not alive(s.broker.worker) and not alive(s.maker), "they stay for ever")
    stuck(run)


def test_a_worker_that_is_killed_with_stuck_threads_is_replaced_at_once():
    def run(fuse, s, callers):
        begin = time.monotonic()
        os.kill(s.broker.worker, signal.SIGKILL)
        s.broker.wait_event("ready", 2)
        equal(ask(s.address, s.x), "OK")
        check(time.monotonic() - begin < 1.5, time.monotonic() - begin)
        check(alive(s.broker.worker), "nothing was stuck")
        fuse.release()
        until(lambda: not alive(s.broker.worker), "it stays for ever")
        equal(ask(s.address, s.place.name("h/file")), "OK")
    stuck(run)


def test_a_reload_is_prompt_although_threads_are_stuck():
    def run(fuse, s, callers):
        begin = time.monotonic()
        done = subprocess.run([FDBROKER, "reload", "--socket", s.broker.abstract], capture_output=True, text=True)
        equal(done.returncode, 0, done.stderr)
        check(time.monotonic() - begin < 2, time.monotonic() - begin)
        equal(ask(s.address, s.x), "OK")
        fuse.release()
        until(lambda: not alive(s.broker.worker), "it stays for ever")
    stuck(run)


def test_nothing_is_left_once_it_is_released():
    """Threads stay, as many as there were jobs at once; here 2,400 that hung."""
    def run(fuse, s, callers):
        worker, maker = s.broker.worker, s.maker
        for caller in callers:
            equal(caller.error(), "ETIMEDOUT")
        fuse.release()
        equal(ask(s.address, s.place.name("h/file")), "OK")
        for caller in callers:
            caller.socket.close()
        time.sleep(0.5)
        before = descriptors(worker), descriptors(maker), threads(worker), threads(maker)
        memory = resident(worker)
        for close in (False, True) * 3:
            callers = s.callers()
            fuse.hang("open")
            for caller in callers:
                for _ in range(16):
                    caller.send(OPEN, s.place.name("h/file"))
            until(lambda: fuse.pending() == 8, "nobody hangs")
            if not close:
                for caller in callers:
                    for _ in range(16):
                        equal(caller.error(), "ETIMEDOUT")
            for caller in callers:
                caller.socket.close()
            time.sleep(0.1)
            fuse.release()
            equal(ask(s.address, s.place.name("h/file")), "OK")
        until(lambda: (descriptors(worker), descriptors(maker)) == before[:2], "descriptors are left open")
        # 64 of the lane, 4 event threads, and one that stands guard: however many requests there were.
        check(threads(worker) <= 69 and threads(maker) <= before[3] + 1, before[2:], threads(worker), threads(maker))
        check(resident(worker) < memory + 2048 or sanitized(worker), "memory was", memory, "and is", resident(worker))
        print(f"# {threads(worker)} threads of the worker, {memory} kB before, {resident(worker)} kB after", flush=True)
        equal(len(s.broker.events("ready")), 1, "the worker was started again")
    stuck(run)


def test_replies_come_as_they_are_ready():
    def run(fuse, s, callers):
        with Caller(s.address, ME) as caller:
            hung = [caller.send(OPEN, s.place.name("h/file")) for _ in range(3)]
            quick = caller.send(OPEN, s.x)
            got = caller.receive()
            equal((got[0], got[1]), (quick, 0))
            os.close(got[3][0])
            equal(sorted(caller.receive()[:2] for _ in hung), [(id, errno.ETIMEDOUT) for id in hung])
    stuck(run)


def test_a_connection_that_hangs_often_is_not_read_from():
    def run(fuse, s, callers):
        with Caller(s.address, ME) as caller, Caller(s.address, ME + 1) as other:
            for _ in range(16):
                caller.send(OPEN, s.place.name("h/file"))
            quick = caller.send(OPEN, s.x)
            other.send(OPEN, s.x)
            equal(other.error(), "OK")
            got = [caller.receive() for _ in range(17)]
            equal(got[0][1], errno.ETIMEDOUT, "it was read before there was room")
            equal(sorted(error for _, error, _, _ in got), [0] + [errno.ETIMEDOUT] * 16)
    stuck(run)


def test_a_uid_that_hangs_leaves_the_lane_to_others():
    """The first has as many threads as one uid can have; the file of the other lies on a disk, but is not in memory."""
    def run(place):
        with Hanging(place.directory("h"), file=b"text") as fuse, Hanging(place.directory("i"), file=b"text"), \
             Setting(place, *(f"allow read {place.name(n)}/*" for n in "hi")) as s:
            try:
                fuse.hang("open")
                one = Caller(s.address, FIRST)
                for _ in range(16):
                    one.send(OPEN, place.name("h/file"))
                until(lambda: fuse.pending() == 8, "nobody hangs")
                with Caller(s.address, ME) as other:
                    begin = time.monotonic()
                    other.send(OPEN, place.name("i/file"))
                    equal(other.error(), "OK")
                    check(time.monotonic() - begin < 0.5, time.monotonic() - begin)
                one.send(OPEN, place.name("i/file"))
                for _ in range(16):
                    equal(one.error(), "ETIMEDOUT")
                one.socket.close()
            finally:
                fuse.release()
    in_place(run)


def test_a_policy_that_names_a_hung_mount():
    """However many directories hang, it loads in the time of one; what answers is served; and later so are they."""
    def run(place):
        with Hanging(place.directory("h"), file=b"text", **{f"d{i}": None for i in range(100)}) as fuse:
            try:
                for operation in ("lookup", "statfs"):
                    fuse.hang(operation)
                    begin = time.monotonic()
                    with Setting(place, *(f"allow read {place.name('h')}/d{i}/*" for i in range(100)),
                                 f"allow read {place.name('e')}/*") as s:
                        check(time.monotonic() - begin < 5, time.monotonic() - begin)
                        equal(ask(s.address, s.x), "OK")
                        equal(ask(s.address, place.name("h/d7/file")), "ETIMEDOUT")
                        # One that is made only now, while the maker hangs in the others.
                        place.file(f"new-{operation}/x")
                        if os.path.exists(place.name("e")):
                            os.rename(place.name("e"), place.name("old"))
                        os.rename(place.name(f"new-{operation}"), place.name("e"))
                        begin = time.monotonic()
                        equal(ask(s.address, place.name("e/x")), "OK")
                        check(time.monotonic() - begin < 1, time.monotonic() - begin)
                        fuse.release()
                        until(lambda: ask(s.address, place.name("h/d7/file")) == "OK", "it is not served again", 8)
                        equal(len(s.broker.events("ready")), 1, "the worker was started again")
            finally:
                fuse.release()
    in_place(run)


def test_a_directory_that_is_replaced_by_one_that_hangs():
    def run(place):
        place.file("r/file")
        with Hanging(place.directory("h"), file=b"text") as fuse, Setting(place, f"allow read {place.name('r')}/*") as s:
            try:
                equal(ask(s.address, place.name("r/file")), "OK")
                fuse.hang("statfs", "getattr", "lookup")
                mount(place.name("h"), place.name("r"), None, 4096)
                time.sleep(0.1)
                s.beside(lambda caller: caller.send(OPEN, place.name("r/file")), outcome=None, rounds=1)
                fuse.release()
                until(lambda: ask(s.address, place.name("r/file")) == "OK", "it is not served again", 8)
            finally:
                fuse.release()
                umount(place.name("r"))
    in_place(run)


def test_a_program_that_hangs_holds_up_no_other():
    """Both that of a client and one that the policy names."""
    def run(place):
        with open("/bin/sleep", "rb") as file:
            program = file.read()
        with Hanging(place.directory("h"), program=program, other=program) as fuse:
            text = (f"subject a {{\n user 0 5001\n exe {place.name('h/other')}\n allow read /nowhere/*\n}}\n"
                    f"subject b {{\n user 0 5001\n allow read {place.name('d')}/*\n}}\n")
            place.file("d/x", "x")
            with Broker(place, text, options=("--open-timeout", str(TIMEOUT))) as broker:
                equal(ask(broker.pathname, place.name("d/x")), "OK")
                connection = Client(broker.pathname).socket.dup()
                try:
                    fuse.hang("lookup", "getattr", "statfs")
                    # This may be the one that finds out, and is told so.
                    with Caller(broker.pathname, ME) as first:
                        first.send(OPEN, place.name("d/x"))
                        check(first.error() in ("OK", "ETIMEDOUT"))
                    others = []
                    for _ in range(11):
                        begin = time.monotonic()
                        answer = as_user(ME, ask, broker.pathname, place.name("d/x"))
                        others.append((answer, time.monotonic() - begin))
                    equal([answer for answer, _ in others], ["OK"] * 11)
                    check(max(took for _, took in others) < 0.5, others)
                finally:
                    fuse.release()
                    connection.close()
    in_place(run)


def test_a_rule_has_a_timeout_of_its_own():
    """Shorter or longer than the daemon's; of several that allow, the smallest. Who asked first may be answered last."""
    def run(place):
        with Hanging(place.directory("h"), file=b"text", slow=b"text", quick=b"text") as fuse, \
             Setting(place, f"allow read {place.name('h')}/* timeout 4", f"allow read {place.name('h')}/slow timeout 9",
                     f"allow read {place.name('h')}/quick timeout 1") as s:
            try:
                equal(ask(s.address, s.x), "OK")
                fuse.hang("open")
                with Caller(s.address, ME) as caller:
                    begin = time.monotonic()
                    names = {caller.send(OPEN, place.name(f"h/{name}")): name for name in ("slow", "quick")}
                    got = [caller.receive()[:2] + (time.monotonic() - begin,) for _ in names]
                equal([(names[id], error) for id, error, _ in got],
                      [("quick", errno.ETIMEDOUT), ("slow", errno.ETIMEDOUT)])
                check(0.9 < got[0][2] < 1.6 and 3.9 < got[1][2] < 4.6, got)
            finally:
                fuse.release()
    in_place(run)


main(globals())
