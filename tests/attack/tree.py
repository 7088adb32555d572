# SPDX-License-Identifier: MIT
"""
What the holder of a tree can make of it: everything that ends outside, or writes where only reading was
granted. Against a broker without views the same attacks must succeed, else they prove nothing.
"""
import ctypes
import errno
import os
import shutil
import socket
import threading
import time

from broker import Broker, Client, Place, attempt, homes, makers
from held import HOLDER, TREE, Held, escapes, outcome, read_at, write_attacks
from linux import (AT_EMPTY_PATH, CLONE_NEWNS, MOUNT_ATTR_RDONLY, as_user, can_attach, enter_user_namespace,
                   have_user_namespaces, in_child, libc, mount, mount_setattr, move_mount, open_tree, result, umount,
                   unshare)
from tap import Skip, check, equal, main

NO_VIEW = os.environ["FDBROKERD_PLAIN"]


def test_reading_beneath_takes_no_broker():
    with Held() as held:
        equal(held.run(lambda d: read_at(d, "f")), "original\n")
        equal(held.run(lambda d: read_at(d, "sub/g")), "g\n")
        # With its own permissions: what is root's alone stays so.
        equal(held.run(lambda d: outcome(lambda: read_at(d, "private"))), "EACCES")
        equal(sorted(held.run(lambda d: os.listdir(d))),
              ["absolute", "cat", "f", "link", "null", "private", "sub"])


def test_there_is_no_way_out():
    with Held() as held:
        equal(held.is_attached(), can_attach(), "the views are not attached")
        got = held.run(escapes)
        check("secret\n" not in got.values(), got)


def skip_unless_attached():
    if not can_attach():
        raise Skip("no mount namespace can be emptied here: views are dissolved")


def what_lies_above(program):
    """What the holder of a tree finds by `..`, where other views were made before and after."""
    with Place() as place:
        names = [f"tree{i}" for i in range(4)]
        for name in names:
            place.file(f"{name}/{name}-file", name)
        rules = "".join(f" allow tree {place.name(name)}\n" for name in names)
        with Broker(place, f"subject a {{\n user {HOLDER}\n{rules}}}\n", program=program) as broker:
            def run():
                found = set()
                with Client(broker.abstract) as client:
                    for name in names:
                        client.send(TREE, place.name(name))
                        d = client.receive()[3][0]
                        for way in ("..", "../..", f"../{name}"):
                            try:
                                found.update(f for f in os.listdir(os.open(way, os.O_RDONLY, dir_fd=d))
                                             if not f.startswith(name))
                            except FileNotFoundError:
                                pass
                        os.fchdir(d)
                        os.chdir("..")
                        found.update(f for f in os.listdir(".") if not f.startswith(name))
                return found
            return as_user(HOLDER, run)


def test_no_tree_leads_into_another():
    skip_unless_attached()
    equal(what_lies_above(None), set())
    check(what_lies_above(os.environ["FDBROKERD_STACKED"]), "the attack is worth nothing")


def tasks_in(namespaces):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                if os.readlink(f"/proc/{pid}/task/{task}/ns/mnt") in namespaces:
                    found.append(task)
        except OSError:
            pass  # it ended
    return found


def test_nobody_is_where_the_views_are():
    skip_unless_attached()
    with Held("tree,write-tree", more=" allow read /etc/*\n") as held:
        count = len(homes(held.broker))
        check(count >= 3 and held.is_attached(), count)
        for _ in range(20):
            os.rename(held.tree, held.place.name("old"))
            os.rename(held.place.name("old"), held.tree)
            held.run(lambda d: None)
            namespaces = set(homes(held.broker))
            equal((len(namespaces), tasks_in(namespaces)), (count, []))
        # They are told apart from where the maker's own threads are, in one namespace more than it was started in.
        own = {os.readlink(f"/proc/{pid}/task/{task}/ns/mnt") for pid in makers(held.broker)
               for task in os.listdir(f"/proc/{pid}/task")}
        equal(len(own), 2)
        check(tasks_in(own))


def test_the_ways_out_are_ways_out_where_there_is_no_view():
    with Held(program=NO_VIEW) as held:
        got = held.run(escapes)
        for name in ("..", "sub", "link", "fchdir", "proc", "O_PATH"):
            equal(got[name], "secret\n", name)


def test_moving_things_while_they_are_held():
    with Held() as held:
        mine, theirs = socket.socketpair()

        def run():
            with Client(held.broker.abstract) as client:
                client.send(TREE, held.tree, 0)
                d = client.receive()[3][0]
                sub = os.open("sub", os.O_RDONLY, dir_fd=d)
                theirs.send(b"x")
                mine_said = theirs.recv(1)
                equal(mine_said, b"m")
                return [outcome(lambda: read_at(f, name)) for f, name in (
                    (sub, "../secret"), (sub, "../../secret"), (d, "../secret"), (d, "../../secret"),
                    (sub, "../tree/f"))]

        def mover():
            mine.recv(1)
            # The held directory leaves the tree, and the tree its place.
            os.rename(f"{held.tree}/sub", held.place.name("out"))
            os.mkdir(held.place.name("elsewhere"))
            os.rename(held.tree, held.place.name("elsewhere/tree"))
            mine.send(b"m")
        thread = threading.Thread(target=mover)
        thread.start()
        got = as_user(HOLDER, run)
        thread.join()
        check("secret\n" not in got, got)


def hold_removed(program=None):
    """What can be read from directories that are removed while they are held."""
    with Held(program=program) as held:
        held.place.directory("tree/gone")
        mine, theirs = socket.socketpair()

        def run(d):
            held_ones = [os.open(name, os.O_RDONLY, dir_fd=d) for name in ("gone", "sub")] + [d]
            theirs.send(b"x")
            equal(theirs.recv(1), b"r")
            return {outcome(lambda: read_at(f, name)) for f in held_ones
                    for name in ("../secret", "../../secret", "../f", "../tree/f")}

        def remover():
            mine.recv(1)
            os.rmdir(f"{held.tree}/gone")
            shutil.rmtree(held.tree)
            mine.send(b"r")
        thread = threading.Thread(target=remover)
        thread.start()
        got = held.run(run)
        thread.join()
        return got


def test_directories_that_are_removed_while_they_are_held():
    equal(hold_removed(), {"ENOENT"})
    check("secret\n" in hold_removed(NO_VIEW), "the attack is worth nothing")


def change_propagation(directory, kind):
    mount(None, f"/proc/self/fd/{directory}", None, kind)


def namespace_attacks(directory):
    if os.geteuid():
        enter_user_namespace(CLONE_NEWNS)
    base = "/tmp/fdbroker-test-overlay"
    mount("tmpfs", base, "tmpfs")
    group = lambda source, target: result(libc.syscall(429, source, b"", target, b"", 0x144))  # MOVE_MOUNT_SET_GROUP
    own = os.open(base, os.O_PATH)
    got = {
        "shared": attempt(change_propagation, directory, 1 << 20),
        "slave": attempt(change_propagation, directory, 1 << 19),
        "unbindable": attempt(change_propagation, directory, 1 << 17),
        "take its group": attempt(group, directory, own),
        "give it a group": attempt(group, own, directory),
        "mount over it": attempt(mount, "tmpfs", f"/proc/self/fd/{directory}", "tmpfs"),
        "mount beneath it": attempt(mount, "tmpfs", f"/proc/self/fd/{directory}/sub", "tmpfs"),
        "mount_setattr": attempt(mount_setattr, directory, "", 0, MOUNT_ATTR_RDONLY),
        "recursive": attempt(lambda: result(libc.syscall(
            442, directory, b"", AT_EMPTY_PATH | 0x8000, (ctypes.c_uint64 * 4)(0, 1, 0, 0), 32))),
        "open_tree": attempt(open_tree, directory, "", AT_EMPTY_PATH | 1),
        "open_tree recursive": attempt(open_tree, directory, "", AT_EMPTY_PATH | 0x8001),
        "move_mount": attempt(move_mount, directory, "/mnt"),
        "bind": attempt(mount, f"/proc/self/fd/{directory}", "/mnt", None, 4096),
        "bind recursive": attempt(mount, f"/proc/self/fd/{directory}", "/mnt", None, 4096 | 16384),
        "remount": attempt(mount, None, f"/proc/self/fd/{directory}", None, 4096 | 32),
        "umount": attempt(lambda: result(libc.umount2(f"/proc/self/fd/{directory}".encode(), 2))),
    }
    for name in ("upper", "work", "lower"):
        os.mkdir(f"{base}/{name}")
    got["overlay upper"] = attempt(
        mount, "overlay", "/mnt", "overlay", 0,
        f"lowerdir={base}/lower,upperdir=/proc/self/fd/{directory},workdir={base}/work")
    got["overlay lower"] = attempt(
        mount, "overlay", "/mnt", "overlay", 0,
        f"lowerdir=/proc/self/fd/{directory},upperdir={base}/upper,workdir={base}/work")
    os.fchdir(directory)
    got["chroot"] = attempt(os.chroot, ".")
    got["chroot .."] = outcome(lambda: open("/../secret").read())
    # Out of a root by a directory that lies outside of it.
    os.fchdir(directory)
    attempt(os.chroot, "sub")
    for _ in range(10):
        os.chdir("..")
    got["chroot out of it"] = outcome(lambda: open("secret").read())
    got["chroot to tmp"] = outcome(lambda: open("tmp/fdbroker-test-overlay").read())
    os.fchdir(directory)
    got["pivot_root"] = attempt(lambda: result(libc.syscall(155, b".", b".")))
    got["write"] = attempt(lambda: os.open("f", os.O_WRONLY, dir_fd=directory))
    return got


def test_root_of_a_namespace():
    if not have_user_namespaces():
        raise Skip("no unprivileged user namespaces")
    os.makedirs("/tmp/fdbroker-test-overlay", exist_ok=True)
    os.chmod("/tmp/fdbroker-test-overlay", 0o777)
    try:
        for early in (False, True):
            with Held() as held:
                equal(held.is_attached(), can_attach())
                got = held.run(namespace_attacks, early=early)
                # Entering it as a root is no harm: nothing lies above.
                equal(got.pop("chroot"), "OK")
                check("OK" not in got.values() and "secret\n" not in got.values(), got)
                equal((got["mount_setattr"], got["recursive"]), ("EINVAL", "EINVAL"))
                equal(got["chroot to tmp"], "ENOENT")
                equal(got["write"], "EROFS")
                equal(held.text("tree/f"), "original\n")
                equal(held.is_attached(), can_attach())
    finally:
        os.rmdir("/tmp/fdbroker-test-overlay")


def test_writing_through_a_read_only_one():
    with Held() as held:
        got = held.run(write_attacks)
        check("OK" not in got.values(), got)
        equal(got["open"], "EROFS")
        equal(held.text("tree/f"), "original\n")
        equal(held.run(lambda d: None, os.O_RDWR), "EACCES")


def test_writing_through_a_write_tree():
    with Held("tree,write-tree") as held:
        got = held.run(write_attacks, os.O_RDWR)
        equal((got["open"], got["create"], got["unlink"]), ("OK", "OK", "OK"))
        equal(got["link out"], "EXDEV")
        check("secret\n" not in held.run(escapes, os.O_RDWR).values())
        # The read-only one beside it stays what it is.
        equal(held.run(lambda d: attempt(lambda: os.open("n2", os.O_CREAT | os.O_WRONLY, dir_fd=d))), "EROFS")


def test_devices_and_set_uid_programs():
    with Held() as held:
        def holder(d):
            null = attempt(lambda: os.open("null", os.O_RDONLY, dir_fd=d))
            pid = os.fork()
            if pid == 0:
                try:
                    os.execve(os.open("cat", os.O_RDONLY, dir_fd=d), ["cat"], {})
                except OSError as error:
                    os._exit(error.errno)
            return null, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        equal(held.run(holder), ("EACCES", errno.EACCES))
    with Held(modifiers="exec") as held:
        def euid(d):
            """What a set-uid copy of cat that runs from the tree may read."""
            mine, theirs = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.dup2(theirs, 1)
                os.dup2(theirs, 2)
                os.execve(os.open("cat", os.O_RDONLY, dir_fd=d), ["cat", "/proc/self/status"], {})
            os.waitpid(pid, 0)
            return [l for l in os.read(mine, 65536).decode().splitlines() if l.startswith("Uid:")]
        equal(held.run(euid), [f"Uid:\t{HOLDER}\t{HOLDER}\t{HOLDER}\t{HOLDER}"])


def test_mounts_beneath_are_there_and_as_safe():
    def run():
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        with Held() as held:
            os.mkdir(f"{held.tree}/m")
            mount("tmpfs", f"{held.tree}/m", "tmpfs")
            with open(f"{held.tree}/m/f", "w") as file:
                file.write("mounted")
            os.chmod(f"{held.tree}/m/f", 0o666)
            time.sleep(0.1)
            got = held.run(lambda d: (read_at(d, "m/f"), attempt(
                lambda: os.open("m/f", os.O_WRONLY, dir_fd=d))))
            result(libc.umount2(f"{held.tree}/m".encode(), 2))
            return got
    equal(in_child(run), ("mounted", "EROFS"))


def hold_over_a_mount(renew):
    """What the holder of a tree sees of what a mount beneath it hides, after renew(held) had the view made anew."""
    def run():
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        with Held() as held:
            held.place.file("tree/m/hidden", "secret\n", 0o644)
            mount("tmpfs", f"{held.tree}/m", "tmpfs")
            os.chmod(f"{held.tree}/m", 0o755)
            held.place.file("tree/m/f", "mounted\n", 0o644)
            time.sleep(0.1)
            mine, theirs = socket.socketpair()

            def holder(d):
                before = outcome(lambda: read_at(d, "m/hidden")), outcome(lambda: read_at(d, "m/f"))
                theirs.send(b"x")
                theirs.recv(1)
                return before, (outcome(lambda: read_at(d, "m/hidden")), outcome(lambda: read_at(d, "m/f")))

            def other():
                mine.recv(1)
                renew(held)
                mine.send(b"r")
            thread = threading.Thread(target=other)
            thread.start()
            got = held.run(holder)
            thread.join()
            umount(f"{held.tree}/m")
            return got
    return in_child(run)


def rename_and_ask(held):
    os.rename(held.tree, held.place.name("old"))
    os.rename(held.place.name("old"), held.tree)
    equal(held.run(lambda d: read_at(d, "f")), "original\n")


def test_what_a_mount_hides_stays_hidden_from_who_holds_an_old_tree():
    for renew in (rename_and_ask, lambda held: held.broker.stop()):
        equal(hold_over_a_mount(renew), (("ENOENT", "mounted\n"),) * 2)


def test_an_old_tree_is_as_safe_as_a_new_one():
    with Held() as held:
        mine, theirs = socket.socketpair()

        def holder(d):
            theirs.send(b"x")
            theirs.recv(1)
            got = {**escapes(d), **write_attacks(d)}
            enter_user_namespace(CLONE_NEWNS)
            got["mount_setattr"] = attempt(mount_setattr, d, "", 0, MOUNT_ATTR_RDONLY)
            got["bind"] = attempt(mount, f"/proc/self/fd/{d}", "/mnt", None, 4096)
            return got

        def other():
            mine.recv(1)
            rename_and_ask(held)
            mine.send(b"r")
        thread = threading.Thread(target=other)
        thread.start()
        got = held.run(holder)
        thread.join()
        check("secret\n" not in got.values() and "OK" not in got.values(), got)
        equal((got["mount_setattr"], got["open"]), ("EINVAL", "EROFS"))


def test_each_holder_has_a_position_of_its_own():
    with Held() as held:
        equal(held.run(lambda d: len(os.listdir(d))), 7)
        equal(held.run(lambda d: len(os.listdir(d))), 7)


def test_what_is_no_tree():
    with Held() as held:
        def ask(path, flags=0, mode=0):
            def run():
                with Client(held.broker.abstract) as client:
                    return client.ask(TREE, path, flags, mode)
            return as_user(HOLDER, run)
        for path in (f"{held.tree}/sub", held.place.path, "/", f"{held.tree}x"):
            equal(ask(path), "EACCES", path)
        equal(ask(held.tree, os.O_WRONLY), "EINVAL")
        equal(ask(held.tree, os.O_CREAT), "EINVAL")
        equal(ask(held.tree, 0, 0o600), "EINVAL")
        equal(ask(held.tree, 0), "OK")
        shutil.rmtree(held.tree)
        equal(ask(held.tree, 0), "ENOENT")


def test_a_deny_of_anothers_subject_beneath_it():
    with Place() as place:
        place.directory("tree")
        text = (f"subject a {{\n user {HOLDER}\n allow tree {place.name('tree')}\n}}\n"
                f"subject b {{\n user *\n deny read {place.name('tree')}/x\n}}\n")
        with Broker(place, text) as broker:
            def run():
                with Client(broker.abstract) as client:
                    return client.ask(TREE, place.name("tree"))
            equal(as_user(HOLDER, run), "EACCES")


main(globals())
