# SPDX-License-Identifier: MIT
"""A supervisor that executes its program anew (SIGUSR2): what goes on, and what happens where that cannot be."""
import os
import shutil
import signal
import socket
import subprocess
import time

from broker import DAEMON_FILE, FDBROKER, FDBROKERD, Broker, Client, Place, ask, tool
from tap import check, equal, main

OTHER = os.environ["OTHER"]


class Setting:
    """A broker whose program is a copy of its own, which can be replaced."""

    def __init__(self, source=DAEMON_FILE, **options):
        self.place = Place()
        self.x = self.place.file("d/x", "x")
        self.y = self.place.file("d/y", "y")
        self.program = shutil.copy2(source, self.place.name("fdbrokerd"))
        self.broker = Broker(self.place, self.text(self.x), program=self.program, **options)
        self.pid = self.broker.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()
        self.place.__exit__()

    @staticmethod
    def text(path):
        return f"subject a {{\n user 0\n allow read {path}\n}}\n"

    def install(self, source, change=lambda data: data):
        """Puts another program in place, as a package does."""
        with open(source, "rb") as file:
            data = change(file.read())
        with open(self.program + ".new", "wb") as file:
            file.write(data)
        os.chmod(self.program + ".new", 0o755)
        os.rename(self.program + ".new", self.program)

    def signal(self):
        """Its record of what came of it."""
        count = len(self.broker.events("resume"))
        os.kill(self.pid, signal.SIGUSR2)
        return self.broker.wait_event("resume", count + 1)

    def again(self):
        """Likewise, and waits until worker and maker are of the new program."""
        ready = len(self.broker.events("ready"))
        record = self.signal()
        check("verdict" not in record, record)
        return self.broker.wait_event("ready", ready + 1)

    def ask(self, path=None):
        return ask(self.broker.abstract, path or self.x)

    def kinds(self):
        """Of what the supervisor has open."""
        links = []
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{self.pid}/fd/{number}"))
            except FileNotFoundError:
                pass  # closed meanwhile
        return sorted(link.split(":[")[0] for link in links)

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]


def within(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "it takes too long")
        time.sleep(0.01)


def test_it_goes_on_as_the_same_process():
    with Setting() as s, Client(s.broker.abstract) as one, Client(s.broker.pathname) as two:
        equal((one.ask(path=s.x), two.ask(path=s.x)), ("OK", "OK"))
        for _ in range(3):
            worker = s.broker.events("ready")[-1]["worker"]
            ready = s.again()
            equal(ready["pid"], s.pid)
            check(ready["worker"] != worker)
            for client in (one, two):
                # Another worker serves them now; nothing was lost.
                equal(client.receive()[:2], (0, 0))
                equal(client.ask(path=s.x), "OK")
            equal((s.ask(), ask(s.broker.pathname, s.x)), ("OK", "OK"))
        within(2, lambda: len(s.children()) == 2)
        equal(s.broker.stop(), 0)
        equal(s.broker.events("stop")[-1]["pid"], s.pid)
        check(not os.path.exists(s.broker.pathname))
        equal(s.broker.noise, [])


def test_a_program_of_another_version():
    with Setting() as s, Client(s.broker.abstract) as client:
        equal(client.ask(path=s.x), "OK")
        version = s.broker.ready["version"].encode()
        other = version[:-1] + b"~"
        s.install(DAEMON_FILE, lambda data: data.replace(version + b"\0", other + b"\0"))
        equal(s.again()["version"], other.decode())
        equal((client.receive()[:2], client.ask(path=s.x)), ((0, 0), "OK"))
        status = tool("status", "--socket", s.broker.abstract).stdout
        check(f"version {other.decode()}" in " ".join(status.split()), status)
        within(2, lambda: len(s.children()) == 2)
        for pid in [s.pid, *s.children()]:
            equal(os.readlink(f"/proc/{pid}/exe"), s.program)
        s.install(DAEMON_FILE)
        equal(s.again()["version"], version.decode())


def refused(s, reason):
    """The program that is there cannot go on: nothing has changed but a line in the record."""
    worker = s.broker.events("ready")[-1]["worker"]
    with Client(s.broker.abstract) as client:
        equal(client.ask(path=s.x), "OK")
        kinds = s.kinds()
        record = s.signal()
        equal(record.get("verdict"), "error", record)
        check(reason in record["reason"], record)
        equal(client.ask(path=s.x), "OK")
        equal(s.kinds(), kinds)
        check(worker in s.children())
    equal(s.ask(), "OK")


def test_a_program_that_does_not_exist():
    with Setting() as s:
        os.unlink(s.program)
        refused(s, "cannot be executed")
        s.install(DAEMON_FILE)
        s.again()
        equal(s.ask(), "OK")


def test_a_program_that_is_none():
    with Setting() as s:
        s.install("/etc/passwd")
        refused(s, "cannot be executed")
        s.install(DAEMON_FILE, lambda data: data[:5000])
        # The kernel takes the first page of it for a program, and then finds the rest missing.
        refused(s, "the daemon goes on as it is")


def test_a_program_that_does_not_know_what_it_is_to_go_on_from():
    with Setting() as s:
        s.install(OTHER)
        refused(s, "could not take over")
        # A worker of it can be had: it reads the policy.
        equal(tool("reload", "--socket", s.broker.abstract).returncode, 0)
        equal(s.ask(), "OK")
        s.install(DAEMON_FILE)
        s.again()
    with Setting(OTHER) as s:
        s.again()
        equal(s.ask(), "OK")


def test_a_program_that_no_longer_takes_the_command_line():
    name = f"fdbt{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--uid", str(70000 + os.getpid() % 20000), name],
                   stderr=subprocess.DEVNULL, check=True)
    try:
        with Setting(user=name) as s:
            s.again()
            subprocess.run(["userdel", name], check=True)
            refused(s, "could not take over")
    finally:
        subprocess.run(["userdel", name], stderr=subprocess.DEVNULL)


def test_a_program_that_does_not_answer():
    with Setting() as s:
        s.install(DAEMON_FILE, lambda data: b"#!/bin/sh\nexec sleep 60\n")
        refused(s, "took too long")


def test_a_program_that_is_gone_when_it_is_needed():
    """It was there when it was tried. What was to survive is close-on-exec again: no worker gets it."""
    with Setting() as s, Client(s.broker.abstract):
        def inherited():
            """The worker's sockets that have an address: they are listening ones, which are none of its own."""
            with open("/proc/net/unix") as file:
                named = {line.split()[6] for line in file if len(line.split()) > 7}
            worker = s.broker.events("ready")[-1]["worker"]
            links = [os.readlink(f"/proc/{worker}/fd/{n}") for n in os.listdir(f"/proc/{worker}/fd")]
            return [link for link in links if link[8:-1] in named and link[8:-1] in ours]
        with open("/proc/net/unix") as file:
            ours = {line.split()[6] for line in file
                    if line.rstrip("\n").endswith((s.broker.abstract, s.broker.pathname))
                    and line.split()[3] == "00010000"}
        equal(len(ours), 2)
        for _ in range(3):
            s.install(DAEMON_FILE, lambda data: b"#!/bin/sh\nrm \"$0\"\n")
            refused(s, "cannot be executed")
            s.install(DAEMON_FILE)
            equal(tool("reload", "--socket", s.broker.abstract).returncode, 0)
            equal(inherited(), [])
        s.again()


def test_what_a_policy_was_kept_as_by_another_version():
    """The worker that takes the place of a dead one is of the program that is installed, which may be another."""
    with Setting() as s:
        s.install(OTHER)
        os.kill(s.broker.worker, signal.SIGKILL)
        s.broker.wait_event("ready", 2)
        equal(s.broker.wait_event("policy")["verdict"], "warning")
        equal(s.ask(), "OK")
        # It has left its own.
        os.kill(s.broker.events("ready")[-1]["worker"], signal.SIGKILL)
        s.broker.wait_event("ready", 3)
        equal((len(s.broker.events("policy")), s.ask()), (1, "OK"))


def test_a_bad_policy_leaves_the_old_worker_and_its_policy():
    with Setting() as s, Client(s.broker.abstract) as client:
        another = Client(s.broker.abstract)
        equal((client.ask(path=s.x), another.ask(path=s.x)), ("OK", "OK"))
        s.place.file("policy", "subject {{{")
        check("verdict" not in s.signal())
        equal(s.broker.wait_event("reload")["verdict"], "error")
        check(s.broker.worker in s.children())
        equal(client.ask(path=s.x), "OK")
        # It has no client twice, whose end it would tell twice.
        another.socket.close()
        time.sleep(0.2)
        equal(s.broker.events("worker"), [])
        # What the policy was is still known, and the worker's end heard of.
        os.kill(s.broker.worker, signal.SIGKILL)
        s.broker.wait_event("ready", 2)
        equal((client.receive()[:2], client.ask(path=s.x)), ((0, 0), "OK"))
        equal(client.ask(path=s.y), "EACCES")
        # It still dies with the supervisor.
        check("verdict" not in s.signal())
        s.broker.wait_event("reload", 2)
        within(2, lambda: len(s.children()) == 2)
        children = s.children()
        s.broker.process.kill()
        s.broker.process.wait()
        within(2, lambda: not any(os.path.exists(f"/proc/{pid}/fd") and os.listdir(f"/proc/{pid}/fd")
                                  for pid in children if os.path.exists(f"/proc/{pid}")))


def test_workers_that_die_meanwhile():
    with Setting() as s:
        for i in range(20):
            worker = s.broker.events("ready")[-1]["worker"]
            count = len(s.broker.events("resume"))
            os.kill(s.pid, signal.SIGUSR2)
            time.sleep(0.0005 * i)
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                pass
            s.broker.wait_event("resume", count + 1)
            equal(tool("cat", "--socket", s.broker.abstract, s.x).stdout, "x")
            within(5, lambda: s.broker.events("ready")[-1]["worker"] != worker)
        within(2, lambda: len(s.children()) == 2)


def test_who_has_asked_for_a_reload_is_answered():
    with Setting() as s:
        for i in range(10):
            count = len(s.broker.events("resume"))
            askers = [subprocess.Popen([FDBROKER, "reload", "--socket", s.broker.abstract],
                                       stderr=subprocess.PIPE, text=True) for _ in range(4)]
            time.sleep(0.002 * i)
            os.kill(s.pid, signal.SIGUSR2)
            for asker in askers:
                _, text = asker.communicate(timeout=20)
                equal((asker.returncode, text), (0, ""))
            s.broker.wait_event("resume", count + 1)


def test_before_it_is_ready():
    reader, writer = os.pipe()
    with Setting(wait=False, options=("--ready-fd", str(writer)), pass_fds=(writer,)) as s:
        os.close(writer)
        s.broker.wait_event("start")
        os.kill(s.pid, signal.SIGUSR2)
        s.broker.wait_event("resume")
        s.broker.wait_event("ready")
        equal(s.ask(), "OK")
        with os.fdopen(reader, "rb") as file:
            equal(file.read(), b"\n")


def test_the_service_manager_is_told():
    name = f"@fdbroker-test-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:])
        manager.settimeout(10)
        environment = dict(os.environ, NOTIFY_SOCKET=name)

        def hear():
            return manager.recv(4096).decode().split("\n")[0]
        with Setting(env=environment) as s:
            equal(hear(), "READY=1")
            for _ in range(3):
                s.again()
                equal((hear(), hear()), ("RELOADING=1", "READY=1"))
            s.broker.stop()
            equal(hear(), "STOPPING=1")


def test_an_inherited_socket():
    address = f"\0fdbroker-test-{os.getpid()}-inherited"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(5)
        with Setting(listen=(f"fd:{listener.fileno()}",), pass_fds=(listener.fileno(),)) as s:
            for _ in range(3):
                equal(ask("@" + address[1:], s.x), "OK")
                equal(s.again()["listen"], "@" + address[1:])
            equal(ask("@" + address[1:], s.x), "OK")


def test_the_record_stays_open_and_can_be_opened_anew():
    log = f"/tmp/fdbroker-test-{os.getpid()}.log"
    try:
        with Setting(wait=False, options=("--log", log)) as s:
            def events(name):
                with open(log) as file:
                    return file.read().count(f'"event":"{name}"')
            within(5, lambda: os.path.exists(log) and events("ready") == 1)
            os.kill(s.pid, signal.SIGUSR2)
            within(5, lambda: events("resume") == 1 and events("ready") == 2)
            os.unlink(log)
            os.kill(s.pid, signal.SIGUSR1)
            within(5, lambda: os.path.exists(log) and events("log") == 1)
            equal(ask(s.broker.abstract, "/etc/passwd"), "EACCES")
            within(5, lambda: events("request") == 1)
    finally:
        os.unlink(log)


def test_many_clients():
    with Setting() as s:
        clients = [Client(s.broker.abstract) for _ in range(150)]
        equal({c.ask(path=s.x) for c in clients}, {"OK"})
        for c in clients[::3]:
            c.socket.close()
        del clients[::3]
        s.again()
        equal({c.receive()[:2] for c in clients}, {(0, 0)})
        equal({c.ask(path=s.x) for c in clients}, {"OK"})
        # The places of those that are gone are free, and one's own.
        more = [Client(s.broker.abstract) for _ in range(100)]
        equal({c.ask(path=s.x) for c in more}, {"OK"})
        for c in clients + more:
            c.socket.close()
        within(5, lambda: s.kinds().count("socket") < 10)


def test_nothing_is_left_over():
    with Setting() as s:
        s.again()
        time.sleep(0.3)
        kinds = s.kinds()
        for _ in range(50):
            s.again()
        within(2, lambda: len(s.children()) == 2)
        within(2, lambda: s.kinds() == kinds)
        with open(f"/proc/{s.pid}/cmdline") as file:
            equal(file.read().count("--resume"), 1)


def test_the_option_is_for_the_daemon_itself():
    for option in ("--resume", "--resume-check"):
        for value in ("0", "2", "77"):
            done = subprocess.run([FDBROKERD, option, value], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=5)
            equal(done.returncode, 1, done.stderr)
            check(done.stderr.startswith("fdbrokerd: "), done.stderr)


main(globals())
