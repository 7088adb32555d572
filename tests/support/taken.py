# SPDX-License-Identifier: MIT
"""A worker that is not itself any more: the test takes what it holds (pidfd_getfd(2), as root) and speaks for it."""
import array
import os
import signal
import socket
import struct

from broker import Broker, Client
from endpoints import STREAM
from linux import libc, result

SYS_PIDFD_GETFD = 438
SO_ACCEPTCONN = 30
# broker/channel.h: type, id, index, attributes (of CONNECT and BIND: the client's number, 0), error, uid, gid, map; then
# broker/endpoint.h: protocol, rights, mode, owner, group, abstract, variables, family, prefix, ip, ports, scope, type,
# time.
HEADER = struct.Struct("=5I2I4I" "5I4B16s2H3I")
UNIX, TCP = 0, 2


def let_go_on(pidfd):
    """A process that was stopped, unless it has ended."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    except ProcessLookupError:
        pass


class Taken:
    """
    A broker whose worker is stopped, and spoken for by the test with what it holds: `channel` to the supervisor,
    `questions` to the maker, `connection`, the socket of the one client, whose number is 0.
    """

    def __init__(self, place, policy, **how):
        self.broker = Broker(place, policy, **how)
        self.types = self.read_types()
        self.pidfd = os.pidfd_open(self.broker.worker)
        address = how["listen"][0] if "listen" in how else self.broker.abstract
        self.client = Client(address)
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
        self.channel.settimeout(5)

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
        let_go_on(self.pidfd)
        for s in (self.channel, self.questions, self.connection):
            s.close()
        os.close(self.pidfd)
        self.client.__exit__()
        self.broker.__exit__()

    def take(self, number):
        return socket.socket(fileno=result(libc.syscall(SYS_PIDFD_GETFD, self.pidfd, number, 0)))

    def say(self, socket_, message, sent=()):
        """(its error, the descriptors) that come for an answer, or None: whoever it was has ended."""
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno() for s in sent]))] if sent else []
        try:
            socket_.sendmsg([message], control)
            data, descriptors, _, _ = socket.recv_fds(socket_, 65536, 4)
        except (ConnectionResetError, BrokenPipeError):
            return None
        return (HEADER.unpack_from(data)[4], descriptors) if data else None

    def ask(self, name, index, *, sent=None, attributes=0, protocol=UNIX, rights=0, mode=0o777, family=0, ip=b"", port=0,
            type=STREAM, text=b""):
        """(error, descriptor or None) or None, where the maker has ended."""
        message = HEADER.pack(self.types[name], 77, index, attributes, 0, 0, 0, 0, 0, 0, 0,
                              protocol, rights, mode, 0, 0, 0, 0, family, 0, ip, port, port, 0, type, 5000) + text
        sent = [self.connection] if sent is None else sent
        got = self.say(self.questions, message, sent)
        return got and (got[0], got[1][0] if got[1] else None)
