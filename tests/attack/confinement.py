# SPDX-License-Identifier: MIT
"""
A worker that has been taken over: what it can reach, started as root and as a user with capabilities. Each attempt is
also made where nothing keeps the worker from a system call: what succeeds there shows that the attempt is one.
"""
import ctypes
import os
import secrets
import time

from broker import Broker, Client, Place, makers, read
from linux import AT_FDCWD, as_user, libc, result
from tap import Skip, check, equal, main

HOLE = 99
BENEATH = 100
ME = 5001
DAEMON = 5007
# As in operations-hole.c, from 1: the system call that each is.
ATTEMPTS = ("openat", "open_by_handle_at", "fchmodat", "chown", "setxattr", "execve", "ptrace", "kill", "tgkill",
            "process_vm_readv", "socket", "mount", "fsopen", "setresuid", "chroot", "clone", "mmap", "rt_sigaction",
            "fcntl",
            # The maker, by its process.
            "ptrace", "kill", "process_vm_readv", "pidfd_open", "pidfd_getfd",
            "connect", "bind", "socketpair", "mount_setattr", "open_tree", "unshare", "capset", "inotify_add_watch")
OF_MAKER = 20  # the first one
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


def target_of(taken):
    try:
        kind, handle = handle_of(taken.outside)
    except OSError as error:
        raise Skip(f"the file system has no handles: {error}")
    return f"{taken.outside}\n{kind}\n{handle}\n{makers(taken.broker)[0]}"


LANDLOCK = libc.syscall(444, None, ctypes.c_size_t(0), 1)  # its version


class Taken:
    """A broker with a hole, and a file outside of what it grants."""

    def __init__(self, rights, program="FDBROKERD_HOLE", capabilities=None, options=(), more=None, tree=None):
        self.place = Place()
        self.place.directory("granted/deep", 0o755)
        self.place.file("granted/f", "granted", 0o600)
        self.outside = self.place.file("outside", "outside", 0o600)
        self.before = os.stat(self.outside)
        lines = [f"allow {rights} {self.place.name('granted')}/**", *(more(self.place) if more else ())]
        if tree:
            lines.append(f"allow {tree} {self.place.name('granted')}")
        policy = f"subject a {{\n user {ME}\n" + "".join(f" {line}\n" for line in lines) + "}\n"
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
    target = target_of(taken)
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


def confined_events():
    with Place() as place, Broker(place, f"subject a {{\n user {ME}\n allow read {place.path}/*\n}}\n") as broker:
        return broker.events("confined")


def confined():
    """Not in a build with sanitizers."""
    if "verdict" in confined_events()[0]:
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
        target = target_of(taken)
        results = {(call, number >= OF_MAKER): taken.attempt(number, target) for number, call in enumerate(ATTEMPTS, 1)
                   if call not in ("execve", "unshare", "capset")}
        for call in ("open_by_handle_at", "socket", "clone", "mmap", "rt_sigaction", "setresuid"):
            equal(results[call, False], "it@0 succeeded\n", call)
        for call in ("pidfd_open", "socketpair", "inotify_add_watch"):
            equal(results[call, True], "it@0 succeeded\n", call)
        # These it is kept from by having nothing but descriptors.
        for call in ("openat", "fchmodat", "chown", "setxattr", "ptrace", "kill", "tgkill", "process_vm_readv", "mount",
                     "fsopen", "chroot"):
            check(results[call, False] and not results[call, False].endswith("succeeded\n"), call, results)
        for call in ("ptrace", "kill", "process_vm_readv", "pidfd_getfd", "connect", "mount_setattr", "open_tree"):
            check(results[call, True] and not results[call, True].endswith("succeeded\n"), call, results)
        equal(taken.broker.events("violation"), [])


def test_without_the_filter_a_users_worker_could_signal_its_supervisor():
    with Taken("read", "FDBROKERD_HOLE_UNCONFINED", capabilities=VIEWS) as taken:
        for call in ("kill", "tgkill", "open_by_handle_at"):
            equal(taken.attempt(ATTEMPTS.index(call) + 1, target_of(taken)), "it@0 succeeded\n", call)


# As in hole.h.
OPEN_TO_WRITE, CHANGE = 1000, 1001
OPENINGS = {"write", "read and write", "truncate", "append", "create", "create nameless"}
CHANGES = {"chmod", "utimens", "chown", "mkdir", "symlink", "rename", "rename back", "unlink"}
MOVES = {"link", "move", "move back"}


def two_directories(place):
    """One to read and one to change, whose files and modes would let anybody do anything."""
    for name in ("read", "write"):
        place.directory(name, 0o777)
        for file in "fg":
            place.file(f"{name}/{file}", file, 0o666)
    looking = "read,list,stat,readlink"
    return (f"allow {looking} {place.name('read')}/**",
            f"allow {looking},write,create,mkdir,delete,rename {place.name('write')}/**")


def changes(taken, number):
    """{(what, the directory's name, where to)} of what has succeeded, and of what has not."""
    names = {str(os.stat(taken.place.name(name)).st_ino): name for name in os.listdir(taken.place.path)}
    done, failed = set(), set()
    for line in taken.attempt(number, taken.outside).splitlines():
        what, _, where = line.rpartition("@")
        place, result = where.rsplit(" ", 1)
        at, _, to = place.partition(">")
        if at in names:
            (done if result == "succeeded" else failed).add((what, names[at], names.get(to, to)))
    return done, failed


def check_read_only(taken, number, all):
    before = {name: os.stat(taken.place.name(f"read/{name}")) for name in ("", "f", "g")}
    done, failed = changes(taken, number)
    equal({what for what, at, _ in failed if at == "read"} >= (OPENINGS | CHANGES | MOVES if all else OPENINGS), True,
          failed)
    # Where it may write the same are ways to do it.
    equal({what for what, at, _ in done if at == "write"} >= (OPENINGS | CHANGES if all else OPENINGS), True, done)
    equal({one for one in done if "read" in one[1:]}, set())
    equal(sorted(os.listdir(taken.place.name("read"))), ["f", "g"])
    for name, was in before.items():
        now = os.stat(taken.place.name(f"read/{name}"))
        for field in ("st_mode", "st_uid", "st_mtime", "st_nlink"):
            equal(getattr(now, field), getattr(was, field), name, field)
    for name in "fg":
        with open(taken.place.name(f"read/{name}")) as file:
            equal(file.read(), name)


def test_what_was_given_to_read_is_written_by_no_worker():
    """Through none of the directories that it holds, whatever the files' own modes are: started as root and as a user,
    with the calls that it has and with all."""
    for program in ("FDBROKERD_HOLE", "FDBROKERD_HOLE_UNCONFINED"):
        for capabilities in (None, VIEWS + ",+dac_override,+chown,+fowner"):
            for number, all in ((OPEN_TO_WRITE, False), (CHANGE, True)):
                with Taken("read", program, capabilities, more=two_directories) as taken:
                    check_read_only(taken, number, all)


def test_a_worker_that_only_reads_writes_nothing():
    for capabilities in (None, VIEWS):
        with Taken("read", capabilities=capabilities) as taken:
            os.chmod(taken.place.name("granted"), 0o777)
            taken.place.file("granted/f", "f", 0o666)
            done, failed = changes(taken, OPEN_TO_WRITE)
            equal(({what for what, _, _ in failed}, done), (OPENINGS, set()))


def test_without_views_what_was_given_to_read_could_be_written():
    with Taken("read", "FDBROKERD_HOLE_PLAIN", more=two_directories) as taken:
        done, _ = changes(taken, CHANGE)
        equal({what for what, at, _ in done if at == "read"} >= OPENINGS | MOVES | {"mkdir", "rename"}, True, done)


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


def state_of(maker):
    """Of each of its threads: its capabilities, and how many filters of system calls it is under."""
    names = {2: "DAC_READ_SEARCH", 1: "DAC_OVERRIDE", 5: "KILL", 6: "SETGID", 7: "SETUID", 8: "SETPCAP",
             10: "NET_BIND_SERVICE", 18: "SYS_CHROOT", 19: "SYS_PTRACE", 21: "SYS_ADMIN", 31: "SETFCAP"}
    states = set()
    for task in os.listdir(f"/proc/{maker}/task"):
        with open(f"/proc/{maker}/task/{task}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
        equal(status["CapEff"], status["CapPrm"])
        held = int(status["CapPrm"], 16)
        states.add((frozenset(names.get(i, str(i)) for i in range(64) if held >> i & 1),
                    int(status.get("Seccomp_filters", "0"))))
    return states


def test_the_maker_keeps_what_the_policy_calls_for():
    """In each of its threads, once the worker has loaded."""
    views = {"SYS_ADMIN", "SYS_CHROOT", "DAC_READ_SEARCH"}
    behalf = {"SETUID", "SETGID", "SETPCAP", "KILL", "DAC_OVERRIDE"}
    confines = not any("verdict" in event for event in confined_events())
    for rules, more in (("allow read /etc/passwd", ()), ("allow read,write,create,mkdir,delete,rename /etc/passwd", ()),
                        ("allow read,write /dev/null type chardev", {"DAC_OVERRIDE"}),
                        ("allow read /dev/null type chardev", ()),
                        ("exe /bin/sh\n allow read /etc/passwd", {"SYS_PTRACE"}),
                        ("allow tree /usr", ()),
                        ("allow tree /usr idmap 0 caller", {"SETUID", "SETGID", "SETFCAP", "SYS_PTRACE"}), ("allow watch /etc/passwd", behalf),
                        ("allow connect unix:/run/x", behalf),
                        ("allow bind unix:/run/x any-peer", behalf | {"NET_BIND_SERVICE"})):
        with Place() as place, Broker(place, f"subject a {{\n user {ME}\n {rules}\n}}\n") as broker:
            end = time.monotonic() + 10
            (maker,) = makers(broker)
            # The thread of the homes has what views take from the start.
            wanted = {frozenset(views | set(more)), frozenset(views)}
            while {held for held, _ in state_of(maker)} - wanted and time.monotonic() < end:
                time.sleep(0.01)
            states = state_of(maker)
            check(frozenset(views | set(more)) in {held for held, _ in states}, rules, states)
            equal({held for held, _ in states} - wanted, set(), rules)
            if confines:
                equal({filters for _, filters in states}, {min(filters for _, filters in states)}, rules)
                # The supervisor's, which it has inherited, its own, and what has come with the policy.
                equal(states.pop()[1], 3, rules)


def test_a_users_worker_keeps_what_its_policy_needs():
    with Taken("read", capabilities=VIEWS) as taken:
        equal(taken.broker.events("confined")[0]["capabilities"], "CAP_DAC_READ_SEARCH")
        equal(as_user(ME, lambda: read(taken.address, taken.place.name("granted/f"))), "granted")


main(globals())
