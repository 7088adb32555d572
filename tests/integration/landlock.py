# SPDX-License-Identifier: MIT
"""
--landlock: what the policy grants is served as without it, by policies of one right each, and where the kernel has none, or
an older one. What it keeps a worker from that was taken over: attack/confinement.
"""
import ctypes
import os
import shutil
import socket
import struct
import subprocess

from broker import FDBROKERD, WORKER_UID, Broker, Place
from change import (CHMOD, LINK, LIST, ME, MKDIR, OPEN, READLINK, RENAME, RMDIR, STAT, SYMLINK, TREE, UNLINK, UTIMENS,
                    Setting, times)
from linux import libc
from tap import Skip, check, equal, main

WATCH, CONNECT, BIND = 16, 17, 18
NEW = os.O_CREAT | os.O_RDWR
ENOSYS, EOPNOTSUPP = 38, 95
CREATE_RULESET = 444


def landlock():
    """Its version; skips where there is none, and in a build whose processes are not confined."""
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        raise Skip("no Landlock here")
    with Place() as place, Setting(place, f"allow read {place.path}/*", options=["--landlock"]) as s:
        if "verdict" in s.broker.events("confined")[0]:
            raise Skip("built with sanitizers: no process is confined")
    return version


def lay_out(place):
    for name in ("f", "a", "old"):
        place.file(f"d/{name}", name, 0o600)
    place.directory("d/other")
    place.directory("d/empty")
    os.symlink("f", place.name("d/link"))
    # A deny has each directory looked at, whether names fold in it.
    place.directory("d/denied")
    return place.name("d")


def requests(d):
    """By the rights that they take, and no others."""
    return {
        "read": [(OPEN, f"{d}/f")],
        "write": [(OPEN, f"{d}/f", os.O_WRONLY), (OPEN, f"{d}/f", os.O_WRONLY | os.O_TRUNC), (CHMOD, f"{d}/f", 0, 0o640),
                  (UTIMENS, f"{d}/f", 0, 0, times((1, 0), (2, 0)))],
        "read,write": [(OPEN, f"{d}/f", os.O_RDWR)],
        "write,mkdir": [(CHMOD, f"{d}/empty", 0, 0o700)],
        "stat": [(STAT, f"{d}/f")],
        "list": [(LIST, f"{d}/other")],
        "readlink": [(READLINK, f"{d}/link")],
        "mkdir": [(MKDIR, f"{d}/made", 0, 0o700)],
        "delete": [(UNLINK, f"{d}/a"), (RMDIR, f"{d}/empty")],
        "rename": [(RENAME, f"{d}/old", 0, 0, f"{d}/new"), (RENAME, f"{d}/new", 0, 0, f"{d}/other/new")],
        "create": [(OPEN, f"{d}/c", NEW, 0o600), (OPEN, d, os.O_TMPFILE | os.O_RDWR, 0o600),
                   (SYMLINK, f"{d}/to", 0, 0, "f")],
        "read,create": [(LINK, f"{d}/f", 0, 0, f"{d}/other/second")],
        "watch": [(WATCH, f"{d}/other", 0x100)],
    }


def test_what_is_granted_is_served_as_without():
    landlock()
    for right in requests(""):
        for options in ([], ["--landlock"]):
            with Place() as place:
                d = lay_out(place)
                rules = [f"allow {right} {d}", f"allow {right} {d}/**", f"deny all {d}/denied"]
                with Setting(place, *rules, options=options) as s:
                    asked = requests(d)[right]
                    equal(s.all(*asked), ["OK"] * len(asked), right, options)


def test_appending_takes_no_more_than_that_right():
    landlock()
    with Place() as place:
        path = place.file("log", "", 0o600)
        if subprocess.run(["chattr", "+a", path], capture_output=True).returncode:
            raise Skip("no append-only files here")
        try:
            with Setting(place, f"allow append {place.path}/log", options=["--landlock"]) as s:
                equal(s.ask(OPEN, path, os.O_WRONLY | os.O_APPEND), "OK")
        finally:
            subprocess.run(["chattr", "-a", path], check=True)


def test_the_holder_of_a_file_may_do_with_it_what_its_mode_lets():
    """The right to truncate is one of the descriptor."""
    landlock()
    with Place() as place:
        path = place.file("d/f", "text")
        with Setting(place, f"allow write {place.name('d')}/**", options=["--landlock"]) as s:
            def run(client):
                file = client.open(path, os.O_WRONLY)
                os.ftruncate(file, 1)
                os.close(file)
            s.session(run)
        with open(path) as file:
            equal(file.read(), "t")


def test_the_holder_of_a_tree_may_do_in_it_what_it_could():
    landlock()
    with Place() as place:
        place.file("d/f", "text", 0o666)
        tree = place.directory("d", 0o777)
        for right, flags in (("tree", os.O_RDONLY), ("write-tree", os.O_RDWR)):
            with Setting(place, f"allow {right} {tree}", options=["--landlock"]) as s:
                def run(client):
                    client.send(TREE, tree, flags)
                    _, error, _, (at,) = client.receive()
                    equal(error, 0)
                    os.close(os.open("f", os.O_RDONLY, dir_fd=at))
                    if flags == os.O_RDWR:
                        os.close(os.open("f", os.O_WRONLY | os.O_TRUNC, dir_fd=at))
                        os.rename("f", "d/f" if os.path.isdir(f"{tree}/d") else "g", src_dir_fd=at, dst_dir_fd=at)
                s.session(run)


def test_sockets_are_served():
    """By the maker, which is not restricted: Landlock would keep it from mounting."""
    landlock()
    with Place() as place, socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        place.directory("d", 0o777)
        with Setting(place, f"allow connect tcp:127.0.0.1:{port} any-peer",
                     f"allow bind unix:{place.name('d')}/s any-peer", options=["--landlock"]) as s:
            equal(s.all((CONNECT, f"tcp:127.0.0.1:{port}", socket.SOCK_STREAM),
                        (BIND, f"unix:{place.name('d')}/s", socket.SOCK_STREAM)), ["OK", "OK"])


# ---- kernels ---------------------------------------------------------------------------------------


def without_landlock(error):
    """For preexec_fn: makes the kernel one without it."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    filter = ctypes.c_void_p(seccomp.seccomp_init(0x7fff0000))
    for call in range(CREATE_RULESET, CREATE_RULESET + 3):
        seccomp.seccomp_rule_add(filter, ctypes.c_uint32(0x00050000 | error), call, 0)
    if seccomp.seccomp_load(filter):
        raise OSError("seccomp_load")


def test_without_landlock_it_does_not_start():
    for error, words in ((ENOSYS, ("ENOSYS", "Linux 5.13")), (EOPNOTSUPP, ("EOPNOTSUPP", "lsm="))):
        with Place() as place:
            policy = place.file("policy", f"subject a {{\n user {ME}\n allow read /etc/hostname\n}}\n")
            command = [FDBROKERD, "--policy", policy, "--user", str(WORKER_UID), "--listen", place.name("socket")]
            done = subprocess.run([*command, "--landlock"], capture_output=True, text=True, timeout=10,
                                  preexec_fn=lambda: without_landlock(error))
            equal(done.returncode, 1)
            lines = done.stderr.splitlines()
            equal(len(lines), 1, lines)
            for word in ("fdbrokerd: --landlock: ", "start without the option", *words):
                check(word in lines[0], word, lines)
            # Nobody else is asked for it.
            with Broker(place, f"subject a {{\n user {ME}\n allow read /etc/hostname\n}}\n",
                        preexec_fn=lambda: without_landlock(error)):
                pass


def test_an_older_one_denies_what_it_knows():
    version = landlock()
    if version < 4 or not shutil.which("strace"):
        raise Skip("Landlock here is an old one itself, or strace is not installed")
    with Place() as place:
        path = place.file("d/f", "text")
        # To each process the kernel says that this is its version.
        old = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset",
               "-e", "inject=landlock_create_ruleset:retval=2:when=1"]
        with Setting(place, f"allow read {place.name('d')}/**", options=["--landlock"], command=old) as s:
            line = s.broker.events("confined")[0]
            equal(line["landlock"], 2)
            check("refer" in line["denied"].split(), line)
            check(not {"truncate", "bind_tcp", "signal"} & set(line["denied"].split()), line)
            equal(s.ask(OPEN, path), "OK")


main(globals())
