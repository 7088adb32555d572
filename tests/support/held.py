# SPDX-License-Identifier: MIT
"""
A tree and what its holder can try with it: everything that ends outside, or writes where only reading was granted.
"""
import errno
import os
import shutil
import stat

from broker import Broker, Client, Place, attempt, homes
from linux import CLONE_NEWNS, as_user, enter_user_namespace

TREE = 7
HOLDER = 5001


class Held:
    """A directory with something in it and something secret beside it, handed out as a tree."""

    def __init__(self, rights="tree", program=None, modifiers="", more="", users=HOLDER):
        self.place = Place()
        d = self.tree = self.place.directory("tree")
        os.chmod(d, 0o777)
        self.place.file("tree/f", "original\n", 0o666)
        self.place.file("tree/private", "private\n", 0o600)
        self.place.file("tree/sub/g", "g\n", 0o666)
        self.place.file("secret", "secret\n", 0o644)
        os.symlink("../secret", f"{d}/link")
        os.symlink(self.place.name("secret"), f"{d}/absolute")
        os.mknod(f"{d}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chmod(f"{d}/null", 0o666)
        shutil.copy("/bin/cat", f"{d}/cat")
        os.chmod(f"{d}/cat", 0o4755)
        self.broker = Broker(self.place, (
            f"subject a {{\n user {users}\n allow {rights} {d} {modifiers}\n{more}}}\n"), program=program)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()
        self.place.__exit__()

    def is_attached(self):
        """Whether all views are: each has a home."""
        return len(homes(self.broker)) == int(self.broker.ready["summary"].split(" views")[0].split()[-1])

    def run(self, function, flags=0, uid=HOLDER, early=False):
        """function(descriptor of the tree) as the holder; `early`: in a user and a mount namespace of its own."""
        def holder():
            if early:
                enter_user_namespace(CLONE_NEWNS)
            with Client(self.broker.abstract) as client:
                client.send(TREE, self.tree, flags)
                _, error, _, descriptors = client.receive()
                if error:
                    return errno.errorcode[error]
                return function(descriptors[0])
        return as_user(uid, holder)

    def text(self, name):
        with open(self.place.name(name)) as file:
            return file.read()


def read_at(directory, name):
    file = os.open(name, os.O_RDONLY, dir_fd=directory)
    with os.fdopen(file) as stream:
        return stream.read()


def escapes(directory):
    """The ways out; each ends with the secret's text or an errno."""
    def by_path(name):
        return lambda: read_at(directory, name)

    def by_fchdir():
        os.fchdir(directory)
        for _ in range(10):
            os.chdir("..")
            if os.path.exists("secret"):
                break
        return read_at(os.open(".", os.O_PATH), "secret")

    def by_proc():
        return open(f"/proc/self/fd/{directory}/../secret").read()

    def by_sub():
        sub = os.open("sub", os.O_PATH, dir_fd=directory)
        return read_at(sub, "../../secret")

    ways = [by_path(n) for n in ("../secret", "sub/../../secret", "link", "absolute",
                                 "../../../../../../../../../../../../etc/hostname")]
    return {name: outcome(way) for name, way in
            [("..", ways[0]), ("sub", ways[1]), ("link", ways[2]), ("fchdir", by_fchdir),
             ("proc", by_proc), ("O_PATH", by_sub)]}


def outcome(way):
    try:
        return way()
    except OSError as error:
        return errno.errorcode[error.errno]


def write_attacks(directory):
    file = os.open("f", os.O_RDONLY, dir_fd=directory)
    at = lambda function, *arguments: attempt(function, *arguments)
    return {
        "link out": at(lambda: os.link("f", "/tmp/fdbroker-test-linked", src_dir_fd=directory)),
        "open": at(lambda: os.open("f", os.O_WRONLY, dir_fd=directory)),
        "create": at(lambda: os.open("n", os.O_CREAT | os.O_WRONLY, dir_fd=directory)),
        "mkdir": at(lambda: os.mkdir("n", dir_fd=directory)),
        "unlink": at(lambda: os.unlink("f", dir_fd=directory)),
        "rename": at(lambda: os.rename("f", "n", src_dir_fd=directory, dst_dir_fd=directory)),
        "symlink": at(lambda: os.symlink("x", "n", dir_fd=directory)),
        "chmod": at(lambda: os.chmod("f", 0o777, dir_fd=directory)),
        "utime": at(lambda: os.utime("f", dir_fd=directory)),
        "reopen": at(os.open, f"/proc/self/fd/{file}", os.O_WRONLY),
        "reopen tree": at(os.open, f"/proc/self/fd/{directory}/f", os.O_WRONLY),
        "truncate": at(os.truncate, f"/proc/self/fd/{file}", 0),
        "link in": at(lambda: os.link(f"/proc/self/fd/{file}", "n", dst_dir_fd=directory)),
    }
