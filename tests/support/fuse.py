# SPDX-License-Identifier: MIT
"""
A file system in user space that folds case, straight on /dev/fuse: a directory with the files "secret" and
"other" and the directory "sub", whatever the case of the letters they are asked for with. Serves in a thread until it is unmounted.
"""
import errno
import os
import stat
import struct
import threading

from linux import mount

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
