# SPDX-License-Identifier: MIT
"""
What the holder of a read-only descriptor can make of it. The attacks run against the broker and against
some that are broken on purpose: without views, with views that are not dissolved. Against those they must
succeed, else they prove nothing.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import stat
import subprocess
import time

from broker import Broker, Client, Place, ask, attempt, homes
from linux import (AT_EMPTY_PATH, CLONE_NEWNS, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_REC, as_user, can_attach,
                   enter_user_namespace, have_user_namespaces, in_child, libc, mount, mount_setattr,
                   move_mount, open_tree, result, unshare)
from tap import Skip, check, equal, main

HOLDER = 5001
NO_VIEW = os.environ["FDBROKERD_PLAIN"]
KEPT = os.environ["FDBROKERD_KEPT"]
SLOW = os.environ["FDBROKERD_SLOW"]


def hold(program, attack, early=False):
    """
    Runs attack(descriptor) as the holder of a descriptor of a file 0666 in a directory 0700; `early`: who has a user
    and a mount namespace of its own before it gets that.
    """
    with Place() as place:
        place.directory("d", 0o700)
        path = place.file("d/f", "original\n", 0o666)
        policy = f"subject a {{\n user {HOLDER}\n allow read {place.name('d')}/*\n}}\n"
        with Broker(place, policy, program=program) as broker:
            def run():
                if early:
                    enter_user_namespace(CLONE_NEWNS)
                with Client(broker.abstract) as client:
                    return attack(client.open(path))
            equal(len(homes(broker)), int(program is None and can_attach()), "the views are not attached")
            got = as_user(HOLDER, run)
        with open(path) as file:
            return got, file.read()


def overwrite(path):
    """Whether the file behind the name can be opened for writing, in any way; writes if so."""
    for flags in (os.O_RDWR, os.O_WRONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_TRUNC):
        try:
            file = os.open(path, flags)
        except OSError:
            continue
        os.write(file, b"overwritten\n")
        os.close(file)
        return True
    return False


def reopen(descriptor):
    return [overwrite(f"/proc/{who}/fd/{descriptor}") for who in ("self", "thread-self")]


def use_directly(descriptor):
    os.set_blocking(descriptor, True)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_RDWR | os.O_APPEND)
    return [
        attempt(os.write, descriptor, b"overwritten\n"),
        attempt(os.ftruncate, descriptor, 0),
        attempt(os.fchmod, descriptor, 0o777),
        attempt(mmap.mmap, descriptor, 4, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
        attempt(os.utime, descriptor),
    ]


def as_namespace_root(descriptor):
    """All that root of a user and mount namespace of its own can try on the mount behind it."""
    if os.geteuid():
        enter_user_namespace(CLONE_NEWNS)
    got = reopen(descriptor)
    got.append(attempt(mount_setattr, descriptor, "", 0, MOUNT_ATTR_RDONLY) == "OK" and
               overwrite(f"/proc/self/fd/{descriptor}"))
    try:
        # A file can be a mount of its own: take one of it, and clear the flag there.
        tree = open_tree(descriptor, "", AT_EMPTY_PATH | 1)
    except OSError:
        tree = -1
    if tree >= 0:
        attempt(mount_setattr, tree, "", 0, MOUNT_ATTR_RDONLY)
        got.append(overwrite(f"/proc/self/fd/{tree}"))
        target = "/proc/self/comm"
        got.append(attempt(move_mount, tree, target) == "OK" and overwrite(target))
    return got


def test_reopening_for_writing():
    got, text = hold(None, reopen)
    equal((got, text), ([False, False], "original\n"))


def test_reopening_succeeds_where_there_is_no_view():
    got, text = hold(NO_VIEW, reopen)
    check(any(got) and text != "original\n", "the attack is worth nothing", got, text)


def test_using_the_descriptor_itself():
    got, text = hold(None, use_directly)
    equal(got[0], "EBADF")
    equal(got[1], "EINVAL")
    check(got[2] in ("EROFS", "EPERM"), got)
    equal(got[3], "EACCES")
    check(got[4] in ("EROFS", "EACCES"), got)
    equal(text, "original\n")


def give_it_a_name(descriptor):
    """Links what is held into a directory of the holder's own, on the same file system, and changes its flags."""
    target = os.fsencode(os.environ["HOLDERS_OWN"])
    flags = ctypes.c_int(0x40)  # FS_NODUMP_FL

    def link(source, at, name, how):
        result(libc.linkat(source, at, -100, target + name, how))
    return [
        attempt(link, descriptor, b"", b"/empty", 0x1000),
        attempt(link, -100, b"/proc/self/fd/%d" % descriptor, b"/proc", 0x400),
        attempt(lambda: result(libc.ioctl(descriptor, ctypes.c_ulong(0x40086602), ctypes.byref(flags)))),
    ]


def test_giving_the_file_another_name_or_other_flags():
    for attack in (give_it_a_name, lambda d: [enter_user_namespace(CLONE_NEWNS)] and give_it_a_name(d)):
        with Place() as place:
            os.environ["HOLDERS_OWN"] = place.directory("own", 0o777)
            os.chmod(place.name("own"), 0o777)
            got, text = hold(None, attack)
            check("OK" not in got, got)
            equal((os.listdir(place.name("own")), text), ([], "original\n"))


def test_giving_it_another_name_succeeds_where_there_is_no_view():
    with Place() as place:
        os.environ["HOLDERS_OWN"] = place.directory("own", 0o777)
        os.chmod(place.name("own"), 0o777)
        got, _ = hold(NO_VIEW, give_it_a_name)
        check("OK" in got and os.listdir(place.name("own")), "the attack is worth nothing", got)


def test_root_of_a_namespace():
    if not have_user_namespaces():
        raise Skip("no unprivileged user namespaces")
    for early in (False, True):
        got, text = hold(None, as_namespace_root, early)
        check(not any(got) and text == "original\n", early, got, text)


def test_root_of_a_namespace_succeeds_where_there_is_no_view():
    if not have_user_namespaces():
        raise Skip("no unprivileged user namespaces")
    got, text = hold(NO_VIEW, as_namespace_root)
    check(any(got) and text != "original\n", "the attack is worth nothing", got, text)


def with_mounts(modifiers, function, names):
    """Runs function(descriptors) as the holder of files beneath a directory with a mount in it."""
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        place.file("d/f", "original\n", 0o666)
        place.file("d/m/hidden", "hidden\n", 0o666)
        mount("tmpfs", place.name("d/m"), "tmpfs")
        os.chmod(place.name("d/m"), 0o755)
        place.file("d/m/f", "original\n", 0o666)
        shutil.copy("/bin/true", place.name("d/m/true"))
        shutil.copy("/bin/true", place.name("d/true"))
        policy = f"subject a {{\n user {HOLDER}\n allow read {d}/** {modifiers}\n}}\n"
        with Broker(place, policy) as broker:
            def holder():
                with Client(broker.abstract) as client:
                    return function([client.open(f"{d}/{name}") for name in names])
            return as_user(HOLDER, holder)
    with Place() as place:
        return in_child(run, place)


def test_what_lies_beneath_a_mount_in_the_directory_is_as_safe():
    got = with_mounts("", lambda files: [reopen(file) for file in files], ["f", "m/f"])
    equal(got, [[False, False], [False, False]])


def test_what_a_mount_hides_stays_hidden():
    try:
        with_mounts("", lambda files: "served", ["m/hidden"])
    except OSError as error:
        equal(error.errno, errno.ENOENT)
    else:
        raise AssertionError("a file beneath a mount point was served")


def test_every_view_is_nosuid_nodev_and_noexec_unless_the_rule_says_exec():
    def flags(files):
        return [os.fstatvfs(file).f_flag & 15 for file in files]
    readonly, nosuid, nodev, noexec = 1, 2, 4, 8
    names = ["f", "m/f"]
    equal(with_mounts("", flags, names), [readonly | nosuid | nodev | noexec] * 2)
    equal(with_mounts("exec", flags, names), [readonly | nosuid | nodev] * 2)


def test_mapping_what_was_opened_as_code():
    def map_code(files):
        return attempt(mmap.mmap, files[0], 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
    for name in ("true", "m/true"):
        equal(with_mounts("", map_code, [name]), "EPERM")
        equal(with_mounts("exec", map_code, [name]), "OK")


def test_executing_what_was_opened():
    def execute(files):
        pid = os.fork()
        if pid == 0:
            try:
                os.execve(files[0], ["true"], {})
            except OSError as error:
                os._exit(error.errno)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for name in ("true", "m/true"):
        equal(with_mounts("", execute, [name]), errno.EACCES)
        equal(with_mounts("exec", execute, [name]), 0)


def hold_view(program, how):
    """The holder of the view's own descriptor, as root of a namespace: (successes, what it tried)."""
    with Place() as place:
        place.directory("d", 0o755)
        path = place.file("d/f", "original\n", 0o666)
        done = subprocess.run([program, place.name("d"), str(HOLDER), how], capture_output=True, text=True)
        if done.returncode == 77:
            raise Skip(done.stderr.strip())
        with open(path) as file:
            return done.returncode, file.read(), done.stdout + done.stderr


def test_the_holder_of_a_dissolved_view_itself():
    successes, text, tried = hold_view(os.environ["VIEW"], "dissolved")
    equal((successes, text), (0, "original\n"), tried)
    equal(tried.splitlines()[:2], ["write: EROFS", "mount_setattr: EINVAL"])


def test_the_holder_of_an_attached_view_itself():
    skip_unless_attached()
    successes, text, tried = hold_view(os.environ["VIEW"], "home")
    equal((successes, text), (0, "original\n"), tried)
    equal(tried.splitlines()[:2], ["write: EROFS", "mount_setattr: EINVAL"])


def test_the_holder_of_the_view_succeeds_where_it_is_attached_to_nothing():
    successes, text, tried = hold_view(os.environ["VIEW_ATTACHED"], "dissolved")
    check(successes and text != "original\n", "the attack is worth nothing", tried)
    check("mount_setattr: succeeded" in tried, tried)


def skip_unless_attached():
    if not can_attach():
        raise Skip("no mount namespace can be emptied here")


def test_a_view_with_mounts_beneath_has_no_home():
    skip_unless_attached()

    def run(place, *mounted):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        for name in mounted:
            mount("tmpfs", place.directory(name), "tmpfs")
        place.file("d/f", "original\n", 0o666)
        return subprocess.run([os.environ["VIEW"], place.name("d"), str(HOLDER), "home"],
                              capture_output=True).returncode
    for mounted, code in (((), 0), (("d",), 0), (("d/m",), 98), (("d/a b",), 98), (("d/m", "d/m/n"), 98),
                          (("beside", "d-not"), 0)):
        with Place() as place:
            place.directory("d")
            got = in_child(run, place, *mounted)
            check(got in (code, 77), mounted, got)


def test_a_view_that_is_not_dissolved_is_not_used():
    """The supervisor tests every view: one whose mount can still be changed ends the daemon."""
    with Place() as place:
        place.file("d/f", "f")
        policy = f"subject a {{\n user {HOLDER}\n allow read {place.name('d')}/*\n}}\n"
        with Broker(place, policy, program=KEPT, wait=False) as broker:
            equal(broker.wait_end(), 1)
            check("ENOTRECOVERABLE" in "".join(broker.noise), broker.noise)


def test_what_somebody_still_has_a_copy_of_is_waited_for():
    """For a moment, as another thread's child has one: views and what a device is opened in."""
    with Place() as place:
        place.directory("d")
        os.mknod(place.name("d/null"), stat.S_IFCHR | 0o600, os.makedev(1, 3))
        policy = f"subject a {{\n user {HOLDER}\n allow read {place.name('d')}/* type chardev\n}}\n"
        with Broker(place, policy, program=SLOW) as broker:
            for _ in range(5):
                equal(as_user(HOLDER, ask, broker.abstract, place.name("d/null")), "OK")
                time.sleep(0.15)


main(globals())
