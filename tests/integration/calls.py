# SPDX-License-Identifier: MIT
"""Stat, access, readlink, list and tree: from the library and the tool to the broker and back, on real files."""
import ctypes
import errno
import json
import os
import re
import select
import stat
import subprocess
import sys
import threading


def begin():
    """Begins anew with the address sanitizer in front, where the library needs it: Python does not."""
    library = os.path.join(os.environ.get("FDBROKER_BUILD", "build"), "client-lib/libfdbroker.so.0")
    needs = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
    found = re.search(r"=> (\S*/libasan\S*)", needs)
    if found and "LD_PRELOAD" not in os.environ:
        # What Python itself leaks is nobody's business here.
        os.execve(sys.executable, [sys.executable, *sys.argv],
                  {**os.environ, "LD_PRELOAD": found[1], "ASAN_OPTIONS": "detect_leaks=0"})


# Before the programs are copied to where everybody can reach them.
begin()

from broker import NAMES, Broker, Client, FDBROKER, PROGRAMS, Place, attempt
from linux import as_user, become, in_child
from tap import Skip, check, equal, main

ME = 5001
TREE = 7
CROWD = 20000


class Statx(ctypes.Structure):
    """The beginning of struct statx."""
    _fields_ = [("mask", ctypes.c_uint32), ("blksize", ctypes.c_uint32), ("attributes", ctypes.c_uint64),
                ("nlink", ctypes.c_uint32), ("uid", ctypes.c_uint32), ("gid", ctypes.c_uint32),
                ("mode", ctypes.c_uint16), ("spare", ctypes.c_uint16), ("ino", ctypes.c_uint64),
                ("size", ctypes.c_uint64), ("rest", ctypes.c_char * 208)]


class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]


class Library:
    """libfdbroker as a program uses it. A failure is an OSError."""

    def __init__(self, address):
        self.calls = ctypes.CDLL(f"{PROGRAMS}/client-lib/libfdbroker.so.0", use_errno=True)
        for name in ("connect", "opendir"):
            self.function(name).restype = ctypes.c_void_p
        self.function("readdir").restype = ctypes.POINTER(Dirent)
        self.function("readlink").restype = ctypes.c_ssize_t
        self.broker = self.function("connect")(address.encode())
        check(self.broker, "connect", os.strerror(ctypes.get_errno()))

    def function(self, name):
        return getattr(self.calls, "fdbroker_" + name)

    def call(self, name, path, *arguments):
        result = self.function(name)(ctypes.c_void_p(self.broker), os.fsencode(path), *arguments)
        if result is None or result == -1:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)
        return result

    def statx(self, path, flags=0):
        status = Statx()
        self.call("statx", path, flags, ctypes.byref(status))
        return status

    def access(self, path, mode=os.F_OK):
        self.call("access", path, mode)

    def readlink(self, path, size=4096):
        buffer = ctypes.create_string_buffer(size)
        length = self.call("readlink", path, buffer, ctypes.c_size_t(size))
        return buffer.raw[:length]

    def list(self, path):
        directory = ctypes.c_void_p(self.call("opendir", path))
        entries = []
        while True:
            ctypes.set_errno(0)
            entry = self.function("readdir")(directory)
            if not entry:
                break
            found = entry.contents
            entries.append((found.name, found.type, found.ino))
        error = ctypes.get_errno()
        equal(self.function("closedir")(directory), 0)
        if error:
            raise OSError(error, os.strerror(error), path)
        return entries

    def tree(self, path, flags=os.O_RDONLY):
        return self.call("tree", path, flags)


class Setting:
    """A directory that nobody but root can look into, and a broker that grants `rules` on it."""

    def __init__(self, *rules):
        self.place = Place()
        self.d = self.place.directory("d", 0o700)
        lines = "".join(f" {rule.replace('@', self.d)}\n" for rule in rules)
        self.broker = Broker(self.place, f"subject a {{\n user {ME}\n{lines}}}\n")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()
        self.place.__exit__()

    def path(self, name):
        return f"{self.d}/{name}" if name else self.d

    def library(self, function):
        """function(library), as the caller."""
        return as_user(ME, lambda: function(Library(self.broker.abstract)))

    def error(self, name, path, *arguments):
        return self.library(lambda l: attempt(getattr(l, name), self.path(path), *arguments))

    def tool(self, *arguments, **options):
        """(exit status, output, message) of the tool, run by the caller."""
        def run():
            done = subprocess.run([FDBROKER, arguments[0], "--socket", self.broker.abstract, *arguments[1:]],
                                  capture_output=True, timeout=30, stdin=subprocess.DEVNULL, check=False,
                                  **options)
            return done.returncode, done.stdout, done.stderr.decode()
        return as_user(ME, run)


def denied(command, path, name=errno.EACCES):
    return (1, b"", f"fdbroker: {command} {path}: {os.strerror(name)} ({NAMES[name]})\n")


# ---- stat ------------------------------------------------------------------------------------------


def test_stat_tells_what_the_kernel_tells():
    with Setting("allow stat @/**") as s:
        path = s.place.file("d/sub/f", "text", 0o640, owner=5003)
        found, wanted = s.library(lambda l: bytes(l.statx(path))), os.stat(path)
        status = Statx.from_buffer_copy(found)
        equal((status.mode, status.uid, status.gid, status.size, status.ino, status.nlink),
              (wanted.st_mode, 5003, 5003, 4, wanted.st_ino, 1))
        code, output, message = s.tool("stat", "--json", path, s.path("sub"))
        equal((code, message), (0, ""))
        file, sub = map(json.loads, output.splitlines())
        equal([file[k] for k in ("type", "mode", "uid", "size")], ["regular", "0640", 5003, 4])
        equal(int(file["inode"]), wanted.st_ino)
        equal(sub["type"], "directory")


def test_stat_follows_links_or_not():
    with Setting("allow stat @/**") as s:
        s.place.file("d/f", "text")
        os.symlink("f", s.path("link"))
        os.symlink("/etc/passwd", s.path("out"))
        os.symlink("nowhere", s.path("dangling"))
        kind = lambda name, *flags: s.library(lambda l: stat.S_IFMT(l.statx(s.path(name), *flags).mode))
        equal(kind("link"), stat.S_IFREG)
        equal(kind("link", 0x100), stat.S_IFLNK)
        equal(kind("out", 0x100), stat.S_IFLNK)
        # What is at the end of a link is not told, be it missing or not granted.
        equal(s.error("statx", "out"), "EACCES")
        equal(s.error("statx", "dangling"), "EACCES")
        equal(s.error("statx", "missing"), "ENOENT")
        equal(s.error("statx", "f/x"), "ENOTDIR")
        equal(s.error("statx", "f", 0x800), "EINVAL")
        equal(s.error("statx", "f/"), "EINVAL")
        code, output, _ = s.tool("stat", "--no-follow", s.path("out"))
        check(code == 0 and b"Type: link" in output, output)
        equal(s.tool("stat", s.path("out")), denied("stat", s.path("out")))
        equal(s.tool("stat", s.path("missing")), denied("stat", s.path("missing"), errno.ENOENT))


def test_what_is_not_granted_is_not_told():
    with Setting("allow read @/f", "deny all @/secret") as s:
        s.place.file("d/f", "text")
        s.place.file("d/secret/f", "text")
        s.place.file("d/other", "text")
        for name in ("secret/f", "secret/missing", "other", "missing"):
            for call in ("statx", "access", "readlink", "list"):
                equal(s.error(call, name), "EACCES", call, name)
        equal(s.error("statx", "f"), "OK")
        equal(s.error("list", ""), "EACCES")
        equal(s.error("readlink", "f"), "EACCES")


# ---- access ----------------------------------------------------------------------------------------


def test_access_tells_what_open_would_meet():
    with Setting("allow read @/*", "allow write @/w*") as s:
        s.place.file("d/r", "text", 0o000)
        s.place.file("d/w", "text", 0o000)
        for name, mode, wanted in (("r", os.F_OK, "OK"), ("r", os.R_OK, "OK"), ("r", os.W_OK, "EACCES"),
                                   ("w", os.R_OK | os.W_OK, "OK"), ("w", os.X_OK, "EACCES"),
                                   ("missing", os.F_OK, "ENOENT"), ("r", 8, "EINVAL")):
            equal(s.error("access", name, mode), wanted, name, mode)
        equal(s.tool("access", "--read", "--write", s.path("w")), (0, b"", ""))
        equal(s.tool("access", "--write", s.path("r")), denied("access", s.path("r")))
        equal(s.tool("access", s.path("missing")), denied("access", s.path("missing"), errno.ENOENT))


def test_access_to_execute():
    with Setting("allow read @/** exec") as s:
        s.place.file("d/program", "#!/bin/sh\n", 0o700)
        s.place.file("d/text", "", 0o600)
        equal(s.tool("access", "--execute", s.path("program")), (0, b"", ""))
        equal(s.error("access", "text", os.X_OK), "EACCES")


# ---- readlink --------------------------------------------------------------------------------------


def test_readlink():
    with Setting("allow readlink @/**") as s:
        s.place.file("d/f", "text")
        os.symlink(b"any\n\xff", os.fsencode(s.path("link")))
        os.symlink(b"x" * 4095, os.fsencode(s.path("long")))
        os.symlink(".", s.path("here"))
        equal(s.library(lambda l: l.readlink(s.path("link"))), b"any\n\xff")
        equal(s.library(lambda l: l.readlink(s.path("link"), 2)), b"an")
        equal(s.library(lambda l: l.readlink(s.path("long"))), b"x" * 4095)
        equal(s.library(lambda l: l.readlink(s.path("here/link"))), b"any\n\xff")
        equal(s.error("readlink", "f"), "EINVAL")
        equal(s.error("readlink", "missing"), "ENOENT")
        equal(s.tool("readlink", s.path("link"), s.path("here")), (0, b"any\n\xff\n.\n", ""))
        equal(s.tool("readlink", s.path("f")), denied("readlink", s.path("f"), errno.EINVAL))


# ---- list ------------------------------------------------------------------------------------------


def test_directories_of_no_entry_and_of_one():
    with Setting("allow list @{,/**}") as s:
        s.place.directory("d/none")
        s.place.file("d/one/f", "text")
        equal(s.library(lambda l: l.list(s.path("none"))), [])
        equal(s.library(lambda l: l.list(s.path("one"))),
              [(b"f", 8, os.stat(s.path("one/f")).st_ino)])
        equal(sorted(e[:2] for e in s.library(lambda l: l.list(s.d))), [(b"none", 4), (b"one", 4)])
        equal(s.tool("list", s.path("none")), (0, b"", ""))
        equal(sorted(s.tool("list", "--long", s.d + "/")[1].splitlines()), [b"none/", b"one/"])


def test_a_directory_of_many_entries():
    with Setting("allow list @/crowd") as s:
        s.place.directory("d/crowd")
        # Of different lengths, so that pages end anywhere.
        names = {b"%d" % i + b"x" * (i * 7 % 200) for i in range(CROWD)}
        for name in names:
            os.close(os.open(os.fsencode(s.path("crowd")) + b"/" + name, os.O_CREAT | os.O_WRONLY))
        found = s.library(lambda l: l.list(s.path("crowd")))
        equal(len(found), CROWD)
        equal({entry[0] for entry in found}, names)
        code, output, message = s.tool("list", s.path("crowd"))
        equal((code, message), (0, ""))
        equal(len(output.splitlines()), CROWD)
        equal(set(output.splitlines()), names)


def test_names_of_any_bytes():
    names = [b"new\nline", b"bad\xff\xfe", b"\x1b[2J", b"...", b"x" * 255, b'"\\', b" "]
    with Setting("allow list @/odd") as s:
        s.place.directory("d/odd")
        for name in names:
            os.mkdir(os.fsencode(s.path("odd")) + b"/" + name)
        equal(sorted(e[0] for e in s.library(lambda l: l.list(s.path("odd")))), sorted(names))
        code, output, message = s.tool("list", "--json", s.path("odd"))
        equal((code, message), (0, ""))
        entries = [json.loads(line) for line in output.splitlines()]
        equal(sorted(bytes.fromhex(e["name_hex"]) if "name_hex" in e else e["name"].encode()
                     for e in entries), sorted(names))
        check(all(e["type"] == "directory" and e["directory"] == s.path("odd") for e in entries))


def test_list_follows_links_and_takes_a_slash():
    with Setting("allow list @/a", "allow list @/link", "allow list @/out", "allow list @/f") as s:
        s.place.file("d/a/name", "text")
        s.place.file("d/f", "text")
        os.symlink("a", s.path("link"))
        os.symlink("/etc", s.path("out"))
        for name in ("a", "a/", "a//.", "link", "link/"):
            equal([e[0] for e in s.library(lambda l: l.list(s.path(name)))], [b"name"], name)
        for name in ("out", "out/"):
            equal(s.error("list", name), "EACCES")
        equal(s.error("list", "f"), "ENOTDIR")
        equal(s.error("list", "f/"), "ENOTDIR")
        equal(s.error("list", "a/.."), "EINVAL")
        equal(s.tool("list", s.path("f")), denied("list", s.path("f"), errno.ENOTDIR))


def test_a_relative_directory_while_the_program_moves():
    with Setting("allow list @/a") as s:
        for i in range(2000):
            s.place.file(f"d/a/{i:0100}")

        def run():
            library = Library(s.broker.abstract)
            directory = ctypes.c_void_p(library.call("opendir", "a"))
            os.chdir("/")
            count = 0
            while library.function("readdir")(directory):
                count += 1
            return count

        def start():
            os.chdir(s.d)
            become(ME)
            return run()
        equal(in_child(start), 2000)


def test_reading_goes_on_in_a_child():
    with Setting("allow list @/a") as s:
        for i in range(2000):
            s.place.file(f"d/a/{i:0100}")

        def run(library):
            directory = ctypes.c_void_p(library.call("opendir", s.path("a")))

            def rest():
                count = 0
                while library.function("readdir")(directory):
                    count += 1
                return count
            return in_child(rest), rest()
        equal(s.library(run), (2000, 2000))


def test_a_directory_that_goes_away_between_pages():
    with Setting("allow list @/a") as s:
        for i in range(2000):
            s.place.file(f"d/a/{i:0100}")
        done = os.pipe(), os.pipe()

        def run(library):
            directory = ctypes.c_void_p(library.call("opendir", s.path("a")))
            os.write(done[0][1], b"x")
            os.read(done[1][0], 1)
            count = 0
            ctypes.set_errno(0)
            while library.function("readdir")(directory):
                count += 1
            return count, NAMES.get(ctypes.get_errno())

        result = []
        thread = threading.Thread(target=lambda: result.append(s.library(run)))
        thread.start()
        check(select.select([done[0][0]], [], [], 20)[0], "it does not begin")
        os.rename(s.path("a"), s.path("b"))
        os.write(done[1][1], b"x")
        thread.join()
        for end in (*done[0], *done[1]):
            os.close(end)
        check(0 < result[0][0] < 2000 and result[0][1] == "ENOENT", result)


# ---- tree ------------------------------------------------------------------------------------------


def tree_setting(*rules):
    s = Setting(*rules)
    with Client(s.broker.abstract) as client:
        if client.ask(TREE, "/", 0) == "EOPNOTSUPP":
            s.__exit__()
            raise Skip("this broker does not serve TREE yet")
    return s


def test_a_tree_that_is_not_granted():
    with tree_setting("allow read @/**") as s:
        s.place.file("d/t/f", "text", 0o644)
        equal(s.error("tree", "t"), "EACCES")
        equal(s.tool("tree", s.path("t")), denied("tree", s.path("t")))


def test_a_tree_to_read():
    with tree_setting("allow tree @/t") as s:
        s.place.file("d/t/f", "text", 0o644)
        s.place.file("d/t/sub/g", "more", 0o644)
        os.chmod(s.path("t"), 0o755)
        s.place.file("d/outside", "no", 0o644)

        def run(library):
            tree = library.tree(s.path("t") + "/")
            file = os.open("sub/g", os.O_RDONLY, dir_fd=tree)
            text = os.read(file, 10)
            return (text, attempt(lambda: os.open("f", os.O_WRONLY, dir_fd=tree)) in ("EACCES", "EROFS"),
                    attempt(lambda: os.open("../outside", os.O_RDONLY, dir_fd=tree)))
        equal(s.library(run), (b"more", True, "ENOENT"))
        equal(s.error("tree", "t", os.O_RDWR), "EACCES")
        equal(s.error("tree", "t", os.O_WRONLY), "EINVAL")
        code, output, message = s.tool("tree", s.path("t"))
        equal((code, sorted(output.split()), message), (0, [b"f", b"sub"], ""))
        equal(s.tool("tree", "--chdir", s.path("t"), "--", "cat", "f", "sub/g"), (0, b"textmore", ""))
        equal(s.tool("tree", s.path("t"), "--", "sh", "-c", 'cat "/proc/self/fd/$FDBROKER_TREE/f"'),
              (0, b"text", ""))
        equal(s.tool("tree", "--write", s.path("t")), denied("tree", s.path("t")))


def test_a_tree_to_write():
    with tree_setting("allow write-tree @/t") as s:
        s.place.directory("d/t", 0o755, owner=ME)
        equal(s.tool("tree", "--write", "--chdir", s.path("t"), "--", "cp", "/etc/passwd", "f"), (0, b"", ""))
        with open(s.path("t/f")) as file, open("/etc/passwd") as wanted:
            equal(file.read(), wanted.read())


main(globals())
