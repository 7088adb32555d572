# SPDX-License-Identifier: MIT
"""Symbolic links, stat, access, readlink, list, types of files: what is told, and what is not."""
import errno
import os
import stat
import struct
import subprocess

from broker import Broker, Client, Place, attempt
from fuse import mount_folding
from linux import CLONE_NEWNS, as_user, in_child, link_descriptor, mount, umount, unshare
from tap import Skip, check, equal, main

STAT, ACCESS, READLINK, LIST = 3, 4, 5, 6
NOFOLLOW = 0x100
ME = 5001
CREATE = os.O_CREAT | os.O_WRONLY


class Setting:
    """A broker with one subject, and what ME is answered, each on a connection of its own."""

    def __init__(self, place, *rules):
        self.place = place
        self.broker = Broker(place, "subject a {\n user %d\n%s}\n" % (
            ME, "".join(f" {rule}\n" for rule in rules)))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.broker.__exit__()

    def ask(self, *arguments, **named):
        def run():
            with Client(self.broker.abstract) as client:
                return client.ask(*arguments, **named)
        return as_user(ME, run)

    def open(self, path, flags=0, mode=0):
        return self.ask(1, path, flags, mode)

    def read(self, path):
        def run():
            with Client(self.broker.abstract) as client:
                return client.read(path)
        return as_user(ME, run)

    def data(self, operation, path, flags=0, mode=0):
        """The reply's data, or the errno's name."""
        def run():
            with Client(self.broker.abstract) as client:
                client.send(operation, path, flags, mode)
                _, error, data, _ = client.receive()
                return errno.errorcode[error] if error else data
        return as_user(ME, run)

    def list(self, path):
        """{name: (inode, type)} over all pages, and how many there were."""
        def run():
            found, at, pages = {}, 0, 0
            with Client(self.broker.abstract) as client:
                while True:
                    client.send(LIST, path, at)
                    _, error, data, _ = client.receive()
                    if error:
                        return errno.errorcode[error], pages
                    at, = struct.unpack_from("=Q", data)
                    rest = data[8:]
                    pages += 1
                    while rest:
                        inode, kind, length = struct.unpack_from("=QBB", rest)
                        check(rest[10:16] == bytes(6))
                        name = rest[16:16 + length]
                        check(len(name) == length and name not in found, name)
                        found[name] = inode, kind
                        rest = rest[16 + length:]
                    if not at:
                        return found, pages
        return as_user(ME, run)


# ---- symbolic links

def test_a_link_is_followed_to_where_the_caller_has_the_same_right():
    with Place() as place:
        for name in ("a/f", "b/f", "c/f"):
            place.file(name, name, 0o600)
        d = place.name
        os.symlink(d("b/f"), d("a/absolute"))
        os.symlink("../b/f", d("a/relative"))
        os.symlink("../b", d("a/directory"))
        os.symlink("directory/f", d("a/through"))
        os.symlink("./././../b//f", d("a/untidy"))
        os.symlink(d("c/f"), d("a/denied"))
        os.symlink(d("nowhere"), d("a/nothing"))
        os.symlink(d("b/missing"), d("a/dangling"))
        os.symlink("/etc/shadow", d("a/shadow"))
        os.symlink("../../../../../../../../etc/shadow", d("a/up"))
        os.symlink("f", d("a/f2"))
        with Setting(place, f"allow read {d('a')}/**", f"allow read {d('b')}/**") as s:
            for name in ("absolute", "relative", "directory/f", "through", "untidy"):
                equal(s.read(d(f"a/{name}")), "b/f", name)
            equal(s.read(d("a/f2")), "a/f")
            # A link to a denied place and one to nothing are answered alike: links are no oracle.
            for name in ("denied", "nothing", "dangling", "shadow", "up"):
                equal(s.open(d(f"a/{name}")), "EACCES", name)
            equal(s.open(d("a/absolute"), os.O_NOFOLLOW), "ELOOP")
            equal(s.open(d("a/directory/f"), os.O_NOFOLLOW), "OK")
            record = s.broker.wait_event("request")
            equal((record["path"], record["opened"]), (d("a/denied"), d("c/f")))


def test_a_link_does_not_carry_a_right_to_where_only_another_is():
    with Place() as place:
        place.file("a/f", "f", 0o600)
        place.file("b/f", "f", 0o600)
        os.symlink("../b/f", place.name("a/link"))
        with Setting(place, f"allow read,write {place.name('a')}/*",
                     f"allow read {place.name('b')}/*") as s:
            equal(s.open(place.name("a/link")), "OK")
            equal(s.open(place.name("a/link"), os.O_WRONLY), "EACCES")
            equal(s.open(place.name("a/link"), os.O_RDWR), "EACCES")


def test_forty_links_and_one():
    with Place() as place:
        d = place.directory("d")
        place.file("d/0", "end", 0o600)
        for i in range(1, 42):
            os.symlink(str(i - 1), f"{d}/{i}")
        os.symlink("loop", f"{d}/loop")
        os.symlink("b", f"{d}/a")
        os.symlink("a", f"{d}/b")
        with Setting(place, f"allow read,stat {d}/*") as s:
            equal(s.read(f"{d}/40"), "end")
            equal(s.open(f"{d}/41"), "EACCES")
            equal(s.open(f"{d}/loop"), "EACCES")
            equal(s.open(f"{d}/a"), "EACCES")


def test_links_of_procfs_lead_nowhere():
    with Place() as place:
        place.directory("d")
        os.symlink("/proc/self/exe", place.name("d/exe"))
        os.symlink("/proc/1/root/etc/passwd", place.name("d/root"))
        with Setting(place, "allow read,readlink /proc/**", f"allow read {place.name('d')}/*",
                     "allow read /etc/passwd", "allow read /usr/**") as s:
            for path in ("/proc/self/exe", "/proc/self/root/etc/passwd", "/proc/1/root/etc/passwd",
                         "/proc/self/fd/0", "/proc/thread-self/cwd/etc/passwd",
                         place.name("d/exe"), place.name("d/root")):
                equal(s.open(path), "EACCES", path)
            equal(s.data(READLINK, "/proc/self/exe"), "EACCES")


def test_nothing_is_created_through_a_dangling_link_wherever_it_leads():
    with Place() as place:
        d = place.directory("d", 0o777)
        os.symlink("target", f"{d}/link")
        os.symlink("link", f"{d}/link2")
        os.symlink(".", f"{d}/here")
        with Setting(place, f"allow read,write,create {d}/**") as s:
            for name in ("link", "link2", "here/link"):
                equal(s.open(f"{d}/{name}", CREATE, 0o600), "EACCES", name)
                equal(s.open(f"{d}/{name}", CREATE | os.O_EXCL, 0o600), "EEXIST" if "here" not in name else "EACCES")
            equal(sorted(os.listdir(d)), ["here", "link", "link2"])
            # The directories on the way may be links; the new name is the caller's.
            equal(s.open(f"{d}/here/new", CREATE, 0o600), "OK")
            equal(os.stat(f"{d}/new").st_uid, ME)
            equal(s.open(f"{d}/link", os.O_WRONLY), "EACCES")


def test_unnamed_files():
    with Place() as place:
        d = place.directory("d", owner=ME)
        with Setting(place, f"allow create {d}{{,/**}} mode 0640") as s:
            def run():
                with Client(s.broker.abstract) as client:
                    file = client.open(d, os.O_TMPFILE | os.O_RDWR, 0o666)
                    found = os.fstat(file)
                    os.write(file, b"x")
                    linked = attempt(link_descriptor, file, f"{d}/named")
                    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_nlink, linked
            got = as_user(ME, run)
            equal(got[:3], (0o640, ME, 0))
            equal(got[3], "EXDEV")
            equal(os.listdir(d), [])
            equal(s.open(f"{d}/sub", os.O_TMPFILE | os.O_RDWR, 0o600), "ENOENT")
            equal(s.open("/etc", os.O_TMPFILE | os.O_RDWR, 0o600), "EACCES")
            # A link to a directory is followed, to where the same is allowed.
            os.symlink(place.directory("d/real"), f"{d}/link")
            os.symlink("/etc", f"{d}/out")
            equal([s.open(f"{d}/{name}", os.O_TMPFILE | os.O_RDWR | flags, 0o600)
                   for name, flags in (("link", 0), ("link", os.O_NOFOLLOW), ("out", 0))],
                  ["OK", "ENOTDIR", "EACCES"])


# ---- stat, access, readlink

def test_stat_and_lstat():
    with Place() as place:
        path = place.file("d/f", "12345", 0o640, owner=5003)
        os.symlink("f", place.name("d/link"))
        with Setting(place, f"allow stat {place.name('d')}{{,/**}}") as s:
            for name, flags, wanted in (("d/f", 0, os.stat(path)), ("d", 0, os.stat(place.name("d"))),
                                        ("d/link", 0, os.stat(path)),
                                        ("d/link", NOFOLLOW, os.lstat(place.name("d/link")))):
                data = s.data(STAT, place.name(name), flags)
                equal(len(data), 256)
                _, _, _, nlink, uid, gid, mode, _, ino, size = struct.unpack_from("=IIQIIIHHQQ", data)
                equal((nlink, uid, gid, mode, ino, size),
                      (wanted.st_nlink, wanted.st_uid, wanted.st_gid, wanted.st_mode, wanted.st_ino,
                       wanted.st_size), name)
            equal(s.ask(STAT, place.name("d/missing")), "ENOENT")
            equal(s.ask(STAT, "/etc/shadow"), "EACCES")
            equal(s.ask(STAT, path, 1), "EINVAL")
            # With stat alone nothing opens.
            equal(s.open(path), "EACCES")
            equal(s.ask(LIST, place.name("d")), "EACCES")
            equal(s.ask(READLINK, place.name("d/link")), "EACCES")


def test_access():
    with Place() as place:
        path = place.file("d/f", "", 0)
        place.file("d/x", "", 0o755)
        place.file("r/f", "", 0o644)
        with Setting(place, f"allow read,write {place.name('d')}/*", f"allow stat {place.name('r')}/*",
                     f"allow read {place.name('d/x')} exec") as s:
            table = [(path, 0, "OK"), (path, 4, "OK"), (path, 2, "OK"), (path, 6, "OK"), (path, 1, "EACCES"),
                     (place.name("d/x"), 1, "OK"), (place.name("d/x"), 5, "OK"),
                     (place.name("r/f"), 0, "OK"), (place.name("r/f"), 4, "EACCES"),
                     (place.name("r/f"), 2, "EACCES"), (place.name("d/n"), 0, "ENOENT"),
                     ("/etc/shadow", 0, "EACCES"), (path, 8, "EINVAL")]
            equal([(p, m, s.ask(ACCESS, p, 0, m)) for p, m, _ in table], table)


def test_readlink():
    with Place() as place:
        place.file("d/f")
        os.symlink("/some/where\n", place.name("d/link"))
        os.symlink("x" * 4095, place.name("d/long"))
        with Setting(place, f"allow readlink {place.name('d')}/*") as s:
            equal(s.data(READLINK, place.name("d/link")), b"/some/where\n")
            equal(s.data(READLINK, place.name("d/long")), b"x" * 4095)
            equal(s.data(READLINK, place.name("d/f")), "EINVAL")
            equal(s.data(READLINK, place.name("d/n")), "ENOENT")
            equal(s.open(place.name("d/f")), "EACCES")
        with Setting(place, f"allow read {place.name('d')}/*") as s:
            equal(s.data(READLINK, place.name("d/link")), "EACCES")


# ---- list

def test_list():
    with Place() as place:
        d = place.directory("d", 0o700)
        place.directory("empty")
        with Setting(place, f"allow list {d}", f"deny all {d}/hidden",
                     f"allow list {place.name('empty')}") as s:
            equal(s.list(place.name("empty"))[0], {})
            place.file("d/f")
            os.mkdir(f"{d}/dir")
            os.mkfifo(f"{d}/fifo")
            os.symlink("f", f"{d}/link")
            place.file("d/hidden")
            strange = b"n\n\xff\xc3("
            with open(os.fsencode(d) + b"/" + strange, "w"):
                pass
            found, _ = s.list(d)
            equal(set(found), {b"f", b"dir", b"fifo", b"link", b"hidden", strange})
            equal({n: k for n, (_, k) in found.items()},
                  {b"f": 8, b"dir": 4, b"fifo": 1, b"link": 10, b"hidden": 8, strange: 8})
            equal(found[b"f"][0], os.stat(f"{d}/f").st_ino)
            equal(s.list(f"{d}/f")[0], "EACCES")
            equal(s.open(d), "EACCES")
            equal(s.open(d, os.O_DIRECTORY), "EACCES")
            equal(s.list(f"{d}/dir")[0], "EACCES")


def test_list_a_large_directory_in_pages():
    with Place() as place:
        d = place.directory("d")
        names = {f"{i:0200}".encode() for i in range(5000)}
        for name in names:
            os.mknod(os.fsencode(d) + b"/" + name)
        with Setting(place, f"allow list {d}") as s:
            found, pages = s.list(d)
            equal(set(found), names)
            check(pages > 50, pages)
            equal(s.data(LIST, d, 1 << 63), "EINVAL")


# ---- file systems

def test_file_systems_and_lengths():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        for name in ("lower", "upper", "work", "merged", "tmp"):
            place.directory(name)
        place.file("lower/f", "lower")
        deep = place.name("tmp")
        mount("tmpfs", deep, "tmpfs")
        os.chmod(deep, 0o755)
        place.directory("stack")
        mount("tmpfs", place.name("stack"), "tmpfs")
        for name in ("upper", "work"):
            place.directory(f"stack/{name}")
        mount("overlay", place.name("merged"), "overlay", 0,
              f"lowerdir={place.name('lower')},upperdir={place.name('stack/upper')},"
              f"workdir={place.name('stack/work')}")
        place.file("bound", "bound")
        place.file("target", "")
        mount(place.name("bound"), place.name("target"), None, 4096)
        place.file("bound directory/sub/f", "in a bound directory")
        place.file("target directory/sub/hidden")
        mount(place.name("bound directory"), place.name("target directory"), None, 4096)
        path = deep
        at = os.open(deep, os.O_PATH)
        while len(path) + 202 < 4095:
            os.mkdir("d" * 200, dir_fd=at)
            at = os.open("d" * 200, os.O_PATH, dir_fd=at)
            path += "/" + "d" * 200
        name = "n" * (4095 - len(path) - 1)
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=at))
        with Setting(place, f"allow read,write,create {place.path}/**") as s:
            equal(s.read(place.name("merged/f")), "lower")
            equal(s.open(place.name("merged/f"), os.O_RDWR), "OK")
            equal(s.open(place.name("merged/n"), CREATE, 0o600), "OK")
            equal(s.read(place.name("target")), "bound")
            equal(s.read(place.name("target directory/sub/f")), "in a bound directory")
            equal(s.open(place.name("target directory/sub/hidden")), "ENOENT")
            equal(len(path + "/" + name), 4095)
            equal(s.open(path + "/" + name), "OK")
            equal(s.open(path + "/" + name + "n"), "ENAMETOOLONG")
            equal(s.open(f"{deep}/{'x' * 255}", CREATE, 0o600), "OK")
            equal(s.open(f"{deep}/{'x' * 256}", CREATE, 0o600), "ENAMETOOLONG")
            equal(s.open(f"{deep}/{'x' * 256}/f"), "ENAMETOOLONG")
            strange = os.fsencode(deep) + b"/\n\xff"
            equal(s.open(strange, CREATE, 0o600), "OK")
            check(os.path.exists(strange))
    with Place() as place:
        in_child(run, place)


# ---- names that fold

def test_a_directory_that_is_marked_as_folding_and_a_deny():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        with open(place.name("image"), "wb") as file:
            file.truncate(4 << 20)
        made = subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "casefold", place.name("image")])
        if made.returncode or subprocess.run(["mount", "-o", "loop", place.name("image"), d],
                                             capture_output=True).returncode:
            raise Skip("the kernel's ext4 does not fold names (CONFIG_UNICODE)")
        try:
            os.mkdir(f"{d}/marked")
            subprocess.run(["chattr", "+F", f"{d}/marked"], check=True)
            place.file("d/marked/secret", "the secret\n")
            place.file("d/secret", "the secret\n")
            place.file("d/other", "other\n")
            with Setting(place, f"allow read {d}/**", f"deny all {d}/marked/secret", f"deny all {d}/secret") as s:
                for name in ("marked/secret", "marked/SECRET", "secret"):
                    equal(s.open(f"{d}/{name}"), "EACCES", name)
                # Beside the marked directory nothing folds.
                equal((s.open(f"{d}/SECRET"), s.open(f"{d}/other")), ("ENOENT", "OK"))
        finally:
            umount(d)
    with Place() as place:
        in_child(run, place)


def test_a_file_system_that_folds_names_and_a_deny():
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse")

    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        place.file("plain/f", "f")
        try:
            mount_folding(d)
        except OSError as error:
            raise Skip(f"no FUSE: {error}")
        try:
            with open(f"{d}/SECRET") as file:
                equal(file.read(), "the secret\n", "it does not fold")
            with Setting(place, f"allow read,stat,create {place.path}/**",
                         f"deny all {d}/secret") as s:
                for name in ("secret", "SECRET", "Secret"):
                    equal(s.open(f"{d}/{name}"), "EACCES", name)
                    equal(s.ask(STAT, f"{d}/{name}"), "EACCES", name)
                    # Not even whether it is there: nothing is tried.
                    equal(s.open(f"{d}/{name}", CREATE | os.O_EXCL, 0o600), "EACCES", name)
                check(any("other names" in r.get("reason", "") for r in s.broker.events("request")))
                # Elsewhere under the same rules nothing folds.
                equal(s.open(place.name("plain/f")), "OK")
            # Wherever the deny stands, and however the rule spells the directory; mounts within it too.
            mount("tmpfs", f"{d}/sub", "tmpfs")
            place.file("d/sub/f", "f", 0o644)
            for rules in ([f"allow read {place.path}/**", f"deny all {d}/sub"],
                          [f"allow read {d}/SUB/**", f"deny all {d}/sub/f"]):
                with Setting(place, *rules) as s:
                    for name in ("sub", "SUB", "Sub"):
                        equal(s.open(f"{d}/{name}/f"), "EACCES", name)
            umount(f"{d}/sub")
            # Without a deny there is nothing to sidestep.
            with Setting(place, f"allow read {place.path}/**") as s:
                equal(s.open(f"{d}/SECRET"), "OK")
        finally:
            umount(d)
    with Place() as place:
        in_child(run, place)


main(globals())
