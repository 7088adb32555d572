# SPDX-License-Identifier: MIT
"""
A private broker: an ordinary user makes itself root of a user and mount namespace of its own, starts fdbrokerd there and
serves its own files, by views as everywhere. And which policies count there.
"""
import errno
import os
import stat
import subprocess

from broker import FDBROKER, Broker, Client, Place, attempt
from linux import (AT_EMPTY_PATH, CLONE_NEWNS, CLONE_NEWUSER, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_REC, as_user, become,
                   enter_user_namespace, have_user_namespaces, in_child, libc, mount, mount_setattr, move_mount,
                   open_tree, result, unshare)
from tap import Skip, check, equal, main

ME, OTHER = 5001, 5002
TREE = 7
PRIVATE = ("setpriv", f"--reuid={ME}", f"--regid={ME}", "--clear-groups", "unshare", "--map-root-user")


class Private:
    """A directory of ME's, its broker, and what is asked of that."""

    def __init__(self, place, *rules, command=(*PRIVATE, "--mount"), options=("--require", "views"), **more):
        if not have_user_namespaces():
            raise Skip("this machine lets no ordinary user make a user namespace")
        os.chown(place.path, ME, ME)
        self.d = place.directory("d", 0o700, owner=ME)
        place.file("d/f", "original\n", 0o666, owner=ME)
        place.file("secret", "secret\n", 0o600, owner=ME)
        text = "".join(f" {rule.replace('D', self.d)}\n" for rule in rules)
        self.broker = Broker(place, f"subject a {{\n user 0\n{text}}}\n", command=command, options=options, user=None,
                             owner=ME, **more)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()

    def run(self, function, uid=ME):
        """function(a connection), as `uid`."""
        def run():
            with Client(self.broker.pathname) as client:
                return function(client)
        return as_user(uid, run)

    def open(self, name="f", flags=0, mode=0, uid=ME):
        return self.run(lambda client: client.ask(1, f"{self.d}/{name}", flags, mode), uid)


def tree_of(client, path, flags=0):
    client.send(TREE, path, flags)
    _, error, _, descriptors = client.receive()
    check(not error, errno.errorcode.get(error))
    return descriptors[0]


def text(path):
    with open(path) as file:
        return file.read()


# ---- what it serves

def test_an_ordinary_user_serves_its_own_files():
    with Place() as place, Private(place, "allow read D/**", "allow read /etc/shadow") as s:
        equal(s.run(lambda client: client.read(f"{s.d}/f")), "original\n")
        equal(s.open("g"), "ENOENT")
        equal(s.run(lambda client: client.ask(path=place.name("secret"))), "EACCES")
        # What its user may not read, it may not, whatever the policy says.
        equal(s.run(lambda client: client.ask(path="/etc/shadow")), "EACCES")
        for pid in (s.broker.process.pid, s.broker.worker):
            with open(f"/proc/{pid}/status") as file:
                check(f"Uid:\t{ME}\t{ME}\t{ME}\t{ME}\n" in file.read(), pid)
        # The worker's root is as empty as anywhere.
        equal(os.listdir(f"/proc/{s.broker.worker}/root"), [])
        equal((s.broker.events("view"), s.broker.noise), ([], []))


def test_users_outside_match_nothing():
    with Place() as place, Private(place, "allow read D/**") as s:
        equal(s.open(uid=OTHER), "EACCES")
        equal(s.open(uid=0), "EACCES")
        equal(s.open(), "OK")
        equal([r["uid"] for r in s.broker.events("request")], [65534, 65534])
    with Place() as place:
        check("65534" in refused(place, "subject a {\n user 65534\n allow read /x\n}\n"))
    # Nor is there a way to mean everybody: `*` is everybody who is mapped.
    with Place() as place, Private(place, "user *", "allow read D/**") as s:
        equal(s.open(uid=OTHER), "EACCES")
        equal(s.open(), "OK")


def refused(place, policy):
    place.file("policy", policy, owner=ME)
    os.chown(place.path, ME, ME)
    status, output = inside(place.name("policy"))
    equal(status, 1, output)
    return output


def test_writing_and_creating():
    with Place() as place, Private(place, "allow read,write,create,mkdir D/** mode 0640") as s:
        def write(client):
            for name, flags, mode in (("f", os.O_WRONLY | os.O_TRUNC, 0), ("n", os.O_CREAT | os.O_RDWR, 0o666)):
                file = client.open(f"{s.d}/{name}", flags, mode)
                os.write(file, b"written\n")
                os.close(file)
        s.run(write)
        equal((text(f"{s.d}/f"), text(f"{s.d}/n")), ("written\n", "written\n"))
        found = os.stat(f"{s.d}/n")
        equal((stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid), (0o640, ME, ME))
        equal(s.open("n", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "EEXIST")


def test_changing():
    """With views, and with the directories themselves in their place."""
    for how in ({}, {"command": PRIVATE, "options": ()}):
        with Place() as place, Private(place, "allow read,write,create,mkdir,delete,rename D/** mode 0640",
                                       "deny all D/no", **how) as s:
            place.directory("d/no", owner=ME)

            def change(client):
                return [client.ask(operation, f"{s.d}/{name}", flags, mode, extra=extra.replace("D", s.d).encode())
                        for operation, name, flags, mode, extra in (
                            (8, "dir", 0, 0o777, ""), (12, "f", 0, 0, "D/dir/second"), (13, "dir/link", 0, 0, "second"),
                            (14, "dir/link", 0, 0o604, ""), (14, "dir", 0, 0o700, ""), (14, "f", 0, 0o4755, ""),
                            (15, "f", 0, 0, bytes(32).decode()), (11, "dir", 0, 0, "D/moved"),
                            (11, "moved/second", 0, 0, "D/no/x"), (10, "moved/link", 0, 0, ""), (9, "moved", 0, 0, ""))]
            equal(s.run(change), ["OK"] * 5 + ["EPERM", "OK", "OK", "EACCES", "OK", "ENOTEMPTY"], how)
            found, moved = os.stat(f"{s.d}/f"), os.stat(f"{s.d}/moved")
            equal((found.st_nlink, stat.S_IMODE(found.st_mode), found.st_mtime), (2, 0o604, 0))
            equal((stat.S_IMODE(moved.st_mode), moved.st_uid, moved.st_gid), (0o700, ME, ME))


def test_a_file_that_cannot_be_given_to_its_owner_is_removed():
    """Here nobody can be given anything: no other uid is mapped."""
    with Place() as place, Private(place, f"allow read,write,create D/** owner {OTHER}") as s:
        place.directory("d/sub", owner=ME)
        for name in ("n", "sub/n"):
            equal(s.open(name, os.O_CREAT | os.O_RDWR, 0o600), "EINVAL", name)
        equal((sorted(os.listdir(s.d)), os.listdir(f"{s.d}/sub")), (["f", "sub"], []))
        # Nothing but what is new.
        equal(s.open("f", os.O_CREAT | os.O_RDWR, 0o600), "OK")
        equal(text(f"{s.d}/f"), "original\n")


def test_a_mount_beneath_is_served_and_what_it_hides_is_not():
    """The mounts that the namespace was made with are locked together: only a recursive clone is possible."""
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        place.file("d/m/hidden", "hidden", owner=ME)
        mount("tmpfs", place.name("d/m"), "tmpfs", 0, "mode=755")
        place.file("d/m/f", "mounted\n", 0o666, owner=ME)
        with Private(place, "allow read D/**") as s:
            equal(s.run(lambda client: client.read(f"{s.d}/m/f")), "mounted\n")
            equal(s.open("m/hidden"), "ENOENT")
            equal(s.run(lambda client: reopen(client.open(f"{s.d}/m/f"))), ["EROFS"] * 6)
    with Place() as place:
        in_child(run, place)


# ---- what a holder can make of it

def reopen(descriptor):
    return [attempt(os.open, f"/proc/{who}/fd/{descriptor}", flags) for who in ("self", "thread-self")
            for flags in (os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDONLY | os.O_TRUNC)]


def mount_attacks(descriptor):
    got = {
        "mount_setattr": attempt(mount_setattr, descriptor, "", 0, MOUNT_ATTR_RDONLY),
        "open_tree": attempt(open_tree, descriptor, "", AT_EMPTY_PATH | 0x8001),
        "move_mount": attempt(move_mount, descriptor, "/mnt"),
        "bind": attempt(mount, f"/proc/self/fd/{descriptor}", "/proc/self/comm", None, 4096),
        "remount": attempt(mount, None, f"/proc/self/fd/{descriptor}", None, 4096 | 32),
    }
    for number, answer in enumerate(reopen(descriptor)):
        got[f"reopen {number}"] = answer
    return got


def test_what_is_held_cannot_be_reopened_for_writing():
    with Place() as place, Private(place, "allow read D/**") as s:
        equal(s.run(lambda client: reopen(client.open(f"{s.d}/f"))), ["EROFS"] * 6)
        equal(text(f"{s.d}/f"), "original\n")


def test_nor_by_root_of_a_namespace_and_not_even_of_the_brokers_own():
    with Place() as place, Private(place, "allow read D/**") as s:
        def nested(client):
            file = client.open(f"{s.d}/f")
            enter_user_namespace(CLONE_NEWNS)
            return mount_attacks(file)

        def within(client):
            file = client.open(f"{s.d}/f")
            for kind, flag in (("user", CLONE_NEWUSER), ("mnt", CLONE_NEWNS)):
                namespace = os.open(f"/proc/{s.broker.process.pid}/ns/{kind}", os.O_RDONLY)
                result(libc.setns(namespace, flag))
            equal(os.geteuid(), 0, "it is no root there")
            return mount_attacks(file)
        for attack in (nested, within):
            got = s.run(attack)
            check("OK" not in got.values(), got)
            equal((got["mount_setattr"], got["reopen 0"]), ("EINVAL", "EROFS"))
        equal(text(f"{s.d}/f"), "original\n")


def test_trees():
    with Place() as place, Private(place, "allow tree,write-tree D") as s:
        def read_only(client):
            d = tree_of(client, s.d)
            return [os.read(os.open("f", os.O_RDONLY, dir_fd=d), 99).decode(),
                    attempt(lambda: os.open("f", os.O_RDWR, dir_fd=d)),
                    attempt(lambda: os.open("n", os.O_CREAT | os.O_WRONLY, dir_fd=d)),
                    attempt(lambda: os.open("../secret", os.O_RDONLY, dir_fd=d)),
                    attempt(os.open, f"/proc/self/fd/{d}/../secret", os.O_RDONLY)]
        equal(s.run(read_only), ["original\n", "EROFS", "EROFS", "ENOENT", "ENOENT"])

        def writable(client):
            d = tree_of(client, s.d, os.O_RDWR)
            os.write(os.open("n", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=d), b"written\n")
            return attempt(lambda: os.open("../secret", os.O_RDONLY, dir_fd=d))
        equal(s.run(writable), "ENOENT")
        equal(text(f"{s.d}/n"), "written\n")


def test_without_a_mount_namespace_there_are_no_views_and_that_is_said():
    with Place() as place, Private(place, "allow read D/**", command=PRIVATE, options=()) as s:
        check("no views here" in s.broker.wait_event("view")["reason"])
        equal(s.open(), "OK")
    with Place() as place, Private(place, "allow read D/**", command=PRIVATE, wait=False) as s:
        equal(s.broker.wait_end(), 1)


# ---- whose policies count

def inside(policy, uid_map=f"0 {ME} 1", uid=ME):
    """`fdbroker check`, as `uid` in a user namespace with that uid_map ("": without any)."""
    if not have_user_namespaces():
        raise Skip("this machine lets no ordinary user make a user namespace")
    process = subprocess.Popen(
        ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "unshare", "--user", "sh", "-c",
         'echo; read go; exec "$@"', "sh", FDBROKER, "check", "--policy", policy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    process.stdout.readline()
    for kind in ("uid", "gid") if uid_map else ():
        with open(f"/proc/{process.pid}/{kind}_map", "w") as file:
            file.write(uid_map)
    output = process.communicate("\n", timeout=10)[0]
    return process.returncode, output


def outside(policy):
    """The same without a namespace."""
    done = subprocess.run([*PRIVATE[:4], FDBROKER, "check", "--policy", policy], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


GOOD = "subject a {\n user 0\n allow read /srv/x\n}\n"


def test_directories_of_the_unmapped_may_lead_to_a_policy_of_ones_own():
    with Place() as place:
        # The namespace cannot tell OTHER from root, whose are / and /tmp.
        place.directory("theirs", owner=OTHER)
        place.directory("theirs/mine", owner=ME)
        policy = place.file("theirs/mine/policy", GOOD, owner=ME)
        equal(inside(policy), (0, ""))
        # Nobody else could have put `mine` there.
        os.chmod(place.name("theirs"), 0o1777)
        equal(inside(policy), (0, ""))
        for mode in (0o777, 0o775):
            os.chmod(place.name("theirs"), mode)
            status, output = inside(policy)
            equal(status, 1)
            check(f"{place.name('theirs')} writable by" in output, output)
        # Where they can be told apart, they are.
        os.chmod(place.name("theirs"), 0o755)
        status, output = outside(policy)
        equal(status, 1)
        check(f"{place.name('theirs')} owned by uid {OTHER}" in output, output)


def test_nothing_else_of_the_unmapped_counts():
    with Place() as place:
        place.directory("mine", owner=ME)
        place.directory("theirs", owner=OTHER)
        place.file("theirs/ours", GOOD, owner=ME)
        place.file("mine/theirs", GOOD, owner=OTHER)
        place.file("mine/policy", GOOD, owner=ME)
        os.symlink("policy", place.name("mine/link"))
        os.lchown(place.name("mine/link"), OTHER, OTHER)
        os.symlink("mine", place.name("way"))
        place.file("mine/includes", f"include {place.name('theirs')}/*.policy\n{GOOD}", owner=ME)
        unmapped = "owned by uid 65534, which stands for everybody who is not mapped"
        for name, what in (("theirs/ours", f"directory {place.name('theirs')} {unmapped}"),
                           ("mine/theirs", f"is {unmapped}"),
                           ("mine/link", f"symbolic link link {unmapped}"),
                           ("way/policy", f"symbolic link way {unmapped}"),
                           ("mine/includes", f"directory {place.name('theirs')} {unmapped}")):
            status, output = inside(place.name(name))
            equal(status, 1, name)
            check(what in output, name, output)
        equal(inside(place.name("mine/policy")), (0, ""))


def test_only_a_namespace_of_one_uid_is_so_lenient():
    with Place() as place:
        os.chown(place.path, ME, ME)
        policy = place.file("policy", GOOD, owner=ME)
        equal(inside(policy), (0, ""))
        # Others have numbers there, and root could have one; or it is root's; or nobody has one, not even ME.
        for uid_map, message in ((f"0 {ME} 1\n1 {OTHER} 1", "directory / owned by uid 65534"),
                                 (f"0 {ME} 2", "directory / owned by uid 65534"),
                                 ("", "directory / owned by uid 65534")):
            status, output = inside(policy, uid_map)
            equal(status, 1, uid_map)
            check(message in output, uid_map, output)
        place.directory("theirs", owner=OTHER)
        place.directory("theirs/roots")
        policy = place.file("theirs/roots/policy", GOOD)
        os.chown(place.path, 0, 0)
        status, output = inside(policy, "0 0 1", uid=0)
        equal(status, 1)
        check(f"directory {place.name('theirs')} owned by uid 65534" in output, output)


main(globals())
