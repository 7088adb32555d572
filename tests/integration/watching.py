# SPDX-License-Identifier: MIT
"""watch: an inotify descriptor of the caller's, with one watch on it."""
import os
import struct
import threading

from broker import NAMES, Broker, Client, Place, attempt
from endpoints import ME, OTHER, WATCH, get, readable, rules
from linux import as_user, libc, result
from tap import check, equal, main

EVENT = struct.Struct("iIII")
MODIFY, ATTRIB, CREATE, DELETE, DELETE_SELF = 0x2, 0x4, 0x100, 0x200, 0x400
ONLYDIR, DONT_FOLLOW, MASK_CREATE, MASK_ADD, ONESHOT = 0x01000000, 0x02000000, 0x10000000, 0x20000000, 0x80000000
STAT, LIST = 3, 6


def read_events(inotify):
    """[(watch, mask, name)] of what has happened."""
    if not readable(inotify, 2):
        return []
    data, found = os.read(inotify, 65536), []
    while data:
        watch, mask, _, length = EVENT.unpack_from(data)
        found.append((watch, mask, data[EVENT.size:EVENT.size + length].rstrip(b"\0").decode()))
        data = data[EVENT.size + length:]
    return found


def watch(client, path, mask):
    """(descriptor, number), or the errno's name."""
    client.send(WATCH, path, mask)
    _, error, data, descriptors = client.receive()
    if error:
        return NAMES[error]
    return descriptors[0], struct.unpack("i", data)[0]


class Watching:
    """Keeps a caller's child and root, who changes things, in step."""

    def __init__(self, broker, uid=ME):
        self.broker, self.uid = broker, uid

    def see(self, path, mask, change):
        """What the caller, who has the descriptor, sees of change(), which root does."""
        ready, done = os.pipe(), os.pipe()

        def root():
            os.read(ready[0], 1)
            change()
            os.write(done[1], b"x")
        thread = threading.Thread(target=root)
        thread.start()

        def run():
            with Client(self.broker.abstract) as client:
                got = watch(client, path, mask)
                os.write(ready[1], b"x")
                os.read(done[0], 1)
                if isinstance(got, str):
                    return got
                events = read_events(got[0])
                check(all(w == got[1] for w, _, _ in events), "another watch", events, got)
                return [(m, n) for _, m, n in events]
        try:
            return as_user(self.uid, run)
        finally:
            thread.join()
            for end in (*ready, *done):
                os.close(end)


def answer(broker, path, mask, mode=0, operation=WATCH, uid=ME):
    def run():
        with Client(broker.abstract) as client:
            return client.ask(operation, path, mask, mode)
    return as_user(uid, run)


def test_events_of_what_the_caller_cannot_reach():
    with Place() as place:
        d = place.directory("d", 0o700)
        place.file("d/f", "f", 0o600)
        with Broker(place, rules(f"allow watch {d}{{,/**}}")) as broker:
            watching = Watching(broker)
            equal(watching.see(d, CREATE | DELETE, lambda: (place.file("d/new"), os.unlink(f"{d}/new"))),
                  [(CREATE, "new"), (DELETE, "new")])
            equal(watching.see(f"{d}/f", MODIFY, lambda: place.file("d/f", "more", 0o600))[0], (MODIFY, ""))
            # The right is one to be told, and nothing more but stat.
            equal(answer(broker, f"{d}/f", 0, operation=1), "EACCES")
            equal(answer(broker, d, 0, operation=LIST), "EACCES")
            equal(answer(broker, d, 0, operation=STAT), "OK")
            equal(answer(broker, d, CREATE, uid=OTHER), "EACCES")
            equal(answer(broker, place.path, CREATE), "EACCES")


def test_what_is_granted_is_recorded():
    with Place() as place:
        d = place.directory("d")
        with Broker(place, rules(f"allow watch {d}"), options=("--log-grants",)) as broker:
            equal(answer(broker, d, CREATE), "OK")
            record = broker.wait_event("request")
            equal((record["right"], record["verdict"], record["path"], record["uid"]), ("watch", "allow", d, ME))


def test_another_directory_of_the_same_name_is_watched_anew():
    with Place() as place:
        d = place.directory("d")
        with Broker(place, rules(f"allow watch {d}")) as broker:
            watching = Watching(broker)
            equal(watching.see(d, CREATE, lambda: place.file("d/a")), [(CREATE, "a")])
            os.rename(d, place.name("old"))
            place.directory("d")
            equal(watching.see(d, CREATE, lambda: (place.file("old/b"), place.file("d/c"))), [(CREATE, "c")])


def test_links_and_types():
    with Place() as place:
        d = place.directory("d")
        place.file("d/f", "f")
        place.directory("d/sub")
        place.directory("denied")
        os.symlink("sub", f"{d}/link")
        os.symlink("../denied", f"{d}/out")
        os.symlink("nowhere", f"{d}/dangling")
        with Broker(place, rules(f"allow watch {d}{{,/**}}")) as broker:
            watching = Watching(broker)
            equal(watching.see(f"{d}/link", CREATE, lambda: place.file("d/sub/x")), [(CREATE, "x")])
            # The link itself: what happens where it leads is not told.
            equal(watching.see(f"{d}/link", CREATE | ATTRIB | DONT_FOLLOW,
                               lambda: (place.file("d/sub/y"), os.lchown(f"{d}/link", ME, ME))), [(ATTRIB, "")])
            equal(answer(broker, f"{d}/out", CREATE), "EACCES")
            equal(answer(broker, f"{d}/dangling", CREATE), "EACCES")
            equal(answer(broker, f"{d}/none", CREATE), "ENOENT")
            equal(answer(broker, f"{d}/f", MODIFY | ONLYDIR), "ENOTDIR")
            equal(answer(broker, f"{d}/sub", CREATE | ONLYDIR), "OK")
            equal(len(watching.see(f"{d}/sub", CREATE | ONESHOT,
                                   lambda: (place.file("d/sub/1"), place.file("d/sub/2")))), 2)  # and IN_IGNORED
            for mask in (0, ONLYDIR, CREATE | MASK_ADD, CREATE | MASK_CREATE, CREATE | 0x2000, CREATE | 1 << 32):
                equal(answer(broker, d, mask), "EINVAL", hex(mask))
            equal(answer(broker, d, CREATE, mode=0o4000), "EINVAL")


def test_the_instance_is_charged_to_the_caller():
    with open("/proc/sys/fs/inotify/max_user_instances") as file:
        most = int(file.read())
    check(most < 1000, "raise what this test can bear")
    # Users that nobody else's test has instances of.
    first, second = 700000 + os.getpid(), 1700000 + os.getpid()
    with Place() as place:
        d = place.directory("d", 0o700)
        with Broker(place, rules(f"allow watch {d}", user="700000-3000000")) as broker:
            def run():
                with Client(broker.abstract) as client:
                    got = [watch(client, d, CREATE) for _ in range(most + 1)]
                    equal(got[-1], "EMFILE")
                    check(all(isinstance(g, tuple) for g in got[:-1]), got[-3:])
                    equal(attempt(lambda: result(libc.inotify_init1(0))), "EMFILE")
            as_user(first, run)
            equal(answer(broker, d, CREATE, uid=first), "OK")
            held = os.pipe()

            def hold():
                with Client(broker.abstract) as client:
                    got = [watch(client, d, CREATE) for _ in range(most)]
                    os.write(held[1], b"x")
                    os.read(other[0], 1)
                    return len(got)
            other = os.pipe()
            counted = []
            thread = threading.Thread(target=lambda: counted.append(as_user(first, hold)))
            thread.start()
            os.read(held[0], 1)
            equal(answer(broker, d, CREATE, uid=second), "OK")
            equal(answer(broker, d, CREATE, uid=first), "EMFILE")
            os.write(other[1], b"x")
            thread.join()
            equal(counted, [most])


def test_the_holder_adds_watches_only_on_what_he_can_reach():
    with Place() as place:
        d = place.directory("d", 0o700)
        place.directory("d/sub", 0o755)
        mine = place.directory("mine", 0o700, ME)
        with Broker(place, rules(f"allow watch {d}")) as broker:
            def run():
                with Client(broker.abstract) as client:
                    inotify = get(client, WATCH, d, CREATE)
                    add = lambda path: result(libc.inotify_add_watch(inotify, os.fsencode(path), CREATE))
                    return attempt(add, f"{d}/sub"), attempt(add, d), attempt(add, mine)
            equal(as_user(ME, run), ("EACCES", "EACCES", "OK"))


main(globals())
