# SPDX-License-Identifier: MIT
"""A worker that takes the place of one that died: it has the policy that served, whatever the files hold by then."""
import os
import shutil
import signal
import subprocess
import time

from broker import Broker, Place, ask, makers, tool, sanitized
from linux import as_user
from tap import check, equal, main

ME = 5001
NAMES = "abcdef"


class Setting:
    """A policy of several files, found in several ways."""

    def __init__(self):
        self.place = Place()
        self.d = self.place.directory("d")
        for name in NAMES:
            self.place.file(f"d/{name}", name)
        self.place.file("more", self.subject("b"))
        self.place.file("policy.d/1.policy", self.subject("c"))
        self.place.file("policy.d/2.policy", self.subject("d"))
        self.place.directory("none.d")
        os.symlink("more", self.place.name("link"))
        self.text = f"include link\ninclude policy.d/*.policy\ninclude none.d/*\n{self.subject('a')}"
        self.broker = Broker(self.place, self.text)
        equal(self.granted(), "abcd")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()
        self.place.__exit__()

    def subject(self, name):
        return f"subject {name} {{\n user {ME}\n allow read {self.d}/{name}\n}}\n"

    def granted(self):
        """What is, of the files there are."""
        return "".join(n for n in NAMES if as_user(ME, ask, self.broker.abstract, f"{self.d}/{n}") == "OK")

    def kill(self):
        """The worker, and waits for the next one."""
        ready = self.broker.events("ready")
        os.kill(ready[-1]["worker"], signal.SIGKILL)
        return self.broker.wait_event("ready", len(ready) + 1)

    def reload(self):
        return tool("reload", "--socket", self.broker.abstract).returncode

    def status(self, name):
        done = tool("status", "--socket", self.broker.abstract)
        return dict(line.split(None, 1) for line in done.stdout.splitlines())[name]


def test_the_files_may_hold_anything():
    changes = {
        "garbage": lambda s: s.place.file("policy", "subject {{{"),
        "wider": lambda s: s.place.file("policy", s.text + s.subject("e")),
        "narrower": lambda s: s.place.file("policy", s.subject("a")),
        "writable by others": lambda s: os.chmod(s.place.name("policy"), 0o666),
        "removed": lambda s: os.unlink(s.place.name("policy")),
        "an include is another": lambda s: s.place.file("more", s.subject("e")),
        "an include leads elsewhere": lambda s: (os.unlink(s.place.name("link")),
                                                 s.place.file("link", s.subject("e"))),
        "a glob finds more": lambda s: (s.place.file("none.d/x", s.subject("e")),
                                        s.place.file("policy.d/3.policy", s.subject("f"))),
        "a glob finds less": lambda s: os.unlink(s.place.name("policy.d/1.policy")),
        "a directory is gone": lambda s: shutil.rmtree(s.place.name("policy.d")),
    }
    for name, change in changes.items():
        with Setting() as s:
            summary, loaded = s.broker.ready["summary"], s.status("loaded")
            change(s)
            for _ in range(3):
                equal(s.kill()["summary"], summary, name)
                equal(s.granted(), "abcd", name)
            # It was not loaded again.
            equal(s.status("loaded"), loaded)
            equal(s.broker.noise, [])


def test_a_reload_takes_the_new_one():
    with Setting() as s:
        s.place.file("policy", s.text + s.subject("e"))
        s.kill()
        equal(s.granted(), "abcd")
        equal(s.reload(), 0)
        equal(s.granted(), "abcde")
        # From then on that is the one that served.
        s.place.file("policy", s.subject("f"))
        s.kill()
        equal(s.granted(), "abcde")


def test_a_reload_refuses_a_bad_one():
    with Setting() as s:
        s.place.file("policy", "subject {{{")
        s.kill()
        equal(s.reload(), 1)
        equal(s.granted(), "abcd")
        s.kill()
        equal(s.granted(), "abcd")


def test_a_reload_that_is_asked_for_while_no_worker_is_there():
    """The next one reads the files: as for one that cannot be started because a user of the policy is gone."""
    name = f"fdbt{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--uid", str(70000 + os.getpid() % 20000), name],
                   stderr=subprocess.DEVNULL, check=True)
    try:
        with Setting() as s:
            s.place.file("policy", s.text + f"subject z {{\n user {name}\n allow read {s.d}/f\n}}\n")
            equal(s.reload(), 0)
            subprocess.run(["userdel", name], check=True)
            s.place.file("policy", s.text + s.subject("e"))
            os.kill(s.broker.events("ready")[-1]["worker"], signal.SIGKILL)
            # It says why, and is tried again.
            s.broker.wait_event("worker", 3)
            check(any(name in line for line in s.broker.noise), s.broker.noise)
            s.broker.process.send_signal(signal.SIGHUP)
            s.broker.wait_event("ready", 3)
            equal(s.granted(), "abcde")
    finally:
        subprocess.run(["userdel", name], stderr=subprocess.DEVNULL)


def test_a_policy_that_is_too_large_together():
    with Setting() as s:
        for i in range(5):
            s.place.file(f"none.d/{i}", ("#" * 1023 + "\n") * (15 << 10))
        equal(s.reload(), 1)
        s.broker.read()
        check(any("more than 64 MiB together" in line for line in s.broker.noise), s.broker.noise)
        equal(s.granted(), "abcd")
        os.unlink(s.place.name("none.d/0"))
        equal(s.reload(), 0)
        s.kill()
        equal(s.granted(), "abcd")


def test_nothing_is_left_over():
    with Setting() as s:
        def descriptors():
            return sorted(os.readlink(f"/proc/{s.broker.process.pid}/fd/{n}").split(" ")[0]
                          for n in os.listdir(f"/proc/{s.broker.process.pid}/fd"))
        def kinds():
            return [d.split(":")[0] for d in descriptors()]
        time.sleep(0.2)
        before = kinds()
        equal([d for d in descriptors() if "memfd" in d], ["/memfd:fdbroker-clients", "/memfd:fdbroker-policy"])
        for _ in range(5):
            s.kill()
            equal(s.reload(), 0)
        time.sleep(0.2)
        equal(kinds(), before)


def test_the_death_of_a_maker_is_told_and_no_other_end_of_one():
    with Setting() as s:
        for number, cause in enumerate((signal.SIGKILL, signal.SIGSEGV, signal.SIGKILL), 1):
            maker, = makers(s.broker)
            # A sanitizer has this one for itself.
            cause = signal.SIGKILL if sanitized(maker) else cause
            os.kill(maker, cause)
            death = s.broker.wait_event("maker", number)
            equal((death["pid"], death["signal"], death["verdict"]), (maker, cause.name[3:], "error"))
            check("both are replaced" in death["reason"], death)
            s.broker.wait_event("worker", number)
            s.broker.wait_event("ready", 1 + number)
        # One whose worker is replaced, or dies, or that is stopped with it, ends of its own, or is ended.
        for _ in range(3):
            equal(s.reload(), 0)
        for _ in range(5):
            s.kill()
        equal(s.granted(), "abcd")
        equal(s.broker.stop(), 0)
        equal(len(s.broker.events("maker")), 3)


main(globals())
