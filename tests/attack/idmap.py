# SPDX-License-Identifier: MIT
"""Trees whose ids are mapped: whose files they show, to whom, and what is not handed out where they cannot be."""
import ctypes
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from broker import Client
from held import HOLDER, TREE, Held, escapes, outcome, read_at, write_attacks
from linux import (AT_EMPTY_PATH, AT_FDCWD, CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC, SYS_MOUNT_SETATTR, as_user,
                   can_idmap, in_child, libc, mount, move_mount, open_tree, result, umount, unshare)
from tap import Skip, check, equal, main


def skip_unless_idmapped(held):
    if not can_idmap(held.tree):
        raise Skip("the file system here cannot be idmapped")


def test_idmap():
    with Held(modifiers="idmap 0 caller") as held:
        skip_unless_idmapped(held)
        equal(held.run(lambda d: read_at(d, "private")), "private\n")
        equal(held.run(lambda d: os.stat("private", dir_fd=d).st_uid), HOLDER)
        got = held.run(write_attacks)
        check("OK" not in got.values(), got)
        check("secret\n" not in held.run(escapes).values())
        # Twice, and after the directory was replaced.
        os.rename(held.tree, held.place.name("old"))
        os.rename(held.place.name("old"), held.tree)
        equal(held.run(lambda d: read_at(d, "private")), "private\n")


def test_idmap_for_one_caller_after_another():
    other = HOLDER + 1
    with Held(modifiers="idmap 0 caller", users=f"{HOLDER} {other}") as held:
        skip_unless_idmapped(held)
        for uid in (HOLDER, other, HOLDER, HOLDER, other):
            equal(held.run(lambda d: os.stat("private", dir_fd=d).st_uid, uid=uid), uid)
            equal(held.run(lambda d: read_at(d, "private"), uid=uid), "private\n")


def test_idmap_for_many_callers_at_once():
    callers = range(HOLDER, HOLDER + 4)
    with Held(modifiers="idmap 0 caller", users=" ".join(map(str, callers))) as held:
        skip_unless_idmapped(held)

        def ask():
            with Client(held.broker.abstract) as client:
                return {client.ask(TREE, held.tree) for _ in range(50)}
        with ThreadPoolExecutor() as pool:
            equal(list(pool.map(lambda uid: as_user(uid, ask), callers)), [{"OK"}] * len(callers))


def test_a_worker_that_lies_about_whom_a_tree_is_for():
    """Whose files those of a fixed map are is settled when the policy is read, not when a tree is asked for."""
    with Held(modifiers="idmap 0 100000 65536", program=os.environ["FDBROKERD_LYING"]) as held:
        skip_unless_idmapped(held)
        # Now it has to be made anew, when clients can have made the worker say anything.
        os.rename(held.tree, held.place.name("old"))
        os.rename(held.place.name("old"), held.tree)
        equal(held.run(lambda d: os.stat("private", dir_fd=d).st_uid), 100000)
        equal(held.run(lambda d: outcome(lambda: read_at(d, "private"))), "EACCES")
    # Of a map for the caller it could lie: there nobody but the worker knows who asks.
    with Held(modifiers="idmap 0 caller", program=os.environ["FDBROKERD_LYING"], users=f"{HOLDER} 5002") as held:
        equal(held.run(lambda d: os.stat("private", dir_fd=d).st_uid, uid=5002), HOLDER, "it does not lie")


def test_idmap_of_a_range():
    with Held(modifiers="idmap 0 100000 65536") as held:
        skip_unless_idmapped(held)
        equal(held.run(lambda d: os.stat("private", dir_fd=d).st_uid), 100000)
        equal(held.run(lambda d: outcome(lambda: read_at(d, "private"))), "EACCES")


def mount_with_other_ids(source, target):
    """A mount of `source` whose ids are mapped already: mount_setattr(2) maps no mount twice, and says EPERM."""
    pid = os.fork()
    if pid == 0:
        unshare(CLONE_NEWUSER)
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(pid, os.WUNTRACED)
    for kind in ("uid", "gid"):
        with open(f"/proc/{pid}/{kind}_map", "w") as file:
            file.write("0 200000 65536")
    namespace = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    tree = open_tree(AT_FDCWD, source, 0x80001)
    attr = (ctypes.c_uint64 * 4)(0x100000, 0, 0, namespace)
    result(libc.syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attr, ctypes.sizeof(attr)))
    result(move_mount(tree, target))
    os.close(tree)
    os.close(namespace)


def test_what_cannot_be_mapped_is_not_handed_out_as_it_is():
    """The directory itself would let its holder walk out of it, and write."""
    def run(modifiers):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        with Held(modifiers=modifiers) as held:
            if not can_idmap(held.tree):
                return "skip"
            mount_with_other_ids(held.place.directory("elsewhere"), held.place.directory("tree/mapped"))
            time.sleep(0.2)
            try:
                got = [held.run(escapes) for _ in range(2)]
            finally:
                umount(held.place.name("tree/mapped"))
            time.sleep(0.2)
            # Nor is it a reason to serve no trees at all from then on.
            return got, held.run(lambda d: os.stat("private", dir_fd=d).st_uid)
    for modifiers, owner in (("idmap 0 caller", HOLDER), ("idmap 0 100000 65536", 100000)):
        got = in_child(run, modifiers)
        if got == "skip":
            raise Skip("the file system here cannot be idmapped")
        equal(got, (["EINVAL", "EINVAL"], owner))


main(globals())
