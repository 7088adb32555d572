# SPDX-License-Identifier: MIT
"""Devices and FIFOs: served by a rule that says so, and otherwise not even touched."""
import fcntl
import os
import select
import socket
import stat

from broker import Broker, Client, Place, attempt, processes
from linux import as_user
from tap import Skip, check, equal, main

ME = 5001


class Setting:
    """A broker with one rule, and what ME is answered."""

    def __init__(self, place, rule, **more):
        self.broker = Broker(place, f"subject a {{\n user {ME}\n {rule}\n}}\n", **more)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()

    def run(self, function, *arguments):
        """function(a connection, ...), as ME."""
        def run():
            with Client(self.broker.abstract) as client:
                return function(client, *arguments)
        return as_user(ME, run)

    def open(self, path, flags=0):
        return self.run(lambda client: client.ask(1, path, flags))


def test_types_by_rule():
    with Place() as place:
        d = place.directory("d")
        os.mkfifo(f"{d}/fifo")
        os.mknod(f"{d}/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        place.file("d/f")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{d}/sock")
        names = ("f", "fifo", "null", "sock")
        for modifiers, wanted in (("", "OK EACCES EACCES ENXIO"), ("type fifo", "OK OK EACCES ENXIO"),
                                  ("type chardev", "OK EACCES OK ENXIO"),
                                  ("type chardev,fifo", "OK OK OK ENXIO"),
                                  ("type blockdev", "OK EACCES EACCES ENXIO")):
            with Setting(place, f"allow read,write {d}/* {modifiers}") as s:
                equal(" ".join(s.open(f"{d}/{name}", os.O_NONBLOCK) for name in names), wanted, modifiers)
        with Setting(place, f"allow read {d}/* type chardev") as s:
            equal(s.open(f"{d}/null"), "OK")
            equal(s.open(f"{d}/null", os.O_RDWR), "EACCES")


def test_block_devices():
    if not os.path.exists("/sys/block/loop0"):
        raise Skip("there is no loop device")
    with Place() as place:
        loop = f"{place.directory('d')}/loop"
        os.mknod(loop, stat.S_IFBLK | 0o666, os.makedev(7, 0))
        os.chmod(loop, 0o666)
        for modifiers, wanted in (("", "EACCES"), ("type chardev,fifo", "EACCES"), ("type blockdev", "OK")):
            with Setting(place, f"allow read {place.name('d')}/* {modifiers}") as s:
                equal(s.open(loop), wanted, modifiers)

        def reopen(client):
            return [attempt(os.open, f"/proc/self/fd/{client.open(loop)}", flags) for flags in (0, os.O_RDWR)]
        with Setting(place, f"allow read {place.name('d')}/* type blockdev") as s:
            equal(s.run(reopen), ["EACCES"] * 2)


def test_a_device_cannot_be_opened_again_with_more():
    with Place() as place:
        d = place.directory("d")
        os.mknod(f"{d}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chmod(f"{d}/null", 0o666)

        def reopen(client):
            file = client.open(f"{d}/null")
            return [attempt(os.open, f"/proc/self/fd/{file}", flags)
                    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)]
        with Setting(place, f"allow read {d}/* type chardev") as s:
            equal(s.run(reopen), ["EACCES"] * 3)
            equal(s.run(reopen), ["EACCES"] * 3)


def test_blocking_as_asked():
    with Place() as place:
        d = place.directory("d")
        os.mkfifo(f"{d}/fifo")
        os.mknod(f"{d}/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))

        def flags(client, name, asked):
            file = client.open(f"{d}/{name}", asked)
            return fcntl.fcntl(file, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_NONBLOCK | os.O_APPEND)
        with Setting(place, f"allow read,write {d}/* type fifo,chardev") as s:
            for name in ("fifo", "null"):
                for asked in (os.O_RDONLY | os.O_NONBLOCK, os.O_RDWR, os.O_RDWR | os.O_NONBLOCK):
                    equal(s.run(flags, name, asked), asked, name)
            for asked in (os.O_RDONLY, os.O_WRONLY | os.O_APPEND):
                equal(s.run(flags, "null", asked), asked)


def hung_up(master):
    """Whether the terminal behind `master` has been opened and closed again: then nobody has it any more."""
    poll = select.poll()
    poll.register(master, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def test_a_device_that_is_refused_is_not_touched():
    with Place() as place:
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.ioctl(master, 0x40045431, b"\0\0\0\0")  # TIOCSPTLCK: unlocked
            number = int.from_bytes(fcntl.ioctl(master, 0x80045430, b"\0\0\0\0"), "little")  # TIOCGPTN
            name = f"/dev/pts/{number}"
            for modifiers in ("", "type blockdev", "type fifo"):
                with Setting(place, f"allow read,write {name} {modifiers}") as s:
                    for flags in (os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_NOCTTY):
                        equal(s.open(name, flags), "EACCES")
                check(not hung_up(master), "it was opened")
            # One that is not asked for either: a right to what is beside it.
            with Setting(place, "allow read,write /dev/null type chardev") as s:
                equal(s.open(name), "EACCES")
            check(not hung_up(master), "it was opened")
            with Setting(place, f"allow read,write {name} type chardev") as s:
                equal(s.open(name, os.O_RDWR), "OK")
            check(hung_up(master), "it would not show")
        finally:
            os.close(master)


def test_a_terminal_does_not_become_the_brokers():
    with Place() as place:
        master, slave = os.openpty()
        name = os.ttyname(slave)
        # Whoever leads a session and has none takes the first one that it opens.
        with Setting(place, f"allow read,write {name} type chardev", start_new_session=True) as s:
            equal(os.getsid(s.broker.process.pid), s.broker.process.pid)
            equal(s.open(name, os.O_RDWR), "OK")
            equal(s.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), "OK")
            for pid in processes(s.broker.process.pid):
                with open(f"/proc/{pid}/stat") as file:
                    equal(file.read().rsplit(")", 1)[1].split()[4], "0", "its controlling terminal")
        os.close(master)
        os.close(slave)


main(globals())
