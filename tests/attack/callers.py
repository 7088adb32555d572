# SPDX-License-Identifier: MIT
"""
A worker that is not itself any more, and what it could have done in callers' names: the test takes the socket on which
it asks the maker (pidfd_getfd(2), as root) and asks itself.
"""
import array
import os
import signal
import socket
import stat
import struct
import time

from broker import Broker, Client, Place, makers
from endpoints import SEQPACKET, STREAM, alone, fill, listener, peer, rules
from linux import as_user, libc, result
from tap import check, equal, main

SYS_PIDFD_GETFD = 438
SO_ACCEPTCONN = 30
# broker/channel.h: type, id, index, attributes, error, uid, gid, map; then broker/endpoint.h: protocol, rights, mode,
# owner, group, abstract, variables, family, prefix, ip, ports, scope, type, time.
HEADER = struct.Struct("=5I2I4I" "5I4B16s2H3I")
UNIX, TCP = 0, 2


class Taken:
    def __init__(self, place, *lines):
        self.broker = Broker(place, rules(*lines))
        self.types = self.read_types()
        self.pidfd = os.pidfd_open(self.broker.worker)
        self.client = Client(self.broker.abstract)
        # Nothing of a policy: only that the connection is there.
        self.client.ask(path="/none")
        os.kill(self.broker.worker, signal.SIGSTOP)
        named, unnamed = [], []
        with open(f"/proc/{self.broker.worker}/cmdline") as file:
            arguments = file.read().split("\0")
        self.channel = self.take(int(arguments[arguments.index("--worker") + 1]))
        ours = os.fstat(self.channel.fileno()).st_ino
        for number in os.listdir(f"/proc/{self.broker.worker}/fd"):
            if "socket:" not in os.readlink(f"/proc/{self.broker.worker}/fd/{number}"):
                continue
            s = self.take(int(number))
            if s.getsockopt(socket.SOL_SOCKET, SO_ACCEPTCONN) or os.fstat(s.fileno()).st_ino == ours:
                continue
            (named if s.getsockname() else unnamed).append(s)
        (self.questions,) = unnamed
        (self.connection,) = named
        self.questions.settimeout(5)

    @staticmethod
    def read_types():
        """The numbers of the messages, as the source has them."""
        with open(os.environ["FDBROKER_SOURCE"] + "/broker/channel.h") as file:
            text = file.read().split("enum channel_type {")[1].split("}")[0]
        names = [line.strip().split(" ")[0].rstrip(",") for line in text.strip().splitlines()]
        return {name: number for number, name in enumerate(names, 1)}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)
        except ProcessLookupError:
            pass
        for s in (self.channel, self.questions, self.connection):
            s.close()
        os.close(self.pidfd)
        self.client.__exit__()
        self.broker.__exit__()

    def take(self, number):
        return socket.socket(fileno=result(libc.syscall(SYS_PIDFD_GETFD, self.pidfd, number, 0)))

    def ask(self, name, index, *, sent=None, attributes=0, protocol=UNIX, rights=0, mode=0o777, family=0, ip=b"", port=0,
            type=STREAM, text=b""):
        """(error, descriptor or None) or None, where the maker has ended."""
        message = HEADER.pack(self.types[name], 77, index, attributes, 0, 0, 0, 0, 0, 0, 0,
                              protocol, rights, mode, 0, 0, 0, 0, family, 0, ip, port, port, 0, type, 5000) + text
        sent = [self.connection] if sent is None else sent
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno() for s in sent]))] if sent else []
        try:
            self.questions.sendmsg([message], control)
            data, descriptors, _, _ = socket.recv_fds(self.questions, 65536, 4)
        except ConnectionResetError:
            return None
        except BrokenPipeError:
            return None
        if not data:
            return None
        return HEADER.unpack_from(data)[4], descriptors[0] if descriptors else None


def connections(place):
    """The rules that are used below, by their numbers: connect by name, by address, and bind."""
    return (f"allow connect unix:{place.name('s')}", "allow connect tcp:127.0.0.0/16:1000-2000 any-peer",
            f"allow bind unix:{place.name('b')} any-peer mode 0600")


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
            equal(taken.ask("CHANNEL_CONNECT", 1, protocol=TCP, family=4, ip=bytes([127, 0, 255, 1]), port=1000),
                  (111, None))
        with Taken(place, *connections(place)) as taken:
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
            "a rule more": ("CHANNEL_SOCKET", 3, {"sent": [], "rights": 3, "text": b"/run/x"}),
        }.items():
            name, index, more = arguments
            with Taken(place, *connections(place)) as taken:
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
                elif isinstance(sent, str):
                    more["sent"] = {"channel": [taken.channel], "questions": [taken.questions],
                                    "twice": [taken.connection] * 2}[sent]
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
        for s in (caller, roots, *pair, tcp, file):
            s.close()


@alone
def test_what_it_watches_it_must_have_open():
    with Place() as place:
        d = place.directory("d")
        with Taken(place, f"allow watch {d}") as taken:
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
    """Sockets of callers with these uids: the copies that the supervisor has."""
    for uid in uids:
        as_user(uid, lambda: Client(taken.broker.abstract) and None)
    found, pidfd = {}, os.pidfd_open(taken.broker.process.pid)
    while len(found) < len(uids):
        for number in os.listdir(f"/proc/{taken.broker.process.pid}/fd"):
            try:
                if "socket:" not in os.readlink(f"/proc/{taken.broker.process.pid}/fd/{number}"):
                    continue
                s = socket.socket(fileno=result(libc.syscall(SYS_PIDFD_GETFD, pidfd, int(number), 0)))
            except OSError:
                continue  # closed meanwhile
            uid = peer(s)[1]
            if uid in uids:
                found[uid] = s
            else:
                s.close()
    os.close(pidfd)
    return list(found.values())


@alone
def test_time_in_the_makers_line_counts():
    """More than is done at once, each with three seconds: nothing goes on, or begins, when that is over."""
    with Place() as place:
        full, held = fill(place.name("s"))
        with Taken(place, *connections(place)) as taken:
            maker, = makers(taken.broker)
            message = HEADER.pack(taken.types["CHANNEL_CONNECT"], 77, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                  UNIX, 0, 0o777, 0, 0, 0, 0, 0, 0, b"", 0, 0, 0, STREAM, 3000)
            # Few of one uid are done at once. So there are others, who keep all threads busy twice over.
            callers = connections_of(taken, range(5001, 5007))
            begin = time.monotonic()
            for s in callers:
                for _ in range(16):
                    taken.questions.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                         array.array("i", [s.fileno()]))])
            while agents(maker) < 40:
                check(time.monotonic() - begin < 2.8, agents(maker))
            # A moment for those that are being ended.
            while agents(maker):
                check(time.monotonic() - begin < 5, agents(maker))
                time.sleep(0.02)
            time.sleep(0.3)
            equal(agents(maker), 0)
            for s in callers:
                s.close()
        for s in (full, *held):
            s.close()


main(globals())
