# SPDX-License-Identifier: MIT
"""The process that makes a socket as its caller: what he can do to it, and what it does to others where it hangs."""
import errno
import os
import re
import resource
import socket
import threading
import time

from broker import Broker, Client, Place, attempt
from endpoints import (CONNECT, ME, OTHER, STREAM, alone, answer, fill, listener, none_left, peer, rules,
                       wait_for_helper)
from linux import as_user, in_child, libc, result
from tap import Skip, check, equal, main


@alone
def test_the_process_is_the_callers_to_look_at_and_not_to_take():
    with Place() as place:
        full, held = fill(place.name("full"))
        with Broker(place, rules(f"allow connect unix:{place.name('full')}")) as broker:
            def run():
                # It hangs, since nobody accepts.
                client = Client(broker.abstract)
                client.send(CONNECT, f"unix:{place.name('full')}", STREAM)
                pid = os.read(found[0], 16).decode()
                with open(f"/proc/{pid}/status") as file:
                    text = file.read()
                status = {name: re.search(rf"^{name}:\s*(.*)", text, re.M).group(1).split()
                          for name in ("Uid", "Gid", "Groups", "CapPrm", "CapInh")}
                taken = [attempt(os.readlink, f"/proc/{pid}/fd/0"), attempt(os.readlink, f"/proc/{pid}/exe"),
                         attempt(open, f"/proc/{pid}/mem"), attempt(open, f"/proc/{pid}/environ"),
                         attempt(lambda: result(libc.ptrace(16, int(pid), 0, 0)))]
                return int(pid), status, {os.stat(f"/proc/{pid}").st_uid, os.stat(f"/proc/{pid}/status").st_uid}, taken
            found = os.pipe()

            def look():
                pid = wait_for_helper(broker)
                # What it answers on, the socket that it makes, and the one that it has found.
                open_there.extend(os.listdir(f"/proc/{pid}/fd"))
                os.write(found[1], str(pid).encode())
            open_there = []
            thread = threading.Thread(target=look)
            thread.start()
            pid, status, owner, taken = as_user(ME, run, groups=[7])
            thread.join()
            equal(owner, {ME})
            equal(len(open_there), 3, open_there)
            equal((status["Uid"], status["Gid"], status["Groups"]), ([str(ME)] * 4, [str(ME)] * 4, ["7"]))
            check(int(status["CapPrm"][0], 16) and not int(status["CapInh"][0], 16), status)
            equal(taken, ["EACCES"] * 4 + ["EPERM"])
            # It is the process that the service is told of.
            seen = []
            for _ in range(len(held) + 1):
                with full.accept()[0] as s:
                    seen.append(peer(s))
            equal(seen[-1], (pid, ME, ME), seen)
            for s in held:
                s.close()
        full.close()


@alone
def test_a_connect_that_blocks_keeps_nobody_waiting():
    with Place() as place:
        place.file("f", "f")
        full, held = fill(place.name("full"))
        good = listener(place.name("good"), backlog=100, mode=0o777)
        policy = rules(f"allow read {place.name('f')}", f"allow connect unix:{place.name('full')}",
                       f"allow connect unix:{place.name('good')}", user="5001-5020")
        with Broker(place, policy, options=("--open-timeout", "3")) as broker:
            def hang():
                with Client(broker.abstract) as client:
                    begin = time.monotonic()
                    for _ in range(6):
                        client.send(CONNECT, f"unix:{place.name('full')}", STREAM)
                    got = {client.receive()[1] for _ in range(6)}
                    return got, time.monotonic() - begin
            results = []
            threads = [threading.Thread(target=lambda uid=uid: results.append(as_user(uid, hang)))
                       for uid in range(5002, 5012)]
            for thread in threads:
                thread.start()
            time.sleep(0.7)

            def quick():
                begin = time.monotonic()
                with Client(broker.abstract) as client:
                    for _ in range(5):
                        equal(client.ask(path=place.name("f")), "OK")
                        equal(client.ask(CONNECT, f"unix:{place.name('good')}", STREAM), "OK")
                return time.monotonic() - begin
            took = as_user(ME, quick)
            check(took < 1, took)
            # Those of one uid wait for each other alone, and their own opens go on.
            took = as_user(5002, lambda: in_child(lambda: Client(broker.abstract).ask(path=place.name("f"))))
            equal(took, "OK")
            for thread in threads:
                thread.join()
            equal(len(results), 10)
            for errors, took in results:
                equal(errors, {errno.ETIMEDOUT})
                check(2.5 < took < 6, took)
            check(none_left(broker))
        for s in held:
            s.close()


@alone
def test_what_one_caller_stops_keeps_no_other_waiting():
    """As many as may be under way for one address, all of one caller, who stops them; the service is in good health."""
    # It stops whatever has its uid, and that shall be nothing of another test.
    stopper = 47001
    with Place() as place:
        good = listener(place.name("good"), backlog=1000, mode=0o777)

        def serve():
            while True:
                try:
                    good.accept()[0].close()
                except OSError:
                    return
        thread = threading.Thread(target=serve)
        with Broker(place, rules(f"allow connect unix:{place.name('good')}", user=f"{stopper} {OTHER}"),
                    options=("--open-timeout", "5")) as broker:
            thread.start()
            def attack():
                with Client(broker.abstract) as client:
                    client.socket.setblocking(False)
                    while True:
                        for _ in range(100):
                            try:
                                client.send(CONNECT, f"unix:{place.name('good')}", STREAM)
                            except BlockingIOError:
                                break
                        for _ in range(100):
                            attempt(os.kill, -1, 19)
                        try:
                            while got := client.receive():
                                for descriptor in got[3]:
                                    os.close(descriptor)
                        except BlockingIOError:
                            pass
            attacker = os.fork()
            if attacker == 0:
                try:
                    os.setgroups([])
                    os.setresgid(stopper, stopper, stopper)
                    os.setresuid(stopper, stopper, stopper)
                    attack()
                finally:
                    os._exit(1)
            try:
                for _ in range(5):
                    wait_for_helper(broker)
                    begin = time.monotonic()
                    equal(answer(broker, CONNECT, f"unix:{place.name('good')}", uid=OTHER), "OK")
                    check(time.monotonic() - begin < 1, time.monotonic() - begin)
            finally:
                os.kill(attacker, 9)
                os.waitpid(attacker, 0)
                good.shutdown(socket.SHUT_RDWR)
                thread.join()
        good.close()


@alone
def test_no_signal_of_the_callers_leaves_what_the_maker_remembers():
    with Place() as place, open("/proc/sys/kernel/core_pattern") as pattern:
        full, held = fill(place.name("full"))
        d = place.directory("d", 0o777)
        limit = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (limit[1], limit[1]))
        if not limit[1] or pattern.read() != "core\n":
            raise Skip("this machine has core dumps elsewhere, or none")
        with Broker(place, rules(f"allow connect unix:{place.name('full')}"), options=("--open-timeout", "2"),
                    cwd=d) as broker:
            def run():
                with Client(broker.abstract) as client:
                    client.send(CONNECT, f"unix:{place.name('full')}", STREAM)
                    pid = int(os.read(found[0], 16))
                    for signal in (3, 4, 6, 7, 8, 11, 5, 15, 24):
                        os.kill(pid, signal)
                    return client.receive()[1]
            found = os.pipe()
            thread = threading.Thread(target=lambda: os.write(found[1], str(wait_for_helper(broker)).encode()))
            thread.start()
            equal(as_user(ME, run), errno.ETIMEDOUT)
            thread.join()
            equal(os.listdir(d), [])
        for s in held:
            s.close()
        full.close()


@alone
def test_a_caller_who_ends_or_stops_the_process_harms_himself_alone():
    with Place() as place:
        full, held = fill(place.name("full"))
        with Broker(place, rules(f"allow connect unix:{place.name('full')} unix:@none"),
                    options=("--open-timeout", "2")) as broker:
            def run(signal):
                with Client(broker.abstract) as client:
                    client.send(CONNECT, f"unix:{place.name('full')}", STREAM)
                    os.kill(int(os.read(found[0], 16)), signal)
                    return client.receive()[1]
            found = os.pipe()
            for signal, wanted in ((9, errno.ECONNABORTED), (19, errno.ECONNABORTED)):
                thread = threading.Thread(
                    target=lambda: os.write(found[1], str(wait_for_helper(broker)).encode()))
                thread.start()
                equal(as_user(ME, run, signal), wanted)
                thread.join()
                check(none_left(broker))
            equal(answer(broker, CONNECT, "unix:@none"), "ECONNREFUSED")
        for s in held:
            s.close()
        full.close()


main(globals())
