# SPDX-License-Identifier: MIT
"""
File systems in user space, straight on /dev/fuse. One that folds case: a directory with the files "secret" and
"other" and the directory "sub", whatever the case of the letters they are asked for with; it serves in a thread until
it is unmounted. And one that hangs, as far as it is told to.
"""
import errno
import os
import select
import signal
import socket
import stat
import struct
import threading
import traceback

from linux import libc, mount, umount

LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, INIT, OPENDIR, RELEASEDIR = 1, 2, 3, 14, 15, 18, 26, 27, 29
FILES = {b"secret": (2, b"the secret\n"), b"other": (3, b"nothing\n"), b"sub": (4, None)}


def attributes(node):
    data = None if node == 1 else next(text for number, text in FILES.values() if number == node)
    mode = stat.S_IFDIR | 0o755 if data is None else stat.S_IFREG | 0o644
    data = data or b""
    return struct.pack("=QQQQQQIIIIIIIIII", node, len(data), 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation, node, body):
    if operation == INIT:
        return struct.pack("=IIIIHHIIHHIIHHIIIIII", 7, 31, 0, 0, 0, 0, 65536, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)[:64]
    if operation == LOOKUP:
        name = body.rstrip(b"\0").lower()
        if name not in FILES:
            return -errno.ENOENT
        number = FILES[name][0]
        return struct.pack("=QQQQII", number, 0, 0, 0, 0, 0) + attributes(number)
    if operation == GETATTR:
        return struct.pack("=QII", 0, 0, 0) + attributes(node)
    if operation in (OPEN, OPENDIR):
        return struct.pack("=QII", 0, 0, 0)
    if operation == READ:
        offset, size = struct.unpack_from("=8xQI", body)
        return next(text for number, text in FILES.values() if number == node)[offset:offset + size]
    if operation in (RELEASE, RELEASEDIR):
        return b""
    return -errno.ENOSYS


def serve(device):
    while True:
        try:
            request = os.read(device, 1 << 18)
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
            os.close(device)
            return
        _, operation, unique, node = struct.unpack_from("=IIQQ", request)
        if operation == FORGET:
            continue
        data = answer(operation, node, request[40:])
        error, data = (data, b"") if isinstance(data, int) else (0, data)
        os.write(device, struct.pack("=IiQ", 16 + len(data), error, unique) + data)


def mount_folding(directory):
    device = os.open("/dev/fuse", os.O_RDWR)
    mount("fuse", directory, "fuse", 0, f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other")
    threading.Thread(target=serve, args=[device], daemon=True).start()


# ---- one that can be made to hang ---------------------------------------------------------------------------------

STATFS, FLUSH, READDIR, READDIRPLUS = 17, 25, 28, 44
OPERATIONS = {"lookup": LOOKUP, "getattr": GETATTR, "open": OPEN, "read": READ, "statfs": STATFS, "flush": FLUSH,
              "opendir": OPENDIR, "readdir": READDIR, "release": RELEASE}


class Tree:
    """
    A directory of what is in `files`, by name: bytes, or None for a directory, which has the same in it, as often as
    one likes: "sub/sub/file".
    """

    def __init__(self, files):
        self.names = {name.encode(): data for name, data in files.items()}
        self.nodes = {1: None}
        self.numbers = {}

    def number(self, parent, name):
        number = self.numbers.setdefault((parent, name), len(self.numbers) + 2)
        self.nodes[number] = self.names[name]
        return number

    def attributes(self, node):
        data = self.nodes[node]
        mode = stat.S_IFDIR | 0o755 if data is None else stat.S_IFREG | 0o755
        return struct.pack("=QQQQQQIIIIIIIIII", node, len(data or b""), 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def answer(self, operation, node, body):
        if operation == LOOKUP:
            name = body.rstrip(b"\0")
            if name not in self.names:
                return -errno.ENOENT
            number = self.number(node, name)
            return struct.pack("=QQQQII", number, 0, 0, 0, 0, 0) + self.attributes(number)
        if operation == GETATTR:
            return struct.pack("=QII", 0, 0, 0) + self.attributes(node)
        if operation == STATFS:
            return struct.pack("=QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0)
        if operation == READ:
            offset, size = struct.unpack_from("=8xQI", body)
            return self.nodes[node][offset:offset + size]
        if operation == READDIR:
            offset, = struct.unpack_from("=8xQ", body)
            entries = [(number, name) for number, name in enumerate(self.names, 1) if number > offset]
            return b"".join(struct.pack("=QQII", 9, number, len(name), 0) + name + bytes(-len(name) % 8)
                            for number, name in entries)
        if operation == FLUSH:
            return b""
        return answer(operation, node, body)


def serve_hanging(device, control, tree):
    """Until the other end of `control` is closed: what it says is which operations are not answered."""
    kept, hanging = [], set()
    os.set_blocking(device, False)

    def reply(unique, data):
        error, data = (data, b"") if isinstance(data, int) else (0, data)
        try:
            os.write(device, struct.pack("=IiQ", 16 + len(data), error, unique) + data)
        except OSError:
            pass  # who asked does not wait any more

    while True:
        ready = select.select([device, control], [], [])[0]
        if control in ready:
            text = os.read(control.fileno(), 4096).decode()
            if not text:
                return
            if text != "?":
                hanging = {OPERATIONS[name] for name in text.split()}
                for operation, unique, node, body in [k for k in kept if k[0] not in hanging]:
                    reply(unique, tree.answer(operation, node, body))
                kept = [k for k in kept if k[0] in hanging]
            control.send(str(len(kept)).encode())
        if device not in ready:
            continue
        try:
            request = os.read(device, 1 << 18)
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno in (errno.EINTR, errno.ENOENT):
                continue
            return
        _, operation, unique, node = struct.unpack_from("=IIQQ", request)
        # FORGET, INTERRUPT and BATCH_FORGET have no answer; what is interrupted goes on hanging.
        if operation in (FORGET, 36, 42):
            continue
        if operation in hanging:
            kept.append((operation, unique, node, request[40:]))
        else:
            reply(unique, tree.answer(operation, node, request[40:]))


class Hanging:
    """
    Mounts such a tree on `directory`. hang("open", "lookup") from then on leaves these without an answer, until
    release() gives it. However it ends, it leaves nobody hanging: without its process the kernel answers.
    """

    def __init__(self, directory, **files):
        self.directory = directory
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        mount("fuse", directory, "fuse", 0,
              f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other")
        self.control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.control.close()
                libc.prctl(1, signal.SIGKILL, 0, 0, 0)
                serve_hanging(self.device, other, Tree({**files, "sub": None}))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(self.device)
        other.close()

    def say(self, text):
        self.control.send(text.encode())
        return int(self.control.recv(100))

    def hang(self, *operations):
        return self.say(" ".join(operations) or " ")

    def release(self):
        self.hang()

    def pending(self):
        """How many requests wait for their answer."""
        return self.say("?")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.control.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        umount(self.directory)
