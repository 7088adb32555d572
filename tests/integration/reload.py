# SPDX-License-Identifier: MIT
"""A policy that is loaded anew: what was decided by the old one, by the new one, and who is told of it."""
import os
import signal
import socket
import subprocess
import sys
import time

from broker import FDBROKER, NAMES, Broker, Client, Place, tool
from linux import as_user, become
from reloads import ME, Setting
from tap import check, equal, main

SYNC = 20


def test_the_command_returns_when_the_new_policy_holds():
    with Setting() as s:
        equal((s.ask("x"), s.ask("y")), ("OK", "OK"))
        for i in range(10):
            name, other = ("x", "y") if i % 2 else ("y", "x")
            s.write("allow read {d}/" + name)
            done = s.reload()
            equal((done.returncode, done.stderr), (0, ""))
            equal((s.ask(name), s.ask(other)), ("OK", "EACCES"), i)
        # One worker and one maker are left of them all.
        time.sleep(0.3)
        children = subprocess.run(["pgrep", "-P", str(s.broker.process.pid)],
                                  capture_output=True, text=True).stdout.split()
        equal(len(children), 2)


def test_a_bad_policy_changes_nothing_and_says_what_is_wrong():
    with Setting() as s:
        s.write("allow raed {d}/*")
        done = s.reload()
        equal(done.returncode, 1)
        check(f"{s.place.name('policy')}:3:8: " in done.stderr, done.stderr)
        equal(s.ask("x"), "OK")
        equal(s.broker.wait_event("reload")["verdict"], "error")
        os.unlink(s.place.name("policy"))
        equal(s.reload().returncode, 1)
        equal(s.ask("x"), "OK")
        s.write("allow read {d}/y")
        equal(s.reload().returncode, 0)
        equal((s.ask("x"), s.ask("y")), ("EACCES", "OK"))


def test_reload_is_for_root():
    with Setting() as s:
        done = as_user(ME, lambda: tool("reload", "--socket", s.broker.abstract).returncode)
        equal(done, 1)
        record = s.broker.wait_event("request")
        equal((record["errno"], record["uid"]), ("EACCES", ME))


def test_a_signal_does_the_same():
    with Setting() as s:
        s.write("allow read {d}/y")
        os.kill(s.broker.process.pid, signal.SIGHUP)
        s.broker.wait_event("ready", 2)
        equal((s.ask("x"), s.ask("y")), ("EACCES", "OK"))


class Person:
    """Somebody with one connection, who asks when he is told to."""

    def __init__(self, uid, address):
        ours, his = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            try:
                become(uid)
                self.live(address, his)
            finally:
                os._exit(1)
        his.close()
        self.file = ours.makefile("rw")
        ours.close()

    @staticmethod
    def live(address, his):
        file = his.makefile("rw")
        with Client(address) as c:
            for line in file:
                answer(c, line.rstrip("\n"), file)

    def ask(self, path):
        """The answer, and how often another worker had begun to serve him since the last."""
        self.file.write(path + "\n")
        self.file.flush()
        name, restarted = (self.file.readline() or "END 0").split()
        return name, int(restarted)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()
        os.waitpid(self.pid, 0)


def replies(client, count=1):
    """The errors of the next replies, as names, but for those to no request."""
    names = []
    while len(names) < count:
        id, error, _, descriptors = client.receive()
        for descriptor in descriptors:
            os.close(descriptor)
        if id:
            names.append(NAMES[error] if error else "OK")
    return names


def answer(c, path, file):
    """Asks for the path, or for what was lost where there is none, and says what came."""
    restarted = 0
    id = c.send(SYNC) if path == "sync" else c.send(path=path)
    got = c.receive()
    while got and got[0] == 0:
        restarted += 1
        got = c.receive()
    name = "END"
    if got:
        equal(got[0], id)
        name = NAMES[got[1]] if got[1] else "OK"
        for descriptor in got[3]:
            os.close(descriptor)
    file.write(f"{name} {restarted}\n")
    file.flush()


def test_a_connection_goes_on_and_is_told():
    with Setting() as s, Person(ME, s.broker.abstract) as person:
        equal(person.ask(f"{s.d}/x"), ("OK", 0))
        for i in range(1, 6):
            s.write("allow read {d}/" + "xy"[i % 2])
            equal(s.reload().returncode, 0)
            equal(person.ask(f"{s.d}/" + "yx"[i % 2]), ("EACCES", 1))
            equal(person.ask(f"{s.d}/" + "xy"[i % 2]), ("OK", 0))
            equal(person.ask("sync"), ("OK", 0))


def test_the_identity_is_judged_anew():
    """By the user it had when it connected; by the program that it runs now."""
    other = "/bin/sh"
    with Setting("allow read {d}/*\n exe " + os.path.realpath(sys.executable)) as s:
        with Person(ME, s.broker.abstract) as person:
            equal(person.ask(f"{s.d}/x"), ("OK", 0))
            s.write("allow read {d}/*\n exe " + os.path.realpath(other))
            done = s.reload()
            equal((done.returncode, done.stderr), (0, ""))
            equal(person.ask(f"{s.d}/x"), ("EACCES", 1))
            s.write("allow read {d}/*\n exe " + os.path.realpath(sys.executable))
            equal(s.reload().returncode, 0)
            equal(person.ask(f"{s.d}/x"), ("OK", 1))


def test_a_connection_whose_process_is_gone():
    """Whoever has it is served as who connected, also by a policy that was loaded since."""
    with Setting("delegate\n allow read {d}/x") as s:
        ours, his = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

        def connect():
            with Client(s.broker.abstract) as client:
                socket.send_fds(his, [b"x"], [client.socket.fileno()])
        as_user(ME, connect)
        _, descriptors, _, _ = socket.recv_fds(ours, 16, 1)
        with Client(socket.socket(fileno=descriptors[0])) as client:
            client.socket.settimeout(10)
            equal(client.ask(path=f"{s.d}/x"), "OK")
            s.write("delegate\n allow read {d}/y")
            equal(s.reload().returncode, 0)
            equal(client.receive()[:2], (0, 0))
            equal([client.ask(path=f"{s.d}/{name}") for name in "xy"], ["EACCES", "OK"])
        ours.close()
        his.close()


def test_a_subject_that_is_gone():
    with Setting() as s, Person(ME, s.broker.abstract) as person:
        equal(person.ask(f"{s.d}/x"), ("OK", 0))
        s.write("allow read {d}/x", uid=5002)
        equal(s.reload().returncode, 0)
        equal(person.ask(f"{s.d}/x"), ("EACCES", 1))
        # Nothing is left for it here.
        time.sleep(3)
        equal(person.ask(f"{s.d}/x"), ("END", 0))


def test_nothing_is_granted_by_the_old_policy_afterwards():
    """While others ask without a pause."""
    with Setting() as s:
        path = f"{s.d}/x"

        def flood():
            with Client(s.broker.abstract) as c:
                while True:
                    c.send(path=path)
                    for descriptor in (c.receive() or (0, 0, 0, []))[3]:
                        os.close(descriptor)
        crowd = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                become(ME)
                try:
                    flood()
                finally:
                    os._exit(0)
            crowd.append(pid)
        try:
            with Person(ME, s.broker.abstract) as person:
                for i in range(10):
                    s.write("allow read {d}/" + "yx"[i % 2])
                    done = s.reload()
                    equal((done.returncode, done.stderr), (0, ""), s.broker.events("worker"))
                    equal(person.ask(path)[0], "OK" if i % 2 else "EACCES", i)
        finally:
            for pid in crowd:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def test_many_who_ask_at_once():
    with Setting() as s:
        asked = [subprocess.Popen([FDBROKER, "reload", "--socket", s.broker.abstract],
                                  stderr=subprocess.PIPE, text=True) for _ in range(12)]
        for one in asked:
            _, text = one.communicate(timeout=30)
            equal((one.returncode, text), (0, ""))
        equal(s.ask("x"), "OK")


def maker_of(broker):
    children = subprocess.run(["pgrep", "-P", str(broker.process.pid)], capture_output=True, text=True).stdout
    for pid in map(int, children.split()):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"--maker" in file.read().split(b"\0"):
                return pid
    raise AssertionError(f"no maker: {children}")


def test_a_maker_that_is_killed_costs_nobody_his_connection():
    with Setting() as s, Person(ME, s.broker.abstract) as person:
        equal(person.ask(f"{s.d}/x"), ("OK", 0))
        maker = maker_of(s.broker)
        # The worker is to find out before the supervisor does.
        os.kill(s.broker.process.pid, signal.SIGSTOP)
        os.kill(maker, signal.SIGKILL)
        time.sleep(0.3)
        os.kill(s.broker.process.pid, signal.SIGCONT)
        s.broker.wait_event("ready", 2)
        equal(person.ask(f"{s.d}/x"), ("OK", 1))
        death, = s.broker.events("maker")
        equal((death["pid"], death["signal"], death["verdict"]), (maker, "KILL", "error"))


def test_what_was_not_received_counts_for_the_next_worker_too():
    with Place() as place:
        path = place.file("d/x", "x")
        text = f"subject a {{\n user 0\n allow read {path}\n limit descriptors 8\n}}\n"
        with Broker(place, text) as broker, Client(broker.abstract) as slow, Client(broker.abstract) as other:
            for _ in range(8):
                slow.send(path=path)
            time.sleep(0.2)
            for _ in range(3):
                other.send(path=path)
                equal(replies(other), ["EDQUOT"])
                equal(tool("reload", "--socket", broker.abstract).returncode, 0)
            equal(replies(slow, 8), ["OK"] * 8)
            other.send(path=path)
            equal(replies(other), ["OK"])


def test_reloads_while_workers_die():
    """Nobody waits for ever; where nothing is known that is said, and where it is done it is so."""
    with Setting() as s:
        outcomes = []
        for i in range(40):
            name, other = ("x", "y") if i % 2 else ("y", "x")
            s.write("allow read {d}/" + name)
            worker = s.broker.events("ready")[-1]["worker"]
            asker = subprocess.Popen([FDBROKER, "reload", "--socket", s.broker.abstract],
                                     stderr=subprocess.PIPE, text=True)
            time.sleep(0.0007 * i)
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                pass
            _, text = asker.communicate(timeout=20)
            if asker.returncode:
                check("ECONNRESET" in text, text)
            else:
                equal([as_user(ME, lambda: tool("cat", "--socket", s.broker.abstract, f"{s.d}/{n}").returncode)
                       for n in (name, other)], [0, 1])
            outcomes.append(asker.returncode)
        check(0 in outcomes, outcomes)


main(globals())
