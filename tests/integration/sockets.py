# SPDX-License-Identifier: MIT
"""connect and bind: who the other end sees, what arrives, and what is refused."""
import fcntl
import os
import pwd
import socket
import stat
import struct
import subprocess
import threading

from broker import Broker, Client, Place, attempt
from endpoints import (BIND, CONNECT, DGRAM, ME, OTHER, SEQPACKET, STREAM, alone, answer, get_socket, listener, peer,
                       peer_groups, rules)
from linux import as_user, libc, result
from tap import check, equal, main

NONBLOCK = socket.SOCK_NONBLOCK


# ---- who the other end sees

@alone
def test_a_service_sees_the_caller():
    with Place() as place:
        d = place.directory("d", 0o700)
        servers = {address: listener(name, type, mode=mode) for address, name, type, mode in (
            (f"unix:{d}/stream", f"{d}/stream", STREAM, 0o700),
            (f"unix:{d}/seqpacket", f"{d}/seqpacket", SEQPACKET, 0),
            ("unix:@stream", "\0stream", STREAM, None))}
        with Broker(place, rules(*(f"allow connect {address}" for address in servers))) as broker:
            for address, server in servers.items():
                def run():
                    with get_socket(broker, CONNECT, address, server.type) as s:
                        s.send(b"hello")
                        return s.recv(9)

                def serve():
                    with server.accept()[0] as s:
                        seen.append((peer(s)[1:], sorted(peer_groups(s)), s.recv(9)))
                        s.send(b"well")
                seen = []
                thread = threading.Thread(target=serve)
                thread.start()
                equal(as_user(ME, run, gid=6001, groups=[7, 80001]), b"well")
                thread.join()
                equal(seen, [((ME, 6001), [7, 80001], b"hello")], address)
                server.close()


@alone
def test_clients_of_a_bound_socket_see_who_listens():
    with Place() as place:
        place.directory("d", 0o700)
        path = place.name("d/s")
        with Broker(place, rules(f"allow bind unix:{path} any-peer mode 0666",
                                 "allow bind unix:@name any-peer")) as broker:
            for address, name in ((f"unix:{path}", path), ("unix:@name", "\0name")):
                def run():
                    s = get_socket(broker, BIND, address)
                    equal(s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 0, "it listens already")
                    s.listen()
                    # Root is looking on: it comes into the directory.
                    with open(ready[1], "w") as file:
                        file.write("x")
                    s.settimeout(10)
                    s.accept()[0].close()
                ready = os.pipe()

                def look():
                    os.read(ready[0], 1)
                    with socket.socket(socket.AF_UNIX) as s:
                        s.connect(name)
                        seen.append(peer(s)[1:])
                seen = []
                thread = threading.Thread(target=look)
                thread.start()
                as_user(ME, run)
                thread.join()
                equal(seen, [(ME, ME)])
                os.close(ready[0])
                os.close(ready[1])


# ---- what arrives

@alone
def test_messages_arrive_as_they_were_sent():
    with Place() as place:
        for scheme, type in (("unix-dgram", DGRAM), ("unix", SEQPACKET), ("unix", STREAM)):
            path = place.name(f"{scheme}-{type}")
            server = listener(path, type, mode=0o777)
            any_peer = "any-peer" if type == DGRAM else ""
            with Broker(place, rules(f"allow connect {scheme}:{path} {any_peer}")) as broker:
                largest = 200000
                sent = [b"a" * n for n in (1, largest, 2, 0, 3)] if type != STREAM else [b"ab" * largest]

                def run():
                    with get_socket(broker, CONNECT, f"{scheme}:{path}", type) as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
                        for data in sent:
                            if type == STREAM:
                                s.sendall(data)
                            else:
                                equal(s.send(data), len(data))
                got = []

                def serve():
                    s = server if type == DGRAM else server.accept()[0]
                    if type == STREAM:
                        data = b""
                        while part := s.recv(1 << 20):
                            data += part
                        got.append(data)
                    else:
                        for _ in sent:
                            got.append(s.recv(1 << 20))
                    s.close()
                thread = threading.Thread(target=serve)
                thread.start()
                as_user(ME, run)
                thread.join()
                equal([len(g) for g in got], [len(s) for s in sent], scheme, type)
                check(got == sent)
            server.close()


@alone
def test_udp_messages_and_tcp_streams():
    with Place() as place:
        for family, host, ip in ((socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "[::1]")):
            udp = listener((host, 0), DGRAM, family=family)
            tcp = listener((host, 0), STREAM, family=family)
            ports = udp.getsockname()[1], tcp.getsockname()[1]
            with Broker(place, rules(f"allow connect udp:{ip}:{ports[0]} tcp:{ip}:1024-65535 any-peer")) as broker:
                largest = 65507 if family == socket.AF_INET else 65487 + 20

                def run():
                    with get_socket(broker, CONNECT, f"udp:{ip}:{ports[0]}", DGRAM) as s:
                        for n in (0, 1, 65000, 0, 2, largest):
                            equal(s.send(b"x" * n), n)
                        equal(s.family, family)
                    with get_socket(broker, CONNECT, f"tcp:{ip}:{ports[1]}", STREAM | NONBLOCK) as s:
                        equal(s.getpeername()[:2], (host, ports[1]))
                        check(fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK)
                    with get_socket(broker, CONNECT, f"tcp:{ip}:{ports[1]}") as s:
                        check(not fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK)
                as_user(ME, run)
                equal([len(udp.recv(70000)) for _ in range(6)], [0, 1, 65000, 0, 2, largest])
                tcp.accept()[0].close()
                equal(answer(broker, CONNECT, f"tcp:{ip}:1023"), "EACCES")
                equal(answer(broker, CONNECT, f"tcp:{ip}:1024"), "ECONNREFUSED")
            udp.close()
            tcp.close()


# ---- binding

@alone
def test_a_bound_socket_has_its_mode_and_owner_from_the_first_moment():
    with Place() as place:
        d = place.directory("d", 0o755)
        path = f"{d}/s"
        for rule, wanted in (("mode 0660 owner 5003:6003", (0o660, 5003, 6003)), ("mode 0600", (0o600, ME, 6001)),
                             ("", (0o644, ME, 6001))):
            with Broker(place, rules(f"allow bind unix:{path} any-peer {rule}")) as broker:
                seen, stop = set(), []

                def look():
                    while not stop:
                        try:
                            s = os.lstat(path)
                            seen.add((stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid))
                        except FileNotFoundError:
                            pass
                thread = threading.Thread(target=look)
                thread.start()

                def run():
                    with Client(broker.abstract) as client:
                        return client.ask(BIND, f"unix:{path}", STREAM)
                try:
                    for _ in range(60):
                        equal(as_user(ME, run, gid=6001), "OK")
                        equal(answer(broker, BIND, f"unix:{path}"), "EADDRINUSE")
                        os.unlink(path)
                finally:
                    stop.append(True)
                    thread.join()
                equal(seen, {wanted})


@alone
def test_binding_replaces_nothing():
    with Place() as place:
        d = place.directory("d")
        place.file("d/file", "file")
        os.symlink("nowhere", f"{d}/dangling")
        os.symlink("d", place.name("link"))
        with Broker(place, rules(*(f"allow bind unix:{d}/{name} any-peer" for name in ("file", "dangling", "gone/s")),
                                 f"allow bind unix:{place.path}/link/s any-peer",
                                 f"allow bind unix:{d}/{'n' * 108} any-peer")) as broker:
            equal(answer(broker, BIND, f"unix:{d}/file"), "EADDRINUSE")
            equal(answer(broker, BIND, f"unix:{d}/dangling"), "EADDRINUSE")
            equal(answer(broker, BIND, f"unix:{d}/gone/s"), "ENOENT")
            equal(answer(broker, BIND, f"unix:{place.path}/link/s"), "EACCES")
            equal(answer(broker, BIND, f"unix:{d}/{'n' * 108}"), "ENAMETOOLONG")
            equal(sorted(os.listdir(d)), ["dangling", "file"])
            with open(f"{d}/file") as file:
                equal(file.read(), "file")
            check(any("symbolic link" in r.get("reason", "") for r in broker.events("request")))


@alone
def test_internet_sockets_that_are_bound():
    with Place() as place:
        with Broker(place, rules("allow bind tcp:127.0.0.1:80 tcp:[::]:80 udp:*:1-100 tcp:0.0.0.0:8080 any-peer")
                    ) as broker:
            def run():
                low = get_socket(broker, BIND, "tcp:127.0.0.1:80")
                equal(low.getsockname(), ("127.0.0.1", 80))
                low.listen()
                # IPv6 is IPv6 alone: the IPv4 port is not taken.
                six = get_socket(broker, BIND, "tcp:[::]:80")
                six.listen()
                equal(six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), 1)
                for s in (low, six):
                    equal(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT), 0)
                    equal(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR), 1)
                udp = get_socket(broker, BIND, "udp:127.0.0.1:53", DGRAM)
                equal(udp.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR), 0)
                mapped = get_socket(broker, BIND, "udp:[::ffff:127.0.0.1]:54", DGRAM)
                equal((mapped.family, mapped.getsockname()), (socket.AF_INET, ("127.0.0.1", 54)))
                with Client(broker.abstract) as client:
                    return [client.ask(BIND, address, type) for address, type in (
                        ("tcp:127.0.0.1:80", STREAM), ("tcp:[::]:80", STREAM), ("udp:127.0.0.1:53", DGRAM),
                        ("tcp:127.0.0.1:81", STREAM), ("tcp:0.0.0.0:80", STREAM), ("udp:127.0.0.1:101", DGRAM),
                        ("udp:192.0.2.1:53", DGRAM), ("tcp:127.0.0.1:8080", STREAM))]
            equal(as_user(ME, run), ["EADDRINUSE", "EADDRINUSE", "EADDRINUSE", "EACCES", "EACCES", "EACCES",
                                     "EADDRNOTAVAIL", "EACCES"])


@alone
def test_a_server_can_be_started_again():
    with Place() as place:
        with Broker(place, rules("allow bind tcp:127.0.0.1:80 any-peer")) as broker:
            def run():
                for _ in range(2):
                    server = get_socket(broker, BIND, "tcp:127.0.0.1:80")
                    server.listen()
                    client = socket.create_connection(("127.0.0.1", 80))
                    taken = server.accept()[0]
                    # This side closes first, and has the port in TIME_WAIT.
                    taken.close()
                    client.close()
                    server.close()
            as_user(ME, run)


# ---- addresses

@alone
def test_ipv6_addresses_with_a_scope_and_mapped_ones():
    with Place() as place:
        subprocess.run(["ip", "link", "add", "va", "type", "veth", "peer", "name", "vb"], check=True)
        for name in "ab":
            subprocess.run(["ip", "link", "set", f"v{name}", "addrgenmode", "none"], check=True)
            subprocess.run(["ip", "addr", "add", f"fe80::{name}/64", "dev", f"v{name}", "nodad"], check=True)
            subprocess.run(["ip", "link", "set", f"v{name}", "up"], check=True)
        index = {name: socket.if_nametoindex(f"v{name}") for name in "ab"}
        server = socket.socket(socket.AF_INET6)
        server.bind(("fe80::b", 80, 0, index["b"]))
        server.listen()
        server.settimeout(10)
        four = listener(("127.0.0.1", 81), family=socket.AF_INET)
        with Broker(place, rules("allow connect tcp:[fe80::/10]:80 tcp:127.0.0.1:81 any-peer")) as broker:
            def run():
                with get_socket(broker, CONNECT, f"tcp:[fe80::b%{index['a']}]:80") as s:
                    equal(s.getpeername(), ("fe80::b", 80, 0, index["a"]))
                with get_socket(broker, CONNECT, "tcp:[::ffff:127.0.0.1]:81") as s:
                    equal((s.family, s.getpeername()), (socket.AF_INET, ("127.0.0.1", 81)))
                # What the kernel takes for the loopback address, the policy does too.
                with get_socket(broker, CONNECT, "tcp:0.0.0.0:81") as s:
                    equal(s.getpeername(), ("127.0.0.1", 81))
            as_user(ME, run)
            server.accept()[0].close()
            equal(answer(broker, CONNECT, "tcp:[fe80::b]:80"), "EINVAL")
            equal(answer(broker, CONNECT, f"tcp:[fe80::b%{index['a']}]:81"), "EACCES")
            equal(answer(broker, CONNECT, "tcp:[::ffff:127.0.0.2]:81"), "EACCES")
        server.close()
        four.close()


@alone
def test_addresses_and_types_that_make_no_sense():
    with Place() as place:
        with Broker(place, rules("allow connect,bind tcp:*:* udp:*:* any-peer", "allow connect unix:@x")) as broker:
            for address, type in (("", STREAM), ("tcp:", STREAM), ("tcp:127.0.0.1:80-81", STREAM),
                                  ("tcp:*:80", STREAM), ("tcp:127.0.0.0/8:80", STREAM), ("tcp:localhost:80", STREAM),
                                  ("tcp:127.0.0.1:80", DGRAM), ("udp:127.0.0.1:80", STREAM), ("tcp:127.0.0.1:80", 0),
                                  ("tcp:127.0.0.1:80", 3), ("tcp:127.0.0.1:80", STREAM | 1 << 40),
                                  ("unix:@x", DGRAM), ("unix:x", STREAM), ("unix:/a/../b", STREAM),
                                  ("tcp:[fe80::1%lo]:80", STREAM), ("tcp:[fe80::1%0]:80", STREAM),
                                  ("tcp:127.0.0.1%1:80", STREAM), ("unix:@x\0", STREAM), ("/x", STREAM)):
                for operation in (CONNECT, BIND):
                    equal(answer(broker, operation, address, type), "EINVAL", address, type)
            def run():
                with Client(broker.abstract) as client:
                    return client.ask(CONNECT, "unix:@x", STREAM, 1)
            equal(as_user(ME, run), "EINVAL")


@alone
def test_names_with_variables_and_long_ones():
    with Place() as place:
        long = place.directory("/".join(["n" * 100] * 5), 0o700)
        place.directory("run")
        server = None
        at = os.getcwd()
        os.chdir(long)
        server = listener("s", mode=0o700)
        os.chdir(at)
        mine = listener(place.name(f"run/{ME}.%"), mode=0o777)
        with Broker(place, rules(f"allow connect unix:{long}/s", f"allow connect unix:{place.path}/run/%U.%%",
                                 f"allow bind unix:@{'n' * 107} any-peer", f"allow bind unix:{place.path}/run/100%% any-peer",
                                 f"allow connect unix:{place.path}/run/%u", "allow bind unix:@%u-%U any-peer",
                                
                                 user="5001-5002 1")) as broker:
            equal(answer(broker, CONNECT, f"unix:{long}/s"), "OK")
            with server.accept()[0] as s:
                equal(peer(s)[1:], (ME, ME))
            equal(answer(broker, CONNECT, f"unix:{place.path}/run/{ME}.%"), "OK")
            equal(answer(broker, CONNECT, f"unix:{place.path}/run/{ME}.%", uid=OTHER), "EACCES")
            equal(answer(broker, CONNECT, f"unix:{place.path}/run/{OTHER}.%", uid=OTHER), "ENOENT")
            equal(answer(broker, BIND, f"unix:{place.path}/run/100%"), "OK")
            equal(sorted(os.listdir(place.name("run"))), ["100%", f"{ME}.%"])
            equal(answer(broker, BIND, f"unix:@{'n' * 107}"), "OK")
            equal(answer(broker, BIND, f"unix:@{'n' * 106}"), "EACCES")
            equal(answer(broker, BIND, f"unix:@{'n' * 108}"), "EINVAL")
            # Of this user the data base knows more than a number; of the others it does not.
            daemon = pwd.getpwuid(1)
            named = listener(place.name(f"run/{daemon.pw_name}"), mode=0)
            equal(answer(broker, CONNECT, f"unix:{place.path}/run/{daemon.pw_name}", uid=1), "OK")
            equal(answer(broker, CONNECT, f"unix:{place.path}/run/{daemon.pw_name}"), "EACCES")
            equal(answer(broker, BIND, f"unix:@{daemon.pw_name}-1", uid=1), "OK")
            named.close()
        server.close()
        mine.close()


# ---- what is refused, and how

@alone
def test_errors_arrive_as_they_are():
    with Place() as place:
        d = place.directory("d")
        place.file("d/file")
        dead = listener(f"{d}/dead", mode=0o777)
        dead.close()
        alive = listener(f"{d}/alive", mode=0o777)
        seq = listener(f"{d}/seq", SEQPACKET, mode=0o777)
        os.symlink("alive", f"{d}/link")
        os.symlink("d", place.name("way"))
        names = ("file", "dead", "link", "none", "none/s", "seq", "alive")
        with Broker(place, rules(*(f"allow connect unix:{d}/{n}" for n in names),
                                 f"allow connect unix:{place.path}/way/alive", "allow connect unix:@none",
                                 f"deny connect unix:{d}/alive",
                                 "allow connect tcp:127.0.0.1:1 tcp:192.0.2.0/24:1 any-peer")) as broker:
            for address, wanted in ((f"unix:{d}/file", "ECONNREFUSED"), (f"unix:{d}/dead", "ECONNREFUSED"),
                                    (f"unix:{d}/link", "EACCES"), (f"unix:{d}/none", "ENOENT"),
                                    (f"unix:{d}/none/s", "ENOENT"), (f"unix:{d}/seq", "EPROTOTYPE"),
                                    (f"unix:{d}/alive", "EACCES"), (f"unix:{place.path}/way/alive", "EACCES"),
                                    ("unix:@none", "ECONNREFUSED"), ("unix:@other", "EACCES"),
                                    ("tcp:127.0.0.1:1", "ECONNREFUSED"), ("tcp:192.0.2.1:1", "ENETUNREACH"),
                                    ("tcp:127.0.0.1:2", "EACCES")):
                equal(answer(broker, CONNECT, address), wanted, address)
            equal(answer(broker, BIND, f"unix:{d}/file"), "EACCES")
            equal(answer(broker, CONNECT, "tcp:127.0.0.1:1", uid=OTHER), "EACCES")
            record = [r for r in broker.events("request") if r.get("path") == "tcp:127.0.0.1:2"][0]
            equal((record["right"], record["verdict"], record["uid"], record["errno"]),
                  ("connect", "deny", ME, "EACCES"))
        alive.close()
        seq.close()


@alone
def test_a_rule_for_what_can_reach_others_says_so():
    with Place() as place:
        for rule, exact in (("connect unix:/s", True), ("connect unix:@s", True), ("connect unix-dgram:/s", False),
                            ("connect tcp:127.0.0.1:1", False), ("connect udp:127.0.0.1:1", False),
                            ("bind unix:/s", False), ("bind unix:@s", False), ("bind unix-dgram:/s", False),
                            ("bind tcp:127.0.0.1:1", False), ("bind udp:127.0.0.1:1", False)):
            with Broker(place, rules(f"allow {rule}"), wait=False) as broker:
                if exact:
                    broker.wait_event("ready")
                    continue
                equal(broker.wait_end(), 1, rule)
                check(any("any-peer" in line for line in broker.noise), rule, broker.noise)
            with Broker(place, rules(f"allow {rule} any-peer")) as broker:
                pass


@alone
def test_what_a_holder_can_do_beyond_the_rule():
    """Why any-peer must be said; and that a connected stream of a UNIX socket needs it not."""
    AF_UNSPEC = struct.pack("H14x", 0)
    with Place() as place:
        granted, other = listener("\0granted", DGRAM), listener("\0other", DGRAM)
        udp = [listener(("127.0.0.1", port), DGRAM, family=socket.AF_INET) for port in (1, 2)]
        tcp = [listener(("127.0.0.1", port), STREAM, family=socket.AF_INET) for port in (1, 2)]
        exact, beside = listener("\0exact"), listener("\0beside")
        with Broker(place, rules("allow connect unix-dgram:@granted udp:127.0.0.1:1 tcp:127.0.0.1:1 any-peer",
                                 "allow bind tcp:127.0.0.1:3 any-peer", "allow connect unix:@exact")) as broker:
            def disconnect(s):
                result(libc.connect(s.fileno(), AF_UNSPEC, len(AF_UNSPEC)))

            def run():
                with get_socket(broker, CONNECT, "unix-dgram:@granted", DGRAM) as s:
                    s.sendto(b"beyond", "\0other")
                with get_socket(broker, CONNECT, "udp:127.0.0.1:1", DGRAM) as s:
                    s.sendto(b"beyond", ("127.0.0.1", 2))
                    disconnect(s)
                    s.connect(("127.0.0.1", 2))
                    s.send(b"beyond")
                with get_socket(broker, CONNECT, "tcp:127.0.0.1:1") as s:
                    disconnect(s)
                    s.connect(("127.0.0.1", 2))
                with get_socket(broker, CONNECT, "tcp:127.0.0.1:1") as s:
                    disconnect(s)
                    s.bind(("127.0.0.1", 4000))
                    s.listen()
                    with socket.create_connection(("127.0.0.1", 4000)), s.accept()[0]:
                        pass
                with get_socket(broker, BIND, "tcp:127.0.0.1:3") as s:
                    s.connect(("127.0.0.1", 2))
                with get_socket(broker, CONNECT, "unix:@exact") as s:
                    got = [attempt(disconnect, s), attempt(s.connect, "\0beside"),
                           attempt(s.sendto, b"x", "\0beside"), attempt(s.listen),
                           attempt(s.bind, "\0bound"), attempt(s.listen)]
                    with socket.socket(socket.AF_UNIX) as other:
                        return got + [attempt(other.bind, "\0bound"), attempt(other.connect, "\0bound")]
            # Naming a stream that is connected already leads it nowhere else; but nobody else gets the name.
            equal(as_user(ME, run), ["EINVAL", "EISCONN", "EISCONN", "EINVAL", "OK", "EINVAL", "EADDRINUSE",
                                     "ECONNREFUSED"])
            equal(other.recv(9), b"beyond")
            equal([udp[1].recv(9) for _ in range(2)], [b"beyond"] * 2)
            for _ in range(2):
                tcp[1].accept()[0].close()
            exact.accept()[0].close()
            beside.settimeout(0.2)
            try:
                beside.accept()
                check(False, "it reached another")
            except socket.timeout:
                pass


# ---- how the daemon listens

@alone
def test_callers_who_come_by_inherited_sockets():
    with Place() as place:
        server = listener("\0service")
        with socket.socket(socket.AF_UNIX, SEQPACKET) as inherited:
            inherited.bind("\0inherited")
            inherited.listen()
            with Broker(place, rules("allow connect unix:@service"), pass_fds=[inherited.fileno()],
                        options=("--listen", f"fd:{inherited.fileno()}")) as broker:
                def run():
                    with Client("@inherited") as client:
                        return client.ask(CONNECT, "unix:@service", STREAM)
                equal(as_user(ME, run), "OK")
                with server.accept()[0] as s:
                    equal(peer(s)[1:], (ME, ME))
        server.close()


main(globals())
