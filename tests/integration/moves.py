# SPDX-License-Identifier: MIT
"""
rename and link; which right lets which operation be done; and that no operation makes a set-uid, set-gid or sticky
bit.
"""
import itertools
import os
import random
import re
import shutil
import signal
import stat

from broker import Broker, Client, Place, attempt
from change import (ACCESS, CHMOD, EXCHANGE, LINK, LIST, ME, MKDIR, NOREPLACE, OPEN, READLINK, RENAME, RMDIR, STAT,
                    SYMLINK, UNLINK, UTIMENS, Setting, times)
from linux import CLONE_NEWNS, in_child, libc, mount, result, unshare
from tap import check, equal, main

PR_SET_PDEATHSIG = 1
SEED = int(os.environ.get("FDBROKER_TEST_SEED", "20"))
RIGHTS = ("read", "write", "create", "stat", "list", "readlink", "watch", "mkdir", "delete", "rename", "append")
PAST = os.fsdecode(times((1, 0), (2, 0)))


# ---- rename

def test_rename():
    with Place() as place:
        d = place.directory("d")
        for name in ("a", "b", "dir/f", "full/f"):
            place.file(f"d/{name}", name, owner=5003)
        os.symlink("nowhere", f"{d}/link")
        place.directory("d/empty")
        with Setting(place, f"allow rename {d}/**") as s:
            equal([s.rename(f"{d}/a", f"{d}/b", NOREPLACE), s.rename(f"{d}/a", f"{d}/new", NOREPLACE),
                   s.rename(f"{d}/new", f"{d}/b"), s.rename(f"{d}/link", f"{d}/dir/link"),
                   s.rename(f"{d}/none", f"{d}/x"), s.rename(f"{d}/b", f"{d}/none/x"),
                   s.rename(f"{d}/b", f"{d}/empty"), s.rename(f"{d}/dir", f"{d}/b"),
                   s.rename(f"{d}/dir", f"{d}/full"), s.rename(f"{d}/dir", f"{d}/dir/sub"),
                   s.rename(f"{d}/b", f"{d}/b"), s.rename(f"{d}/dir", f"{d}/empty")],
                  ["EEXIST", "OK", "OK", "OK", "ENOENT", "ENOENT", "EISDIR", "ENOTDIR", "ENOTEMPTY", "EINVAL", "OK",
                   "OK"])
            with open(f"{d}/b") as file:
                equal(file.read(), "a")
            equal((os.lstat(f"{d}/b").st_uid, os.readlink(f"{d}/empty/link")), (5003, "nowhere"))
            equal([s.rename(f"{d}/b", f"{d}/empty", EXCHANGE), s.rename(f"{d}/b", f"{d}/none", EXCHANGE)],
                  ["OK", "ENOENT"])
            check(os.path.isdir(f"{d}/b") and os.path.isfile(f"{d}/empty"))
            equal([s.rename(f"{d}/b", f"{d}/c", flags) for flags in (3, 4, 1 << 32)] +
                  [s.ask(RENAME, f"{d}/b", 0, 1, f"{d}/c"), s.rename(f"{d}/b", "/etc/fdbroker-test"),
                   s.rename("/etc/passwd", f"{d}/c")], ["EINVAL"] * 4 + ["EACCES"] * 2)


def test_rename_between_two_directories_of_the_policy():
    with Place() as place:
        for name in ("a/f", "b/g"):
            place.file(name)
        a, b = place.name("a"), place.name("b")
        with Setting(place, f"allow rename,create,read {a}/*", f"allow rename,create,read {b}/*") as s:
            equal([s.rename(f"{a}/f", f"{b}/f"), s.rename(f"{a}/f", f"{b}/g", EXCHANGE), s.link(f"{a}/f", f"{b}/f"),
                   s.rename(f"{a}/f", f"{a}/f2")], ["EXDEV", "EXDEV", "EXDEV", "OK"])


def test_rename_between_file_systems():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        place.directory("d/m")
        mount("tmpfs", f"{d}/m", "tmpfs")
        place.file("d/f")
        place.file("d/m/x", "x")
        with Setting(place, f"allow rename,create,read,write,delete,mkdir {d}/**") as s:
            equal([s.rename(f"{d}/f", f"{d}/m/f"), s.link(f"{d}/f", f"{d}/m/f"), s.ask(RMDIR, f"{d}/m"),
                   s.rename(f"{d}/m", f"{d}/n")], ["EXDEV", "EXDEV", "EBUSY", "EBUSY"])
            # What lies beneath a mount is done in another thread.
            equal([s.rename(f"{d}/m/x", f"{d}/m/y"), s.link(f"{d}/m/y", f"{d}/m/z"), s.symlink("y", f"{d}/m/l"),
                   s.ask(UTIMENS, f"{d}/m/l", 0, 0, PAST), s.ask(CHMOD, f"{d}/m/l", 0, 0o604),
                   s.ask(MKDIR, f"{d}/m/dir", 0, 0o777), s.rename(f"{d}/m/dir", f"{d}/m/z", EXCHANGE),
                   s.ask(RMDIR, f"{d}/m/z"), s.ask(UNLINK, f"{d}/m/l")], ["OK"] * 9)
            found = os.stat(f"{d}/m/y")
            equal((sorted(os.listdir(f"{d}/m")), found.st_nlink, found.st_mtime, stat.S_IMODE(found.st_mode)),
                  (["dir", "y"], 2, 2, 0o604))
            # Many of them under way at once, each with its own new name.
            for i in range(30):
                place.file(f"d/m/many/{i}", str(i))

            def run(client):
                for i in range(30):
                    client.send(RENAME, f"{d}/m/many/{i}", extra=os.fsencode(f"{d}/m/many/to{i}"))
                return {client.receive()[1] for _ in range(30)}
            equal(s.session(run), {0})
            for i in range(30):
                with open(f"{d}/m/many/to{i}") as file:
                    equal(file.read(), str(i))
    with Place() as place:
        in_child(run, place)


def test_rename_while_the_directory_is_replaced():
    """Old and new name are found in the same one of its views, or none."""
    with Place() as place:
        d, other = place.name("d"), place.name("other")
        place.file("d/f")
        place.file("other/f")
        answers = set()
        with Broker(place, f"subject a {{\n user 0\n allow rename {d}/**\n}}\n") as broker, \
                Client(broker.abstract) as client:
            racer = os.fork()
            if racer == 0:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                while True:
                    libc.renameat2(-100, os.fsencode(d), -100, os.fsencode(other), EXCHANGE)
            try:
                for _ in range(1000):
                    answers.add(client.ask(RENAME, f"{d}/f", extra=os.fsencode(f"{d}/g")))
                    answers.add(client.ask(RENAME, f"{d}/g", extra=os.fsencode(f"{d}/f")))
            finally:
                os.kill(racer, signal.SIGKILL)
                os.waitpid(racer, 0)
        check("OK" in answers and answers <= {"OK", "ENOENT", "EAGAIN"}, answers)


def test_rename_in_a_sticky_directory():
    with Place() as place:
        d = place.directory("d")
        place.file("d/f", owner=5003)
        os.chown(d, 5004, 5004)
        os.chmod(d, 0o1777)
        with Setting(place, f"allow rename {d}/*") as s:
            equal(s.rename(f"{d}/f", f"{d}/g"), "OK")


def test_what_may_become_a_directory_is_decided_on_as_one():
    """Where anybody can exchange it for one between the look and the renaming."""
    with Place() as place:
        d = place.directory("d")
        for name in ("root/f", "theirs/f", "group/f", "world/f"):
            place.file(f"d/{name}")
        os.chown(f"{d}/theirs", ME, ME)
        os.chmod(f"{d}/group", 0o775)
        os.chmod(f"{d}/world", 0o1777)
        place.directory("d/root/dir")
        with Setting(place, f"allow rename {d}/**", f"deny read {d}/*/f/secret", f"deny read {d}/*/dir/secret") as s:
            names = ("root", "theirs", "group", "world")
            equal([s.rename(f"{d}/{name}/f", f"{d}/{name}/g") for name in names], ["OK"] + ["EACCES"] * 3)
            check("may be a directory" in s.denial(f"{d}/world/f")["reason"])
            equal([s.rename(f"{d}/root/dir", f"{d}/root/x"), s.rename(f"{d}/root/g", f"{d}/root/dir", EXCHANGE),
                   s.rename(f"{d}/root/none", f"{d}/root/f")], ["EACCES", "EACCES", "ENOENT"])
            equal([s.rename(f"{d}/theirs/f", f"{d}/root/g", EXCHANGE),
                   s.rename(f"{d}/root/g", f"{d}/theirs/f", EXCHANGE)], ["EACCES"] * 2)
        # To whom root's directories are their own.
        place.file("d/root/f")
        rules = f" allow rename {d}/**\n deny read {d}/*/f/secret\n"
        with Broker(place, f"subject a {{\n user 0\n{rules}}}\n") as broker, Client(broker.abstract) as client:
            equal(client.ask(RENAME, f"{d}/root/f", extra=os.fsencode(f"{d}/root/g2")), "EACCES")


# ---- link

def test_link():
    with Place() as place:
        d = place.directory("d")
        path = place.file("d/f", "text", 0, owner=5003)
        place.directory("d/dir")
        os.symlink("f", f"{d}/symlink")
        os.mkfifo(f"{d}/fifo")
        os.mknod(f"{d}/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        for name, mode in (("suid", 0o4755), ("sgid", 0o2644), ("sticky", 0o1644)):
            place.file(f"d/{name}")
            os.chmod(f"{d}/{name}", mode)
        with Setting(place, f"allow read,create {d}/**", f"deny read {d}/no") as s:
            equal(s.link(path, f"{d}/second"), "OK")
            equal((os.stat(path).st_nlink, os.stat(f"{d}/second").st_ino), (2, os.stat(path).st_ino))
            equal([s.link(f"{d}/{name}", f"{d}/x") for name in
                   ("dir", "symlink", "fifo", "null", "suid", "sgid", "sticky", "none", "no", "f/x")] +
                  [s.link(path, f"{d}/dir"), s.link(path, f"{d}/symlink"), s.link(path, f"{d}/no"),
                   s.link(path, path), s.ask(LINK, path, 0x400, 0, f"{d}/x"), s.ask(LINK, path, 0, 1, f"{d}/x")],
                  ["EPERM", "EACCES", "EACCES", "EACCES", "EPERM", "EPERM", "EPERM", "ENOENT", "EACCES", "ENOTDIR",
                   "EEXIST", "EEXIST", "EACCES", "EEXIST", "EINVAL", "EINVAL"])
            check("set-uid" in s.denial(f"{d}/suid")["reason"])
        # A second name gives no right that the first did not.
        with Setting(place, f"allow read,create {d}/*", f"allow write {d}/w*") as s:
            equal([s.link(path, f"{d}/w"), s.link(path, f"{d}/x")], ["EACCES", "OK"])
        with Setting(place, f"allow create {d}/*") as s:
            equal(s.link(path, f"{d}/y"), "EACCES")


# ---- moving against a model
#
# What a rename or a link is answered, worked out from what the manual says and from nothing else: every right of
# every path by trying each rule's pattern on it, and "all that can lie beneath" by trying all that there is.

NAMES = ("a", "b", "c")
ALLOWED = ("read", "write", "create", "rename")


def to_regex(pattern):
    """Of the components of a pattern."""
    text = ""
    for i, part in enumerate(pattern):
        if part == "**":
            text += "(/[^/]+)+" if i == len(pattern) - 1 else "(/[^/]+)*"
        else:
            text += "/" + part.replace("*", "[^/]*")
    return re.compile(text + r"\Z")


def anchor(pattern):
    literal = list(itertools.takewhile(lambda part: "*" not in part, pattern))
    return tuple(literal[:-1] if len(literal) == len(pattern) else literal)


class Model:
    def __init__(self, rules):
        self.rules = [(deny, set(rights), pattern, to_regex(pattern)) for deny, rights, pattern in rules]

    def rights(self, path):
        return set().union(*(r for deny, r, _, regex in self.rules if not deny and regex.match(path)))

    def denied(self, path):
        """Whether any deny is on it or above it."""
        parts = path.split("/")
        above = ["/".join(parts[:i]) for i in range(2, len(parts) + 1)]
        return any(deny and any(regex.match(p) for p in above) for deny, _, _, regex in self.rules)

    def directory(self, path, right):
        return max((anchor(pattern) for deny, rights, pattern, regex in self.rules
                    if not deny and right in rights and regex.match(path)), key=len)

    def may(self, old, new, right, is_directory):
        """(allowed, why not): beneath a directory all of three names three deep is tried."""
        needed = {right, "read"} if right == "create" else {right}
        beneath = [""]
        if is_directory:
            beneath += ["/" + "/".join(names) for depth in (1, 2, 3)
                        for names in itertools.product(NAMES, repeat=depth)]
        if any(self.denied(path + tail) for path in (old, new) for tail in beneath):
            return False, "denied"
        if not needed <= self.rights(old) or right not in self.rights(new):
            return False, "right"
        if any(not self.rights(new + tail) <= self.rights(old + tail) for tail in beneath):
            return False, "gain"
        return True, ""


def random_rules(generator):
    rules = [(False, ("rename", "create", "read"), ("**",))] if generator.random() < 0.8 else []
    for _ in range(generator.randint(2, 5)):
        depth = generator.randint(1, 3)
        pattern = [generator.choice(NAMES + ("*",)) for _ in range(depth)]
        if generator.random() < 0.4:
            pattern[generator.randrange(depth)] = "**"
        deny = generator.random() < 0.35
        # Else its directory would be another, and nearly everything EXDEV.
        if not deny and generator.random() < 0.8:
            pattern[0] = "*"
        rights = ("all",) if deny and generator.random() < 0.5 else \
            generator.sample(ALLOWED, generator.randint(1, 2)) if deny else \
            {"rename", "create", *generator.sample(ALLOWED, 2)}
        pattern = tuple(pattern)
        # "**" twice in a row is the same as once.
        rules.append((deny, tuple(rights), tuple(p for i, p in enumerate(pattern)
                                                 if p != "**" or i == 0 or pattern[i - 1] != "**")))
    return rules


def populate(d):
    """a, a/a and so on are directories but for b/c, and some of the third level are files."""
    for one, two in itertools.product(NAMES, NAMES):
        if (one, two) != ("b", "c"):
            os.makedirs(f"{d}/{one}/{two}")
    for path in ("b/c", "a/a/a", "a/b/c", "b/a/b", "c/c/c", "c/a/a"):
        with open(f"{d}/{path}", "w"):
            pass


def expected(model, d, old, new, operation, flags):
    """What the policy says: OK, EACCES and why, or EXDEV; and whether a directory would be moved."""
    right = "create" if operation == LINK else "rename"
    ways = [(old, new)] + ([(new, old)] if flags == EXCHANGE else [])
    directories = [operation == RENAME and os.path.isdir(d + one) for one, _ in ways]
    for one, other in ways:
        allowed, why = model.may(one, other, right, False)
        if not allowed:
            return "EACCES", why, False
    if model.directory(old, right) != model.directory(new, right):
        return "EXDEV", "", any(directories)
    if os.path.isdir(os.path.dirname(d + new)):
        for (one, other), directory in zip(ways, directories):
            allowed, why = model.may(one, other, right, directory)
            if not allowed:
                return "EACCES", why, True
    return "OK", "", any(directories)


def bare(d, old, new, operation, flags):
    """The errno's name of the system call itself."""
    if operation == LINK:
        return attempt(os.link, d + old, d + new)
    return attempt(lambda: result(libc.renameat2(-100, os.fsencode(d + old), -100, os.fsencode(d + new), flags)))


def connected(broker):
    """A connection that is ME's, while this process stays root to look at what is done."""
    os.seteuid(ME)
    try:
        return Client(broker.abstract)
    finally:
        os.seteuid(0)


def move_at_random(generator, place, counts):
    """One policy, and sixty moves in a tree; what is allowed is done to a second tree without the broker."""
    d, twin = place.name("d"), place.name("twin")
    rules = random_rules(generator)
    model = Model(rules)
    populate(d)
    populate(twin)
    lines = "".join(f" {'deny' if deny else 'allow'} {','.join(rights)} {d}/{'/'.join(pattern)}\n"
                    for deny, rights, pattern in rules)
    names = ["/" + "/".join(names) for depth in (1, 2, 3) for names in itertools.product(NAMES, repeat=depth)]
    with Broker(place, f"subject a {{\n user {ME}\n delegate\n{lines}}}\n") as broker, connected(broker) as client:
        for _ in range(60):
            there = [name for name in names if os.path.lexists(d + name)]
            operation, flags = generator.choice(((RENAME, 0), (RENAME, NOREPLACE), (RENAME, EXCHANGE), (LINK, 0)))
            old, new = generator.choice(there), generator.choice(there if flags == EXCHANGE else names)
            wanted, why, directory = expected(model, twin, old, new, operation, flags)
            answer = client.ask(operation, d + old, flags, 0, extra=os.fsencode(d + new))
            if wanted == "OK" and directory and answer == "EACCES":
                # Beneath a directory the broker goes by rules, not by what they come to: it may say no.
                wanted = "cautious"
            else:
                equal(answer, bare(twin, old, new, operation, flags) if wanted == "OK" else wanted,
                      (operation, flags, old, new), lines, why)
            kind = operation, directory, wanted, why
            counts[kind] = counts.get(kind, 0) + 1
        equal(sorted(p[len(d):] for p in everything_in(d)), sorted(p[len(twin):] for p in everything_in(twin)))


def test_moves_against_a_model():
    generator = random.Random(SEED)
    counts = {}
    for _ in range(60):
        with Place() as place:
            move_at_random(generator, place, counts)
    print("#", counts)
    for operation, directory, why in ((RENAME, True, "denied"), (RENAME, False, "denied"), (LINK, False, "denied"),
                                      (RENAME, True, "gain"), (RENAME, False, "gain"), (LINK, False, "gain")):
        check(counts.get((operation, directory, "EACCES", why), 0) >= 3, operation, directory, why)
    allowed, cautious = (counts.get((RENAME, True, answer, ""), 0) for answer in ("OK", "cautious"))
    check(allowed > cautious, "directories are hardly ever moved")


# ---- operations and rights

def operations(d):
    """name: (request, the rights that it takes)."""
    return {
        "open to read": ((OPEN, f"{d}/f", os.O_RDONLY), {"read"}),
        "open to write": ((OPEN, f"{d}/f", os.O_WRONLY), {"write"}),
        "open to append": ((OPEN, f"{d}/f", os.O_WRONLY | os.O_APPEND), {"write"}),
        "open to truncate": ((OPEN, f"{d}/f", os.O_RDONLY | os.O_TRUNC), {"read", "write"}),
        "create": ((OPEN, f"{d}/new", os.O_CREAT | os.O_RDWR, 0o600), {"create"}),
        "create unnamed": ((OPEN, f"{d}/dir", os.O_TMPFILE | os.O_RDWR, 0o600), {"create"}),
        "stat": ((STAT, f"{d}/f"), {"stat"}),
        "access": ((ACCESS, f"{d}/f"), {"stat"}),
        "readlink": ((READLINK, f"{d}/link"), {"readlink"}),
        "list": ((LIST, f"{d}/dir"), {"list"}),
        "mkdir": ((MKDIR, f"{d}/new", 0, 0o700), {"mkdir"}),
        "rmdir": ((RMDIR, f"{d}/dir"), {"delete"}),
        "unlink": ((UNLINK, f"{d}/f"), {"delete"}),
        "rename": ((RENAME, f"{d}/f", 0, 0, f"{d}/new"), {"rename"}),
        "rename over": ((RENAME, f"{d}/f", 0, 0, f"{d}/g"), {"rename"}),
        "rename a directory": ((RENAME, f"{d}/dir", NOREPLACE, 0, f"{d}/new"), {"rename"}),
        "exchange": ((RENAME, f"{d}/f", EXCHANGE, 0, f"{d}/dir"), {"rename"}),
        "link": ((LINK, f"{d}/f", 0, 0, f"{d}/new"), {"create", "read"}),
        "symlink": ((SYMLINK, f"{d}/new", 0, 0, "f"), {"create"}),
        "chmod": ((CHMOD, f"{d}/f", 0, 0o640), {"write"}),
        "chmod a directory": ((CHMOD, f"{d}/dir", 0, 0o700), {"write", "mkdir"}),
        "utimens": ((UTIMENS, f"{d}/f", 0, 0, PAST), {"write"}),
        "utimens of a directory": ((UTIMENS, f"{d}/dir", 0, 0, PAST), {"write"}),
    }


# Who may read, write, list or watch may stat.
IMPLIES_STAT = {"read", "write", "list", "watch"}


def fresh(place):
    d = place.name("d")
    shutil.rmtree(d, ignore_errors=True)
    for name in ("f", "g"):
        place.file(f"d/{name}", name)
    place.directory("d/dir")
    os.symlink("f", f"{d}/link")
    return d


def check_rights(place, rights):
    d = fresh(place)
    had = rights | ({"stat"} if rights & IMPLIES_STAT else set())
    with Setting(place, f"allow {','.join(sorted(rights))} {d}/**") as s:
        for name, (request, needed) in operations(d).items():
            fresh(place)
            equal(s.ask(*request), "OK" if needed <= had else "EACCES", name, "with", rights)


def test_each_operation_with_each_single_right():
    with Place() as place:
        for right in RIGHTS:
            check_rights(place, {right})


def test_each_operation_with_all_rights_but_one():
    with Place() as place:
        for right in RIGHTS:
            check_rights(place, set(RIGHTS) - {right})


# ---- special bits

def test_no_operation_makes_a_special_bit():
    with Place() as place:
        d = place.directory("d")
        for name, mode in (("setgid", 0o2777), ("sticky", 0o1777)):
            place.directory(f"d/{name}")
            os.chmod(f"{d}/{name}", mode)
        os.chown(f"{d}/setgid", 0, 5055)
        os.chmod(f"{d}/setgid", 0o2777)
        place.file("d/suid")
        os.chmod(f"{d}/suid", 0o6755)
        place.file("d/f")
        before = {f"{d}/setgid", f"{d}/sticky", f"{d}/suid"}
        with Setting(place, f"allow read,write,create,delete,rename,mkdir,stat {d}/** mode 0777 exec") as s:
            for where in (d, f"{d}/setgid", f"{d}/sticky"):
                for mode in (0o777, 0o1777, 0o2777, 0o4777, 0o7777):
                    n = f"{where}/n{mode:o}"
                    s.all((OPEN, f"{n}c", os.O_CREAT | os.O_RDWR, mode), (MKDIR, f"{n}m", 0, mode),
                          (SYMLINK, f"{n}s", 0, mode, "f"), (CHMOD, f"{d}/f", 0, mode), (CHMOD, f"{n}m", 0, mode),
                          (CHMOD, f"{n}c", 0, mode), (LINK, f"{d}/suid", 0, 0, f"{n}l"), (MKDIR, f"{n}m/sub", 0, mode),
                          (OPEN, where, os.O_TMPFILE | os.O_RDWR, mode))
            equal({path for path in everything_in(d) if os.lstat(path).st_mode & 0o7000}, before)
            made = [p for p in everything_in(d) if os.path.basename(p).startswith("n")]
            equal(len(made), 3 * 5 * 2, "that much was made to look at", made)
            # What is a set-uid program stays one under another name, and no second one comes of it.
            equal(s.rename(f"{d}/suid", f"{d}/renamed"), "OK")
            equal(os.stat(f"{d}/renamed").st_nlink, 1)


def everything_in(directory):
    for where, directories, files in os.walk(directory):
        for name in directories + files:
            yield os.path.join(where, name)


main(globals())
