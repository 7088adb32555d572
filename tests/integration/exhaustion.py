# SPDX-License-Identifier: MIT
"""What the machine runs out of: the daemon goes on, the caller gets a clear error, the operator a clear line."""
import json
import os
import resource
import signal
import socket
import time

from broker import Broker, Client, Place, ask, attempt
from linux import as_user, become, mount, umount, unshare, CLONE_NEWNS, MS_PRIVATE, MS_REC
from tap import check, equal, main

ME, OTHER = 5001, 5002
POLICY = "subject a {\n user 5001 5002 5003 5004 5005 5006\n allow read %s\n}\n"


def few(number):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


class Crowd:
    """Processes of several uids that leave what they got unread."""

    def __init__(self, address, path, uids, each):
        self.pids = []
        ready = os.pipe()
        for uid in uids:
            pid = os.fork()
            if pid == 0:
                become(uid)
                clients = []
                for _ in range(each // 20):
                    client = Client(address)
                    client.socket.setblocking(False)
                    for _ in range(20):
                        attempt(lambda: client.send(path=path))
                    clients.append(client)
                time.sleep(0.5)
                os.write(ready[1], b"x")
                signal.pause()
                os._exit(0)
            self.pids.append(pid)
        for _ in uids:
            os.read(ready[0], 1)
        for end in ready:
            os.close(end)

    def leave(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.pids = []


def test_descriptors_under_way():
    """The kernel bounds those of the worker's uid altogether, whoever does not take his."""
    with Place() as place:
        path = place.file("d/x", "x")
        with Broker(place, POLICY % path, preexec_fn=few(512)) as broker:
            crowd = Crowd(broker.abstract, path, (5003, 5004, 5005, 5006), 160)
            try:
                with_crowd = {as_user(ME, ask, broker.abstract, path) for _ in range(5)}
                check(with_crowd <= {"ETOOMANYREFS", "EMFILE", "OK"}, with_crowd)
                equal(broker.process.poll(), None)
                equal(broker.events("worker"), [])
            finally:
                crowd.leave()
            end = time.monotonic() + 10
            while as_user(ME, ask, broker.abstract, path) != "OK":
                check(time.monotonic() < end, "no recovery")
            check("ETOOMANYREFS" in with_crowd or "EMFILE" in with_crowd, with_crowd)


def test_a_full_backlog():
    """Those who found a place in it are served when the daemon comes to it."""
    with Place() as place:
        path = place.file("d/x", "x")
        with Broker(place, POLICY % path) as broker:
            def run():
                os.kill(broker.process.pid, signal.SIGSTOP)
                clients, refused = [], 0
                try:
                    for _ in range(200):
                        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                        s.setblocking(False)
                        got = attempt(s.connect, "\0" + broker.abstract[1:])
                        if got == "OK":
                            s.setblocking(True)
                            s.settimeout(10)
                            clients.append(Client(s))
                        else:
                            refused += 1
                            s.close()
                finally:
                    os.kill(broker.process.pid, signal.SIGCONT)
                return {c.ask(path=path) for c in clients}, len(clients) + refused
            # As root, to stop it; the file is for others.
            equal(run(), ({"EACCES"}, 200))
            equal(as_user(ME, ask, broker.abstract, path), "OK")


def test_a_full_disk_under_the_record():
    with Place() as place:
        path = place.file("d/x", "x")
        disk = place.directory("disk")

        def run():
            mount("tmpfs", disk, "tmpfs", 0, "size=65536")
            try:
                with Broker(place, POLICY % path, options=("--log", f"{disk}/log"), wait=False) as broker:
                    end = time.monotonic() + 10
                    while not os.path.exists(broker.pathname):
                        check(time.monotonic() < end, "it does not listen")
                        time.sleep(0.01)
                    with open(f"{disk}/big", "wb", buffering=0) as big:
                        while attempt(big.write, b"x" * 512) == "OK":
                            pass
                    for uid in range(6000, 6040):
                        equal(as_user(uid, ask, broker.abstract, place.name("denied" * 20)), "EACCES")
                    equal(as_user(ME, ask, broker.abstract, path), "OK")
                    os.unlink(f"{disk}/big")
                    equal(as_user(7000, ask, broker.abstract, place.name("denied")), "EACCES")
                    with open(f"{disk}/log") as log:
                        lines = [json.loads(line) for line in log if line.endswith("}\n") and line[0] == "{"]
                    check(lines[-1]["uid"] == 7000, lines[-1])
                    check(lines[-1].get("lost", 0) >= 20, lines[-1])
            finally:
                umount(disk)
        run()


def test_many_connections():
    """As many as there are descriptors for: 10,000 where the machine allows it. All idle, then all active."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(10000, (limit - 1500) // 2)
    with Place() as place:
        path = place.file("d/x", "x")
        policy = "subject a {\n user *\n limit connections none\n allow read %s\n}\n" % path
        with Broker(place, policy, options=("--connect-rate", "1000000")) as broker:
            def run():
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
                clients = [Client(broker.abstract) for _ in range(50)]
                for client in clients:
                    equal(client.ask(path=path), "OK")
                before = memory(broker.worker)
                clients += [connect(broker.abstract) for _ in range(count - 50)]
                end = time.monotonic() + 60
                while connections(broker) < count:
                    check(time.monotonic() < end, connections(broker))
                    time.sleep(0.05)
                idle = (memory(broker.worker) - before) / (count - 50)
                wrong = 0
                for client in clients:
                    client.send(path=path)
                    got = client.receive()
                    wrong += got[1] != 0
                    if got[1] and wrong < 5: print("#", got[:3])
                    for descriptor in got[3]:
                        os.close(descriptor)
                return wrong, idle
            wrong, idle = run()
            print(f"# {count} connections, {idle:.0f} bytes of the worker's memory each while idle")
            equal(wrong, 0)
            # A sanitizer's own memory says nothing.
            with open(f"/proc/{broker.worker}/maps") as maps:
                check(idle <= 500 or "libasan" in maps.read(), idle)


def connect(address):
    """A socket with a time-out does not wait where the backlog is full."""
    end = time.monotonic() + 30
    while True:
        try:
            return Client(address, timeout=60)
        except BlockingIOError:
            check(time.monotonic() < end, "the backlog stays full")
            time.sleep(0.001)


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        text = status.read()
    return 1024 * int(text[text.index("RssAnon:"):].split()[1])


def connections(broker):
    with Client(broker.abstract) as client:
        client.send(2)
        text = client.receive()[2].decode()
    return int(text[text.index("\nconnections "):].split()[1]) - 1


if __name__ == "__main__":
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    main(globals())
