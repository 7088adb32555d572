# SPDX-License-Identifier: MIT
"""
What is held names its file by a handle (name_to_handle_at(2)), and by a handle a file can be opened through another
mount of the same file system, which is writable. That takes CAP_DAC_READ_SEARCH where the file system belongs, or, since
Linux 6.11 and for directories alone, power over the mount that is given and over all directories from its root down to
the one that is opened. A view is a mount in no namespace: nobody has power over it.

These tests fail where the holder gets the capability along with the descriptor, as the last one shows, or a mount
that is his: so the directories are the holder's own here, beneath one that he may not enter.
"""
import ctypes
import os

from broker import Broker, Client, Place
from linux import (AT_EMPTY_PATH, CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, as_user, enter_user_namespace,
                   have_user_namespaces, in_child, libc, mount, result, unshare)
from tap import Skip, check, equal, main

HOLDER = 5001
TREE = 7


class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


def handle_of(descriptor):
    handle, mount_id = Handle(bytes=128), ctypes.c_int()
    result(libc.name_to_handle_at(descriptor, b"", ctypes.byref(handle), ctypes.byref(mount_id), AT_EMPTY_PATH))
    return handle


def open_handle(mounted, handle, flags):
    return result(libc.open_by_handle_at(mounted, ctypes.byref(handle), flags | os.O_CLOEXEC))


def overwrite(file):
    os.write(file, b"overwritten\n")


def overwrite_beneath(directory):
    overwrite(os.open("f", os.O_WRONLY, dir_fd=directory))


def attack(held, roots):
    """{way: what came of it}: every handle that can be had, through every mount of the file system."""
    got = {}
    for name, descriptor in held.items():
        handle = handle_of(descriptor)
        ways = [(os.O_RDWR, overwrite), (os.O_WRONLY | os.O_APPEND, overwrite)] if name == "file" else [
            (os.O_RDONLY | os.O_DIRECTORY, overwrite_beneath), (os.O_PATH | os.O_DIRECTORY, overwrite_beneath)]
        for root, at in roots.items():
            for flags, write in ways:
                try:
                    write(open_handle(at, handle, flags))
                    got[name, root, flags] = "OK"
                except OSError as error:
                    got[name, root, flags] = error.errno
    return got


def hold(uid, as_root_of_a_namespace=False, tmpfs=False):
    """What `uid` makes of a file and a tree that it was given, and what is then in the file."""
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        if tmpfs:
            mount("tmpfs", place.path, "tmpfs", 0, "mode=755")
        place.directory("closed", 0o700)
        tree = place.directory("closed/tree", owner=HOLDER)
        place.directory("closed/tree/sub", owner=HOLDER)
        path = place.file("closed/tree/f", "original\n", 0o666)
        place.file("closed/tree/sub/f", "original\n", 0o666)
        place.directory("own", owner=HOLDER)
        policy = f"subject a {{\n user {HOLDER} 0\n allow read {tree}/*\n allow tree {tree}\n}}\n"

        def holder():
            with Client(broker.abstract) as client:
                held = {"file": client.open(path)}
                client.send(TREE, tree)
                held["tree"] = client.receive()[3][0]
            held["sub"] = os.open("sub", os.O_RDONLY | os.O_DIRECTORY, dir_fd=held["tree"])
            roots = {name: held[name] for name in ("file", "tree", "sub")}
            roots["beside"] = os.open(place.path, os.O_RDONLY)
            if as_root_of_a_namespace:
                enter_user_namespace(CLONE_NEWNS)
                mount(place.path, place.name("own"), None, MS_BIND | MS_REC)
                roots["own"] = os.open(place.name("own"), os.O_RDONLY)
                roots["own copy"] = os.open(place.path, os.O_RDONLY)
            return attack(held, roots)
        with Broker(place, policy) as broker:
            got = as_user(uid, holder)
        texts = set()
        for name in (path, f"{tree}/sub/f"):
            with open(name) as file:
                texts.add(file.read())
        return got, texts
    with Place() as place:
        return in_child(run, place)


def nothing_came_of_it(got, texts):
    check("OK" not in got.values(), got)
    equal(texts, {"original\n"})


def test_handles_of_another_user():
    for tmpfs in (False, True):
        nothing_came_of_it(*hold(HOLDER, tmpfs=tmpfs))


def test_handles_of_root_of_a_namespace():
    if not have_user_namespaces():
        raise Skip("no unprivileged user namespaces")
    for tmpfs in (False, True):
        nothing_came_of_it(*hold(HOLDER, as_root_of_a_namespace=True, tmpfs=tmpfs))


def test_handles_open_what_is_held_with_the_capability():
    for tmpfs in (False, True):
        got, texts = hold(0, tmpfs=tmpfs)
        for name, flags in (("file", os.O_RDWR), ("tree", os.O_RDONLY | os.O_DIRECTORY)):
            equal(got[name, "beside", flags], "OK", got)
        check("overwritten\n" in texts, "the attack is worth nothing", texts)
        # But not even with it through what is held: that is read-only.
        check(all(answer != "OK" for (_, root, _), answer in got.items() if root != "beside"), got)


main(globals())
