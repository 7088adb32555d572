# SPDX-License-Identifier: MIT
"""Whatever is wrong at the start gets one clear line and a status, and nothing is left half-started."""
import os
import socket
import subprocess

from broker import FDBROKERD, WORKER_UID, Broker, Client, Place, tool
from linux import CLONE_NEWNS, as_user, in_child, mount, unshare
from tap import check, equal, main

GOOD = "subject a {\n user 5001\n allow read /etc/hostname\n}\n"


def start(place, *options, policy=None, user=str(WORKER_UID), listen=True, **popen):
    """Runs fdbrokerd to its end. (status, what it said that is no record)"""
    arguments = ["--user", user] if user else []
    arguments += ["--policy", place.name("policy") if policy is None else policy]
    if listen:
        arguments += ["--listen", place.name("socket")]
    done = subprocess.run([FDBROKERD, *arguments, *options], capture_output=True, text=True,
                          timeout=10, stdin=subprocess.DEVNULL, **popen)
    lines = [l for l in done.stderr.splitlines() if not l.startswith("{")]
    check(not os.path.exists(place.name("socket")), "a socket was left behind")
    check('"event":"ready"' not in done.stderr, "it was ready")
    return done.returncode, lines


def says(got, status, *words):
    code, lines = got
    equal(code, status, lines)
    check(lines, "nothing was said")
    for word in words:
        check(word in "\n".join(lines), repr(word), "is not in", lines)
    return lines


def test_no_policy():
    with Place() as place:
        lines = says(start(place), 1, place.name("policy"), "does not exist")
        check(len(lines) <= 2, lines)


def test_policy_writable_by_others():
    with Place() as place:
        place.file("policy", GOOD, 0o666)
        says(start(place), 1, place.name("policy"), "writable")


def test_policy_writable_by_its_group():
    with Place() as place:
        place.file("policy", GOOD, 0o664)
        says(start(place), 1, place.name("policy"), "writable")


def test_policy_owned_by_another():
    with Place() as place:
        place.file("policy", GOOD, 0o644, owner=5001)
        says(start(place), 1, place.name("policy"), "owned")


def test_policy_in_a_directory_that_others_can_write():
    with Place() as place:
        place.directory("d", 0o777)
        place.file("d/policy", GOOD)
        os.chmod(place.name("d"), 0o777)
        says(start(place, policy=place.name("d/policy")), 1, place.name("d"), "writable")


def test_policy_is_a_directory():
    with Place() as place:
        place.directory("policy")
        says(start(place), 1, place.name("policy"), "directory")


def test_policy_with_an_error_on_line_7():
    with Place() as place:
        place.file("policy", "# one\n\nsubject a {\n user 5001\n allow read /etc/passwd\n\n allow raed /x\n}\n")
        lines = says(start(place), 1, f"{place.name('policy')}:7:8: error:")
        check(any("allow raed /x" in l for l in lines), "the line is not shown", lines)
        check(any(l.strip().startswith("^") for l in lines), "no caret", lines)


def test_the_record_says_why_it_did_not_start():
    with Place() as place:
        place.file("policy", "subject a {\n user 5001\n allow raed /x\n}\n")
        log = place.name("log")
        says(start(place, "--log", log), 1, "error")
        text = open(log).read()
        check(f'"rule":"{place.name("policy")}:3:8"' in text, text)
        os.unlink(log)
        place.file("policy", GOOD)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind("\0fdbroker-test-taken-2")
            says(start(place, "--log", log, "--listen", "@fdbroker-test-taken-2"), 1, "EADDRINUSE")
        check('"event":"listen","verdict":"error"' in open(log).read())


def test_check_finds_the_same_error():
    with Place() as place:
        place.file("policy", "subject a {\n user 5001\n allow raed /x\n}\n")
        done = tool("check", "--policy", place.name("policy"))
        equal(done.returncode, 1)
        check(f"{place.name('policy')}:3:8: error:" in done.stdout + done.stderr, done)


def test_every_error_is_said_in_one_run():
    with Place() as place:
        place.file("policy", "subject a {\n user 5001\n allow raed /x\n allow read y\n}\n")
        says(start(place), 1, ":3:8: error:", ":4:13: error:")


def test_an_empty_policy_is_valid_denies_everything_and_is_warned_of():
    with Place() as place:
        with Broker(place, "# nothing yet\n") as broker:
            check(any("warning" in l for l in broker.noise), broker.noise)
            done = tool("open", "--socket", broker.abstract, "/etc/hostname")
            check("EACCES" in done.stderr, done)


def test_abstract_name_in_use():
    with Place() as place:
        place.file("policy", GOOD)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind("\0fdbroker-test-taken")
            says(start(place, "--listen", "@fdbroker-test-taken"), 1,
                 "@fdbroker-test-taken", "EADDRINUSE")


def test_pathname_in_use_is_not_taken_away():
    with Place() as place:
        place.file("policy", GOOD)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(place.name("taken"))
            other.listen()
            says(start(place, "--listen", place.name("taken")), 1, place.name("taken"), "EADDRINUSE")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(place.name("taken"))


def test_a_file_in_the_sockets_place_is_left_alone():
    with Place() as place:
        place.file("policy", GOOD)
        place.file("precious", "precious")
        says(start(place, "--listen", place.name("precious")), 1, place.name("precious"), "EADDRINUSE")
        equal(open(place.name("precious")).read(), "precious")


def test_address_too_long():
    with Place() as place:
        place.file("policy", GOOD)
        says(start(place, "--listen", "@" + "x" * 108), 2, "too long")
        says(start(place, "--listen", "/" + "x" * 107), 2, "too long")


def test_address_of_no_form():
    with Place() as place:
        place.file("policy", GOOD)
        for wrong in ("socket", "@", "/", ""):
            says(start(place, "--listen", wrong), 2, "address")


def test_address_not_permitted():
    with Place() as place:
        place.file("policy", GOOD)

        def run():
            unshare(CLONE_NEWNS)
            mount(None, "/", None, 1 << 14 | 1 << 18)
            place.directory("readonly")
            mount("tmpfs", place.name("readonly"), "tmpfs", 1)
            return start(place, "--listen", place.name("readonly") + "/socket")
        says(in_child(run), 1, "EROFS")
        says(start(place, "--listen", place.name("missing") + "/socket"), 1, "ENOENT", "directory")


def test_mistakes_on_the_command_line():
    with Place() as place:
        place.file("policy", GOOD)
        for options, word in ((("--polcy", "x"), "--polcy"), (("--listen",), "--listen"),
                              (("--mode", "999"), "999"), (("--mode", "1777"), "1777"),
                              (("extra",), "extra"), (("--group", "no-such-group"), "no-such-group")):
            got = start(place, *options)
            equal(got[0], 1 if "group" in options[0] else 2, options)
            equal(len(got[1]), 1, got)
            check(word in got[1][0], got)


def test_the_worker_must_not_be_root():
    with Place() as place:
        place.file("policy", GOOD)
        says(start(place, user="0"), 2, "root")
        says(start(place, user="root"), 2, "root")
        lines = says(start(place, user="no-such-user"), 1, "no-such-user", "--user")
        equal(len(lines), 1)


def test_without_privilege_it_says_what_it_lacks():
    with Place() as place:
        place.directory("open", 0o777)
        place.file("policy", GOOD)
        os.chmod(place.name("open"), 0o777)

        def drop():
            os.setgroups([])
            os.setresgid(5001, 5001, 5001)
            os.setresuid(5001, 5001, 5001)
        says(start(place, "--require", "views", user=None, listen=False, preexec_fn=drop), 1, "root", "EPERM")
        # Without that demand it serves what it can, and says what that is worth.
        place.file("d/f", "f", 0o644)
        text = (f"subject a {{\n user 5001\n allow read {place.name('d')}/*\n"
                f" allow tree {place.name('d')}\n}}\n")
        place.file("own", text, 0o644)
        address = f"@fdbroker-test-plain-{os.getpid()}"
        process = subprocess.Popen([FDBROKERD, "--policy", place.name("own"), "--listen", address],
                                   stderr=subprocess.PIPE, preexec_fn=drop, text=True)
        try:
            lines = []
            while not any('"ready"' in l for l in lines):
                lines.append(process.stderr.readline())
                check(lines[-1], "it did not start", lines)
            check(any("warning: no views here" in l for l in lines), lines)
            check(any('"event":"view","verdict":"warning"' in l for l in lines), lines)

            def client():
                with Client(address) as c:
                    return c.ask(path=place.name("d/f")), c.ask(7, place.name("d"))
            equal(as_user(5001, client), ("OK", "EPERM"))
        finally:
            process.terminate()
            process.communicate()


def test_hard_links_that_are_not_protected():
    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        mount(place.file("zero", "0\n"), "/proc/sys/fs/protected_hardlinks", None, 4096)
        says(start(place), 1, "fs.protected_hardlinks", "--allow-unprotected-hardlinks")
        with Broker(place, GOOD, options=["--allow-unprotected-hardlinks"]):
            pass
    with Place() as place:
        place.file("policy", GOOD)
        in_child(run, place)


def test_help_and_version():
    for option, word in (("--help", "--policy FILE"), ("--version", "0.1.0")):
        done = subprocess.run([FDBROKERD, option], capture_output=True, text=True)
        equal((done.returncode, done.stderr), (0, ""))
        check(word in done.stdout)


main(globals())
