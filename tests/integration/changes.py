# SPDX-License-Identifier: MIT
"""mkdir, rmdir, unlink, symlink and append: what is done, with the kernel's own errno, and what not."""
import fcntl
import os
import re
import socket
import stat
import struct
import subprocess

from broker import FDBROKER, WORKER_UID, Place, attempt
from change import (CHMOD, LINK, ME, MKDIR, PAST, RENAME, RMDIR, SYMLINK, UNLINK, UTIMENS, Setting, bits, delayed,
                    owner)
from fuse import mount_folding
from linux import CLONE_NEWNS, CLONE_NEWUSER, as_user, in_child, mount, umount, unshare
from tap import Skip, check, equal, main

CREATE = os.O_CREAT | os.O_WRONLY


# ---- mkdir

def test_mkdir():
    with Place() as place:
        d = place.directory("d", 0o700)
        place.file("d/file")
        os.symlink("nowhere", f"{d}/dangling")
        with Setting(place, f"allow mkdir {d}/** mode 0640") as s:
            equal(s.all((MKDIR, f"{d}/a", 0, 0o777), (MKDIR, f"{d}/b", 0, 0o7700), (MKDIR, f"{d}/a/sub", 0, 0),
                        (MKDIR, f"{d}/a", 0, 0o777), (MKDIR, f"{d}/file", 0, 0o777),
                        (MKDIR, f"{d}/dangling", 0, 0o777), (MKDIR, f"{d}/none/x", 0, 0o777),
                        (MKDIR, f"{d}/file/x", 0, 0o777), (MKDIR, f"{d}/c", 1, 0o777),
                        (MKDIR, f"{d}/c", 0, 0o10000), (MKDIR, d, 0, 0o777), (MKDIR, "/", 0, 0o777)),
                  ["OK", "OK", "OK", "EEXIST", "EEXIST", "EEXIST", "ENOENT", "ENOTDIR", "EINVAL", "EINVAL",
                   "EACCES", "EACCES"])
            # The rule's mode is of files: who may read a directory may search it.
            equal([bits(f"{d}/{n}") for n in ("a", "b", "a/sub")], [0o750, 0o700, 0])
            equal(owner(f"{d}/a"), (ME, ME))
            equal(sorted(os.listdir(d)), ["a", "b", "dangling", "file"])


def test_mkdir_by_the_rules_owner():
    with Place() as place:
        d = place.directory("d")
        with Setting(place, f"allow mkdir,create {d}/** mode 0777 owner 5007:5008") as s:
            equal(s.all((MKDIR, f"{d}/a", 0, 0o777)) + [s.symlink("x", f"{d}/l")], ["OK", "OK"])
            equal((owner(f"{d}/a"), bits(f"{d}/a"), owner(f"{d}/l")), ((5007, 5008), 0o777, (5007, 5008)))


def test_mkdir_in_a_set_gid_directory():
    with Place() as place:
        d = place.directory("d")
        os.chown(d, 0, 5055)
        os.chmod(d, 0o3777)
        with Setting(place, f"allow mkdir {d}/*") as s:
            equal(s.ask(MKDIR, f"{d}/a", 0, 0o777), "OK")
            equal((owner(f"{d}/a"), bits(f"{d}/a")), ((ME, ME), 0o755))


def test_what_cannot_be_given_to_its_owner_is_removed():
    """In a user namespace where the rule's owner is nobody (chown: EINVAL)."""
    def run(place):
        d = place.directory("d")
        reader, writer = os.pipe()
        pid = os.getpid()
        if os.fork() == 0:
            os.read(reader, 1)
            text = "".join(f"{uid} {uid} 1\n" for uid in (0, ME, WORKER_UID))
            for name in ("uid_map", "gid_map"):
                with open(f"/proc/{pid}/{name}", "w") as file:
                    file.write(text)
            os._exit(0)
        try:
            unshare(CLONE_NEWUSER | CLONE_NEWNS)
        except OSError as error:
            raise Skip(f"no user namespaces: {error}")
        os.write(writer, b"x")
        os.wait()
        rules = (f"allow mkdir,create {d}/* owner 7777", f"allow mkdir,create {d}/**/good")
        with Setting(place, *rules) as s:
            equal(s.all((MKDIR, f"{d}/a", 0, 0o777), (SYMLINK, f"{d}/l", 0, 0, "x")), ["EINVAL", "EINVAL"])
            equal(os.listdir(d), [])
    with Place() as place:
        in_child(run, place)


def test_what_is_found_in_its_place_is_left_alone():
    """Something else has the name before it was opened: strace makes the time for it."""
    with Place() as place:
        d = place.directory("d")
        place.directory("d/other", 0o700, owner=5003)
        os.symlink("text", f"{d}/otherlink")
        os.chown(f"{d}/otherlink", 5003, 5003, follow_symlinks=False)
        with Setting(place, f"allow mkdir,create {d}/*") as s:
            for operation, other, extra in ((MKDIR, "other", ""), (SYMLINK, "otherlink", "x")):
                equal(swapped(s, operation, f"{d}/new", f"{d}/{other}", extra), "EAGAIN")
                equal(owner(f"{d}/new"), (5003, 5003))
                os.rename(f"{d}/new", f"{d}/{other}")
                os.rename(f"{d}/taken", f"{d}/taken{operation}")
            equal(bits(f"{d}/other"), 0o700)


def swapped(s, operation, path, other, extra):
    """Asks for what makes `path`, and puts `other` there as soon as it is made. The answer."""
    def swap():
        while not os.path.lexists(path):
            pass
        os.rename(path, os.path.join(os.path.dirname(path), "taken"))
        os.rename(other, path)
    return delayed(s, "mkdirat" if operation == MKDIR else "symlinkat", swap,
                   (operation, path, 0, 0o700 if operation == MKDIR else 0, extra))


# ---- rmdir, unlink, symlink

def test_rmdir():
    with Place() as place:
        d = place.directory("d")
        place.file("d/full/f")
        place.directory("d/empty", 0, owner=5003)
        os.symlink("empty", f"{d}/link")
        with Setting(place, f"allow delete {d}/**") as s:
            equal(s.all((RMDIR, f"{d}/full"), (RMDIR, f"{d}/full/f"), (RMDIR, f"{d}/none"), (RMDIR, f"{d}/link"),
                        (RMDIR, f"{d}/empty", 1), (RMDIR, f"{d}/empty", 0, 1), (RMDIR, f"{d}/empty"), (RMDIR, d)),
                  ["ENOTEMPTY", "ENOTDIR", "ENOENT", "ENOTDIR", "EINVAL", "EINVAL", "OK", "EACCES"])
            equal(sorted(os.listdir(d)), ["full", "link"])


def test_unlink():
    with Place() as place:
        d = place.directory("d")
        place.file("d/f", owner=5003)
        place.file("d/target", "target")
        place.directory("d/dir")
        os.symlink("target", f"{d}/link")
        os.symlink("nowhere", f"{d}/dangling")
        os.mkfifo(f"{d}/fifo")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{d}/sock")
        os.mkdir(f"{d}/sticky")
        place.file("d/sticky/f", owner=5003)
        os.chown(f"{d}/sticky", 5004, 5004)
        os.chmod(f"{d}/sticky", 0o1777)
        with Setting(place, f"allow delete {d}/**") as s:
            equal(s.all((UNLINK, f"{d}/dir"), (UNLINK, f"{d}/f", 0x200), (UNLINK, f"{d}/none"),
                        (UNLINK, f"{d}/f/x"), (UNLINK, place.name("policy"))),
                  ["EISDIR", "EINVAL", "ENOENT", "ENOTDIR", "EACCES"])
            names = ("f", "link", "dangling", "fifo", "sock", "sticky/f")
            equal(s.all(*((UNLINK, f"{d}/{name}") for name in names)), ["OK"] * len(names))
            equal((sorted(os.listdir(d)), os.listdir(f"{d}/sticky")), (["dir", "sticky", "target"], []))


def test_symlink():
    with Place() as place:
        d = place.directory("d")
        place.file("d/f")
        with Setting(place, f"allow create {d}/**") as s:
            strange = "../\nany\udcff text"
            equal([s.symlink(strange, f"{d}/l"), s.symlink("x" * 4095, f"{d}/long"), s.symlink("x" * 4096, f"{d}/n"),
                   s.symlink("", f"{d}/n"), s.symlink("a\0b", f"{d}/n"), s.symlink("x", f"{d}/f"),
                   s.symlink("x", f"{d}/l"), s.symlink("x", "/etc/fdbroker-test-new"),
                   s.ask(SYMLINK, f"{d}/n", 1, 0, "x"), s.ask(SYMLINK, f"{d}/n", 0, 1, "x")],
                  ["OK", "OK", "ENAMETOOLONG", "ENOENT", "EINVAL", "EEXIST", "EEXIST", "EACCES", "EINVAL", "EINVAL"])
            equal((os.readlink(f"{d}/l"), owner(f"{d}/l")), (strange, (ME, ME)))
            equal(sorted(os.listdir(d)), ["f", "l", "long"])


# ---- names on the way

def everything(path, other):
    """Each operation, on `path`, or giving `other` the name `path`."""
    return [(MKDIR, path, 0, 0o777), (RMDIR, path), (UNLINK, path), (SYMLINK, path, 0, 0, "x"),
            (CHMOD, path, 0, 0o600), (UTIMENS, path, 0, 0, os.fsdecode(PAST)), (LINK, other, 0, 0, path),
            (RENAME, other, 0, 0, path), (RENAME, path, 0, 0, other)]


ALL = "read,write,create,delete,rename,mkdir,stat"


def tree(directory):
    """All there is, with what can be changed about it."""
    found = {}
    for where, directories, files in os.walk(directory):
        for name in directories + files:
            path = os.path.join(where, name)
            status = os.lstat(path)
            found[path] = (status.st_mode, status.st_uid, status.st_ino, status.st_nlink, status.st_mtime_ns)
    return found


def test_a_denied_name_is_not_touched():
    with Place() as place:
        d = place.directory("d")
        place.file("d/other")
        place.file("d/no/f")
        os.symlink("no", f"{d}/link")
        os.symlink("no/f", f"{d}/file")
        with Setting(place, f"allow {ALL} {d}/**", f"deny all {d}/no") as s:
            before = tree(f"{d}")
            # By its name, by a link to its directory, through a directory that is not there; new and old.
            for path in ("no/f", "no/new", "no", "link/f", "link/new", "no/none/x"):
                answers = s.all(*everything(f"{d}/{path}", f"{d}/other"))
                equal(answers, ["EACCES"] * len(answers), path)
            # Of a link that is the last component only chmod and utimens tell what is behind it.
            equal(s.all((CHMOD, f"{d}/file", 0, 0o600), (UTIMENS, f"{d}/file", 0, 0, os.fsdecode(PAST))),
                  ["EACCES", "EACCES"])
            equal(tree(f"{d}"), before)
            record = s.denial(f"{d}/link/f")
            equal(record["opened"], f"{d}/no/f")
            check(f"{d}/no/f" in [r.get("to") for r in s.broker.events("request") if r["path"] == f"{d}/other"])


def test_directories_on_the_way_may_be_links():
    with Place() as place:
        d = place.directory("d")
        place.directory("d/real/sub")
        os.symlink("real", f"{d}/link")
        os.symlink(f"{d}/link/sub", f"{d}/far")
        os.symlink("nowhere", f"{d}/dangling")
        os.symlink("loop", f"{d}/loop")
        with Setting(place, f"allow {ALL} {d}/**") as s:
            equal(s.all((MKDIR, f"{d}/link/a", 0, 0o755), (MKDIR, f"{d}/far/b", 0, 0o755),
                        (SYMLINK, f"{d}/far/l", 0, 0, "x"), (RENAME, f"{d}/far/l", 0, 0, f"{d}/link/l2"),
                        (RENAME, f"{d}/real/l2", 0, 0, f"{d}/far/l3"), (UNLINK, f"{d}/link/sub/l3"),
                        (RMDIR, f"{d}/link/a"), (CHMOD, f"{d}/far/b", 0, 0o700)), ["OK"] * 8)
            equal((os.listdir(f"{d}/real"), os.listdir(f"{d}/real/sub"), bits(f"{d}/real/sub/b")),
                  (["sub"], ["b"], 0o700))
            # Where a link was followed, every failure is EACCES.
            equal(s.all((MKDIR, f"{d}/far/b", 0, 0o755), (RMDIR, f"{d}/far/none"), (UNLINK, f"{d}/far/b"),
                        (MKDIR, f"{d}/dangling/x", 0, 0o755), (UNLINK, f"{d}/loop/x"),
                        (RENAME, f"{d}/real", 0, 0, f"{d}/dangling/x")), ["EACCES"] * 6)
            # A link itself is what is removed and renamed.
            equal(s.all((RENAME, f"{d}/dangling", 0, 0, f"{d}/d2"), (UNLINK, f"{d}/d2"), (UNLINK, f"{d}/loop")),
                  ["OK"] * 3)
            equal(sorted(os.listdir(d)), ["far", "link", "real"])


def test_malformed_paths():
    with Place() as place:
        d = place.directory("d")
        place.file("d/f")
        with Setting(place, f"allow {ALL} {d}/**") as s:
            for bad, wanted in ((f"{d}/x/../f", "EINVAL"), (f"{d}//f", "EINVAL"), (f"{d}/x/", "EINVAL"),
                                ("f", "EINVAL"), ("", "ENOENT"), (f"{d}/{'x' * 256}", "ENAMETOOLONG"),
                                ("/" + "x/" * 2048 + "x", "ENAMETOOLONG")):
                for request in everything(bad, f"{d}/f"):
                    equal(s.ask(*request), wanted, request)
            equal(os.listdir(d), ["f"])


def test_extra_bytes_where_they_are_of_no_use():
    with Place() as place:
        d = place.directory("d")
        with Setting(place, f"allow {ALL} {d}/**") as s:
            for operation in (1, 3, 4, 5, 6, 7, MKDIR, RMDIR, UNLINK, CHMOD, 99):
                equal(s.ask(operation, f"{d}/f", 0, 0, "x"), "EBADMSG", operation)
            for length in (0, 31, 33):
                equal(s.ask(UTIMENS, f"{d}/f", 0, 0, "x" * length), "EBADMSG", length)
            equal(s.all((RENAME, f"{d}/f"), (LINK, f"{d}/f"), (SYMLINK, f"{d}/f")), ["ENOENT"] * 3)


def test_names_that_fold():
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse")

    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        place.directory("plain")
        place.file("plain/f")
        try:
            mount_folding(d)
        except OSError as error:
            raise Skip(f"no FUSE: {error}")
        try:
            with Setting(place, f"allow {ALL} {place.path}/**", f"deny all {d}/secret") as s:
                for path, other in ((f"{d}/SECRET", place.name("plain/f")), (f"{d}/x", place.name("plain/f"))):
                    answers = s.all(*everything(path, other))
                    equal(answers, ["EACCES"] * len(answers), path)
                check("other names" in s.denial(place.name("plain/f"))["reason"])
            with Setting(place, f"allow {ALL} {place.path}/**") as s:
                equal(s.ask(UNLINK, f"{d}/OTHER"), "ENOSYS")
        finally:
            umount(d)
    with Place() as place:
        in_child(run, place)


# ---- append

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, APPEND_ONLY = 0x80086601, 0x40086602, 0x20


def set_append_only(path):
    file = os.open(path, os.O_RDONLY)
    try:
        flags, = struct.unpack("l", fcntl.ioctl(file, FS_IOC_GETFLAGS, bytes(8)))
        fcntl.ioctl(file, FS_IOC_SETFLAGS, struct.pack("l", flags | APPEND_ONLY))
    finally:
        os.close(file)


def test_append():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        image = place.name("image")
        with open(image, "wb") as file:
            file.truncate(4 << 20)
        d = place.directory("d")
        made = subprocess.run(f"mkfs.ext4 -q -F {image} && mount -o loop {image} {d}", shell=True,
                              capture_output=True, text=True)
        if made.returncode:
            raise Skip(f"no ext4: {made.stderr}")
        try:
            check_append(place, d)
        finally:
            umount(d)
    with Place() as place:
        in_child(run, place)


def check_append(place, d):
    for name in ("log", "both", "plain"):
        place.file(f"d/{name}", "old", 0o600)
    for name in ("log", "both"):
        set_append_only(f"{d}/{name}")
    flags = os.O_WRONLY | os.O_APPEND
    with Setting(place, f"allow append {d}/*", f"allow read {d}/both") as s:
        def run(client):
            file = client.open(f"{d}/log", flags)
            os.write(file, b" new")
            return (attempt(fcntl.fcntl, file, fcntl.F_SETFL, 0), attempt(os.ftruncate, file, 0),
                    attempt(os.open, f"/proc/self/fd/{file}", os.O_WRONLY))
        equal(s.session(run), ("EPERM", "EPERM", "EACCES"))
        with open(f"{d}/log") as file:
            equal(file.read(), "old new")
        equal(s.all((1, f"{d}/plain", flags), (1, f"{d}/log", os.O_WRONLY), (1, f"{d}/log", flags | os.O_TRUNC),
                    (1, f"{d}/log", os.O_RDWR | os.O_APPEND), (1, f"{d}/both", os.O_RDWR | os.O_APPEND),
                    (1, f"{d}/log", os.O_APPEND), (1, f"{d}/none", flags), (1, f"{d}/none", flags | os.O_CREAT, 0o600),
                    (1, f"{d}/log", flags | os.O_CREAT, 0o600)),
              ["EACCES", "EACCES", "EACCES", "EACCES", "OK", "EACCES", "ENOENT", "EACCES", "OK"])
        check(any("chattr" in r.get("reason", "") for r in s.broker.events("request")))
        with open(f"{d}/plain") as file:
            equal(file.read(), "old")
    # With `write` it takes no attribute.
    with Setting(place, f"allow write {d}/*") as s:
        equal(s.ask(1, f"{d}/plain", flags), "OK")


# ---- the tool

def test_the_examples_of_the_manual():
    """Those about a directory, as they stand in fdbroker(1), but for its place."""
    with open(os.path.join(os.environ["FDBROKER_SOURCE"], "doc/fdbroker.1.scd")) as page:
        lines = re.findall(r"^\t\$ (.*/srv/spool.*)", page.read(), re.M)
    with Place() as place:
        d = place.directory("spool", 0o700)
        with Setting(place, f"allow read,write,create,delete,rename,mkdir {d}/**") as s:
            def run(script):
                done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False, timeout=30,
                                      env={"PATH": f"{os.path.dirname(FDBROKER)}:/usr/bin:/bin", "LD_LIBRARY_PATH":
                                           os.environ["LD_LIBRARY_PATH"], "FDBROKER_SOCKET": s.broker.abstract})
                return done.returncode, done.stdout, done.stderr
            seen = {}
            for line in lines:
                command = re.search(r"fdbroker (\S+)", line)[1]
                equal(as_user(ME, run, line.replace("/srv/spool", d)), (0, "", ""), line)
                seen[command] = {os.path.join(where, name): os.lstat(os.path.join(where, name))
                                 for where, directories, files in os.walk(d) for name in directories + files}
        job, again = f"{d}/new/job", f"{d}/new/again"
        equal(set(seen), {"mkdir", "open", "rename", "link", "symlink", "chmod", "utimens", "unlink", "rmdir"})
        equal(stat.S_IMODE(seen["mkdir"][f"{d}/new"].st_mode), 0o750)
        equal((set(seen["open"]), set(seen["rename"])), ({f"{d}/new", f"{job}.tmp"}, {f"{d}/new", job}))
        equal(seen["link"][job].st_ino, seen["link"][again].st_ino)
        check(stat.S_ISLNK(seen["symlink"][f"{d}/current"].st_mode))
        equal((stat.S_IMODE(seen["chmod"][job].st_mode), seen["utimens"][job].st_mtime), (0o600, 1769860800))
        equal((set(seen["unlink"]), seen["rmdir"]), ({f"{d}/new"}, {}))


main(globals())
