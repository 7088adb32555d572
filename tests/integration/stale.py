# SPDX-License-Identifier: MIT
"""A directory that is replaced, moved, removed or mounted over: never the old one, never a wrong error."""
import os
import resource
import shutil
import signal
import subprocess
import time

from broker import Broker, Client, Place, homes, makers, processes
from linux import CLONE_NEWNS, can_attach, in_child, libc, mount, result, umount, unshare
from tap import check, equal, main

ROUNDS = int(os.environ.get("FDBROKER_TEST_ROUNDS", 1000))
MOUNTS = int(os.environ.get("FDBROKER_TEST_MOUNTS", 1000))
# Directories that are mounted on side by side, as each time takes a fifth of a second.
AT_ONCE = 20
RENAME_EXCHANGE = 2


def exchange(one, other):
    result(libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), RENAME_EXCHANGE))


class Setting:
    """A broker and a client that stays connected."""

    def __init__(self, place, rules, **options):
        text = "".join(f" {rule}\n" for rule in rules)
        self.broker = Broker(place, f"subject a {{\n user 0\n{text}}}\n", **options)

    def __enter__(self):
        self.client = Client(self.broker.pathname)
        return self

    def __exit__(self, *exception):
        self.client.socket.close()
        self.broker.__exit__()

    def read(self, path):
        return self.client.read(path)

    def answer(self, path):
        return self.client.ask(path=path)


def read_directly(path):
    with open(path) as file:
        return file.read()


def versions(place, *names):
    for name in names:
        place.file(f"{name}/f", name, 0o600)


def test_a_deploy_by_exchange():
    with Place() as place:
        versions(place, "current", "next")
        with Setting(place, [f"allow read {place.name('current')}/*"]) as s:
            wanted = "current"
            held = descriptors(s)
            for round in range(ROUNDS):
                equal(s.read(place.name("current/f")), wanted, round)
                exchange(place.name("current"), place.name("next"))
                wanted = "next" if wanted == "current" else "current"
                equal(s.read(place.name("current/f")), wanted, round)
            equal(len(s.broker.events("ready")), 1)
            # One view, which one home keeps attached, and nothing of those before.
            equal(len(homes(s.broker)), int(can_attach()))
            equal(descriptors(s), held)


def descriptors(s):
    """How many the maker has."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in makers(s.broker))


def test_a_deploy_by_two_renames():
    with Place() as place:
        versions(place, "current", "a", "b")
        with Setting(place, [f"allow read {place.name('current')}/*"]) as s:
            names = ["a", "b"]
            for round in range(ROUNDS // 2):
                new = names[round % 2]
                os.rename(place.name("current"), place.name("old"))
                equal(s.answer(place.name("current/f")), "ENOENT", round)
                os.rename(place.name(new), place.name("current"))
                equal(s.read(place.name("current/f")), read_directly(place.name("current/f")))
                os.rename(place.name("old"), place.name(new))


def test_a_directory_above_is_replaced():
    with Place() as place:
        versions(place, "a/b/c", "x/b/c")
        with Setting(place, [f"allow read {place.name('a/b/c')}/*"]) as s:
            for wanted in ["x/b/c", "a/b/c"] * 50:
                exchange(place.name("a"), place.name("x"))
                equal(s.read(place.name("a/b/c/f")), wanted)


def test_removed_and_made_again():
    with Place() as place:
        versions(place, "d")
        with Setting(place, [f"allow read {place.name('d')}/*"]) as s:
            for round in range(100):
                equal(s.read(place.name("d/f")), "d")
                shutil.rmtree(place.name("d"))
                equal(s.answer(place.name("d/f")), "ENOENT")
                os.mkdir(place.name("d"))
                equal(s.answer(place.name("d/f")), "ENOENT")
                versions(place, "d")


def test_what_comes_after_the_start():
    with Place() as place:
        with Setting(place, [f"allow read {place.name('one/two/three')}/*"]) as s:
            path = place.name("one/two/three/f")
            equal(s.answer(path), "ENOENT")
            os.mkdir(place.name("one"))
            equal(s.answer(path), "ENOENT")
            versions(place, "one/two/three")
            equal(s.read(path), "one/two/three")
            # A link in its place is not followed to where no rule leads, and a file is no directory.
            os.rename(place.name("one/two"), place.name("elsewhere"))
            os.symlink(place.name("elsewhere"), place.name("one/two"))
            equal(s.answer(path), "EACCES")
            os.unlink(place.name("one/two"))
            place.file("one/two", "")
            equal(s.answer(path), "ENOTDIR")
            os.unlink(place.name("one/two"))
            os.rename(place.name("elsewhere"), place.name("one/two"))
            equal(s.read(path), "one/two/three")


def test_several_views_of_one_directory():
    with Place() as place:
        versions(place, "d", "e")
        d = place.name("d")
        with Setting(place, [f"allow read,write,create {d}/*", f"allow read {d}/f exec",
                             f"allow read {d}/sub/*"]) as s:
            for wanted in ["e", "d"] * 20:
                exchange(d, place.name("e"))
                equal(s.read(f"{d}/f"), wanted)
                equal(s.client.ask(path=f"{d}/f", flags=os.O_RDWR), "OK")
                equal(s.client.ask(path=f"{d}/n-{wanted}", flags=os.O_RDWR | os.O_CREAT, mode=0o600), "OK")
            equal(sorted(os.listdir(d)), ["f", "n-d"])


def test_unrelated_changes_cost_nothing_and_storms_are_borne():
    with Place() as place:
        versions(place, "d")
        with Setting(place, [f"allow read {place.name('d')}/*"]) as s:
            equal(s.read(place.name("d/f")), "d")
            for i in range(30000):
                os.mkdir(place.name("other"))
                os.rmdir(place.name("other"))
                if i % 3000 == 0:
                    equal(s.read(place.name("d/f")), "d")
            # More events than the kernel keeps (16,384) while nobody looks: everything is looked at anew.
            os.kill(s.broker.worker, 19)
            # Two with each; and quickly, or the supervisor takes the worker for dead.
            names = place.name("other0"), place.name("other1")
            os.mkdir(names[0])
            for i in range(9000):
                os.rename(names[i % 2], names[1 - i % 2])
            versions(place, "e")
            exchange(place.name("d"), place.name("e"))
            os.kill(s.broker.worker, 18)
            equal(s.read(place.name("d/f")), "e")


def test_watches_do_not_pile_up():
    with Place() as place:
        versions(place, "d")
        with Setting(place, [f"allow read {place.name('d')}/*"]) as s:
            equal(s.read(place.name("d/f")), "d")
            count = watches(s)
            for i in range(50):
                os.rename(place.name("d"), place.name(f"old{i}"))
                versions(place, "d")
                equal(s.read(place.name("d/f")), "d")
            check(watches(s) <= count + 1, count, watches(s))


def watches(s):
    """How many the supervisor's inotify instance has."""
    total = 0
    for entry in os.listdir(f"/proc/{s.broker.process.pid}/fd"):
        try:
            with open(f"/proc/{s.broker.process.pid}/fdinfo/{entry}") as file:
                total += file.read().count("inotify wd:")
        except FileNotFoundError:
            pass  # closed meanwhile: not the one
    return total


def test_mounts_come_and_go():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        names = [f"d/m{number}" for number in range(AT_ONCE)]
        versions(place, "d", *names)
        with Setting(place, [f"allow read {place.name('d')}/**"]) as s:
            for round in range(MOUNTS // AT_ONCE):
                equal([s.read(place.name(f"{name}/f")) for name in names], names)
                for name in names:
                    mount("tmpfs", place.name(name), "tmpfs")
                    place.file(f"{name}/f", f"{name} {round}")
                time.sleep(0.1)
                equal([s.read(place.name(f"{name}/f")) for name in names], [f"{name} {round}" for name in names])
                for name in names:
                    umount(place.name(name))
                time.sleep(0.1)
                equal([s.read(place.name(f"{name}/f")) for name in names], names, round)
            # Over the directory itself, and over one above it.
            for target in ("d", ""):
                mount("tmpfs", place.name(target), "tmpfs")
                place.file("d/f", "mounted")
                time.sleep(0.1)
                equal(s.read(place.name("d/f")), "mounted")
                umount(place.name(target) if target else place.path)
                time.sleep(0.1)
                equal(s.read(place.name("d/f")), "d")
    with Place() as place:
        in_child(run, place, timeout=max(60, MOUNTS // 10))


def test_an_unmounting_is_heard_of_at_once_where_no_view_is():
    """
    While no view keeps the file system busy it is gone when umount(2) returns, and so is what was known of it: while
    nobody but the worker runs, who could say that the mounts have changed.
    """
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        place.file("m/d/f", "beneath")
        mount("tmpfs", place.name("m"), "tmpfs")
        with Setting(place, [f"allow read {place.name('m/d')}/*"]) as s:
            path = place.name("m/d/f")
            equal(s.answer(path), "ENOENT")
            others = [pid for pid in processes(s.broker.process.pid) if pid != s.broker.worker]
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            umount(place.name("m"))
            s.client.send(path=path)
            time.sleep(0.1)
            for pid in others:
                os.kill(pid, signal.SIGCONT)
            _, error, _, descriptors = s.client.receive()
            equal((error, len(descriptors)), (0, 1))
            os.close(descriptors[0])
    with Place() as place:
        in_child(run, place)


def test_mounts_on_names_that_mountinfo_escapes():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        for name in ("with a space", "with\ta tab", "with a \\ backslash"):
            versions(place, f"{name}/d")
            quoted = place.name(f"{name}/d").replace("\\", "\\\\").replace("\t", "\\t")
            with Setting(place, [f'allow read "{quoted}/*"']) as s:
                path = place.name(f"{name}/d/f")
                equal(s.read(path), f"{name}/d")
                mount("tmpfs", place.name(f"{name}/d"), "tmpfs")
                place.file(f"{name}/d/f", "mounted")
                time.sleep(0.1)
                equal(s.read(path), "mounted", name)
                umount(place.name(f"{name}/d"))
                time.sleep(0.1)
                equal(s.read(path), f"{name}/d")
    with Place() as place:
        in_child(run, place)


def test_a_mount_that_concerns_many_views():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        names = [f"d/{i}" for i in range(600)]
        versions(place, *names)
        with Setting(place, [f"allow read {place.name(n)}/*" for n in names]) as s:
            for _ in range(3):
                mount("tmpfs", place.name("d"), "tmpfs")
                time.sleep(0.1)
                equal(s.answer(place.name("d/7/f")), "ENOENT")
                umount(place.name("d"))
                time.sleep(0.1)
                equal(s.read(place.name("d/599/f")), "d/599")
            equal(len(s.broker.events("ready")), 1, "the worker was started again")
    with Place() as place:
        in_child(run, place)


def test_more_directories_than_there_are_views_of():
    with Place() as place:
        names = [f"d/{i % 40}/{i}" for i in range(1500)]
        versions(place, *names[:50])
        rules = [f"allow read {place.name(n)}/*" for n in names] + [f"deny all {place.name('d/3/3')}"]
        with Setting(place, rules) as s:
            check(" 40 views" in s.broker.ready["summary"], s.broker.ready["summary"])
            equal(s.read(place.name("d/7/7/f")), "d/7/7")
            equal(s.answer(place.name("d/3/3/f")), "EACCES")
            place.file("d/7/other/f")
            equal(s.answer(place.name("d/7/other/f")), "EACCES")
            versions(place, "next/7")
            exchange(place.name("d/7"), place.name("next"))
            equal(s.read(place.name("d/7/7/f")), "next/7")


def test_busy_connections_do_not_hide_a_change():
    """
    More sockets are ready at once than one call of epoll_wait tells of, and the client's is among them from an
    earlier request: it is told of before the change is.
    """
    with Place() as place:
        versions(place, "current", "next")
        path = place.name("current/f")
        with Setting(place, [f"allow read {place.name('current')}/*"]) as s:
            crowd = [Client(s.broker.pathname) for _ in range(200)]
            wanted = "current"
            for round in range(30):
                os.kill(s.broker.worker, 19)
                s.client.send(path=path)
                for c in crowd:
                    for _ in range(6):
                        c.send(3, "/nothing/granted")
                os.kill(s.broker.worker, 18)
                os.close(s.client.receive()[3][0])
                # Now, in the middle of the first lot, everything is exchanged.
                os.kill(s.broker.worker, 19)
                exchange(place.name("current"), place.name("next"))
                wanted = "next" if wanted == "current" else "current"
                s.client.send(path=path)
                os.kill(s.broker.worker, 18)
                with os.fdopen(s.client.receive()[3][0]) as file:
                    equal(file.read(), wanted, round)
                for c in crowd:
                    for _ in range(6):
                        c.receive()
            for c in crowd:
                c.socket.close()


def test_more_views_than_half_of_the_descriptors():
    """The rest of the views are dissolved; the maker goes on making them."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    with Place() as place:
        names = [f"d{i}" for i in range(70)]
        versions(place, *names)
        with Setting(place, [f"allow read {place.name(n)}/*" for n in names], preexec_fn=few) as s:
            for _ in range(3):
                for name in names:
                    equal(s.read(place.name(f"{name}/f")), name)
                    versions(place, "next")
                    exchange(place.name(name), place.name("next"))
                    equal(s.read(place.name(f"{name}/f")), "next")
                    exchange(place.name(name), place.name("next"))
            if can_attach():
                check(30 < len(homes(s.broker)) < 50, homes(s.broker))


def test_a_root_that_is_no_mount_point():
    """In a chroot no mount namespace can be emptied: the views are dissolved, and serve as others do."""
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        root = place.directory("root")
        for entry in os.scandir("/"):
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), f"{root}/{entry.name}")
            elif entry.is_dir():
                os.mkdir(f"{root}/{entry.name}")
                mount(entry.path, f"{root}/{entry.name}", None, 4096 | 16384)
        versions(place, "current", "next")
        with Setting(place, [f"allow read {place.name('current')}/*"], command=("chroot", root)) as s:
            for wanted in ["current", "next"] * 5:
                equal(s.read(place.name("current/f")), wanted)
                exchange(place.name("current"), place.name("next"))
            equal((homes(s.broker), s.broker.noise, s.broker.events("view")), ([], [], []))
        for entry in os.scandir(root):
            if not entry.is_symlink():
                umount(entry.path)
    with Place() as place:
        in_child(run, place)


def test_an_unmounted_file_system_is_released():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        image = place.name("image")
        with open(image, "wb") as file:
            file.truncate(4 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        os.mkdir(place.name("m"))
        subprocess.run(["mount", "-o", "loop", image, place.name("m")], check=True)
        try:
            place.file("m/f", "f")
            with Setting(place, [f"allow read {place.name('m')}/*"]) as s:
                equal(s.read(place.name("m/f")), "f")
                subprocess.run(["umount", place.name("m")], check=True)
                end = time.monotonic() + 5
                # The loop device goes with the last user of its file system.
                while image in subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout:
                    check(time.monotonic() < end, "it is still busy")
                    time.sleep(0.05)
                equal(homes(s.broker), [])
                equal(s.answer(place.name("m/f")), "ENOENT")
        finally:
            subprocess.run(["umount", "-q", place.name("m")])
    with Place() as place:
        in_child(run, place)


main(globals())
