# SPDX-License-Identifier: MIT
"""
System calls that fail when a test wants them to. A program that `Faults.command` starts runs under a seccomp filter
that asks the test about some calls (seccomp_unotify(2)), of itself and of all that it executes; whatever filters those
install themselves come besides. Nothing of the machine is changed, and a call lets through is done by the kernel.
"""
import ctypes
import errno
import fcntl
import os
import platform
import select
import struct
import sys
import threading

from linux import libc, result
from tap import Skip

SYS_SECCOMP = 317
SYS_PIDFD_GETFD = 438
NUMBERS = {  # of x86-64
    "accept4": 288, "openat2": 437, "mmap": 9, "brk": 12, "clone": 56, "open_tree": 428, "mount_setattr": 442,
    "sendmsg": 46, "recvmsg": 47, "inotify_add_watch": 254, "fcntl": 72,
}
SET_MODE_FILTER, NEW_LISTENER = 1, 8
RET_ALLOW, RET_USER_NOTIF = 0x7fff0000, 0x7fc00000
NOTIF_RECV, NOTIF_SEND = 0xc0502100, 0xc0182101
FLAG_CONTINUE = 1
NOTIF = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; number, architecture, instruction, arguments
RESPONSE = struct.Struct("=QqiI")


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def install(numbers):
    """The calls of these numbers are asked about from now on. The descriptor to answer by."""
    instructions = [(0x20, 0, 0, 0)]  # the number of the call
    for i, number in enumerate(numbers):
        instructions.append((0x15, len(numbers) - i, 0, number))
    instructions += [(0x06, 0, 0, RET_ALLOW), (0x06, 0, 0, RET_USER_NOTIF)]
    code = b"".join(struct.pack("=HBBI", *one) for one in instructions)
    buffer = ctypes.create_string_buffer(code)
    program = Program(len(instructions), ctypes.cast(buffer, ctypes.c_void_p))
    return result(libc.syscall(SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER, ctypes.byref(program)))


class Faults:
    """For `Broker(command=faults.command)`. `fail` says which calls fail, and of whom."""

    def __init__(self, *calls):
        if platform.machine() != "x86_64":
            raise Skip("the numbers of system calls that the test has are those of x86-64")
        self.calls = {NUMBERS[name]: name for name in calls}
        self.numbers, self.own = os.pipe(), os.pipe()
        self.rules = {}
        self.count = 0
        self.lock = threading.Lock()
        self.command = [sys.executable, __file__, str(self.numbers[1]), str(self.own[0]),
                        ",".join(map(str, self.calls))]
        self.options = {"command": self.command, "pass_fds": (self.numbers[1], self.own[0])}
        self.thread = threading.Thread(target=self.answer_all, daemon=True)
        self.thread.start()

    def answer_all(self):
        """Takes the descriptor from the process that has installed the filter, and answers."""
        pid, number = map(int, os.read(self.numbers[0], 64).split())
        pidfd = os.pidfd_open(pid)
        self.listener = result(libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0))
        os.close(pidfd)
        os.write(self.own[1], b"x")
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while True:
            # Where nobody is left to ask, it hangs up.
            if not any(events & select.POLLIN for _, events in poll.poll()):
                os.close(self.listener)
                return
            buffer = bytearray(NOTIF.size)
            try:
                fcntl.ioctl(self.listener, NOTIF_RECV, buffer)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    continue  # whoever called was killed
                raise
            asked = NOTIF.unpack(buffer)
            name = self.calls[asked[3]]
            error = self.decide(name, asked[1], asked[6:])
            answer = RESPONSE.pack(asked[0], 0, -error, 0 if error else FLAG_CONTINUE)
            try:
                fcntl.ioctl(self.listener, NOTIF_SEND, answer)
            except OSError as problem:
                if problem.errno != errno.ENOENT:
                    raise

    def decide(self, name, thread, arguments):
        with self.lock:
            rule = self.rules.get(name)
            if not rule:
                return 0
            number, pid, when = rule
            if pid is not None and not os.path.exists(f"/proc/{pid}/task/{thread}"):
                return 0
            if when and not when(*arguments):
                return 0
            self.count += 1
            return number

    def fail(self, name, number, pid=None, when=None):
        """From now on such calls fail: those of all threads of `pid`; those for whose arguments `when` holds."""
        with self.lock:
            self.rules[name] = (number, pid, when)

    def end(self):
        """Nothing fails any more. How many calls did."""
        with self.lock:
            self.rules = {}
            count, self.count = self.count, 0
        return count


if __name__ == "__main__":
    listener = install(list(map(int, sys.argv[3].split(","))))
    os.write(int(sys.argv[1]), f"{os.getpid()} {listener}".encode())
    os.read(int(sys.argv[2]), 1)
    for descriptor in (listener, int(sys.argv[1]), int(sys.argv[2])):
        os.close(descriptor)
    os.execv(sys.argv[4], sys.argv[4:])
