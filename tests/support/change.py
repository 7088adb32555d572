# SPDX-License-Identifier: MIT
"""The operations that change things, as they go over the wire, and a broker with one caller to ask for them."""
import os
import shutil
import stat
import struct
import subprocess

from broker import Broker, Client
from linux import as_user
from tap import Skip

OPEN, STAT, ACCESS, READLINK, LIST, TREE = 1, 3, 4, 5, 6, 7
MKDIR, RMDIR, UNLINK, RENAME, LINK, SYMLINK, CHMOD, UTIMENS = range(8, 16)
NOREPLACE, EXCHANGE, NOFOLLOW = 1, 2, 0x100
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
ME = 5001


def times(accessed, modified):
    """The extra bytes of UTIMENS; each is (seconds, nanoseconds)."""
    return struct.pack("=qIIqII", *accessed, 0, *modified, 0)


PAST = times((1000, 1), (2000, 999999999))


def bits(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def owner(path):
    found = os.lstat(path)
    return found.st_uid, found.st_gid


class Setting:
    """A broker with the rules for ME, and what ME is answered."""

    def __init__(self, place, *rules, **options):
        self.place = place
        self.broker = Broker(place, "subject a {\n user %d\n%s}\n" % (
            ME, "".join(f" {rule}\n" for rule in rules)), **options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()

    def session(self, function, gid=None):
        """function(client), as ME."""
        def run():
            with Client(self.broker.abstract) as client:
                return function(client)
        return as_user(ME, run, gid=gid)

    def all(self, *requests):
        """The answers to (operation, path, flags, mode, extra), as long as each is, one after the other."""
        def run(client):
            return [client.ask(*request[:4], **({"extra": os.fsencode(request[4])} if request[4:] else {}))
                    for request in requests]
        return self.session(run)

    def ask(self, *request):
        return self.all(request)[0]

    def rename(self, old, new, flags=0):
        return self.ask(RENAME, old, flags, 0, new)

    def link(self, old, new):
        return self.ask(LINK, old, 0, 0, new)

    def symlink(self, text, path):
        return self.ask(SYMLINK, path, 0, 0, text)

    def denial(self, path):
        """The last denial about that path in the record."""
        self.broker.wait_event("request")
        return [r for r in self.broker.events("request") if r["path"] == path][-1]


def thread_status(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/status") as file:
        return file.read()


def wait_traced(tracer, pid):
    while True:
        if tracer.poll() is not None:
            raise Skip(f"strace does not work here: {tracer.stderr.read().decode()}")
        threads = os.listdir(f"/proc/{pid}/task")
        if not any("TracerPid:\t0\n" in thread_status(pid, thread) for thread in threads):
            return


def delayed(s, call, meanwhile, request):
    """
    The answer to the request, where the worker takes a second and a half to return from its first such call in each
    thread.
    """
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                               "-e", f"inject={call}:delay_exit=1500000:when=1", "-p", str(s.broker.worker)],
                              stderr=subprocess.PIPE)
    try:
        wait_traced(tracer, s.broker.worker)
        pid = os.fork()
        if pid == 0:
            try:
                meanwhile()
            finally:
                os._exit(0)
        answer = s.ask(*request)
        os.waitpid(pid, 0)
        return answer
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()
