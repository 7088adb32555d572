# SPDX-License-Identifier: MIT
"""
A worker that is not itself any more, and what it could have done in callers' names: the test takes the socket on which
it asks the maker (pidfd_getfd(2), as root) and asks itself.
"""
import array
import errno
import os
import socket
import stat
import time

from broker import Broker, Client, Place, makers
from endpoints import CONNECT, SEQPACKET, STREAM, alone, fill, get, listener, peer, rules
from linux import CLONE_NEWNET, libc, result, unshare
from taken import HEADER, SYS_PIDFD_GETFD, TCP, UNIX, Taken
from tap import check, equal, main


def connections(place):
    """The rules that are used below, by their numbers: connect by name, by address, and bind. And what calls for the
    other questions."""
    return rules(f"allow connect unix:{place.name('s')}", "allow connect tcp:127.0.0.0/16:1000-2000 any-peer",
                 f"allow bind unix:{place.name('b')} any-peer mode 0600", f"allow watch {place.path}",
                 extra="subject b {\n user 5002\n exe /bin/sh\n allow read /etc/passwd\n}\n")


@alone
def test_a_real_client_is_served():
    with Place() as place, listener(place.name("s"), mode=0o777) as server:
        def run(taken):
            error, descriptor = taken.ask("CHANNEL_CONNECT", 0)
            equal(error, 0)
            os.close(descriptor)
            with server.accept()[0] as s:
                # Who connected: root, here.
                equal(peer(s)[1:], (0, 0))
            # The rule's mode, whatever is asked for, and nothing that it has not.
            error, descriptor = taken.ask("CHANNEL_BIND", 2, mode=0o7777)
            equal(error, 0)
            os.close(descriptor)
            equal(stat.S_IMODE(os.stat(place.name("b")).st_mode), 0o600)
            # What it runs: none of the programs of the policy, which names none.
            equal(taken.ask("CHANNEL_IDENTIFY", 0), (0, None))
            equal(taken.ask("CHANNEL_CONNECT", 1, protocol=TCP, family=4, ip=bytes([127, 0, 255, 1]), port=1000),
                  (111, None))
        with Taken(place, connections(place)) as taken:
            run(taken)


@alone
def test_what_no_worker_asks_ends_the_maker():
    loopback = dict(protocol=TCP, family=4, ip=bytes([127, 0, 0, 1]), port=1000)
    with Place() as place, listener(place.name("s"), mode=0o777) as server, \
            listener("\0elsewhere", SEQPACKET) as elsewhere:
        caller = socket.socket(socket.AF_UNIX, SEQPACKET)
        caller.connect("\0elsewhere")
        roots = elsewhere.accept()[0]
        pair = socket.socketpair(socket.AF_UNIX, SEQPACKET)
        tcp = socket.socket()
        file = open("/dev/null")
        pidfd = open(os.pidfd_open(1))
        for what, arguments in {
            "a rule that there is not": ("CHANNEL_CONNECT", 3, {}),
            "a rule for another right": ("CHANNEL_BIND", 0, {}),
            "an address beyond the prefix": ("CHANNEL_CONNECT", 1, {**loopback, "ip": bytes([127, 1, 0, 1])}),
            "an IPv6 address under an IPv4 rule": (
                "CHANNEL_CONNECT", 1, {**loopback, "family": 6, "ip": bytes([127] + [0] * 15)}),
            "no family": ("CHANNEL_CONNECT", 1, {**loopback, "family": 0}),
            "a port below": ("CHANNEL_CONNECT", 1, {**loopback, "port": 999}),
            "a port above": ("CHANNEL_CONNECT", 1, {**loopback, "port": 2001}),
            "another protocol": ("CHANNEL_CONNECT", 1, {**loopback, "protocol": 3, "type": socket.SOCK_DGRAM}),
            "another type": ("CHANNEL_CONNECT", 0, {"type": socket.SOCK_DGRAM}),
            "a raw socket": ("CHANNEL_CONNECT", 1, {**loopback, "type": socket.SOCK_RAW}),
            "its own channel, which is root's": ("CHANNEL_CONNECT", 0, {"sent": "channel"}),
            "the socket it asks on": ("CHANNEL_CONNECT", 0, {"sent": "questions"}),
            "an end of a pair": ("CHANNEL_CONNECT", 0, {"sent": [pair[0]]}),
            "one that root has connected elsewhere": ("CHANNEL_CONNECT", 0, {"sent": [roots]}),
            "a listening socket": ("CHANNEL_CONNECT", 0, {"sent": [server]}),
            "a socket that is none of UNIX": ("CHANNEL_CONNECT", 0, {"sent": [tcp]}),
            "no socket": ("CHANNEL_CONNECT", 0, {"sent": [file]}),
            "nothing": ("CHANNEL_CONNECT", 0, {"sent": []}),
            "two": ("CHANNEL_CONNECT", 0, {"sent": "twice"}),
            "a watch on nothing": ("CHANNEL_NOTIFY", 0, {"attributes": 0x100}),
            "its own channel, bound to a name that begins like ours": ("CHANNEL_CONNECT", 0, {"sent": "bound"}),
            "the client's end, bound to such a name": ("CHANNEL_CONNECT", 0, {"sent": "client"}),
            "one that root has connected to our name elsewhere": ("CHANNEL_CONNECT", 0, {"sent": "elsewhere"}),
            "the client under another's number": ("CHANNEL_CONNECT", 0, {"attributes": 1}),
            "the client under a number that nobody has": ("CHANNEL_CONNECT", 0, {"attributes": 2 ** 32 - 1}),
            "such a one to watch for": ("CHANNEL_NOTIFY", 2 ** 31, {"sent": "two", "attributes": 0x100}),
            "a process of somebody else's": ("CHANNEL_IDENTIFY", 0, {"sent": [pidfd]}),
            "what its own channel belongs to": ("CHANNEL_IDENTIFY", 0, {"sent": "channel"}),
            "what another client runs": ("CHANNEL_IDENTIFY", 1, {}),
            "a rule more": ("CHANNEL_SOCKET", 3, {"sent": [], "rights": 3, "text": b"/run/x"}),
        }.items():
            name, index, more = arguments
            with Taken(place, connections(place)) as taken:
                sent = more.get("sent")
                name_of_ours = "\0" + taken.broker.abstract[1:]
                if sent == "bound":
                    taken.channel.bind(name_of_ours + "\0x")
                    more["sent"] = [taken.channel]
                elif sent == "client":
                    end = socket.socket(socket.AF_UNIX, SEQPACKET)
                    end.bind(name_of_ours + "\0x")
                    end.connect(name_of_ours)
                    more["sent"] = [end]
                elif sent == "elsewhere":
                    ends = connected_elsewhere(name_of_ours)
                    more["sent"] = ends[:1]
                elif isinstance(sent, str):
                    more["sent"] = {"channel": [taken.channel], "questions": [taken.questions],
                                    "twice": [taken.connection] * 2, "two": [taken.connection, file]}[sent]
                equal(taken.ask(name, index, **more), None, what)
                # The two are replaced, and nobody else has noticed.
                taken.broker.wait_event("ready", 2)
                check(taken.broker.process.poll() is None)
        server.settimeout(0.1)
        try:
            server.accept()
            check(False, "somebody was connected")
        except socket.timeout:
            pass
        for s in (caller, roots, *pair, tcp, file, pidfd):
            s.close()


def count_sockets(broker):
    folder = f"/proc/{broker.process.pid}/fd"
    found = 0
    for number in os.listdir(folder):
        try:
            found += "socket:" in os.readlink(f"{folder}/{number}")
        except FileNotFoundError:
            pass
    return found


def wait_for_sockets(broker, count):
    end = time.monotonic() + 10
    while count_sockets(broker) != count:
        check(time.monotonic() < end, "the supervisor's sockets", count_sockets(broker), count)
        time.sleep(0.01)


def connected_elsewhere(name):
    """A connection between root and root in another network namespace: what accept(2) gives, and the other end."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    unshare(CLONE_NEWNET)
    try:
        with listener(name, SEQPACKET) as server:
            end = socket.socket(socket.AF_UNIX, SEQPACKET)
            end.connect(name)
            return server.accept()[0], end
    finally:
        result(libc.setns(here, CLONE_NEWNET))
        os.close(here)


@alone
def test_a_socket_is_a_clients_for_as_long_as_he_is_connected():
    """The supervisor says so: neither its name, nor who made it, nor that it was his once."""
    with Place() as place, listener(place.name("s"), mode=0o777) as server:
        server.settimeout(0.1)

        def close(taken):
            before = count_sockets(taken.broker)
            taken.channel.send(HEADER.pack(taken.types["CHANNEL_CLOSED"], *[0] * 19, b"", *[0] * 5))
            wait_for_sockets(taken.broker, before - 1)
            return before

        def end(taken, sent):
            sent.shutdown(socket.SHUT_RDWR)
            equal(taken.ask("CHANNEL_CONNECT", 0, sent=[sent]), (errno.EACCES, None))
            # Who has gone is no reason to take the worker for another.
            check(taken.broker.process.poll() is None)
            equal(len(taken.broker.events("ready")), 1)
        with Taken(place, connections(place)) as taken:
            close(taken)
            equal(taken.ask("CHANNEL_CONNECT", 0), None)
            taken.broker.wait_event("ready", 2)
        with Taken(place, connections(place)) as taken:
            close(taken)
            end(taken, taken.connection)
        with Taken(place, connections(place)) as taken:
            before = close(taken)
            # His number is another's now.
            with Client(taken.broker.abstract):
                wait_for_sockets(taken.broker, before)
                equal(taken.ask("CHANNEL_CONNECT", 0), None)
        with Taken(place, connections(place)) as taken:
            # He has gone, and the worker does not say so.
            taken.client.socket.close()
            equal(taken.ask("CHANNEL_CONNECT", 0), (errno.EACCES, None))
            equal(taken.ask("CHANNEL_BIND", 2), (errno.EACCES, None))
        with Taken(place, connections(place)) as taken:
            one, other = connected_elsewhere("\0" + taken.broker.abstract[1:])
            end(taken, one)
            one.close()
            other.close()
        try:
            server.accept()
            check(False, "somebody was connected")
        except socket.timeout:
            pass


@alone
def test_a_client_may_have_a_name():
    with Place() as place, listener(place.name("s"), mode=0o777) as server, \
            Broker(place, rules(f"allow connect unix:{place.name('s')} any-peer", user=0)) as broker:
        with socket.socket(socket.AF_UNIX, SEQPACKET) as named:
            named.bind("\0of-the-client")
            named.connect("\0" + broker.abstract[1:])
            os.close(get(Client(named), CONNECT, f"unix:{place.name('s')}", STREAM))
        server.accept()[0].close()


@alone
def test_what_it_watches_it_must_have_open():
    with Place() as place:
        d = place.directory("d")
        with Taken(place, rules(f"allow watch {d}")) as taken:
            at = os.open(d, os.O_PATH)
            with socket.socket(fileno=taken.connection.detach()) as connection:
                taken.connection = connection
                held = type("", (), {"fileno": lambda self: at})()
                error, descriptor = taken.ask("CHANNEL_NOTIFY", 0, attributes=0x100, sent=[connection, held])
                equal(error, 0)
                place.file("d/x")
                check(b"x\0" in os.read(descriptor, 4096))
                os.close(descriptor)
                os.close(at)



def agents(maker):
    """How many processes are under way in callers' names: children of any thread."""
    count = 0
    for task in os.listdir(f"/proc/{maker}/task"):
        with open(f"/proc/{maker}/task/{task}/children") as file:
            count += len(file.read().split())
    return count


def connections_of(taken, uids):
    """{number: (the caller's end, the copy that the supervisor has of the other)} of callers with these uids."""
    ends, copies, pidfd = {}, {}, os.pidfd_open(taken.broker.process.pid)
    # The first is the one that `taken` has.
    for number, uid in enumerate(uids, 1):
        os.seteuid(uid)
        try:
            ends[uid] = number, Client(taken.broker.abstract)
        finally:
            os.seteuid(0)
    while len(copies) < len(uids):
        for name in os.listdir(f"/proc/{taken.broker.process.pid}/fd"):
            try:
                if "socket:" not in os.readlink(f"/proc/{taken.broker.process.pid}/fd/{name}"):
                    continue
                s = socket.socket(fileno=result(libc.syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)))
            except OSError:
                continue  # closed meanwhile
            uid = peer(s)[1]
            if uid in ends and uid not in copies:
                copies[uid] = s
            else:
                s.close()
    os.close(pidfd)
    return {number: (end, copies[uid]) for uid, (number, end) in ends.items()}


@alone
def test_time_in_the_makers_line_counts():
    """More than is done at once, each with a second and a half: nothing goes on, or begins, when that is over."""
    with Place() as place:
        full, held = fill(place.name("s"))
        with Taken(place, connections(place)) as taken:
            maker, = makers(taken.broker)
            # Few of one uid are done at once. So there are others, who keep all threads busy twice over.
            callers = connections_of(taken, range(5001, 5007))
            begin = time.monotonic()
            for number, (_, s) in callers.items():
                message = HEADER.pack(taken.types["CHANNEL_CONNECT"], 77, 0, number, 0, 0, 0, 0, 0, 0, 0,
                                      UNIX, 0, 0o777, 0, 0, 0, 0, 0, 0, b"", 0, 0, 0, STREAM, 1500)
                for _ in range(16):
                    taken.questions.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                         array.array("i", [s.fileno()]))])
            while agents(maker) < 40:
                check(time.monotonic() - begin < 1.4, agents(maker))
            # A moment for those that are being ended.
            while agents(maker):
                check(time.monotonic() - begin < 2.5, agents(maker))
                time.sleep(0.02)
            time.sleep(0.3)
            equal(agents(maker), 0)
            for end, s in callers.values():
                end.socket.close()
                s.close()
        for s in (full, *held):
            s.close()


main(globals())
