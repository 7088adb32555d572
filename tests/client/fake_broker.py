# SPDX-License-Identifier: MIT
"""A broker for tests of the tool: no policy, no privileges, one answer after another.

It opens whatever it is asked for as the test's own user; "/forbidden..." is EACCES. A list is of two
entries a page. It speaks the protocol from its documentation and shares no code with the real ones.
"""

import array
import ctypes
import errno
import os
import socket
import struct
import threading

REQUEST = struct.Struct("=HHIQIHH")
REPLY = struct.Struct("=HHIIIII")
LIST_HEAD = struct.Struct("=Q")
ENTRY = struct.Struct("=QBB6x")
OPEN, STATUS, STAT, ACCESS, READLINK, LIST, TREE = range(1, 8)
MKDIR, RMDIR, UNLINK, RENAME, LINK, SYMLINK, CHMOD, UTIMENS = range(8, 16)
TIMES = struct.Struct("=qIIqII")
RELOAD = 19


def statx(path, flags):
    status = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).statx(-100, path, flags, 0xfff, status) < 0:
        raise OSError(ctypes.get_errno(), "statx", path)
    return status.raw


def page(path, position):
    """Two entries; the types are told by DT_* = the mode's type bits >> 12."""
    names = sorted(os.listdir(path))
    data = b""
    for name in names[position:position + 2]:
        status = os.lstat(os.path.join(path, name))
        data += ENTRY.pack(status.st_ino, status.st_mode >> 12, len(name)) + name
    position += 2
    return LIST_HEAD.pack(position if position < len(names) else 0) + data


def change(operation, path, flags, mode, extra):
    """What an operation of those that change something does."""
    if operation == MKDIR:
        os.mkdir(path)
        os.chmod(path, mode)
    elif operation == RMDIR:
        os.rmdir(path)
    elif operation == UNLINK:
        os.unlink(path)
    elif operation == RENAME:
        if ctypes.CDLL(None, use_errno=True).renameat2(-100, path, -100, extra, flags) < 0:
            raise OSError(ctypes.get_errno(), "renameat2", path)
    elif operation == LINK:
        os.link(path, extra)
    elif operation == SYMLINK:
        os.symlink(extra, path)
    else:
        os.chmod(path, mode)


class FakeBroker:
    """Serves on `address` ("@NAME" or "/PATH") or on a given connected socket until it is stopped."""

    def __init__(self, address=None, connection=None, status=b""):
        self.status = status
        self.reload = 0, b""  # error, text
        self.requests = []
        self.listener = None
        if address:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.listener.bind("\0" + address[1:] if address[0] == "@" else address)
            self.listener.listen()
            target, arguments = self.accept, ()
        else:
            target, arguments = self.serve, (connection,)
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.listener:
            self.listener.close()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            while True:
                message = connection.recv(65536)
                if not message:
                    return
                self.answer(connection, message)

    def answer(self, connection, message):
        version, operation, number, flags, mode, path_length, extra_length = REQUEST.unpack_from(message)
        path, extra = message[REQUEST.size:][:path_length], message[REQUEST.size + path_length:]
        assert version == 1 and len(extra) == extra_length and len(path) == path_length
        self.requests.append((operation, flags, mode, path) + ((extra,) if extra else ()))
        error, descriptors, data = 0, [], b""
        try:
            if operation == STATUS:
                data = self.status
            elif operation == RELOAD:
                error, data = self.reload
            elif path.startswith(b"/forbidden"):
                error = errno.EACCES
            elif operation == STAT:
                data = statx(path, flags)
            elif operation == ACCESS:
                if not os.access(path, mode):
                    error = errno.EACCES
            elif operation == READLINK:
                data = os.readlink(path)
            elif operation == LIST:
                data = page(path, flags)
            elif operation == TREE:
                assert flags in (os.O_RDONLY, os.O_RDWR)
                descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
            elif operation == UTIMENS:
                TIMES.unpack(extra)  # the test looks at what was asked
            elif operation >= MKDIR:
                change(operation, path, flags, mode, extra)
            else:
                descriptors = [os.open(path, flags | os.O_CLOEXEC, mode)]
        except OSError as problem:
            error = problem.errno
        header = REPLY.pack(1, operation, number, error, len(descriptors), len(data), 0)
        control = []
        if descriptors:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        connection.sendmsg([header, data], control)
        for descriptor in descriptors:
            os.close(descriptor)
