# SPDX-License-Identifier: MIT
"""The main job: a sandboxed client gets its file and is refused another, and the record says why."""
import os
import socket
import subprocess

from broker import FDBROKER, Broker, Client, Place, ask, read, tool
from linux import (CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, as_user,
                   enter_user_namespace, have_user_namespaces, in_child, mount, unshare)
from tap import Skip, check, equal, main

ALL = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC


def policy(place, who="user 5001"):
    return f"subject client {{\n\t{who}\n\tallow read {place.name('secret')}/granted\n}}\n"


def secrets(place):
    place.directory("secret", 0o700)
    place.file("secret/granted", "yes\n", 0o600)
    place.file("secret/other", "no\n", 0o600)


def sandboxed(function, *arguments):
    """Runs it as pid 1 and root of namespaces of its own, where the secret directory is empty."""
    def run(hidden):
        enter_user_namespace(ALL)
        def inside():
            mount(None, "/", None, 1 << 14 | 1 << 18)
            mount("tmpfs", hidden, "tmpfs")
            return function(*arguments)
        return in_child(inside)
    return run


def test_a_sandboxed_ordinary_uid_reads_a_file_of_roots():
    if not have_user_namespaces():
        raise Skip("no unprivileged user namespaces")
    with Place() as place:
        secrets(place)
        with Broker(place, policy(place)) as broker:
            path = place.name("secret/granted")

            def client():
                check(os.getpid() == 1)
                check(not os.path.exists(path), "the sandbox sees the file itself")
                return read(broker.pathname, path), ask(broker.pathname, place.name("secret/other"))
            got = as_user(5001, sandboxed(client), place.name("secret"))
            equal(got, ("yes\n", "EACCES"))
            denial = broker.wait_event("request")
            equal(denial["verdict"], "deny")
            equal(denial["path"], place.name("secret/other"))
            equal((denial["uid"], denial["gid"]), (5001, 5001))
            equal(denial["right"], "read")
            equal(denial["subject"], "client")
            equal(denial["errno"], "EACCES")
            equal(denial["via"], broker.pathname)
            check("no rule" in denial["reason"], denial)


def test_a_file_not_there_is_ENOENT_where_granted_and_EACCES_where_not():
    with Place() as place:
        place.directory("d")
        with Broker(place, f"subject a {{\n user 5001\n allow read {place.name('d')}/*\n}}\n") as b:
            equal(as_user(5001, ask, b.abstract, place.name("d/x")), "ENOENT")
            equal(as_user(5001, ask, b.abstract, place.name("e/x")), "EACCES")


def test_a_deny_that_decides_is_named_in_the_record():
    with Place() as place:
        place.file("d/x", "x")
        text = (f"subject a {{\n user 5001\n allow read {place.name('d')}/*\n"
                f" deny read {place.name('d')}/x\n}}\n")
        with Broker(place, text) as broker:
            equal(as_user(5001, ask, broker.abstract, place.name("d/x")), "EACCES")
            denial = broker.wait_event("request")
            equal(denial["rule"], f"{broker.policy}:4")


def test_the_abstract_name_does_not_cross_network_namespaces_and_the_tool_says_so():
    with Place() as place:
        secrets(place)
        path = place.name("secret/granted")
        with Broker(place, policy(place)) as broker:
            def client():
                unshare(CLONE_NEWNET)
                from linux import become
                become(5001)
                refused = tool("open", "--socket", broker.abstract, path)
                worked = tool("open", "--socket", broker.pathname, path)
                return (refused.returncode, refused.stdout, refused.stderr,
                        worked.returncode, worked.stdout, worked.stderr)
            code, out, err, code2, out2, err2 = in_child(client)
            equal((code, out), (1, ""))
            for word in (broker.abstract, "network namespace", "/run/fdbroker/socket", "fd:"):
                check(word in err, repr(word), "is not in", err)
            equal((code2, out2, err2), (0, "yes\n", ""))


def test_an_inherited_connected_socket_works_from_anywhere():
    with Place() as place:
        secrets(place)
        path = place.name("secret/granted")
        with Broker(place, policy(place)) as broker:
            def client():
                from linux import become
                become(5001)
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                connection.connect("\0" + broker.abstract[1:])
                os.set_inheritable(connection.fileno(), True)
                enter_user_namespace(ALL)
                done = subprocess.run(
                    [FDBROKER, "cat", "--socket", f"fd:{connection.fileno()}", path],
                    capture_output=True, text=True, close_fds=False)
                return done.returncode, done.stdout, done.stderr
            if not have_user_namespaces():
                raise Skip("no unprivileged user namespaces")
            equal(in_child(client), (0, "yes\n", ""))


def test_the_tool_prints_one_line_for_a_denial():
    with Place() as place:
        secrets(place)
        path = place.name("secret/other")
        with Broker(place, policy(place)) as broker:
            done = as_user(5001, tool, "open", "--socket", broker.abstract, path)
            equal((done.returncode, done.stdout), (1, ""))
            equal(done.stderr, f"fdbroker: open {path}: Permission denied (EACCES)\n")


def test_the_tool_gives_the_descriptor_to_a_command():
    with Place() as place:
        secrets(place)
        with Broker(place, policy(place)) as broker:
            done = as_user(5001, tool, "open", "--socket", broker.abstract,
                           place.name("secret/granted"), "--", "tr", "y", "Y")
            equal((done.returncode, done.stdout, done.stderr), (0, "Yes\n", ""))


def test_status_is_for_root():
    with Place() as place:
        secrets(place)
        with Broker(place, policy(place)) as broker:
            done = tool("status", "--socket", broker.abstract)
            equal(done.returncode, 0, done.stderr)
            for word in ("0.1.0", broker.policy, str(broker.process.pid)):
                check(word in done.stdout, word, done.stdout)
            refused = as_user(5001, tool, "status", "--socket", broker.abstract)
            equal(refused.returncode, 1)
            check("EACCES" in refused.stderr, refused.stderr)


def test_status_does_not_wait_for_ever():
    with Place() as place:
        secrets(place)
        with Broker(place, policy(place)) as broker:
            os.kill(broker.worker, 19)
            done = tool("status", "--socket", broker.abstract)
            os.kill(broker.worker, 18)
            equal(done.returncode, 1)
            check("does not answer" in done.stderr, done.stderr)


def test_what_is_printed_does_not_go_to_the_broker():
    """With standard output closed, the socket must not take its place."""
    with Place() as place:
        secrets(place)
        with Broker(place, policy(place, "user 0")) as broker:
            for command in (["cat"], ["open"]):
                done = subprocess.run(
                    ["/bin/sh", "-c", 'exec "$@" >&-', "sh", FDBROKER, *command, "--socket",
                     broker.abstract, place.name("secret/granted")], capture_output=True, text=True)
                equal(done.returncode, 1)
                check("EBADF" in done.stderr, done.stderr)
            equal(broker.events("request"), [])


def test_a_name_with_control_characters_is_printed_harmlessly():
    with Place() as place:
        secrets(place)
        with Broker(place, policy(place)) as broker:
            done = tool("cat", "--socket", broker.abstract, "/a\n\033[31mb")
            equal(done.stderr, "fdbroker: cat /a\\012\\033[31mb: Permission denied (EACCES)\n")


def test_a_device_that_the_file_system_refuses_is_recorded():
    with Place() as place:
        place.directory("d")
        os.mknod(place.name("d/null"), 0o20666, os.makedev(1, 3))
        with Broker(place, f"subject a {{\n user 0\n allow read {place.name('d')}/*\n}}\n") as broker:
            equal(ask(broker.abstract, place.name("d/null")), "EACCES")
            check("file system" in broker.wait_event("request")["reason"])


def test_many_clients_at_once():
    with Place() as place:
        secrets(place)
        with Broker(place, policy(place)) as broker:
            def client():
                clients = [Client(broker.abstract) for _ in range(200)]
                for c in clients:
                    for _ in range(2):
                        c.send(path=place.name("secret/granted"))
                for c in clients:
                    for i in range(2):
                        id, error, _, descriptors = c.receive()
                        equal((id, error, len(descriptors)), (i + 1, 0, 1))
                        equal(os.pread(descriptors[0], 9, 0), b"yes\n")
                        os.close(descriptors[0])
            as_user(5001, client)


main(globals())
