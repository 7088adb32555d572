# SPDX-License-Identifier: MIT
"""
The system calls that the daemon's processes make, beside those that they may: a short form of tests/syscalls, which does it
for all tests. Where the two disagree a process would have ended by SIGSYS, and another one taken its place: a test may not
see that.
"""
import os
import re
import shutil
import signal
import socket
import sys
import time

from broker import Broker, Client, Place
from calls import Trace, compare
from change import CHMOD, LINK, LIST, ME, MKDIR, OPEN, READLINK, RENAME, RMDIR, STAT, SYMLINK, TREE, UNLINK, UTIMENS, times
from linux import as_user
from tap import Skip, check, equal, main

WATCH, CONNECT, BIND, RELOAD, HOLE = 16, 17, 18, 19, 99
# Of operations-hole.c.
TRY_SOCKET = 11


def traceable():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    with Place() as place, Broker(place, f"subject a {{\n user {ME}\n allow read {place.path}/*\n}}\n") as broker:
        if "verdict" in broker.events("confined")[0]:
            raise Skip("built with sanitizers: no process is kept from any system call")


def end(broker, trace):
    """Its processes are gone, and strace with them."""
    equal(broker.stop(), 0)
    for _ in range(100):
        with open(f"{trace.traces}/{broker.process.pid}") as file:
            if re.search(rf"^{broker.process.pid} +\+\+\+ exited", file.read(), re.M):
                break
        time.sleep(0.05)
    trace.collect()


def all_requests(d):
    """Some that are granted, and some that fail."""
    return [
        (OPEN, f"{d}/f"), (OPEN, f"{d}/f", os.O_RDWR), (OPEN, f"{d}/new", os.O_CREAT | os.O_RDWR, 0o600), (OPEN, f"{d}/no"),
        (OPEN, f"{d}/link"), (OPEN, f"{d}/loop"), (OPEN, f"{d}/fifo"), (OPEN, "/etc/shadow"), (OPEN, d, os.O_TMPFILE | 1, 0o600),
        (STAT, f"{d}/f"), (LIST, d), (READLINK, f"{d}/link"), (READLINK, f"{d}/f"), (MKDIR, f"{d}/dir", 0, 0o700),
        (MKDIR, f"{d}/dir", 0, 0o700), (SYMLINK, f"{d}/text", 0, 0, "f"), (LINK, f"{d}/f", 0, 0, f"{d}/dir/second"),
        (RENAME, f"{d}/dir/second", 0, 0, f"{d}/third"), (UNLINK, f"{d}/third"), (RMDIR, f"{d}/dir"), (RMDIR, f"{d}/f"),
        (CHMOD, f"{d}/f", 0, 0o640), (UTIMENS, f"{d}/f", 0, 0, times((1, 0), (2, 0))), (WATCH, f"{d}/f", 0x100),
        (TREE, f"{d}/tree"), (CONNECT, f"unix:{d}/no", socket.SOCK_STREAM), (BIND, f"unix:{d}/s", socket.SOCK_STREAM),
        (77, d),
    ]


def test_no_process_makes_a_call_that_it_may_not():
    traceable()
    with Place() as place, Trace() as trace:
        d = place.directory("d")
        place.file("d/f", "f")
        place.directory("d/tree")
        os.mkfifo(f"{d}/fifo")
        os.symlink("f", f"{d}/link")
        os.symlink("loop", f"{d}/loop")
        rights = "read,write,create,stat,list,readlink,watch,mkdir,delete,rename,append"
        policy = (f"subject a {{\n user {ME}\n exe {os.path.realpath(sys.executable)}\n allow {rights} {d}\n allow {rights} {d}/**\n"
                  f" allow tree {d}/tree\n allow connect unix:{d}/no any-peer\n allow bind unix:{d}/s any-peer\n}}\n")
        with Broker(place, policy, program=trace.program) as broker:
            def client():
                with Client(broker.abstract) as client:
                    return [client.ask(*request[:4], **({"extra": os.fsencode(request[4])} if request[4:] else {}))
                            for request in all_requests(d)]
            got = as_user(ME, client)
            # The worker that comes next takes over, and makes its views anew.
            os.rename(d, f"{d}-old")
            os.mkdir(d)
            broker.process.send_signal(signal.SIGHUP)
            broker.wait_event("ready", 2)
            as_user(ME, client)
            end(broker, trace)
        equal(compare(trace.seen)[0], [])
        check(got.count("OK") > 15, got)
        for process, some in (("worker", {"openat2", "sendmsg", "unlinkat", "linkat", "fchown", "utimensat"}),
                              ("maker", {"open_tree", "mount_setattr", "clone", "setresuid", "bind"}),
                              ("supervisor", {"clone", "execve", "bind"})):
            check(some <= set(trace.seen[process]), process, some - set(trace.seen[process]))


def test_one_that_does_is_found():
    traceable()
    with Place() as place, Trace(os.environ["FDBROKERD_HOLE"]) as trace:
        policy = f"subject a {{\n user {ME}\n allow read {place.path}/*\n}}\n"
        with Broker(place, policy, program=trace.program) as broker:
            def client():
                with Client(broker.abstract) as client:
                    client.send(HOLE, "x", flags=TRY_SOCKET)
                    client.receive()
            as_user(ME, client)
            broker.wait_event("worker")
            broker.wait_event("ready", 2)
            end(broker, trace)
        # And what ends a process whose forbidden call was named.
        equal(compare(trace.seen)[0], ["worker: ptrace", "worker: socket"])


main(globals())
