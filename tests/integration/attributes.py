# SPDX-License-Identifier: MIT
"""chmod and utimens: what is done, with the kernel's own errno, and what not."""
import os
import socket
import stat
import struct
import subprocess
import time

from broker import Place
from change import CHMOD, NOFOLLOW, NOW, OMIT, PAST, UTIMENS, Setting, bits, delayed, owner, times
from linux import libc, result
from tap import check, equal, main


def test_chmod():
    with Place() as place:
        d = place.directory("d")
        path = place.file("d/f", owner=5003)
        place.file("d/none", "", 0)
        place.file("other/f", "", 0o600)
        place.directory("d/dir")
        for name, mode in (("d/suid", 0o6755), ("d/sticky", 0o1644)):
            place.file(name, owner=5003)
            os.chmod(place.name(name), mode)
        os.symlink("f", f"{d}/link")
        os.symlink("../other/f", f"{d}/out")
        with Setting(place, f"allow write {d}/**") as s:
            equal(s.all((CHMOD, path, 0, 0o641), (CHMOD, f"{d}/none", 0, 0o640), (CHMOD, f"{d}/missing", 0, 0o600),
                        (CHMOD, f"{d}/out", 0, 0o666), (CHMOD, place.name("other/f"), 0, 0o666),
                        (CHMOD, path, 1, 0o600), (CHMOD, path, 0, 0o10644), (CHMOD, f"{d}/dir", 0, 0o700)),
                  ["OK", "OK", "ENOENT", "EACCES", "EACCES", "EINVAL", "EINVAL", "EACCES"])
            equal([bits(f"{d}/{n}") for n in ("f", "none", "dir")] + [bits(place.name("other/f"))],
                  [0o641, 0o640, 0o755, 0o600])
            equal(s.denial(f"{d}/dir")["right"], "write,mkdir")
            # A link is followed to where the caller may write too.
            equal((s.ask(CHMOD, f"{d}/link", 0, 0o600), bits(path)), ("OK", 0o600))
            # Never a special bit, and those that there are go, as with chmod(2).
            for mode in (0o4755, 0o2755, 0o1755, 0o7777):
                equal(s.ask(CHMOD, path, 0, mode), "EPERM", oct(mode))
            equal(s.denial(path)["reason"], "a set-uid, set-gid or sticky bit")
            equal(s.all((CHMOD, f"{d}/suid", 0, 0o755), (CHMOD, f"{d}/sticky", 0, 0o600)), ["OK", "OK"])
            equal((bits(f"{d}/suid"), bits(f"{d}/sticky"), owner(f"{d}/suid")), (0o755, 0o600, (5003, 5003)))


def test_chmod_of_a_directory():
    with Place() as place:
        d = place.directory("d")
        for name in ("a", "a/b", "free", "setgid"):
            place.directory(f"d/{name}", 0o700)
        os.chmod(f"{d}/setgid", 0o2770)
        with Setting(place, f"allow write,mkdir {d}/**", f"deny read {d}/a/b/secret") as s:
            # What is denied beneath would be laid open to whoever gets there by itself.
            equal(s.all((CHMOD, f"{d}/a", 0, 0o777), (CHMOD, f"{d}/a/b", 0, 0o777), (CHMOD, f"{d}/free", 0, 0o750),
                        (CHMOD, f"{d}/setgid", 0, 0o755)), ["EACCES", "EACCES", "OK", "OK"])
            equal([bits(f"{d}/{n}") for n in ("a", "a/b", "free", "setgid")], [0o700, 0o700, 0o750, 0o755])


def test_chmod_of_what_becomes_a_directory():
    with Place() as place:
        d = place.directory("d")
        place.file("d/f", "", 0o600)
        place.directory("d/dir", 0o700)

        def swap():
            time.sleep(0.5)
            exchange(f"{d}/f", f"{d}/dir")
        with Setting(place, f"allow write {d}/*") as s:
            equal(delayed(s, "openat2", swap, (CHMOD, f"{d}/f", 0, 0o777)), "EACCES")
            equal((bits(f"{d}/f"), bits(f"{d}/dir")), (0o700, 0o600))


def exchange(one, other):
    result(libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2))


def test_chmod_and_utimens_by_type():
    with Place() as place:
        d = place.directory("d")
        os.mkfifo(f"{d}/fifo", 0o600)
        os.mknod(f"{d}/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{d}/sock")
        # Whoever waits for a reader of the FIFO goes on waiting.
        writer = subprocess.Popen(["sh", "-c", f"echo x >{d}/fifo"])
        try:
            for types, wanted in (("", ["EACCES"] * 3), (" type fifo", ["OK", "EACCES", "EACCES"]),
                                  (" type chardev", ["EACCES", "OK", "EACCES"])):
                with Setting(place, f"allow write {d}/*{types}") as s:
                    names = [f"{d}/{name}" for name in ("fifo", "null", "sock")]
                    equal(s.all(*((CHMOD, name, 0, 0o666) for name in names)), ["EACCES"] * 3)
                    equal(s.all(*((UTIMENS, name, 0, 0, os.fsdecode(PAST)) for name in names)), wanted, types)
            check(writer.poll() is None, "the FIFO was opened")
        finally:
            writer.kill()
            writer.wait()
        equal(bits(f"{d}/fifo"), 0o600)


def test_utimens():
    with Place() as place:
        d = place.directory("d")
        path = place.file("d/f", "", 0, owner=5003)
        place.directory("d/dir")
        os.symlink("f", f"{d}/link")
        stamp = lambda name: (os.lstat(f"{d}/{name}").st_atime_ns, os.lstat(f"{d}/{name}").st_mtime_ns)
        extra = lambda *both: os.fsdecode(times(*both))
        with Setting(place, f"allow write {d}/*") as s:
            equal(s.all((UTIMENS, path, 0, 0, os.fsdecode(PAST)), (UTIMENS, f"{d}/dir", 0, 0, os.fsdecode(PAST)),
                        (UTIMENS, f"{d}/none", 0, 0, os.fsdecode(PAST)), (UTIMENS, "/etc", 0, 0, os.fsdecode(PAST)),
                        (UTIMENS, path, 1, 0, os.fsdecode(PAST)), (UTIMENS, path, 0, 1, os.fsdecode(PAST)),
                        (UTIMENS, path, 0, 0, extra((0, 10 ** 9), (0, 0))),
                        (UTIMENS, path, 0, 0, os.fsdecode(struct.pack("=qIIqII", 0, 0, 0, 0, 0, 1)))),
                  ["OK", "OK", "ENOENT", "EACCES", "EINVAL", "EINVAL", "EINVAL", "EINVAL"])
            wanted = 1000 * 10 ** 9 + 1, 2000 * 10 ** 9 + 999999999
            equal((stamp("f"), stamp("dir")), (wanted, wanted))
            equal(s.ask(UTIMENS, path, 0, 0, extra((-1, 5), (7, OMIT))), "OK")
            equal(stamp("f"), (-10 ** 9 + 5, wanted[1]))
            equal(s.ask(UTIMENS, path, 0, 0, extra((0, OMIT), (0, NOW))), "OK")
            check(stamp("f")[1] > 10 ** 18 and stamp("f")[0] == -10 ** 9 + 5, stamp("f"))
            before = stamp("f")
            equal(s.ask(UTIMENS, f"{d}/link", NOFOLLOW, 0, os.fsdecode(PAST)), "OK")
            equal((stamp("link"), stamp("f")), (wanted, before))
            equal(s.ask(UTIMENS, f"{d}/link", 0, 0, os.fsdecode(PAST)), "OK")
            equal(stamp("f"), wanted)


main(globals())
