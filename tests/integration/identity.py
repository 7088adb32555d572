# SPDX-License-Identifier: MIT
"""Who is calling: what the kernel says, and nothing else."""
import os
import shutil
import socket
import subprocess
import time

from broker import FDBROKER, Broker, Client, Place, ask
from linux import (CLONE_NEWNS, as_user, become, enter_user_namespace, have_user_namespaces,
                   in_child, mount)
from tap import Skip, check, equal, main


def granting(place, who):
    place.file("d/x", "x", 0o600)
    return f"subject a {{\n{who}\n allow read {place.name('d')}/x\n}}\n"


def asks(who, *callers):
    """For each caller (uid, gid, groups) what it is answered under a policy with the line(s) `who`."""
    with Place() as place:
        text = granting(place, who)
        with Broker(place, text) as broker:
            return [as_user(uid, ask, broker.abstract, place.name("d/x"), gid=gid, groups=groups)
                    for uid, gid, groups in callers]


def test_a_uid_unknown_to_the_user_data_base_works_by_number():
    equal(asks(" user 5001", (5001, 5001, ())), ["OK"])


def test_who_is_not_named_is_refused():
    equal(asks(" user 5001", (5002, 5001, ()), (0, 0, ())), ["EACCES", "EACCES"])


def test_ranges():
    equal(asks(" user 5001-5003", (5000, 1, ()), (5001, 1, ()), (5003, 1, ()), (5004, 1, ())),
          ["EACCES", "OK", "OK", "EACCES"])


def test_primary_and_supplementary_groups():
    equal(asks(" group 6001", (5001, 6001, ()), (5001, 5001, (7, 6001)), (5001, 5001, (7,))),
          ["OK", "OK", "EACCES"])


def test_more_groups_than_usual():
    equal(asks(" group 6999", (5001, 1, tuple(range(6000, 7000))), (5001, 1, tuple(range(5000, 6000)))),
          ["OK", "EACCES"])


def test_user_and_group_must_both_hold():
    equal(asks(" user 5001\n group 6001", (5001, 6001, ()), (5001, 1, ()), (5002, 6001, ())),
          ["OK", "EACCES", "EACCES"])


def test_a_namespaces_root_gets_what_its_outside_uid_gets():
    if not have_user_namespaces():
        raise Skip("no unprivileged user namespaces")

    def as_inner_root(address, path):
        enter_user_namespace()
        check(os.geteuid() == 0)
        return ask(address, path)
    with Place() as place:
        text = granting(place, " user 5001") + (
            f"subject root {{\n user 0\n allow read {place.file('r', 'r', 0o600)}\n}}\n")
        with Broker(place, text) as broker:
            equal(as_user(5001, as_inner_root, broker.abstract, place.name("d/x")), "OK")
            equal(as_user(5001, as_inner_root, broker.abstract, place.name("r")), "EACCES")
            equal(ask(broker.abstract, place.name("r")), "OK")


def test_the_overflow_id_matches_nothing_even_as_any_user():
    """To a broker inside a user namespace every uid outside it is the overflow uid."""
    equal(asks(" user *", (65534, 1, ()), (5001, 1, ())), ["EACCES", "OK"])
    equal(asks(" group 0-70000", (5001, 65534, ()), (5001, 5001, (65534,)), (5001, 65534, (65534, 7))),
          ["EACCES", "OK", "OK"])


def test_a_connection_handed_to_another_uid_is_of_no_use():
    with Place() as place:
        text = granting(place, " user 5001")
        with Broker(place, text) as broker:
            connection = as_connected(5001, broker.abstract)
            with Client(connection) as client:
                equal(in_child(use_as, client, 5002, place.name("d/x")), "EACCES")
                equal(in_child(use_as, client, 5001, place.name("d/x"), 7), "EACCES")
                check("sender" in broker.wait_event("request")["reason"])
                # Its owner goes on using it; so does the uid that the connection is.
                equal(in_child(use_as, client, 5001, place.name("d/x")), "OK")


def test_a_set_uid_program_tricked_into_connecting_is_of_no_use():
    """The connection shows the effective uid, the message the real one."""
    with Place() as place:
        text = granting(place, " user 0")
        with Broker(place, text) as broker:
            def confused():
                os.setgroups([])
                os.setresgid(777, 777, 777)
                os.setresuid(777, 0, 0)
                return ask(broker.abstract, place.name("d/x"))
            equal(in_child(confused), "EACCES")
            equal(ask(broker.abstract, place.name("d/x")), "OK")


def as_connected(uid, address):
    """A socket that `uid` has connected."""
    mine, theirs = socket.socketpair()

    def connect():
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect("\0" + address[1:])
        socket.send_fds(theirs, [b"x"], [connection.fileno()])
    as_user(uid, connect)
    descriptor = socket.recv_fds(mine, 1, 1)[1][0]
    connection = socket.socket(fileno=descriptor)
    connection.settimeout(10)
    return connection


def use_as(client, uid, path, gid=None):
    become(uid, gid)
    return client.ask(path=path)


def cat(program, broker, path):
    """What a copy of the tool at `program` gets, run by uid 5001: its output, or the errno's name."""
    def run():
        become(5001)
        return subprocess.run([program, "cat", "--socket", broker.pathname, path],
                              capture_output=True, text=True)
    done = in_child(run)
    return done.stdout if done.returncode == 0 else done.stderr.rsplit("(", 1)[-1].rstrip(")\n")


def programs(place, *names):
    """Copies of the tool, each a file of its own."""
    for name in names:
        os.makedirs(os.path.dirname(place.name(name)), exist_ok=True)
        shutil.copy(FDBROKER, place.name(name))
    return [place.name(name) for name in names]


def test_exe_is_the_file_that_runs():
    with Place() as place:
        good, other = programs(place, "bin/good", "bin/other")
        text = granting(place, f" user 5001\n exe {good}")
        with Broker(place, text) as broker:
            path = place.name("d/x")
            equal(cat(good, broker, path), "x")
            equal(cat(other, broker, path), "EACCES")
            # Another name of the same file is the same program; a script that calls itself so is not.
            os.link(good, place.name("bin/link"))
            equal(cat(place.name("bin/link"), broker, path), "x")
            # An upgrade puts another file in its place: from then on that one is meant.
            shutil.copy(other, place.name("bin/new"))
            os.rename(place.name("bin/new"), good)
            equal(cat(good, broker, path), "x")
            equal(cat(place.name("bin/link"), broker, path), "EACCES")


def test_exe_cannot_be_forged_by_a_mount_namespace():
    """The text of /proc/PID/exe reads as whatever a private mount put there."""
    if not have_user_namespaces():
        raise Skip("no unprivileged user namespaces")
    with Place() as place:
        good, evil = programs(place, "bin/good", "bin/evil")
        text = granting(place, f" user 5001\n exe {good}")
        with Broker(place, text) as broker:
            def run():
                become(5001)
                enter_user_namespace(CLONE_NEWNS)
                mount(evil, good, None, 4096)
                process = subprocess.Popen([good, "cat", "--socket", broker.pathname, place.name("d/x")],
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                out, err = process.communicate()
                return out, err
            out, err = in_child(run)
            equal(out, "")
            check("EACCES" in err, err)


def test_several_exes_and_one_that_is_not_there():
    with Place() as place:
        one, two, three = programs(place, "bin/one", "bin/two", "bin/three")
        text = granting(place, f" user 5001\n exe {one} {two} {place.name('bin/missing')}")
        with Broker(place, text) as broker:
            equal([cat(p, broker, place.name("d/x")) for p in (one, two, three)], ["x", "x", "EACCES"])


def test_unit():
    roots = [r for r in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
             if os.path.exists(f"{r}/cgroup.procs")]
    made = []
    try:
        for root in roots:
            group = f"{root}/fdbroker-test-{os.getpid()}.service"
            try:
                os.mkdir(group)
            except OSError:
                continue
            made.append(group)
        if not made:
            raise Skip("no control group can be made here")
        with Place() as place:
            text = granting(place, f" user 5001\n unit fdbroker-test-{os.getpid()}.service")
            with Broker(place, text) as broker:
                def inside(group):
                    with open(f"{group}/cgroup.procs", "w") as file:
                        file.write("0")
                    become(5001)
                    return ask(broker.abstract, place.name("d/x"))
                for group in made:
                    equal(in_child(inside, group), "OK", group)
                equal(as_user(5001, ask, broker.abstract, place.name("d/x")), "EACCES")
    finally:
        for group in made:
            os.rmdir(group)


def test_via_tells_the_addresses_apart():
    with Place() as place:
        text = granting(place, f" user 5001\n via {place.name('socket')}")
        with Broker(place, text) as broker:
            equal(as_user(5001, ask, broker.pathname, place.name("d/x")), "OK")
            equal(as_user(5001, ask, broker.abstract, place.name("d/x")), "EACCES")


def test_delegate_lets_a_connection_be_handed_on():
    with Place() as place:
        text = granting(place, " user 5001\n delegate")
        with Broker(place, text) as broker:
            with Client(as_connected(5001, broker.abstract)) as client:
                equal(in_child(use_as, client, 5002, place.name("d/x")), "OK")


def test_many_callers_of_a_policy_that_asks_for_their_program():
    with Place() as place:
        good, = programs(place, "bin/good")
        text = granting(place, f" user 5001\n exe {good}")
        with Broker(place, text) as broker:
            def crowd():
                return {ask(broker.abstract, place.name("d/x")) for _ in range(300)}
            equal(as_user(5001, crowd), {"EACCES"})
            # Who is gone when the supervisor looks is nobody.
            def hasty():
                for _ in range(300):
                    Client(broker.abstract).socket.close()
            as_user(5001, hasty)
            # So many at once that are still looked for are too many; but not for long.
            end = time.monotonic() + 5
            while (got := cat(good, broker, place.name("d/x"))) == "EDQUOT":
                check(time.monotonic() < end, "it stays so")
            equal(got, "x")
            equal(len(broker.events("ready")), 1)


main(globals())
