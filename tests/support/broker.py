# SPDX-License-Identifier: MIT
"""A broker for one test, and a client that speaks the wire protocol without the library."""
import atexit
import errno
import json
import os
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from schema import check_record

BUILD = os.environ.get("FDBROKER_BUILD", "build")


def reachable(build):
    """`build`, or a copy of its programs where not every uid can look into it, removed at the end."""
    path = os.path.realpath(build)
    above = path
    while above != "/":
        if not os.stat(above).st_mode & 0o001:
            break
        above = os.path.dirname(above)
    else:
        return path
    copy = tempfile.mkdtemp(prefix="fdbroker-test-build-")
    owner = os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(copy))
    os.chmod(copy, 0o755)
    # The programs find the library by the place they have beside it.
    for folder, name in (("broker", "fdbrokerd"), ("cli", "fdbroker"), ("client-lib", "libfdbroker")):
        os.mkdir(f"{copy}/{folder}")
        for entry in os.scandir(f"{path}/{folder}"):
            if entry.name.startswith(name) and entry.is_file():
                shutil.copy2(entry.path, f"{copy}/{folder}/", follow_symlinks=False)
    return copy


PROGRAMS = reachable(BUILD)
# Copies of the tool find the library too.
os.environ["LD_LIBRARY_PATH"] = f"{PROGRAMS}/client-lib"
FDBROKERD = f"{PROGRAMS}/broker/fdbrokerd"
FDBROKER = f"{PROGRAMS}/cli/fdbroker"
# Nobody's uid, and the worker's for this test; no entry in the user data base is needed. One of its own: what
# brokers have under way is counted by the kernel for each uid.
WORKER_UID = 100000 + os.getpid() % 100000

OPEN, STATUS = 1, 2
REQUEST = struct.Struct("=HHIQIHH")
REPLY = struct.Struct("=HHIIIII")
NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EAGAIN: "EAGAIN"}


class Place:
    """A directory of the test's own that every uid can look into, removed at the end."""

    def __init__(self):
        self.path = os.path.realpath(tempfile.mkdtemp(prefix="fdbroker-test-"))
        os.chmod(self.path, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        shutil.rmtree(self.path)

    def name(self, name):
        return os.path.join(self.path, name)

    def file(self, name, text="", mode=0o644, owner=0):
        path = self.name(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        os.chown(path, owner, owner)
        return path

    def directory(self, name, mode=0o755, owner=0):
        path = self.name(name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        os.chown(path, owner, owner)
        return path


class Broker:
    """
    Runs fdbrokerd with a policy text. `.abstract` and `.pathname` are its addresses, unless `listen` gives
    others. The record is read as it comes: events() returns what there is, wait_event() waits for one. `command` is
    run with the daemon's command line behind it; `user` is whom the worker becomes, None: as the daemon has it;
    `owner` is the policy's.
    """

    def __init__(self, place, policy, program=None, options=(), wait=True, listen=None,
                 command=(), user=WORKER_UID, owner=0, **popen):
        self.place = place
        self.policy = place.file("policy", policy, owner=owner)
        self.abstract = "@fdbroker-test-" + secrets.token_hex(8)
        self.pathname = place.name("socket")
        addresses = (self.abstract, self.pathname) if listen is None else listen
        self.records = []
        self.noise = []
        self.pending = b""
        self.process = subprocess.Popen(
            [*command, program or FDBROKERD, "--policy", self.policy,
             *([] if user is None else ["--user", str(user)]),
             *(f"--listen={address}" for address in addresses), *options],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **popen)
        os.set_blocking(self.process.stderr.fileno(), False)
        if wait:
            self.ready = self.wait_event("ready")
            self.worker = self.ready["worker"]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process.stderr.close()

    def read(self, timeout=0):
        """Takes in what there is, after at most `timeout` seconds. False at the end."""
        if not select.select([self.process.stderr], [], [], timeout)[0]:
            return True
        data = self.process.stderr.read()
        if not data:
            return False
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                self.noise.append(line.decode(errors="replace"))
                continue
            check_record(record)
            self.records.append(record)
        return True

    def events(self, name=None):
        self.read()
        return [r for r in self.records if name in (None, r["event"])]

    def wait_event(self, name, count=1, timeout=10):
        """The count-th event of that name since the start."""
        end = time.monotonic() + timeout
        while True:
            found = [r for r in self.records if r["event"] == name]
            if len(found) >= count:
                return found[count - 1]
            left = end - time.monotonic()
            if left <= 0 or not self.read(left):
                raise AssertionError(f"no event {name}: {self.noise} {self.records}")

    def wait_end(self, timeout=5):
        status = self.process.wait(timeout)
        while self.read(1):
            pass
        return status

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()


def sanitized(pid):
    """Whether the process keeps what it has freed, as those with an address sanitizer do."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as file:
        return "libasan" in file.read()


class Client:
    """A connection that can say anything."""

    def __init__(self, address, timeout=10):
        if isinstance(address, socket.socket):
            self.socket = address
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.settimeout(timeout)
            self.socket.connect("\0" + address[1:] if address.startswith("@") else address)
        self.id = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def send(self, operation=OPEN, path=b"", flags=0, mode=0, version=1, path_length=None,
             extra=b"", extra_length=None, id=None):
        if isinstance(path, str):
            path = os.fsencode(path)
        self.id += 1
        self.socket.send(REQUEST.pack(
            version, operation, self.id if id is None else id, flags, mode,
            len(path) if path_length is None else path_length,
            len(extra) if extra_length is None else extra_length) + path + extra)
        return self.id

    def receive(self):
        """(id, error, data, descriptors); None at the end."""
        data, descriptors, flags, _ = socket.recv_fds(self.socket, 65536, 250)
        if not data:
            return None
        version, _, id, error, count, length, reserved = REPLY.unpack_from(data)
        assert version == 1 and reserved == 0, (version, reserved)
        assert count == len(descriptors), (count, descriptors)
        assert len(data) == REPLY.size + length, (len(data), length)
        assert not (error and descriptors)
        return id, error, data[REPLY.size:], descriptors

    def ask(self, *arguments, **named):
        """The reply's error as a name (or "OK"), after closing what came."""
        id = self.send(*arguments, **named)
        got = self.receive()
        if got is None:
            return "END"
        for descriptor in got[3]:
            os.close(descriptor)
        assert got[0] == id, (got, id)
        return NAMES[got[1]] if got[1] else "OK"

    def open(self, path, flags=0, mode=0):
        """A descriptor, or OSError."""
        self.send(OPEN, path, flags, mode)
        got = self.receive()
        if got is None:
            raise EOFError
        if got[1]:
            raise OSError(got[1], os.strerror(got[1]), path)
        return got[3][0]

    def read(self, path):
        with os.fdopen(self.open(path), "rb") as file:
            return file.read().decode()


def processes(pid):
    """It and all that descend from it."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [pid] + [p for child in file.read().split() for p in processes(int(child))]


def makers(broker):
    """The pids of the makers: one for each worker."""
    found = []
    for pid in processes(broker.process.pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"--maker" in file.read().split(b"\0"):
                found.append(pid)
    return found


def homes(broker):
    """The mount namespaces that the maker has descriptors of, but for those that its own threads are in."""
    held, own = [], set()
    for pid in makers(broker):
        own.update(os.readlink(f"/proc/{pid}/task/{task}/ns/mnt") for task in os.listdir(f"/proc/{pid}/task"))
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{number}")
            except FileNotFoundError:
                continue  # closed meanwhile
            if link.startswith("mnt:"):
                held.append(link)
    return [link for link in held if link not in own]


def attempt(function, *arguments):
    """The name of the errno that a call fails with, or "OK"."""
    try:
        function(*arguments)
        return "OK"
    except OSError as error:
        return NAMES[error.errno]


def ask(address, path, flags=0, mode=0):
    """One open on a connection of its own: "OK" or the errno's name."""
    with Client(address) as client:
        return client.ask(OPEN, path, flags, mode)


def read(address, path):
    with Client(address) as client:
        return client.read(path)


def tool(*arguments, **options):
    return subprocess.run([FDBROKER, *arguments], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, **options)
