# SPDX-License-Identifier: MIT
"""System calls and constants that Python 3.11 does not have, and running code as somebody else."""
import ctypes
import os
import pickle
import signal
import sys

libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
MOUNT_ATTR_RDONLY = 1
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
PR_SET_DUMPABLE = 4


def result(value):
    if value < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return value


def unshare(flags):
    return result(libc.unshare(ctypes.c_int(flags)))


def mount(source, target, kind, flags=0, data=None):
    encode = lambda s: None if s is None else os.fsencode(s)
    return result(libc.mount(encode(source), encode(target), encode(kind),
                             ctypes.c_ulong(flags), encode(data)))


def umount(target):
    return result(libc.umount2(os.fsencode(target), 2))


def mount_setattr(descriptor, path="", attr_set=0, attr_clr=0):
    attr = (ctypes.c_uint64 * 4)(attr_set, attr_clr, 0, 0)
    return result(libc.syscall(SYS_MOUNT_SETATTR, descriptor, os.fsencode(path),
                               AT_EMPTY_PATH if not path else 0, attr, ctypes.sizeof(attr)))


def open_tree(descriptor, path, flags):
    return result(libc.syscall(SYS_OPEN_TREE, descriptor, os.fsencode(path), flags))


def move_mount(descriptor, target):
    return result(libc.syscall(SYS_MOVE_MOUNT, descriptor, b"", AT_FDCWD, os.fsencode(target), 4))


def can_idmap(directory):
    """Whether the file systems of the directory can be mounted with other ids (MOUNT_ATTR_IDMAP), as root."""
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        unshare(CLONE_NEWUSER)
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    for kind in ("uid", "gid"):
        with open(f"/proc/{pid}/{kind}_map", "w") as file:
            file.write("0 100000 1")
    namespace = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    os.write(done[1], b"x")
    os.waitpid(pid, 0)
    tree = open_tree(AT_FDCWD, directory, 0x80001)  # OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC
    attr = (ctypes.c_uint64 * 4)(0x100000, 0, 0, namespace)
    failed = libc.syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attr, ctypes.sizeof(attr))
    for descriptor in (tree, namespace, *ready, *done):
        os.close(descriptor)
    return not failed


def can_attach():
    """Whether views can stay attached: whether a mount namespace can be emptied, which takes a root that is a mount."""
    def attempt():
        unshare(CLONE_NEWNS)
        mount(None, "/", None, MS_REC | 1 << 19)
        return True
    try:
        return in_child(attempt)
    except OSError:
        return False


def link_descriptor(descriptor, target):
    """Gives what is open another name; os.link() would link the link of procfs itself."""
    return result(libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % descriptor, AT_FDCWD, os.fsencode(target), 0x400))


def become(uid, gid=None, groups=()):
    gid = uid if gid is None else gid
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    # Changing the uid has made the process undumpable, and its /proc/self root's.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def enter_user_namespace(flags=0):
    """Makes this process root of a user namespace of its own, and of others (CLONE_NEW*)."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | flags)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def have_user_namespaces():
    def attempt():
        become(5009)
        enter_user_namespace()
        return True
    try:
        return in_child(attempt)
    except OSError:
        return False


def in_child(function, *arguments, timeout=30):
    """Runs function(*arguments) in a forked child; returns what it returns, raises what it raises."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.alarm(timeout)
        try:
            answer = (True, function(*arguments))
        except BaseException as error:
            answer = (False, error)
        try:
            data = pickle.dumps(answer)
        except Exception:
            data = pickle.dumps((False, RuntimeError(repr(answer[1]))))
        with os.fdopen(writer, "wb") as file:
            file.write(data)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    status = os.waitpid(pid, 0)[1]
    if not data:
        raise RuntimeError(f"the child ended with wait status {status}")
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value


def as_user(uid, function, *arguments, gid=None, groups=(), **options):
    def run():
        become(uid, gid, groups)
        return function(*arguments)
    return in_child(run, **options)
