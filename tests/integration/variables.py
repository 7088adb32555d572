# SPDX-License-Identifier: MIT
"""Directories that a policy names by variables: each caller's own, and no other; made when they are needed."""
import os
import resource
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor

from broker import Broker, Client, Place, homes
from linux import CLONE_NEWNS, as_user, can_attach, in_child, libc, mount, result, umount, unshare
from tap import Skip, check, equal, main

TREE, LIST = 7, 6
ANN, BEN, CARL, NOBODYS = 5001, 5002, 5003, 5009
RENAME_EXCHANGE = 2


class World:
    """A place, users of its own for the broker, which runs in a mount namespace of this test, and the broker."""

    def __init__(self, place, *rules, **options):
        self.place = place
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        users = "".join(f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n" for name, uid, home in (
            ("root", 0, "/root"), ("ann", ANN, place.name("home/ann")), ("ben", BEN, place.name("home/ben")),
            ("carl", CARL, "/")))
        mount(place.file("passwd", users), "/etc/passwd", None, 4096)
        text = "".join(f" {rule}\n" for rule in rules).replace("@", place.path)
        self.broker = Broker(place, f"subject a {{\n user *\n{text}}}\n", **options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()

    def read(self, uid, name):
        def run():
            with Client(self.broker.abstract) as client:
                return client.read(self.place.name(name))
        return as_user(uid, run)

    def answer(self, uid, name, *arguments):
        def run():
            with Client(self.broker.abstract) as client:
                return client.ask(1, self.place.name(name), *arguments)
        return as_user(uid, run)

    def tree(self, uid, name, path, flags=os.O_RDONLY):
        """What is in a file of a tree, opened by its holder."""
        def run():
            with Client(self.broker.abstract) as client:
                client.send(TREE, self.place.name(name), flags)
                _, error, _, descriptors = client.receive()
                if error:
                    raise OSError(error, os.strerror(error))
                with open(os.open(path, os.O_RDONLY, dir_fd=descriptors[0])) as file:
                    return file.read(), os.fstat(file.fileno()).st_uid
        return as_user(uid, run)

    def held(self):
        """The directories that the worker holds, by device and inode."""
        found = []
        for number in os.listdir(f"/proc/{self.broker.worker}/fd"):
            try:
                status = os.stat(f"/proc/{self.broker.worker}/fd/{number}")
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode):
                found.append((status.st_dev, status.st_ino))
        return found

    def is_writable(self, name):
        """Whether any view of it that the worker holds can be written."""
        return any(not os.statvfs(f"/proc/{self.broker.worker}/fd/{number}").f_flag & os.ST_RDONLY
                   for number in os.listdir(f"/proc/{self.broker.worker}/fd")
                   if os.path.samestat(os.stat(f"/proc/{self.broker.worker}/fd/{number}"),
                                       os.stat(self.place.name(name))))

    def is_held(self, name):
        status = os.stat(self.place.name(name))
        return (status.st_dev, status.st_ino) in self.held()


def in_world(test):
    def run():
        def child(place):
            test(place)
        with Place() as place:
            in_child(child, place, timeout=100)
    run.__name__ = test.__name__
    return run


def error_of(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return os.strerror(error.errno)


def exchange(one, other):
    result(libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), RENAME_EXCHANGE))


@in_world
def test_each_caller_has_what_is_his(place):
    for name, uid in (("ann", ANN), ("ben", BEN)):
        for path in (f"home/{name}/.config/deep/f", f"spool/{uid}/f", f"by-name/user-{name}/x/f"):
            place.file(path, f"{name} in {path}", 0o600)
    place.file(f"spool/{NOBODYS}/f", "nobody's", 0o600)
    with World(place, "allow read %h/.config/**", "allow read @/spool/%U/*",
               "allow read @/by-name/user-%u/x/*") as world:
        # In turn, so that nobody gets what was made for the one before.
        for _ in range(3):
            for name, uid, other, number in (("ann", ANN, "ben", BEN), ("ben", BEN, "ann", ANN)):
                for path in (f"home/{name}/.config/deep/f", f"spool/{uid}/f", f"by-name/user-{name}/x/f"):
                    equal(world.read(uid, path), f"{name} in {path}")
                for path in (f"home/{other}/.config/deep/f", f"spool/{number}/f",
                             f"by-name/user-{other}/x/f"):
                    equal(world.answer(uid, path), "EACCES", uid, path)
        # Who has no such value gets nothing by it.
        equal(world.read(NOBODYS, f"spool/{NOBODYS}/f"), "nobody's")
        for uid in (NOBODYS, CARL):
            for path in ("home/ann/.config/deep/f", "by-name/user-ann/x/f", "by-name/user-/x/f"):
                equal(world.answer(uid, path), "EACCES", uid, path)


@in_world
def test_a_view_is_of_the_callers_directory_and_no_more(place):
    for path in ("home/ann/.config", "home/ben/.config", f"spool/{ANN}", f"spool/{BEN}", "literal"):
        place.file(f"{path}/f", path)
    with World(place, "allow read %h/.config/**", "allow read,write @/spool/%U/*",
               "allow read @/literal/%U*") as world:
        check(world.is_held("literal"), "a wildcard beside the variable: what is literal")
        equal([n for n in ("home", "home/ann", "spool", f"spool/{ANN}", "home/ann/.config", "")
               if world.is_held(n)], [], "made before anybody asked")
        equal(world.read(ANN, "home/ann/.config/f"), "home/ann/.config")
        equal(world.answer(ANN, f"spool/{ANN}/f", os.O_WRONLY), "OK")
        check(world.is_held("home/ann/.config") and world.is_held(f"spool/{ANN}"))
        equal([n for n in ("home", "home/ann", "spool", f"spool/{BEN}", "home/ben/.config", "")
               if world.is_held(n)], [], "more than was asked for")
        # The view for reading allows no more for being one of a caller.
        def reopened():
            with Client(world.broker.abstract) as client:
                file = client.open(place.name("home/ann/.config/f"))
                return error_of(os.open, f"/proc/self/fd/{file}", os.O_WRONLY)
        os.chmod(place.name("home/ann/.config/f"), 0o666)
        equal(as_user(ANN, reopened), "Read-only file system")


@in_world
def test_the_home_itself(place):
    place.file("home/ann/f", "f", 0o600)
    with World(place, "allow list,stat,read %h{,/**}") as world:
        def names():
            with Client(world.broker.abstract) as client:
                client.send(LIST, place.name("home/ann"))
                return client.receive()[1:3]
        error, data = as_user(ANN, names)
        check(error == 0 and b"f" in data, error, data)
        equal(world.read(ANN, "home/ann/f"), "f")
        check(world.is_held("home/ann") and not world.is_held("home"))
        equal(world.answer(BEN, "home/ann/f"), "EACCES")
        # A home that is reached through a link is none, even where the link leads to what is his.
        os.symlink("ann", place.name("home/ben"))
        equal(world.answer(BEN, "home/ben/f"), "EACCES")
        os.unlink(place.name("home/ben"))
        place.file("home/ben/f", "ben's", 0o600)
        equal(world.read(BEN, "home/ben/f"), "ben's")
        # As a name in what it lies in it is nobody's.
        check(world.answer(ANN, "home/ann", os.O_CREAT | os.O_WRONLY, 0o600) == "EACCES")


@in_world
def test_trees(place):
    for name, uid in (("ann", ANN), ("ben", BEN)):
        place.file(f"home/{name}/shared/f", name)
        place.file(f"mapped/{name}/f", name)
        place.directory(f"spool/{uid}/box", 0o777)
    place.directory("literal/box")
    with World(place, "allow tree %h/shared", "allow write-tree @/spool/%U/box", "allow tree @/mapped/%u idmap 0 caller",
               "allow tree @/per%%cent", "allow write-tree @/literal/box") as world:
        # What a tree lies in is there to be looked at.
        check(world.is_held("literal") and not world.is_writable("literal"))
        for _ in range(2):
            for name, uid, other in (("ann", ANN, "ben"), ("ben", BEN, "ann")):
                equal(world.tree(uid, f"home/{name}/shared", "f"), (name, 0))
                equal(error_of(world.tree, uid, f"home/{other}/shared", "f"), "Permission denied")
                equal(error_of(world.tree, uid, f"home/{name}/shared", "f", os.O_RDWR), "Permission denied")
        equal([n for n in ("home", "home/ann", "spool") if world.is_held(n)], [])

        def write():
            with Client(world.broker.abstract) as client:
                client.send(TREE, place.name(f"spool/{ANN}/box"), os.O_RDWR)
                directory = client.receive()[3][0]
                os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
                above = os.stat("..", dir_fd=directory)
                return os.listdir(directory), os.path.samestat(above, os.fstat(directory))
        equal(as_user(ANN, write), (["new"], True))
        equal(os.listdir(place.name(f"spool/{BEN}/box")), [])
        place.file("per%cent/f", "per cent")
        equal(world.tree(ANN, "per%cent", "f"), ("per cent", 0))
        try:
            got = [world.tree(uid, f"mapped/{name}", "f") for name, uid in (("ann", ANN), ("ben", BEN)) * 2]
        except OSError as error:
            raise Skip(f"the file system here cannot be idmapped: {error}")
        equal(got, [("ann", ANN), ("ben", BEN)] * 2)


@in_world
def test_creating_and_devices(place):
    for uid in (ANN, BEN):
        place.directory(f"spool/{uid}", 0o700)
        place.directory(f"devices/{uid}", 0o700)
        os.mknod(place.name(f"devices/{uid}/null"), stat.S_IFCHR | 0o600,
                 os.makedev(1, 3 if uid == ANN else 5))
    with World(place, "allow read,write,create @/spool/%U/**", "allow read @/devices/%U/* type chardev") as world:
        for uid in (ANN, BEN):
            equal(world.answer(uid, f"spool/{uid}/new", os.O_CREAT | os.O_WRONLY, 0o600), "OK")
            equal(os.stat(place.name(f"spool/{uid}/new")).st_uid, uid)
        equal(world.answer(ANN, f"spool/{BEN}/another", os.O_CREAT | os.O_WRONLY, 0o600), "EACCES")

        def device(uid):
            def run():
                with Client(world.broker.abstract) as client:
                    return os.minor(os.fstat(client.open(place.name(f"devices/{uid}/null"))).st_rdev)
            return as_user(uid, run)
        for _ in range(2):
            equal((device(ANN), device(BEN)), (3, 5))
        equal(world.answer(ANN, f"devices/{BEN}/null"), "EACCES")


@in_world
def test_what_becomes_of_it_afterwards(place):
    for name in ("home/ann", "home/other", "home/ben"):
        place.file(f"{name}/d/f", name, 0o600)
    with World(place, "allow read %h/d/**", "allow tree %h/t") as world:
        for wanted in ("home/ann", "home/other") * 20:
            equal(world.read(ANN, "home/ann/d/f"), wanted)
            equal(world.read(BEN, "home/ben/d/f"), "home/ben")
            exchange(place.name("home/ann"), place.name("home/other"))
        shutil.move(place.name("home/ann"), place.name("away"))
        equal(world.answer(ANN, "home/ann/d/f"), "ENOENT")
        check(not world.is_held("away/d"), "the old one is still held")
        place.directory("home/ann")
        equal(world.answer(ANN, "home/ann/d/f"), "ENOENT")
        place.file("home/ann/d/f", "new", 0o600)
        equal(world.read(ANN, "home/ann/d/f"), "new")
        equal(error_of(world.tree, ANN, "home/ann/t", "f"), "No such file or directory")
        place.file("home/ann/t/f", "tree")
        equal(world.tree(ANN, "home/ann/t", "f"), ("tree", 0))
        os.rename(place.name("home/ann/t"), place.name("home/ann/gone"))
        equal(error_of(world.tree, ANN, "home/ann/t", "f"), "No such file or directory")
        # Nobody else's view is any worse for it.
        equal(world.read(BEN, "home/ben/d/f"), "home/ben")
        for target in ("home/ann/d", "home/ann"):
            mount("tmpfs", place.name(target), "tmpfs")
            place.file("home/ann/d/f", "mounted", 0o600)
            time.sleep(0.1)
            equal(world.read(ANN, "home/ann/d/f"), "mounted")
            umount(place.name(target))
            time.sleep(0.1)
            equal(world.read(ANN, "home/ann/d/f"), "new")
        equal(len(world.broker.events("ready")), 1)


@in_world
def test_more_callers_than_there_are_places_for(place):
    """A quarter of the descriptors that the worker may have is for callers' directories."""
    uids = range(6000, 6200)
    for uid in uids:
        place.file(f"spool/{uid}/d/f", str(uid), 0o600)

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
    with World(place, "allow read @/spool/%U/d/*", preexec_fn=few_files) as world:
        before = len(world.held())
        for round in range(2):
            for uid in uids:
                equal(world.read(uid, f"spool/{uid}/d/f"), str(uid))
        held = len(world.held()) - before
        equal(held, 100)
        # Whoever asks again and again keeps his place.
        for uid in uids[1:150]:
            equal(world.read(uids[0], f"spool/{uids[0]}/d/f"), str(uids[0]))
            equal(world.read(uid, f"spool/{uid}/d/f"), str(uid))
            check(world.is_held(f"spool/{uids[0]}/d"), uid)
        equal(world.read(uids[-1], f"spool/{uids[-1]}/d/f"), str(uids[-1]))
        # One who has a place hears of changes; one who lost it gets one anew.
        last = uids[-1]
        os.rename(place.name(f"spool/{last}/d"), place.name(f"spool/{last}/away"))
        equal(world.answer(last, f"spool/{last}/d/f"), "ENOENT")
        lost = uids[190]
        check(not world.is_held(f"spool/{lost}/d"))
        os.rename(place.name(f"spool/{lost}/d"), place.name(f"spool/{lost}/away"))
        equal(world.answer(lost, f"spool/{lost}/d/f"), "ENOENT")
        os.rename(place.name(f"spool/{lost}/away"), place.name(f"spool/{lost}/d"))
        equal(world.read(lost, f"spool/{lost}/d/f"), str(lost))
        equal(len(world.held()) - before, 99)
        # What is watched is bounded as well: the way to all of them, and the last step to each.
        equal(watches(world), len(place.path.split("/")) + 1 + 100)
        # And so is what keeps the views attached: that of a place's owner before is gone.
        equal(len(homes(world.broker)), 99 if can_attach() else 0)
        equal(len(world.broker.events("ready")), 1)


@in_world
def test_many_at_once(place):
    """More callers at once than there are places for, while directories come and go."""
    uids = range(6000, 6080)
    for uid in uids:
        place.file(f"spool/{uid}/d/f", str(uid), 0o600)

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    with World(place, "allow read @/spool/%U/d/*", preexec_fn=few_files) as world:
        def ask_in_turn(first):
            for i in range(100):
                uid = uids[(first * 10 + i * (first + 1)) % len(uids)]
                equal(error_of(world.read, uid, f"spool/{uid}/d/f"), str(uid))
            return True

        def disturb():
            for i in range(300):
                os.mkdir(place.name(f"spool/{uids[i % len(uids)]}/new"))
                mount("tmpfs", place.name("mounted"), "tmpfs")
                umount(place.name("mounted"))
                os.rmdir(place.name(f"spool/{uids[i % len(uids)]}/new"))
        place.directory("mounted")
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(in_child, ask_in_turn, first, timeout=90) for first in range(7)]
            pool.submit(in_child, disturb, timeout=90).result()
            equal([a.result() for a in asking], [True] * 7)
        equal(len(world.broker.events("ready")), 1)


def watches(world):
    """The watches of the worker's directories."""
    for number in os.listdir(f"/proc/{world.broker.worker}/fd"):
        if "inotify" in os.readlink(f"/proc/{world.broker.worker}/fd/{number}"):
            with open(f"/proc/{world.broker.worker}/fdinfo/{number}") as file:
                return sum(line.startswith("inotify") for line in file)
    return 0


@in_world
def test_more_than_a_thousand_callers(place):
    uids = range(6000, 7100)
    for uid in uids:
        place.file(f"spool/{uid}/f", str(uid), 0o600)
    with World(place, "allow read @/spool/%U/*") as world:
        before = len(world.held())
        for uid in (*uids, uids[0], uids[-1]):
            equal(world.read(uid, f"spool/{uid}/f"), str(uid))
        equal(len(world.held()) - before, 1024)


main(globals())
