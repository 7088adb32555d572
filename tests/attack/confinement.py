# SPDX-License-Identifier: MIT
"""
A worker that has been taken over: what it can reach, started as root and as a user with capabilities. Each attempt is
also made where nothing keeps the worker from a system call: what succeeds there shows that the attempt is one.
"""
import ctypes
import os
import secrets

from broker import Broker, Client, Place, read
from linux import AT_FDCWD, as_user, libc, result
from tap import Skip, check, equal, main

HOLE = 99
BENEATH = 100
ME = 5001
DAEMON = 5007
# As in operations-hole.c, from 1: the system call that each is.
ATTEMPTS = ("openat", "open_by_handle_at", "fchmodat", "chown", "setxattr", "execve", "ptrace", "kill", "tgkill",
            "process_vm_readv", "socket", "mount", "fsopen", "setresuid", "chroot", "clone", "mmap", "rt_sigaction",
            "fcntl")
# Only where the worker's uid is the supervisor's, whom it could signal then.
SAME_USER = "fcntl"
VIEWS = "+sys_admin,+sys_chroot,+dac_read_search"


def as_daemon(capabilities):
    return ["setpriv", "--reuid", str(DAEMON), "--regid", str(DAEMON), "--clear-groups",
            f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]


def handle_of(path):
    """(type, bytes in hexadecimal)."""
    handle = (ctypes.c_uint32 * 34)(128, 0)
    mount = ctypes.c_int()
    result(libc.name_to_handle_at(AT_FDCWD, os.fsencode(path), handle, ctypes.byref(mount), 0))
    return handle[1], bytes(handle)[8:8 + handle[0]].hex()


def target_of(path):
    try:
        kind, handle = handle_of(path)
    except OSError as error:
        raise Skip(f"the file system has no handles: {error}")
    return f"{path}\n{kind}\n{handle}"


LANDLOCK = libc.syscall(444, None, ctypes.c_size_t(0), 1)  # its version


class Taken:
    """A broker with a hole, and a file outside of what it grants."""

    def __init__(self, rights, program="FDBROKERD_HOLE", capabilities=None, options=(), tree=None):
        self.place = Place()
        self.place.directory("granted/deep", 0o755)
        self.place.file("granted/f", "granted", 0o600)
        self.outside = self.place.file("outside", "outside", 0o600)
        self.before = os.stat(self.outside)
        rules = f" allow {rights} {self.place.name('granted')}/**\n"
        if tree:
            rules += f" allow {tree} {self.place.name('granted')}\n"
        policy = f"subject a {{\n user {ME}\n{rules}}}\n"
        how = {}
        if capabilities:
            how = {"command": as_daemon(capabilities), "user": None,
                   "listen": ("@fdbroker-test-" + secrets.token_hex(8),)}
        self.broker = Broker(self.place, policy, program=os.environ[program], options=options, **how)
        self.address = how["listen"][0] if how else self.broker.abstract

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()
        self.place.__exit__()

    def attempt(self, number, target):
        """The answer; None where the worker died of it."""
        def run():
            with Client(self.address) as client:
                id = client.send(HOLE, target, flags=number)
                got = client.receive()
                return got[2].decode() if got and got[0] == id else None
        return as_user(ME, run)

    def beneath(self, name):
        """What could be done with it by opening it, from any directory that the worker holds."""
        lines = [line.replace("@", " ").split(" ") for line in self.attempt(BENEATH, name).splitlines()]
        check(len({at for _, at, _ in lines}) >= 1, "it holds no directory")
        return {what for what, _, result in lines if result == "succeeded"}

    def check_untouched(self):
        check(self.broker.process.poll() is None, "the supervisor was ended")
        after = os.stat(self.outside)
        equal((after.st_mode, after.st_uid), (self.before.st_mode, self.before.st_uid))


def check_calls(taken, same_user):
    target = target_of(taken.outside)
    seen = 0
    for number, call in enumerate(ATTEMPTS, 1):
        got = taken.attempt(number, target)
        if call == SAME_USER and not same_user:
            continue
        if call == "openat":
            # free(3) tries it, and does without.
            equal(got, "it@0 ENOENT\n", call)
            continue
        equal(got, None, call)
        seen += 1
        violation = taken.broker.wait_event("violation", seen)
        equal((violation["process"], violation["call"]), ("worker", call))
        death = taken.broker.wait_event("worker", seen)
        equal((death["pid"], death["signal"]), (violation["pid"], "SYS"))
    taken.check_untouched()
    # Its successors serve.
    equal(as_user(ME, lambda: read(taken.address, taken.place.name("granted/f"))), "granted")


def check_paths(taken):
    report = taken.attempt(0, taken.outside)
    check(report.count("open@") >= 2, "it holds no directory", report)
    equal([l for l in report.splitlines() if l.endswith("succeeded")], [], report)
    taken.check_untouched()


def confined():
    """Not in a build with sanitizers."""
    with Place() as place, Broker(place, f"subject a {{\n user {ME}\n allow read {place.path}/*\n}}\n") as broker:
        if "verdict" in broker.events("confined")[0]:
            raise Skip("built with sanitizers: no process is kept from any system call")


def test_a_forbidden_call_ends_the_worker_and_is_named():
    confined()
    with Taken("read") as taken:
        check_calls(taken, False)


def test_a_forbidden_call_ends_a_users_worker_too():
    confined()
    with Taken("read", capabilities=VIEWS) as taken:
        check_calls(taken, True)


def test_a_reading_worker_reaches_nothing_outside():
    with Taken("read") as taken:
        check_paths(taken)


def test_a_writing_worker_reaches_nothing_outside():
    with Taken("read,write,create") as taken:
        # Its own root is empty and read-only; what it holds are views.
        check_paths(taken)


def test_a_users_worker_reaches_nothing_outside():
    with Taken("read", capabilities=VIEWS) as taken:
        check_paths(taken)


def test_without_the_filter_the_attempts_are_real():
    with Taken("read", "FDBROKERD_HOLE_UNCONFINED") as taken:
        target = target_of(taken.outside)
        results = {call: taken.attempt(number, target) for number, call in enumerate(ATTEMPTS, 1)
                   if call not in ("execve",)}
        for call in ("open_by_handle_at", "socket", "clone", "mmap", "rt_sigaction", "setresuid"):
            equal(results[call], "it@0 succeeded\n", call)
        # These it is kept from by having nothing but descriptors.
        for call in ("openat", "fchmodat", "chown", "setxattr", "ptrace", "kill", "tgkill", "process_vm_readv", "mount",
                     "fsopen", "chroot"):
            check(results[call] and not results[call].endswith("succeeded\n"), call, results)
        equal(taken.broker.events("violation"), [])


def test_without_the_filter_a_users_worker_could_signal_its_supervisor():
    with Taken("read", "FDBROKERD_HOLE_UNCONFINED", capabilities=VIEWS) as taken:
        for call in ("kill", "tgkill", "open_by_handle_at"):
            equal(taken.attempt(ATTEMPTS.index(call) + 1, target_of(taken.outside)), "it@0 succeeded\n", call)


ALL = {"read", "write", "append", "truncate", "make"}


def held_by_landlock(rights, **named):
    """What a worker that was taken over can open with --landlock, and without; "kept" is a file in a directory it holds."""
    confined()
    if LANDLOCK < 3:
        raise Skip("no Landlock here, or one that does not know truncating")
    found = []
    for options in (["--landlock"], []):
        with Taken(rights, options=options, **named) as taken:
            os.chmod(taken.place.file("granted/kept", "kept", 0o666), 0o666)
            os.chmod(taken.place.name("granted"), 0o777)
            found.append(taken.beneath("kept"))
    return found


def test_landlock_keeps_a_reading_worker_from_writing_where_there_are_no_views():
    held, loose = held_by_landlock("read", capabilities="+dac_read_search")
    equal((held, loose), ({"read"}, ALL))


def test_landlock_keeps_a_worker_from_writing_in_a_view_that_is_writable():
    """Which it has for those who may have the tree, and may open nothing else."""
    held, loose = held_by_landlock("stat", tree="write-tree")
    equal((held, loose), (set(), ALL))
    held, loose = held_by_landlock("read", tree="write-tree")
    equal((held, loose), ({"read"}, ALL))


def test_landlock_keeps_a_worker_from_making_what_its_policy_does_not_create():
    held, loose = held_by_landlock("read,write")
    equal((held, loose), (ALL - {"make"}, ALL))


def test_landlock_keeps_no_worker_from_what_its_policy_grants():
    """Links and renames between directories are denied with any access to files, so there none is."""
    for rights in ("create", "rename"):
        held, loose = held_by_landlock(f"read,{rights}")
        equal((held, loose), (ALL, ALL), rights)


def test_the_record_says_what_landlock_denies():
    confined()
    if LANDLOCK < 1:
        raise Skip("no Landlock here")
    with Taken("read", options=["--landlock"]) as taken:
        line = taken.broker.events("confined")[0]
        equal(line["landlock"], LANDLOCK)
        check({"execute", "write_file", "make_reg", "refer"} <= set(line["denied"].split()), line)
        check(not {"read_file", "read_dir"} & set(line["denied"].split()), line)
        equal(as_user(ME, lambda: read(taken.address, taken.place.name("granted/f"))), "granted")
    with Taken("read") as taken:
        equal([f for f in ("landlock", "denied") if f in taken.broker.events("confined")[0]], [])


def test_reading_takes_one_capability():
    """Without views, since there is no privilege to make them."""
    with Taken("read", capabilities="+dac_read_search") as taken:
        equal(taken.broker.events("confined")[0]["capabilities"], "CAP_DAC_READ_SEARCH")
        equal(as_user(ME, lambda: read(taken.address, taken.place.name("granted/f"))), "granted")


def test_a_users_worker_keeps_what_its_policy_needs():
    with Taken("read", capabilities=VIEWS) as taken:
        equal(taken.broker.events("confined")[0]["capabilities"], "CAP_DAC_READ_SEARCH")
        equal(as_user(ME, lambda: read(taken.address, taken.place.name("granted/f"))), "granted")


main(globals())
