# SPDX-License-Identifier: MIT
"""
A worker that has been taken over: what it can reach. And a worker that has not: that a denied request makes it
touch nothing.
"""
import os
import re
import shutil
import socket
import stat
import subprocess
import time

from broker import Broker, Client, Place, homes, processes
from linux import as_user, can_attach
from tap import Skip, check, equal, main

HOLE = 99
ME = 5001


def attack(rights):
    with Place() as place:
        place.directory("granted/deep", 0o755)
        place.file("granted/f", "granted")
        outside = place.file("outside", "outside", 0o600)
        os.chmod(place.path, 0o755)
        before = os.stat(outside)
        policy = f"subject a {{\n user {ME}\n allow {rights} {place.name('granted')}/**\n}}\n"
        with Broker(place, policy, program=os.environ["FDBROKERD_HOLE"]) as broker:
            def run():
                with Client(broker.abstract) as client:
                    client.send(HOLE, outside)
                    return client.receive()[2].decode()
            equal(len(homes(broker)) > 0, can_attach(), "the views are not attached")
            report = as_user(ME, run)
            check(broker.process.poll() is None, "the supervisor was ended")
        after = os.stat(outside)
        equal((after.st_mode, after.st_uid), (before.st_mode, before.st_uid))
        return report


def test_a_reading_worker_reaches_nothing_outside():
    report = attack("read")
    check(report.count("open@") >= 2, "it holds no directory", report)
    equal([l for l in report.splitlines() if l.endswith("succeeded")], [], report)


def test_a_writing_worker_reaches_nothing_outside():
    report = attack("read,write,create")
    # Its own root is empty and read-only; what it holds are views.
    equal([l for l in report.splitlines() if l.endswith("succeeded")], [], report)


def traced(broker, place, run):
    """The system calls on files that all processes of the broker make while ME runs run(a connection); its result."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    arguments = [a for pid in processes(broker.process.pid) for a in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-e", "trace=%file,getdents64,fstat,fstatfs,fchmod,fchown",
                               "-o", place.name("trace"), *arguments], stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(len(arguments) // 2):
            check("attached" in tracer.stderr.readline())

        def client():
            with Client(broker.abstract) as client:
                return run(client)
        got = as_user(ME, client)
        time.sleep(0.1)
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()
    with open(place.name("trace")) as trace:
        return [line.split(None, 1)[1] for line in trace if "(" in line], got


def operations():
    """{name: number} of those that the protocol has."""
    with open(os.environ["FDBROKER_SOURCE"] + "/include/fdbroker-protocol.h") as header:
        return {name: int(number) for name, number in re.findall(r"^\tFDBROKER_(\w+) = (\d+),", header.read(), re.M)}


NEW = os.O_CREAT | os.O_RDWR
# How each is asked about a path: (flags, mode), and the extra bytes, where D is the directory that is granted.
ASKED = {
    "OPEN": [(0, 0), (os.O_RDWR, 0), (os.O_WRONLY | os.O_TRUNC, 0), (NEW, 0o600), (NEW | os.O_EXCL, 0o600),
             (os.O_TMPFILE | os.O_RDWR, 0o600), (os.O_DIRECTORY, 0), (os.O_NOFOLLOW | os.O_NONBLOCK, 0)],
    "STAT": [(0, 0), (0x100, 0)],
    "ACCESS": [(0, mode) for mode in range(8)],
    "READLINK": [(0, 0)],
    "LIST": [(0, 0), (1, 0)],
    "TREE": [(os.O_RDONLY, 0), (os.O_RDWR, 0)],
    "MKDIR": [(0, 0o700)],
    "RMDIR": [(0, 0)],
    "UNLINK": [(0, 0)],
    "RENAME": [(0, 0, "D/new"), (1, 0, "D/new"), (2, 0, "D/new")],
    "LINK": [(0, 0, "D/new")],
    "SYMLINK": [(0, 0, "D/f")],
    "CHMOD": [(0, 0o600)],
    "WATCH": [(0x100, 0), (0x02000100, 0), (0x01000100, 0)],
    "CONNECT": [(socket.SOCK_STREAM, 0), (socket.SOCK_SEQPACKET, 0)],
    "BIND": [(socket.SOCK_STREAM, 0), (socket.SOCK_SEQPACKET, 0)],
    "UTIMENS": [(0, 0, bytes(32).decode()), (0x100, 0, bytes(32).decode())],
}
# These are about no path.
OTHERS = {"STATUS", "RELOAD", "SYNC", "RESTARTED"}


def test_a_denied_request_touches_nothing():
    known = operations()
    equal(set(known), {*ASKED, *OTHERS}, "say above how the new operation is asked for what is denied")
    with Place() as place:
        place.file("d/denied/f", "f")
        d = place.name("d")
        os.symlink("f", f"{d}/denied/link")
        policy = (f"subject a {{\n user {ME}\n"
                  f" allow read,write,create,stat,readlink,list,mkdir,delete,rename,watch {d}/**\n"
                  f" allow connect,bind unix:{d}/f unix:{d}/denied/f any-peer\n deny all {d}/denied\n}}\n"
                  f"subject t {{\n user {ME}\n allow tree {place.directory('tree')}\n}}\n"
                  f"subject b {{\n user 5002\n allow read,write,create,list {d}/**\n}}\n")
        paths = (f"{d}/denied/f", f"{d}/denied/link", f"{d}/denied/nothing", f"{d}/denied", "/etc/shadow", place.path,
                 "/etc/fdbroker-test-new", "/proc/self/root", "/")

        def one(client, name, path, flags, mode, extra=""):
            extra = d + extra[1:] if extra.startswith("D/") else extra
            path = f"unix:{path}" if name in ("CONNECT", "BIND") else path
            return client.ask(known[name], path, flags, mode, extra=extra.encode())

        def ask(client):
            got = {(name, path, *way): one(client, name, path, *way)
                   for name, ways in ASKED.items() for path in paths for way in ways}
            # And what is granted, to a name that is not.
            for name in ("RENAME", "LINK"):
                got.update({(name, "f", path): one(client, name, f"{d}/f", 0, 0, path) for path in paths})
            return got
        with Broker(place, policy) as broker:
            calls, got = traced(broker, place, ask)
            check(set(got.values()) == {"EACCES"}, {k: v for k, v in got.items() if v != "EACCES"})
            equal(calls, [])
            check(not os.path.exists("/etc/fdbroker-test-new"))
            # Granted, the same is seen to touch something.
            place.file("d/f", "f")
            for name, ways in ASKED.items():
                path = place.name("tree") if name == "TREE" else f"{d}/f"
                calls, got = traced(broker, place, lambda client: one(client, name, path, *ways[0]))
                check(calls, name, got)


def test_a_right_that_is_missing_is_missed_before_anything_is_touched():
    with Place() as place:
        path = place.file("d/f", "f")
        os.symlink("f", place.name("d/link"))
        rights = {"read": [("OPEN", os.O_RDWR, 0), ("OPEN", os.O_TRUNC, 0), ("OPEN", NEW | os.O_EXCL, 0o600),
                           ("READLINK", 0, 0), ("LIST", 0, 0), ("TREE", 0, 0)],
                  "write": [("OPEN", os.O_RDWR, 0), ("OPEN", NEW | os.O_EXCL, 0o600), ("READLINK", 0, 0)],
                  "list": [("OPEN", 0, 0), ("OPEN", os.O_DIRECTORY, 0), ("READLINK", 0, 0)],
                  "stat": [("OPEN", 0, 0), ("OPEN", os.O_WRONLY, 0), ("LIST", 0, 0), ("READLINK", 0, 0)],
                  "readlink": [("OPEN", 0, 0), ("STAT", 0, 0), ("LIST", 0, 0)]}
        known = operations()
        for right, missing in rights.items():
            policy = f"subject a {{\n user {ME}\n allow {right} {place.name('d')}/**\n}}\n"
            with Broker(place, policy) as broker:
                calls, got = traced(broker, place, lambda client: [
                    client.ask(known[name], path, flags, mode) for name, flags, mode in missing])
                equal((calls, got), ([], ["EACCES"] * len(missing)), right)


def test_a_link_is_read_where_it_stands_and_what_it_leads_to_is_not_touched():
    with Place() as place:
        d = place.directory("d")
        place.file("d/denied/f", "f")
        os.symlink("denied/f", f"{d}/link")
        os.symlink("/etc/shadow", f"{d}/away")
        os.symlink("denied/nothing", f"{d}/nothing")
        policy = f"subject a {{\n user {ME}\n allow read,stat {d}/**\n deny all {d}/denied\n}}\n"
        with Broker(place, policy) as broker:
            for name in ("link", "away", "nothing"):
                calls, got = traced(broker, place, lambda client: [
                    client.ask(1, f"{d}/{name}"), client.ask(3, f"{d}/{name}"), client.ask(4, f"{d}/{name}")])
                equal(got, ["EACCES"] * 3)
                named = {path for call in calls for path in re.findall(r'^[^(]*\([^,]*, "([^"]*)"', call)}
                # Besides, whether names fold in the directory.
                equal(named - {"", "."}, {name}, calls)


def test_what_is_opened_never_becomes_a_controlling_terminal():
    """Whichever process opens it, and whether that leads a session or not."""
    with Place() as place:
        place.file("d/f", "f", 0o666)
        os.mknod(place.name("d/null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        policy = f"subject a {{\n user {ME}\n allow read,write,create {place.name('d')}/* type chardev\n}}\n"
        with Broker(place, policy) as broker:
            calls, got = traced(broker, place, lambda client: [
                client.ask(1, place.name(f"d/{name}"), flags, mode) for name, flags, mode in (
                    ("f", os.O_RDONLY, 0), ("f", os.O_RDWR, 0), ("n", NEW, 0o600), ("n", NEW, 0o600),
                    ("null", os.O_RDONLY, 0), ("null", os.O_RDWR, 0))])
            equal(got, ["OK"] * 6)
            opened = [call for call in calls if re.match(r'openat2?\([^"]*"(f|n|null)"', call) and "O_PATH" not in call]
            check(len(opened) >= 6, calls)
            equal([call for call in opened if "O_NOCTTY" not in call], [])


main(globals())
