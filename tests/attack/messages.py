# SPDX-License-Identifier: MIT
"""
A worker that is not itself any more says everything that can be said to its maker and to its supervisor, with contents
that it was never meant to send. What it gets by that is what its policy names, and never more.
"""
import errno
import itertools
import os
import secrets
import socket
import stat

from broker import Place
from endpoints import STREAM, listener
from taken import HEADER, Taken
from tap import check, equal, main

ME, OTHER = 5001, 5002
DAEMON = 5007
CAPABILITIES = "+sys_admin,+sys_chroot,+dac_read_search,+dac_override,+chown,+fowner,+setuid,+setgid"
# What the maker answers once its worker has loaded. All else ends it.
QUESTIONS = {"CHANNEL_RENEW", "CHANNEL_DEVICE", "CHANNEL_CALLERS", "CHANNEL_IDENTIFY", "CHANNEL_CONNECT",
             "CHANNEL_BIND", "CHANNEL_NOTIFY"}
# What the supervisor hears from a worker that serves.
WORDS = {"CHANNEL_CLOSED", "CHANNEL_BACK", "CHANNEL_RELOAD", "CHANNEL_PONG"}
# And what it may say at any time: that it has missed the record's new file, and that its maker has gone.
AT_ANY_TIME = {"CHANNEL_LOG", "CHANNEL_ORPHANED"}
SLOTS = 1024
# Named, with the policy below: of the four directories, one of them to write in as well.
VIEWS = 5


class Setting:
    """Something to read, something to write, devices to read, a directory for each of two users, an address."""

    def __init__(self, place):
        self.place = place
        for name in ("read", "write", "devices"):
            place.directory(name, 0o777)
            place.file(f"{name}/f", "f", 0o666)
        for uid in (ME, OTHER):
            place.file(f"spool/{uid}/f", str(uid), 0o666)
        os.mknod(place.name("devices/null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        place.file("outside/f", "outside", 0o666)
        os.mknod(place.name("outside/null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self.policy = (f"subject a {{\n user {ME}\n allow read,watch {place.name('read')}/*\n"
                       f" allow read,write {place.name('write')}/*\n"
                       f" allow read {place.name('devices')}/* type chardev\n"
                       f" allow read {place.name('spool')}/%U/*\n allow connect unix:{place.name('s')}\n}}\n"
                       f"subject b {{\n user {OTHER}\n exe /bin/sh\n allow read {place.name('read')}/*\n}}\n")
        self.readable = [place.name(name) for name in ("read", "devices", f"spool/{ME}", f"spool/{OTHER}")]
        self.writable = [place.name("write")]

    def inspect(self, descriptor, what):
        """Fails where it is more than what the policy says."""
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            readable, writable = ([path for path in paths if os.path.samestat(status, os.stat(path))]
                                  for paths in (self.readable, self.writable))
            check(readable or writable, "a directory that the policy does not name", what)
            try:
                os.close(os.open("f", os.O_WRONLY, dir_fd=descriptor))
                check(writable, "a directory to read can be written in", what)
            except OSError as error:
                equal(error.errno, errno.EROFS, what)
        elif stat.S_ISCHR(status.st_mode):
            check(os.path.samestat(status, os.stat(self.place.name("devices/null"))), "another device", what)
            with open(f"/proc/self/fdinfo/{descriptor}") as info:
                equal(int(info.read().split("flags:")[1].split()[0], 8) & os.O_ACCMODE, os.O_RDONLY, what)
        elif stat.S_ISSOCK(status.st_mode):
            with socket.socket(fileno=os.dup(descriptor)) as s:
                equal(s.getpeername(), self.place.name("s"), what)
        else:
            # A watch on what it has itself.
            equal(os.readlink(f"/proc/self/fd/{descriptor}"), "anon_inode:inotify", what)
            equal(what[0], "CHANNEL_NOTIFY", what)


def message(type, index=0, attributes=0, uid=0, text=b"", id=77, endpoint=True):
    return HEADER.pack(type, id, index, attributes, 0, uid, uid, 0, uid, uid, 65536,
                       0, 3 if endpoint else 0, 0o777, 0, 0, 1, 0, 4, 0, bytes([127, 0, 0, 1]), 0, 65535, 0,
                       STREAM if endpoint else 0, 1000) + text


def variants(name, type):
    """Messages of that type, about views that were named and others."""
    indexes = (*range(VIEWS + 1), VIEWS + SLOTS - 1, VIEWS + SLOTS, 2 ** 32 - 1)
    attributes = range(VIEWS + 1) if name == "CHANNEL_CALLERS" else (0, os.O_RDWR, 2 ** 32 - 1)
    texts = (b"null", b"/dev/zero", b"../outside/null") if name == "CHANNEL_DEVICE" else (b"", b"/etc")
    for index, attribute, text in itertools.product(indexes, attributes, texts):
        yield message(type, index, attribute, ME if index % 2 else OTHER, text)


def say(setting, taken, name, message, sent):
    """Whether the maker goes on; what it answers is within the policy."""
    handed = {"none": [], "client": [taken.connection], "both": [taken.connection] * 2}[sent]
    got = taken.say(taken.questions, message, handed)
    what = (name, HEADER.unpack_from(message)[2:4], message[HEADER.size:], sent)
    if got is None:
        return False
    check(name in QUESTIONS, "the maker answers", what)
    for descriptor in got[1]:
        setting.inspect(descriptor, what)
        os.close(descriptor)
    return True


def sweep(names, every, **how):
    """Says every so many of all there are, to a new pair of worker and maker wherever the one has ended. Which kinds
    have been answered."""
    types = Taken.read_types()
    said = [(name, message, sent) for name in types if (name in QUESTIONS) == names
            for message in [*variants(name, types[name])][::every]
            for sent in (("none", "client", "both") if name in QUESTIONS else ("none", "client"))]
    answered = set()
    with Place() as place, listener(place.name("s"), backlog=4000, mode=0o777):
        setting = Setting(place)
        while said:
            if "command" in how:
                how["listen"] = ("@fdbroker-test-" + secrets.token_hex(8),)
            with Taken(place, setting.policy, **how) as taken:
                equal(taken.broker.ready["summary"].split(", ")[2], f"{VIEWS} views")
                while said:
                    one = said.pop()
                    if not say(setting, taken, *one):
                        break
                    answered.add(one[0])
                check(taken.broker.process.poll() is None)
    return answered


def as_daemon():
    return {"command": ["setpriv", "--reuid", str(DAEMON), "--regid", str(DAEMON), "--clear-groups",
                        f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}"], "user": None}


# Each is answered at least once: what is said is near enough to the truth.
ANSWERED = QUESTIONS - {"CHANNEL_BIND"}


def test_questions_give_what_the_policy_names():
    equal(sweep(True, 1), ANSWERED)


def test_questions_give_what_the_policy_names_started_by_a_user():
    equal(sweep(True, 4, **as_daemon()), ANSWERED)


def test_what_the_policy_does_not_call_for_is_not_to_be_asked():
    """Even if a question would give no more than the policy does."""
    types = Taken.read_types()
    questions = {"read": ("CHANNEL_RENEW",), "watch": ("CHANNEL_RENEW", "CHANNEL_NOTIFY"),
                 "connect": ("CHANNEL_CONNECT",), "bind": ("CHANNEL_BIND",)}
    with Place() as place, listener(place.name("s"), backlog=4000, mode=0o777):
        for right, answered in questions.items():
            target = f"unix:{place.name('s')} any-peer" if right in ("connect", "bind") else place.directory("d")
            policy = f"subject a {{\n user {ME}\n allow {right} {target}\n}}\n"
            for name in QUESTIONS - {"CHANNEL_CALLERS"}:
                with Taken(place, policy) as taken:
                    sent = {"CHANNEL_RENEW": 0, "CHANNEL_DEVICE": 0, "CHANNEL_NOTIFY": 2}.get(name, 1)
                    got = taken.say(taken.questions, message(types[name]), [taken.connection] * sent)
                    equal(got is not None, name in answered, right, name)
                    for descriptor in got[1] if got else ():
                        os.close(descriptor)


def test_nothing_else_is_answered():
    equal(sweep(False, 23), set())


def test_the_supervisor_takes_no_orders_from_a_worker_that_serves():
    """Whatever it says that no worker says is its end, and gets it nothing."""
    types = Taken.read_types()
    with Place() as place:
        setting = Setting(place)
        for name, number in types.items():
            # What it may say is about a client that there is; PONG is only said to a PING.
            for index, sent in ((2 ** 32 - 1, 0), (9, 0), (0, 1), (0, 2)) if name in WORDS else ((0, 0), (0, 2)):
                if name in AT_ANY_TIME and not sent:
                    continue
                with Taken(place, setting.policy) as taken:
                    said = message(number, index, 1, text=b"/etc")
                    equal(taken.say(taken.channel, said, [taken.connection] * sent), None, name, index, sent)
                    taken.broker.wait_event("ready", 2)
                    equal(taken.broker.events("worker")[0]["signal"], "KILL")


def test_what_a_worker_may_say_at_any_time_gives_it_what_it_has():
    """The record, which it writes to anyway; and once for however often it asks."""
    types = Taken.read_types()
    with Place() as place, Taken(place, Setting(place).policy) as taken:
        for _ in range(20):
            taken.channel.send(message(types["CHANNEL_ORPHANED"], 0, 1))
            taken.channel.send(message(types["CHANNEL_LOG"], 0, 1))
        error, descriptors = taken.say(taken.channel, message(types["CHANNEL_LOG"], 0, 1))
        equal((error, len(descriptors)), (0, 1))
        own, got = os.stat(f"/proc/{taken.broker.worker}/fd/2"), os.fstat(descriptors[0])
        equal((got.st_dev, got.st_ino), (own.st_dev, own.st_ino))
        os.close(descriptors[0])
        taken.channel.settimeout(1)
        try:
            raise AssertionError(taken.channel.recv(65536))
        except TimeoutError:
            pass
        equal(len(taken.broker.events("ready")), 1)


main(globals())
