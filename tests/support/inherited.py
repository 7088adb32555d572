# SPDX-License-Identifier: MIT
"""A broker that is started as a service manager starts it: with descriptors from 3 on, and variables."""
import os
import secrets
import socket
import sys

from broker import FDBROKERD, Broker
from tap import check, equal

SEQPACKET, STREAM, DGRAM = socket.SOCK_SEQPACKET, socket.SOCK_STREAM, socket.SOCK_DGRAM

# Gives itself the descriptors named in $TEST_FDS (from 3 on) and becomes the daemon, as a service manager does.
STARTER = f"""#!{sys.executable}
import os, sys
fds = [os.dup(int(fd)) for fd in os.environ.pop("TEST_FDS").split()]
for i, fd in enumerate(fds):
    os.dup2(fd, 100 + i)
os.closerange(3, 100)
for i in range(len(fds)):
    os.dup2(100 + i, 3 + i)
os.closerange(3 + len(fds), 200)
if os.environ.get("LISTEN_PID") == "self":
    os.environ["LISTEN_PID"] = str(os.getpid())
if os.environ.get("WATCHDOG_PID") == "self":
    os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv({FDBROKERD!r}, [{FDBROKERD!r}, *sys.argv[1:]])
"""


def policy(place, more=""):
    place.file("d/x", "the file")
    return f"subject a {{\n user 0\n {more}\n allow read {place.name('d')}/*\n}}\n"


def name():
    return "@fdbroker-test-" + secrets.token_hex(8)


def native(address):
    return "\0" + address[1:] if address.startswith("@") else address


def listening(address, kind=SEQPACKET, listen=True):
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(native(address))
    if listen:
        made.listen(8)
    return made


def service(place, text, sockets=(), listen=(), environment=None, daemon=FDBROKERD, **options):
    """A broker, of the program `daemon`, that inherits `sockets` as the descriptors 3, 4, ..."""
    env = {"LISTEN_PID": "self", "LISTEN_FDS": str(len(sockets))} if environment is None else environment
    return Broker(place, text, program=place.file("starter", STARTER.replace(FDBROKERD, daemon), 0o755), listen=listen,
                  pass_fds={s.fileno() for s in sockets},
                  env={**os.environ, "TEST_FDS": " ".join(str(s.fileno()) for s in sockets), **env},
                  **options)


def refused(place, sockets, words, status=1, **options):
    with service(place, policy(place), sockets, wait=False, **options) as broker:
        equal(broker.wait_end(), status, broker.noise)
        said = "\n".join(broker.noise)
        for word in words:
            check(word in said, repr(word), "is not in", said)
        equal(broker.records, [], "it had started")
