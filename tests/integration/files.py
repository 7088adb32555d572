# SPDX-License-Identifier: MIT
"""What is opened and created: types, modes, owners, links; with the kernel's own errno."""
import fcntl
import os
import stat

from broker import OPEN, Broker, Client, Place, ask, attempt
from linux import as_user, in_child, link_descriptor, mount, unshare, CLONE_NEWNS
from tap import check, equal, main

ME = 5001
CREATE = os.O_CREAT | os.O_WRONLY


class Setting:
    def __init__(self, rights="read,write,create", extra="", modifiers=""):
        self.place = Place()
        self.d = self.place.directory("d", 0o700)
        self.broker = Broker(self.place, (
            f"subject a {{\n user {ME}\n allow {rights} {self.d}/** {modifiers}\n{extra}}}\n"))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()
        self.place.__exit__()

    def ask(self, name, flags=0, mode=0):
        return as_user(ME, ask, self.broker.abstract, f"{self.d}/{name}", flags, mode)

    def stat(self, name):
        return os.lstat(f"{self.d}/{name}")


def test_a_created_file_is_the_callers_with_the_mode_asked_for():
    with Setting() as s:
        equal(s.ask("n", CREATE, 0o640), "OK")
        found = s.stat("n")
        equal((stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid), (0o640, ME, ME))


def test_the_mode_is_masked_by_default_and_by_the_rule():
    with Setting() as s:
        equal(s.ask("n", CREATE, 0o666), "OK")
        equal(stat.S_IMODE(s.stat("n").st_mode), 0o644)
    with Setting(modifiers="mode 0600") as s:
        equal(s.ask("n", CREATE, 0o666), "OK")
        equal(stat.S_IMODE(s.stat("n").st_mode), 0o600)


def test_mode_06777_creates_no_set_uid_file():
    with Setting(modifiers="mode 0777") as s:
        equal(s.ask("n", CREATE, 0o7777), "OK")
        equal(stat.S_IMODE(s.stat("n").st_mode), 0o777)


def test_a_rules_owner():
    with Setting(modifiers="owner 5007") as s:
        equal(s.ask("n", CREATE, 0o600), "OK")
        equal(s.stat("n").st_uid, 5007)


def test_creating_what_exists_changes_neither_owner_nor_mode():
    with Setting() as s:
        path = s.place.file("d/old", "old", 0o600, owner=5003)
        equal(s.ask("old", CREATE, 0o666), "OK")
        found = os.stat(path)
        equal((stat.S_IMODE(found.st_mode), found.st_uid), (0o600, 5003))
        equal(open(path).read(), "old")
        equal(s.ask("old", CREATE | os.O_EXCL, 0o666), "EEXIST")
        equal(s.ask("old", CREATE | os.O_TRUNC, 0o666), "OK")
        equal(open(path).read(), "")


def test_creating_through_a_dangling_link_creates_nothing():
    with Setting() as s:
        os.symlink(f"{s.d}/target", f"{s.d}/link")
        os.symlink("/fdbroker-test-outside", f"{s.d}/out")
        check(s.ask("link", CREATE, 0o666) in ("ELOOP", "EACCES"))
        check(s.ask("out", CREATE, 0o666) in ("ELOOP", "EACCES"))
        equal(s.ask("link", CREATE | os.O_EXCL, 0o666), "EEXIST")
        equal(sorted(os.listdir(s.d)), ["link", "out"])
        check(not os.path.lexists("/fdbroker-test-outside"))


def test_no_link_is_followed_out_of_what_is_granted():
    with Setting() as s:
        os.symlink("/etc/shadow", f"{s.d}/shadow")
        os.symlink("/etc", f"{s.d}/etc")
        os.symlink("../policy", f"{s.d}/up")
        for name in ("shadow", "etc/shadow", "up"):
            check(s.ask(name) in ("ELOOP", "EACCES"), name, s.ask(name))


def test_an_unnamed_file_never_gets_a_name():
    """
    Its holder cannot link it to any place: those that he can reach are other mounts than the view. Where there are no
    views he could, but for O_EXCL.
    """
    with Place() as place:
        d = place.directory("d", owner=ME)
        os.chown(place.path, ME, ME)
        rules = f"subject a {{\n user {ME}\n allow read,write,create {d}{{,/**}}\n}}\n"
        with Broker(place, rules, command=("setpriv", f"--reuid={ME}", f"--regid={ME}", "--clear-groups"),
                    user=None, owner=ME) as broker:
            check(broker.events("view"), "it has views")

            def run():
                with Client(broker.abstract) as client:
                    return [attempt(link_descriptor, client.open(d, flags, 0o600), f"{d}/named{flags}")
                            for flags in (os.O_TMPFILE | os.O_RDWR, os.O_TMPFILE | os.O_RDWR | os.O_EXCL)]
            equal(as_user(ME, run), ["ENOENT", "ENOENT"])
            equal(os.listdir(d), [])


def test_the_rights_do_not_leak_into_each_other():
    table = {
        # rights: read, write, read-write, truncate by reading, create new, create old, create old excl.
        "read": "OK EACCES EACCES EACCES EACCES OK EACCES",
        "write": "EACCES OK EACCES EACCES EACCES EACCES EACCES",
        "create": "EACCES EACCES EACCES EACCES OK EACCES EEXIST",
        "stat": "EACCES EACCES EACCES EACCES EACCES EACCES EACCES",
        "read,write": "OK OK OK OK EACCES OK EACCES",
        "read,create": "OK EACCES EACCES EACCES OK OK EEXIST",
    }
    for rights, wanted in table.items():
        with Setting(rights) as s:
            s.place.file("d/f", "f", 0o600)
            got = [s.ask("f", flags) for flags in (
                os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC)]
            got.append(s.ask("n", os.O_CREAT | os.O_RDONLY, 0o600))
            got.append(s.ask("f", os.O_CREAT | os.O_RDONLY, 0o600))
            got.append(s.ask("f", os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
            equal(" ".join(got), wanted, rights)


def test_creating_takes_a_right_even_where_the_file_would_be_readable():
    with Setting("read,write") as s:
        equal(s.ask("n", CREATE, 0o600), "EACCES")
        equal(os.listdir(s.d), [])


def test_only_regular_files():
    with Setting() as s:
        os.mkfifo(f"{s.d}/fifo")
        os.mkdir(f"{s.d}/dir")
        os.mknod(f"{s.d}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        import socket
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{s.d}/sock")
        for name, errors in (("fifo", "EACCES"), ("dir", "EACCES"), ("null", "EACCES"), ("sock", "ENXIO")):
            equal(s.ask(name), errors, name)
        equal(s.ask("dir", os.O_DIRECTORY), "EACCES")
        equal(s.ask("dir", os.O_RDWR), "EISDIR")
        # A FIFO without a peer does not hang the broker.
        equal(s.ask("fifo", os.O_WRONLY), "ENXIO")


def test_the_descriptor_has_the_flags_asked_for_and_no_others():
    with Setting() as s:
        s.place.file("d/f", "f")

        def client():
            with Client(s.broker.abstract) as c:
                got = []
                for flags in (os.O_RDONLY, os.O_RDONLY | os.O_NONBLOCK, os.O_WRONLY | os.O_APPEND,
                              os.O_RDWR | os.O_SYNC):
                    file = c.open(f"{s.d}/f", flags)
                    got.append(fcntl.fcntl(file, fcntl.F_GETFL) & ~0o100000 & ~os.O_NOFOLLOW)
                    os.close(file)
                return got
        equal(as_user(ME, client), [os.O_RDONLY, os.O_RDONLY | os.O_NONBLOCK,
                                    os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_SYNC])


def test_the_kernels_own_errors_arrive():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        mount("tmpfs", d, "tmpfs", 0, "size=4k,nr_inodes=3")
        place.directory("ro")
        mount("tmpfs", place.name("ro"), "tmpfs", 0)
        place.file("ro/f", "f")
        mount("tmpfs", place.name("ro"), "tmpfs", 1 | 32)
        with Broker(place, f"subject a {{\n user {ME}\n allow read,write,create {d}/**\n"
                           f" allow read,write {place.name('ro')}/*\n}}\n") as broker:
            names = [as_user(ME, ask, broker.abstract, f"{d}/{i}", CREATE, 0o600) for i in range(3)]
            return names, [as_user(ME, ask, broker.abstract, place.name("ro/f"), flags)
                           for flags in (0, os.O_WRONLY)]
    with Place() as place:
        created, readonly = in_child(run, place)
    check("ENOSPC" in created and created[0] == "OK", created)
    equal(readonly, ["OK", "EROFS"])


def test_a_running_program_cannot_be_written():
    with Setting() as s:
        import shutil
        import subprocess
        shutil.copy("/bin/sleep", f"{s.d}/sleep")
        process = subprocess.Popen([f"{s.d}/sleep", "30"])
        try:
            equal(s.ask("sleep", os.O_WRONLY), "ETXTBSY")
        finally:
            process.kill()
            process.wait()


def test_what_a_deny_covers():
    with Place() as place:
        d = place.directory("d")
        place.file("d/locked/deep/f", "f")
        place.file("d/open/f", "f")
        text = (f"subject a {{\n user {ME}\n deny read,create {d}/locked\n allow read {d}/**\n}}\n"
                f"subject b {{\n user *\n deny all {d}/op?n/g\n}}\n")
        with Broker(place, text) as broker:
            equal(as_user(ME, ask, broker.abstract, f"{d}/locked/deep/f"), "EACCES")
            equal(as_user(ME, ask, broker.abstract, f"{d}/locked"), "EACCES")
            equal(as_user(ME, ask, broker.abstract, f"{d}/open/f"), "OK")
            equal(as_user(ME, ask, broker.abstract, f"{d}/open/g"), "EACCES")


main(globals())
