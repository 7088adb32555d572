# SPDX-License-Identifier: MIT
"""Who is calling: what the kernel says, and nothing else."""
import os
import socket
import struct

from broker import Broker, Client, Place, ask
from linux import (CLONE_NEWUSER, as_user, become, enter_user_namespace, have_user_namespaces,
                   in_child, unshare)
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


def use_as(client, uid, path):
    become(uid)
    return client.ask(path=path)


main(globals())
