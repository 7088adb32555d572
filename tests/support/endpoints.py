# SPDX-License-Identifier: MIT
"""Sockets through a broker, in a network namespace of the test's own."""
import encodings.idna  # sockets load it when somebody else who cannot would have to
import fcntl
import functools
import os
import select
import socket
import struct
import time

from broker import Client
from linux import CLONE_NEWNET, as_user, in_child, unshare

WATCH, CONNECT, BIND = 16, 17, 18
STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
ME, OTHER = 5001, 5002
SO_PEERGROUPS = 59


def lo_up():
    with socket.socket() as s:
        request = struct.pack("16sh", b"lo", 1)
        fcntl.ioctl(s, 0x8914, request)


def alone(function):
    """Runs a test in a child that has the network to itself."""
    @functools.wraps(function)
    def run():
        def inside():
            unshare(CLONE_NEWNET)
            lo_up()
            function()
        in_child(inside, timeout=100)
    return run


def rules(*lines, user=ME, extra=""):
    return "subject a {\n user %s\n%s}\n%s" % (user, "".join(f" {line}\n" for line in lines), extra)


def get(client, operation, address, flags):
    """The descriptor, or OSError."""
    client.send(operation, address, flags)
    got = client.receive()
    if got is None:
        raise EOFError
    if got[1]:
        raise OSError(got[1], os.strerror(got[1]), address)
    return got[3][0]


def get_socket(broker, operation, address, type=STREAM):
    with Client(broker.abstract) as client:
        return socket.socket(fileno=get(client, operation, address, type))


def answer(broker, operation, address, type=STREAM, uid=ME):
    """What `uid` is answered: "OK" or the errno's name."""
    def run():
        with Client(broker.abstract) as client:
            return client.ask(operation, address, type)
    return as_user(uid, run)


def peer(connection):
    """(pid, uid, gid) of the other end."""
    return struct.unpack("iii", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))


def peer_groups(connection):
    data = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
    return list(struct.unpack(f"{len(data) // 4}I", data))


def listener(address, type=STREAM, backlog=16, mode=None, family=socket.AF_UNIX):
    made = socket.socket(family, type)
    made.bind(address)
    if mode is not None:
        os.chmod(address, mode)
    if type != DGRAM:
        made.listen(backlog)
    made.settimeout(10)
    return made


def helpers(broker):
    """The processes that act as callers at the moment."""
    found = []
    for maker in children(broker.process.pid):
        with open(f"/proc/{maker}/cmdline") as file:
            if "--maker" in file.read().split("\0"):
                found += children(maker)
    return found


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
        except FileNotFoundError:
            pass
    return found


def wait_for_helper(broker):
    """One that is there for a moment: others may have come and gone by then."""
    end = time.monotonic() + 10
    while True:
        if helpers(broker):
            time.sleep(0.1)
            if found := helpers(broker):
                return found[0]
        if time.monotonic() > end:
            raise AssertionError("nobody acts as the caller")
        time.sleep(0.01)


def none_left(broker):
    end = time.monotonic() + 5
    while helpers(broker) and time.monotonic() < end:
        time.sleep(0.01)
    return not helpers(broker)


def fill(path, backlog=0):
    """A listener that takes no connection more, and what fills it."""
    full = listener(path, backlog=backlog, mode=0o777)
    held = []
    while True:
        s = socket.socket(socket.AF_UNIX, STREAM | socket.SOCK_NONBLOCK)
        try:
            s.connect(path)
        except BlockingIOError:
            s.close()
            return full, held
        held.append(s)


def readable(descriptor, timeout=5):
    return bool(select.select([descriptor], [], [], timeout)[0])
