# SPDX-License-Identifier: MIT
"""
Which system calls the daemon's processes make while test scripts run, beside those that they may make (`fdbroker check
--privileges`). The scripts start a wrapper in the daemon's place, which has strace follow it from outside (-D): the
daemon keeps its pid and its parent. A process counts as what it was executed as, from when it has put its filter on.
"""
import collections
import ctypes
import os
import re
import subprocess
import tempfile

from broker import DAEMON_FILE, FDBROKER

# The filter answers these itself, and the C library does without.
ANSWERED = {"worker": {"clone3", "openat"}, "maker": {"clone3"}, "supervisor": set()}
RIGHTS = "read,write,create,stat,list,readlink,watch,mkdir,delete,rename,append"
POLICY = (f"subject a {{\n user 5001\n allow {RIGHTS} /a/**\n allow tree /b\n allow write-tree /c\n"
          " allow connect,bind unix:/d/s any-peer\n}\n")
# Of a thread that is being killed strace can read a number that is none: syscall_0x7f0123456789.
LINE = re.compile(r"(\d+) +(?!syscall_0x[0-9a-f]{6})(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)", re.S)
MAKES = {"fork", "vfork", "clone", "clone3"}


def allowed():
    """{process: the calls of the table that this machine has}, with the union of all rights; of the supervisor: those denied."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    with tempfile.NamedTemporaryFile("w", suffix=".policy") as file:
        file.write(POLICY)
        file.flush()
        done = subprocess.run([FDBROKER, "check", "--privileges", "--policy", file.name], capture_output=True, text=True)
    found, process = {}, None
    for line in done.stdout.splitlines():
        head = re.match(r"(worker|maker|supervisor), ", line)
        if head:
            process = head[1]
            found[process] = set()
        elif process and re.match(r"  (to |all system calls but:)", line):
            found[process].update(line.rsplit(": ", 1)[1].split())
    assert set(found) == set(ANSWERED), done
    return {process: {call for call in calls if seccomp.seccomp_syscall_resolve_name(call.encode()) >= 0}
            for process, calls in found.items()}


# What the maker may do besides, until the policy is loaded: restrict itself.
LOADING = {"maker": {"seccomp"}}


class Process:
    def __init__(self, role=None, confined=False):
        self.role = role
        self.confined = confined
        self.loading = False
        self.before = []  # calls that are seen before it is known whose child it is

    def adopt(self, parent):
        """It is a child, or a thread, of that one. The calls it has made already."""
        if not self.role:
            self.role, self.confined = parent.role, parent.confined
        before, self.before = self.before, []
        return before if self.confined else []

    def execute(self, arguments):
        before = self.role
        self.role = next((r for r in ("worker", "maker") if f'"--{r}"' in arguments), "supervisor")
        # A supervisor that executes its program anew keeps its filter; the others put theirs on later.
        self.confined = self.confined and self.role == before


class Trace:
    """What the daemons do that are started by `.program`, which stands for `daemon`."""

    def __init__(self, daemon=DAEMON_FILE):
        self.place = tempfile.TemporaryDirectory(prefix="fdbroker-test-calls-")
        os.chmod(self.place.name, 0o755)
        self.traces = f"{self.place.name}/traces"
        os.mkdir(self.traces)
        # Daemons are started by any user.
        os.chmod(self.traces, 0o1777)
        self.program = f"{self.place.name}/fdbrokerd"
        with open(self.program, "w") as file:
            # Where the directory cannot be reached, in a chroot for example, it runs untraced.
            file.write(f"""#!/bin/sh
[ -w {self.traces} ] || exec {daemon} "$@"
exec strace -DD -f -q -s 16 -e signal=none -o {self.traces}/$$ {daemon} "$@"
""")
        os.chmod(self.program, 0o755)
        self.seen = {process: collections.Counter() for process in ANSWERED}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.place.cleanup()

    def collect(self):
        """Counts what has been traced since the last time."""
        for name in os.listdir(self.traces):
            path = f"{self.traces}/{name}"
            with open(path, errors="replace") as file:
                self.count(file)
            os.unlink(path)

    def count(self, lines):
        """The lines of one daemon's trace, its first process's first."""
        processes = {}
        for line in lines:
            found = LINE.match(line)
            if not found:
                continue
            pid, resumed, called, rest = found.groups()
            call = resumed or called
            # A child can get ahead of its parent's clone(2), which says that it is one.
            process = processes.setdefault(pid, Process() if processes else Process("supervisor"))
            if called and not process.role:
                process.before.append(call)
            elif called and process.confined:
                self.seen[process.role][call] += 1
            answer = re.search(r"= (\d+)\s*$", rest)
            if called == "execve":
                process.execute(rest)
            elif call == "seccomp":
                process.loading = process.loading if resumed else "SECCOMP_SET_MODE_FILTER" in rest
                if process.loading and answer and answer[1] == "0":
                    process.confined = True
            elif call in MAKES and answer and answer[1] != "0":
                child = processes.setdefault(answer[1], Process())
                for before in child.adopt(process):
                    self.seen[process.role][before] += 1


def compare(seen):
    """(calls that a process made and is not to, those it may make and never made), each as lines."""
    wrong, unseen = [], []
    for process, table in allowed().items():
        made = set(seen[process]) - ANSWERED[process]
        bad = made & table if process == "supervisor" else made - table - LOADING.get(process, set())
        wrong += [f"{process}: {call}" for call in sorted(bad)]
        if process != "supervisor":
            unseen += [f"{process}: {call}" for call in sorted(table - made)]
    return wrong, unseen
