# SPDX-License-Identifier: MIT
"""The daemon under a service manager: sockets it inherits, what it tells the manager, the watchdog, --ready-fd."""
import ctypes
import errno
import os
import select
import shutil
import signal
import socket
import subprocess
import time

from broker import DAEMON_FILE, FDBROKERD, WORKER_UID, Broker, Client, Place, ask
from inherited import DGRAM, SEQPACKET, STREAM, listening, name, native, policy, refused, service
from linux import CLONE_NEWNET, MS_BIND, as_user, in_child, libc, mount, result, umount, unshare
from tap import check, equal, main

# ---- sockets that are inherited

def test_sockets_of_the_service_manager_are_served_and_left_to_it():
    with Place() as place:
        address, path = name(), place.name("theirs")
        text = policy(place) + (f"subject b {{\n user 0\n via {path}\n allow read {place.name('e')}/*\n}}\n"
                                f"subject c {{\n user 0\n via {address}\n allow read {place.name('f')}/*\n}}\n")
        place.file("e/x")
        place.file("f/x")
        with listening(address) as one, listening(path) as two:
            # Its copies outlive the daemon, and the next one gets them.
            for _ in range(2):
                with service(place, text, [one, two]) as broker:
                    equal(broker.ready["listen"], f"{address} {path}")
                    for via, allowed in ((address, "f"), (path, "e")):
                        equal(ask(via, place.name("d/x")), "OK")
                        for directory in "ef":
                            equal(ask(via, place.name(f"{directory}/x")),
                                  "OK" if directory == allowed else "EACCES", via, directory)
                    os.kill(broker.worker, signal.SIGKILL)
                    broker.wait_event("ready", 2)
                    equal(ask(path, place.name("e/x")), "OK")
                    equal(broker.stop(), 0)
                check(os.path.exists(path), "its socket was removed")


def test_they_are_served_beside_addresses_that_are_given():
    with Place() as place:
        address, path = name(), place.name("ours")
        with listening(address) as one, service(place, policy(place), [one], listen=[path]) as broker:
            equal(broker.ready["listen"], f"{address} {path}")
            for via in (address, path):
                equal(ask(via, place.name("d/x")), "OK")


def test_variables_that_are_meant_for_another_process_are_none():
    with Place() as place:
        address, path = name(), place.name("ours")
        with listening(address) as one, \
                service(place, policy(place), [one], listen=[path],
                        environment={"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}) as broker:
            equal(broker.ready["listen"], path)


def test_what_is_no_listening_seqpacket_socket_is_refused():
    with Place() as place:
        with listening(name(), STREAM) as stream, listening(name(), DGRAM, False) as datagram, \
                listening(name(), listen=False) as deaf, socket.socket() as inet:
            inet.listen(1)
            for wrong, words in ((stream, "SOCK_SEQPACKET"), (datagram, "SOCK_SEQPACKET"), (inet, "UNIX"),
                                 (deaf, "does not listen"), (open("/dev/null"), "UNIX")):
                refused(place, [wrong], ["LISTEN_FDS: descriptor 3", words])
        one, two = socket.socketpair(socket.AF_UNIX, SEQPACKET)
        refused(place, [one], ["does not listen"])
        one.close()
        two.close()


def test_what_is_bound_to_a_name_that_nobody_could_write_is_refused():
    with Place() as place:
        for address, words in (("\0x\0y", "NUL"), ("relative", "relative")):
            with socket.socket(socket.AF_UNIX, SEQPACKET) as made:
                here = os.getcwd()
                os.chdir(place.path)
                try:
                    made.bind(address)
                finally:
                    os.chdir(here)
                made.listen(1)
                refused(place, [made], [words])


def test_a_path_that_fills_the_address_is_served():
    with Place() as place:
        path = place.name("x" * (107 - len(place.path) - 1))
        with listening(path) as made, service(place, policy(place), [made]) as broker:
            equal(broker.ready["listen"], path)
            equal(ask(path, place.name("d/x")), "OK")


def test_mistakes_in_the_variables_end_the_daemon():
    with Place() as place:
        with listening(name()) as one:
            for number, words in (("2", ["descriptor 4", "not open"]), ("x", ["LISTEN_FDS=x"]),
                                  ("-1", ["LISTEN_FDS=-1"]), ("99999999999", ["LISTEN_FDS="])):
                refused(place, [one], words, environment={"LISTEN_PID": "self", "LISTEN_FDS": number})
            refused(place, [one, open("/dev/null")], ["descriptor 4, second: "],
                    environment={"LISTEN_PID": "self", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "first:second"})
            refused(place, [one, one], ["listened on already"])
            refused(place, [one] * 17, ["descriptor 4"])
            address = "@" + one.getsockname()[1:].decode()
            refused(place, [one], ["listened on already"], listen=[address])
        made = [listening(name()) for _ in range(17)]
        refused(place, made, ["more than 16 addresses"])
        refused(place, made[:16], ["more than 16 addresses"], listen=[place.name("ours")])
        with service(place, policy(place), made[:16]) as broker:
            equal(len(broker.ready["listen"].split()), 16)
        for one in made:
            one.close()


def test_a_listening_descriptor_by_its_number():
    with Place() as place:
        address, path = name(), place.name("ours")
        with listening(address) as one:
            with service(place, policy(place), [one], listen=["fd:3", path], environment={}) as broker:
                equal(sorted(broker.ready["listen"].split()), sorted([address, path]))
                equal(ask(address, place.name("d/x")), "OK")
                equal(ask(path, place.name("d/x")), "OK")
            refused(place, [one], ["fd:N", "descriptor 4", "not open"], listen=["fd:4"], environment={})
            refused(place, [one], ["listened on already"], listen=["fd:3"])
            for wrong in ("fd:2", "fd:", "fd:x", "fd:-1", "fd:3x"):
                refused(place, [one], [wrong, "above 2"], 2, listen=[wrong], environment={})


def test_a_client_that_came_before_the_daemon_is_served_as_who_it_is():
    with Place() as place:
        address = name()
        with listening(address) as one, Client(address) as client, Client(address) as handed:
            id = client.send(path=place.name("d/x"))
            # Root's connection in somebody else's hands.
            as_user(5001, handed.send, 1, place.name("d/x"))
            with service(place, policy(place), [one]):
                equal(client.receive()[:2], (id, 0))
                equal(client.ask(path=place.name("d/x")), "OK")
                equal(handed.receive()[1], errno.EACCES)
                handed.id = 1
                equal(handed.ask(path=place.name("d/x")), "OK")
                equal(as_user(5001, handed.ask, 1, place.name("d/x")), "EACCES")


def test_an_inherited_socket_that_was_shut_down_ends_the_daemon():
    for how in (socket.SHUT_RDWR, socket.SHUT_RD):
        with Place() as place:
            address = name()
            with listening(address) as one, service(place, policy(place), [one]) as broker:
                one.shutdown(how)
                equal(broker.wait_end(), 1)
                check(any(address in line and "only who made it" in line for line in broker.noise), broker.noise)
                equal(broker.events("listen")[0]["errno"], "ESHUTDOWN")


def test_the_worker_sees_nothing_of_it():
    with Place() as place:
        manager = place.name("manager")
        with socket.socket(socket.AF_UNIX, DGRAM) as told, listening(name()) as one:
            told.bind(manager)
            with service(place, policy(place), [one], environment={
                        "LISTEN_PID": "self", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "NOTIFY_SOCKET": manager,
                        "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "self"}) as broker:
                with open(f"/proc/{broker.worker}/environ") as file:
                    found = [v.split("=")[0] for v in file.read().split("\0")]
                check("PATH" in found, found)
                equal([v for v in found if v.split("_")[0] in ("LISTEN", "NOTIFY", "WATCHDOG")], [])


# ---- what the manager is told

class Manager:
    """A service manager's socket."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, DGRAM)
        self.socket.bind(native(address))
        self.socket.settimeout(10)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def environment(self, **more):
        return {"NOTIFY_SOCKET": self.address, **more}

    def next(self):
        return self.socket.recv(4096).decode()

    def none(self, seconds):
        """Hears nothing for so long."""
        found, _, _ = select.select([self.socket], [], [], seconds)
        check(not found, found and self.next())


def test_the_manager_is_told_of_readiness_and_of_the_end():
    with Place() as place:
        for address in (name(), place.name("manager")):
            with Manager(address) as manager:
                with service(place, policy(place), listen=[name()], environment=manager.environment()) as broker:
                    equal(manager.next(), f"READY=1\nSTATUS={broker.ready['summary']}")
                    os.kill(broker.worker, signal.SIGKILL)
                    check("worker is gone" in manager.next())
                    equal(manager.next(), f"READY=1\nSTATUS={broker.ready['summary']}")
                    equal(broker.stop(), 0)
                    equal(manager.next(), "STOPPING=1")
                    manager.none(0)


def test_ready_is_not_said_before_the_sockets_listen():
    with Place() as place:
        address = name()
        with Manager(name()) as manager, \
                service(place, policy(place), listen=[address], environment=manager.environment(), wait=False):
            check(manager.next().startswith("READY=1\n"))
            equal(ask(address, place.name("d/x")), "OK")
        # One that cannot listen never was.
        with Manager(name()) as manager, listening(address), \
                service(place, policy(place), listen=[address], environment=manager.environment(),
                        wait=False) as broker:
            equal(broker.wait_end(), 1)
            equal(manager.next(), "STOPPING=1")


def test_a_manager_that_is_not_there_costs_one_line():
    with Place() as place:
        for address in (name(), place.name("nobody"), "nonsense", "/" + "x" * 200):
            with service(place, policy(place), listen=[name()],
                         environment={"NOTIFY_SOCKET": address}) as broker:
                os.kill(broker.worker, signal.SIGKILL)
                broker.wait_event("ready", 2)
                equal(broker.stop(), 0)
                equal(len([l for l in broker.noise if "NOTIFY_SOCKET" in l]), 1, broker.noise)


def test_a_manager_that_does_not_read_is_not_waited_for_and_loses_nothing():
    with Place() as place:
        address = name()
        with Manager(name()) as manager:
            with socket.socket(socket.AF_UNIX, DGRAM) as filler:
                filler.setblocking(False)
                filled = 0
                try:
                    while filled < 10000:
                        filler.sendto(b"x", native(manager.address))
                        filled += 1
                except BlockingIOError:
                    pass
            with service(place, policy(place), listen=[address], environment=manager.environment()) as broker:
                equal(ask(address, place.name("d/x")), "OK")
                os.kill(broker.worker, signal.SIGKILL)
                broker.wait_event("ready", 2)
                for _ in range(filled):
                    equal(manager.next(), "x")
                check(manager.next().startswith("READY=1\n"))
                check(manager.next().startswith("STATUS="))
                check(manager.next().startswith("READY=1\n"))
                equal(broker.stop(), 0)
                equal(manager.next(), "STOPPING=1")
                equal([line for line in broker.noise if line.startswith("fdbrokerd:")], [])


# ---- signs of life

def watchdog(manager, seconds, pid="self"):
    return manager.environment(WATCHDOG_USEC=str(int(seconds * 1e6)), WATCHDOG_PID=pid)


def signs(manager, seconds):
    """How many signs of life there are in that time, and what else is said."""
    count, others, end = 0, [], time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([manager.socket], [], [], max(0, end - time.monotonic()))[0]:
            text = manager.next()
            if text == "WATCHDOG=1":
                count += 1
            else:
                others.append(text)
    return count, others


def test_signs_of_life_come_at_half_of_the_time():
    with Place() as place:
        with Manager(name()) as manager, \
                service(place, policy(place), listen=[name()], environment=watchdog(manager, 1)) as broker:
            count, others = signs(manager, 3)
            check(4 <= count <= 8, count)
            equal(len(others), 1, others)
            # Not while the loop does not turn.
            broker.process.send_signal(signal.SIGSTOP)
            signs(manager, 0.2)
            equal(signs(manager, 1.5), (0, []))
            broker.process.send_signal(signal.SIGCONT)
            check(signs(manager, 1)[0] >= 1)


def test_signs_of_life_that_are_another_process_are_not_sent():
    with Place() as place:
        for environment in ({"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}):
            with Manager(name()) as manager:
                env = {**watchdog(manager, 0.2), **environment}
                with service(place, policy(place), listen=[name()], environment=env):
                    equal(signs(manager, 0.8)[0], 0, environment)


def test_no_signs_of_life_without_a_worker_that_serves():
    with Place() as place:
        program = shutil.copy2(DAEMON_FILE, place.name("fdbrokerd"))
        with Manager(name()) as manager, \
                service(place, policy(place), listen=[name()], environment=watchdog(manager, 0.4),
                        daemon=program) as broker:
            check(signs(manager, 1)[0] >= 3)
            os.rename(program, program + ".away")
            os.kill(broker.worker, signal.SIGKILL)
            broker.wait_event("worker", 2)
            signs(manager, 0.2)
            equal(signs(manager, 1), (0, []))
            os.rename(program + ".away", program)
            broker.wait_event("ready", 2)
            check(signs(manager, 1)[0] >= 3)


def test_a_worker_that_hangs_is_replaced():
    with Place() as place:
        address = name()
        with Manager(name()) as manager, \
                service(place, policy(place), listen=[address], environment=watchdog(manager, 1)) as broker:
            # One that answers is left alone.
            time.sleep(2.5)
            equal(broker.events("worker"), [])
            os.kill(broker.worker, signal.SIGSTOP)
            begin = time.monotonic()
            death = broker.wait_event("worker")
            equal((death["pid"], death["reason"]),
                  (broker.worker, "the worker does not answer and is replaced"))
            check(0.9 < time.monotonic() - begin < 4, time.monotonic() - begin)
            broker.wait_event("ready", 2)
            equal(ask(address, place.name("d/x")), "OK")
            end = time.monotonic() + 5
            while os.path.exists(f"/proc/{broker.worker}"):
                check(time.monotonic() < end, "it is left")
                time.sleep(0.01)
            equal(len(broker.events("worker")), 1)
            equal(broker.stop(), 0)


# ---- readiness by descriptor

def test_a_descriptor_tells_of_readiness():
    with Place() as place:
        reader, writer = os.pipe()
        address = name()
        with service(place, policy(place), [open(writer, "wb", closefd=False)], listen=[address], environment={},
                     options=["--ready-fd", "3"], wait=False) as broker:
            os.close(writer)
            equal(os.read(reader, 10), b"\n")
            equal(ask(address, place.name("d/x")), "OK")
            check(select.select([reader], [], [], 10)[0], "it is not closed")
            equal(os.read(reader, 10), b"")
            broker.wait_event("ready")
        os.close(reader)


def test_a_daemon_that_fails_never_says_that_it_is_ready():
    with Place() as place:
        reader, writer = os.pipe()
        address = name()
        with listening(address), \
                service(place, policy(place), [open(writer, "wb", closefd=False)], listen=[address],
                        environment={}, options=["--ready-fd", "3"], wait=False) as broker:
            os.close(writer)
            equal(os.read(reader, 10), b"")
            equal(broker.wait_end(), 1)
        os.close(reader)


def test_a_pipe_that_is_full_does_not_hang_the_daemon():
    with Place() as place:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        address = name()
        with service(place, policy(place), [open(writer, "wb", closefd=False)], listen=[address],
                     environment={}, options=["--ready-fd", "3"]) as broker:
            equal(ask(address, place.name("d/x")), "OK")
            equal(broker.stop(), 0)
            check(any("--ready-fd" in line for line in broker.noise), broker.noise)
        os.close(reader)
        os.close(writer)


def test_mistakes_of_ready_fd():
    with Place() as place:
        for number, word in (("2", "above 2"), ("x", "above 2"), ("7", "not open")):
            refused(place, [], ["ready-fd", word], 2, listen=[name()], environment={},
                    options=["--ready-fd", number])


# ---- another network namespace

class Netns:
    """A network namespace with a file, as ip netns add makes it."""

    def __init__(self, path):
        self.path = path
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                unshare(CLONE_NEWNET)
                os.write(writer, b"x")
                signal.pause()
            finally:
                os._exit(1)
        os.close(writer)
        try:
            equal(os.read(reader, 1), b"x")
            open(path, "w").close()
            mount(f"/proc/{pid}/ns/net", path, None, MS_BIND)
        finally:
            os.close(reader)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        umount(self.path)

    def inside(self, function, *arguments):
        def enter():
            descriptor = os.open(self.path, os.O_RDONLY)
            result(libc.setns(descriptor, ctypes.c_int(CLONE_NEWNET)))
            return function(*arguments)
        return in_child(enter)


def test_an_abstract_name_in_another_network_namespace():
    with Place() as place:
        address = name()
        with Netns(place.name("ns")) as netns:
            theirs = f"netns:{netns.path}/{address}"
            text = policy(place) + f"subject b {{\n user 0\n via {theirs}\n allow read {place.name('e')}/*\n}}\n"
            place.file("e/x")
            # The same name in ours is another address.
            with Broker(place, text, listen=[theirs, address]) as broker:
                equal(broker.ready["listen"], f"{theirs} {address}")
                equal(netns.inside(ask, address, place.name("d/x")), "OK")
                equal(netns.inside(ask, address, place.name("e/x")), "OK")
                equal(ask(address, place.name("d/x")), "OK")
                equal(ask(address, place.name("e/x")), "EACCES")
                ours = os.readlink("/proc/self/ns/net")
                for pid in (broker.process.pid, broker.worker):
                    equal(os.readlink(f"/proc/{pid}/ns/net"), ours)
                os.kill(broker.worker, signal.SIGKILL)
                broker.wait_event("ready", 2)
                equal(netns.inside(ask, address, place.name("e/x")), "OK")
            with Broker(place, text, listen=[theirs]) as broker:
                try:
                    ask(address, place.name("d/x"))
                    raise AssertionError("it listens in our own namespace")
                except ConnectionRefusedError:
                    pass


def test_what_is_no_network_namespace_is_refused():
    with Place() as place:
        place.file("plain")
        os.symlink("/proc/self/ns/net", place.name("link"))
        os.mkfifo(place.name("fifo"))
        for path, status, word in (
                (place.name("none"), 1, "ENOENT"), (place.name("plain"), 1, "EINVAL"),
                (place.name("link"), 1, "ELOOP"), (place.name("fifo"), 1, "EINVAL"),
                ("/proc/self/ns/uts", 1, "ELOOP"), ("relative", 2, "netns:/FILE/@NAME")):
            done = subprocess.run([FDBROKERD, "--user", str(WORKER_UID), "--policy",
                                   place.file("policy", policy(place)), "--listen", f"netns:{path}/@x"],
                                  capture_output=True, text=True, timeout=10)
            equal((done.returncode, word in done.stderr), (status, True), path, done.stderr)
        for wrong in ("netns:", "netns:/run", "netns:/run/x//path", "netns:/x/@", "netns:/x/@" + "y" * 107,
                      "netns:/" + "x" * 510 + "/@y"):
            done = subprocess.run([FDBROKERD, "--user", str(WORKER_UID), "--listen", wrong],
                                  capture_output=True, text=True, timeout=10)
            equal(done.returncode, 2, wrong, done.stderr)


main(globals())
