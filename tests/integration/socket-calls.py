# SPDX-License-Identifier: MIT
"""connect, bind and watch: from the tool to the broker and on to real sockets; and the manual's examples of them."""
import os
import re
import socket
import subprocess
import threading
import time

from broker import FDBROKER, Broker, Place
from endpoints import DGRAM, ME, SEQPACKET, alone, listener, peer, rules
from linux import as_user
from tap import check, equal, main


def environment(broker):
    return {"PATH": f"{os.path.dirname(FDBROKER)}:/usr/bin:/bin", "FDBROKER_SOCKET": broker.abstract,
            "LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]}


def run(broker, *arguments, input=b""):
    """(status, standard output, standard error) of a command line that ME runs."""
    def inside():
        done = subprocess.run(arguments, input=input, capture_output=True, timeout=20, env=environment(broker))
        return done.returncode, done.stdout, done.stderr
    return as_user(ME, inside)


def examples():
    with open(os.path.join(os.environ["FDBROKER_SOURCE"], "doc/fdbroker.1.scd")) as page:
        return {re.search(r"fdbroker (\S+)", line)[1]: line
                for line in re.findall(r"^\t\$ (.*)", page.read(), re.M)}


@alone
def test_the_examples_of_the_manual():
    lines = examples()
    with Place() as place:
        d = place.directory("data", 0o700)
        served = place.directory("served", 0o755)
        script = place.file("server", "#!/bin/sh\n"
                            f"echo $$ $LISTEN_PID $LISTEN_FDS $FDBROKER_FD >{served}/told\n"
                            "exec python3 -c 'import socket\n"
                            "s = socket.socket(fileno=3)\nc = s.accept()[0]\nc.send(c.recv(9)[::-1])'\n", 0o755)
        os.chown(served, ME, ME)
        service = listener(place.name("data/service"), mode=0o700)
        with Broker(place, rules(f"allow watch {d}", f"allow connect unix:{d}/service",
                                 "allow bind tcp:127.0.0.1:80 any-peer")) as broker:
            def shell(name):
                line = lines[name].replace("/srv/data", d).replace("/srv/sockets", d).replace("/srv/server", script)
                check(line != lines[name], line)
                return run(broker, "sh", "-euc", line)
            got = []
            threads = [threading.Thread(target=lambda name=name: got.append(shell(name)))
                       for name in ("watch", "bind")]
            threads[0].start()
            time.sleep(0.5)
            place.file("data/new")
            threads[0].join()
            equal(got, [(0, b"create new\n", b"")])

            def serve():
                with service.accept()[0] as s:
                    equal(peer(s)[1:], (ME, ME))
                    equal(s.recv(99), b"hello\n")
                    equal(s.recv(99), b"")
                    s.send(b"good day\n")
            thread = threading.Thread(target=serve)
            thread.start()
            equal(shell("connect"), (0, b"good day\n", b""))
            thread.join()

            threads[1].start()
            for _ in range(100):
                try:
                    with socket.create_connection(("127.0.0.1", 80), 5) as s:
                        s.send(b"abc")
                        equal(s.recv(9), b"cba")
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            threads[1].join()
            equal(got[1], (0, b"", b""))
            with open(f"{served}/told") as file:
                told = file.read().split()
            equal((told[0], told[2:]), (told[1], ["1", "3"]))
        service.close()


@alone
def test_messages_and_types():
    with Place() as place:
        seq = listener(place.name("seq"), SEQPACKET, mode=0o777)
        gram = listener("\0gram", DGRAM)
        with Broker(place, rules(f"allow connect unix:{place.name('seq')}", "allow connect unix-dgram:@gram any-peer",
                                 "allow bind unix-dgram:@mine any-peer")) as broker:
            equal(run(broker, "fdbroker", "connect", "unix-dgram:@gram", input=b"one message"), (0, b"", b""))
            equal(gram.recv(99), b"one message")

            def serve():
                with seq.accept()[0] as s:
                    s.send(s.recv(99) * 2)
            thread = threading.Thread(target=serve)
            thread.start()
            equal(run(broker, "fdbroker", "connect", f"unix:{place.name('seq')}", "--type", "seqpacket", input=b"xy"),
                  (0, b"xyxy", b""))
            thread.join()
            equal(run(broker, "fdbroker", "connect", f"unix:{place.name('seq')}")[2][-12:], b"EPROTOTYPE)\n")
            # A command has the socket under the number that it is told, and is itself.
            program = ("import os, socket\ns = socket.socket(fileno=int(os.environ['FDBROKER_FD']))\n"
                       "print(s.getsockname(), s.type == socket.SOCK_DGRAM, os.get_inheritable(s.fileno()))")
            equal(run(broker, "fdbroker", "bind", "unix-dgram:@mine", "--", "python3", "-c", program),
                  (0, b"b'\\x00mine' True True\n", b""))
        seq.close()
        gram.close()


@alone
def test_failures_and_mistakes():
    with Place() as place:
        with Broker(place, rules("allow connect tcp:127.0.0.1:1 any-peer")) as broker:
            equal(run(broker, "fdbroker", "connect", "tcp:127.0.0.1:1"),
                  (1, b"", b"fdbroker: connect tcp:127.0.0.1:1: Connection refused (ECONNREFUSED)\n"))
            equal(run(broker, "fdbroker", "bind", "tcp:127.0.0.1:1", "--", "true"),
                  (1, b"", b"fdbroker: bind tcp:127.0.0.1:1: Permission denied (EACCES)\n"))
            equal(run(broker, "fdbroker", "watch", place.path),
                  (1, b"", f"fdbroker: watch {place.path}: Permission denied (EACCES)\n".encode()))
            for line in ("connect", "connect x", "connect tcp:localhost:80", "connect --type raw tcp:127.0.0.1:1",
                         "connect --type dgram tcp:127.0.0.1:1", "connect --type seqpacket tcp:127.0.0.1:1",
                         "connect --type stream udp:127.0.0.1:1", "connect tcp:127.0.0.1:1-2", "bind unix:@x",
                         "bind --listen udp:127.0.0.1:1 -- true", "connect tcp:127.0.0.1:1 --listen", "watch",
                         "watch /x -- true", "watch --events none /x", "watch --events create, /x",
                         "watch --count 0 /x", "watch --count x /x", "watch --count 1x /x", "watch --events unmount /x"):
                status, out, error = run(broker, "fdbroker", *line.split())
                equal((status, out), (2, b""), line, error)
                equal(error.count(b"\n"), 1, line, error)


@alone
def test_watching_until_it_is_gone():
    with Place() as place:
        d = place.directory("d")
        with Broker(place, rules(f"allow watch {d}")) as broker:
            got = []
            thread = threading.Thread(target=lambda: got.append(run(broker, "fdbroker", "watch", d)))
            thread.start()
            time.sleep(0.5)
            os.mkdir(f"{d}/sub")
            os.rename(f"{d}/sub", f"{d}/\x1b")
            os.rmdir(f"{d}/\x1b")
            os.rmdir(d)
            thread.join()
            equal(got, [(0, b"create,dir sub\nmoved-from,dir sub\nmoved-to,dir \x1b\ndelete,dir \x1b\ndelete-self\n", b"")])


main(globals())
