# SPDX-License-Identifier: MIT
"""
Races: what a path means is exchanged for links to what is denied, as fast as the machine can, while a client asks
for it. Not one answer may be about what is not granted. FDBROKER_TEST_RACES sets how many requests each. The long run
takes a quarter of an hour on a machine that has nothing else to do, more than meson gives a test unless it is told:

    FDBROKER_TEST_RACES=5000000 meson test -C build attack/races --timeout-multiplier 0
"""
import os
import signal
import subprocess

from broker import Broker, Client, Place
from change import EXCHANGE, ME, MKDIR, OPEN, RENAME, RMDIR, UNLINK
from linux import CLONE_NEWNS, as_user, in_child, mount, unshare
from tap import check, equal, main

ROUNDS = int(os.environ.get("FDBROKER_TEST_RACES", 200000))
# Seconds for one of them: a round takes about 0.05 ms.
TIMEOUT = max(300, ROUNDS // 1000)


def prepare(place):
    place.file("d/x/f", "good")
    place.file("d/leaf", "good")
    place.file("d/secret/f", "secret")
    os.symlink("good", place.name("d/x/l"))
    os.symlink("secret", place.name("d/secret/l"))
    os.symlink("secret", place.name("d/y"))
    os.symlink("secret/f", place.name("d/other"))


def race(operation, rules, program=None):
    """{answer: how often}, after checking that the secret is as it was; None where a secret came out."""
    with Place() as place:
        return in_child(race_in, place, operation, rules, program, timeout=TIMEOUT + 60)


def race_in(place, operation, rules, program):
    # On a tmpfs, where an exchange costs as little as it can: on others it may keep look-ups out for long.
    unshare(CLONE_NEWNS)
    mount(None, "/", None, 1 << 14 | 1 << 18)
    mount("tmpfs", place.path, "tmpfs", 0, "mode=755")
    prepare(place)
    text = "".join(f" {rule.replace('D', place.name('d'))}\n" for rule in rules)
    with Broker(place, f"subject a {{\n user 0\n deny all {place.name('d/secret')}\n{text}}}\n",
                program=program) as broker:
        done = subprocess.run([os.environ["RACER"], broker.pathname, place.path, operation,
                               str(ROUNDS)], capture_output=True, text=True, timeout=TIMEOUT)
        check(done.returncode in (0, 1), done.stdout, done.stderr)
        if done.returncode:
            return None
        equal(sorted(os.listdir(place.name("d/secret"))), ["f", "l"], "the secret was changed")
        equal(len(broker.events("ready")), 1)
    answers = {name: int(count) for name, count in (l.split() for l in done.stdout.splitlines())}
    print("#", operation, answers, f"EAGAIN: {100 * answers.get('EAGAIN', 0) / ROUNDS:.4f} %", flush=True)
    equal(sum(answers.values()), ROUNDS)
    check(answers.get("OK", 0) > ROUNDS / 100, "the race was not run", answers)
    return answers


def allowed(answers, *names):
    check(answers is not None, "an answer was about what is not granted")
    check(set(answers) <= {"OK", *names}, answers)


def test_open():
    allowed(race("open", ["allow read D/**"]), "EACCES", "ENOENT", "EAGAIN")


def test_create():
    allowed(race("create", ["allow read,write,create D/**"]), "EACCES", "ENOENT", "EAGAIN")


def test_stat():
    allowed(race("stat", ["allow stat D/**"]), "EACCES", "ENOENT", "EAGAIN")


def test_readlink():
    allowed(race("readlink", ["allow readlink D/**"]), "EACCES", "ENOENT", "EINVAL", "EAGAIN")


def test_tree():
    """Each exchange makes the view anew."""
    allowed(race("tree", ["allow tree D/x"]), "EACCES", "ENOENT", "EAGAIN")


def test_unlink():
    allowed(race("unlink", ["allow delete D/**"]), "EACCES", "ENOENT", "EAGAIN")


def test_mkdir():
    allowed(race("mkdir", ["allow mkdir D/**"]), "EACCES", "ENOENT", "EAGAIN")


def test_rename():
    allowed(race("rename", ["allow rename D/**"]), "EACCES", "ENOENT", "EAGAIN")


def test_link():
    allowed(race("link", ["allow read,create D/**"]), "EACCES", "ENOENT", "EAGAIN")


def test_chmod():
    allowed(race("chmod", ["allow write D/**"]), "EACCES", "ENOENT", "EAGAIN")


def rename(client, old, new, flags=0):
    return client.ask(RENAME, old, flags, extra=os.fsencode(new))


def move_a_file(rights, swap, rounds=ROUNDS // 4):
    """
    {answer: how often} to who renames a file to where it may put no directory, since more is allowed beneath, while
    the same caller runs swap(client, file, directory) on other connections; None where a directory came there.
    """
    with Place() as place:
        directory = place.directory("d/directory")
        file, new = place.file("d/file"), place.name("d/new")

        def keep_swapping(broker):
            with Client(broker.abstract) as client:
                while True:
                    swap(client, file, directory)

        def run(broker):
            swappers = []
            for _ in range(2):
                swappers.append(os.fork())
                if swappers[-1] == 0:
                    keep_swapping(broker)
            answers = {}
            try:
                with Client(broker.abstract) as client:
                    for _ in range(rounds):
                        answer = rename(client, file, new)
                        answers[answer] = answers.get(answer, 0) + 1
                        if answer == "OK" and os.path.isdir(new):
                            return None
                        if answer == "OK":
                            rename(client, new, file)
            finally:
                for pid in swappers:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            return answers
        rules = f" allow {rights} {place.name('d')}/**\n allow read {new}/**\n"
        with Broker(place, f"subject a {{\n user {ME}\n{rules}}}\n") as broker:
            answers = as_user(ME, run, broker, timeout=TIMEOUT)
    print("#", answers, flush=True)
    return answers


def exchange(client, file, directory):
    rename(client, file, directory, EXCHANGE)


def make_anew(client, file, directory):
    """A file, then a directory of that name."""
    client.ask(UNLINK, file)
    client.ask(MKDIR, file, 0, 0o700)
    client.ask(RMDIR, file)
    client.ask(OPEN, file, os.O_CREAT | os.O_WRONLY, 0o600)


def test_a_file_that_is_moved_stays_one():
    for rights, swap in (("rename", exchange), ("rename,mkdir,delete,create,write", make_anew)):
        answers = move_a_file(rights, swap)
        check(answers is not None, "a directory was moved as a file", swap.__name__)
        check(set(answers) <= {"OK", "EACCES", "ENOENT", "EAGAIN", "EISDIR", "ENOTDIR"}, answers)
        check(answers.get("OK") and answers.get("EACCES"), "the race was not run", answers)


def test_the_races_to_change_something_are_lost_where_links_are_followed_blindly():
    for operation in ("unlink", "mkdir", "rename", "link", "chmod"):
        rules = ["allow read,write,create,delete,rename,mkdir D/**"]
        equal(race(operation, rules, program=os.environ["FDBROKERD_FOLLOWING"]), None, operation)


def test_the_race_is_lost_where_links_are_followed_blindly():
    equal(race("open", ["allow read D/**"], program=os.environ["FDBROKERD_FOLLOWING"]), None)


main(globals())
