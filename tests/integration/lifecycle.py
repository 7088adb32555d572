# SPDX-License-Identifier: MIT
"""Starting, ending, dying: of the daemon, of its worker, and what each leaves behind."""
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

from broker import DAEMON_FILE, FDBROKERD, WORKER_UID, Broker, Client, Place, ask
from tap import check, equal, main


def policy(place):
    place.file("d/x", "x")
    return f"subject a {{\n user 0\n allow read {place.name('d')}/*\n}}\n"


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, what, timeout=5):
    end = time.monotonic() + timeout
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.01)


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_the_worker_owns_nothing_but_descriptors():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            found = status_of(broker.worker)
            equal(found["Uid"].split(), [str(WORKER_UID)] * 4)
            equal(found["Gid"].split(), [str(WORKER_UID)] * 4)
            equal(found["Groups"].split(), [])
            equal(found["NoNewPrivs"], "1")
            # Reading takes CAP_DAC_READ_SEARCH (2) and nothing else.
            equal(int(found["CapPrm"], 16), 1 << 2)
            equal(int(found["CapEff"], 16), 1 << 2)
            for name in ("CapInh", "CapBnd", "CapAmb"):
                equal(int(found[name], 16), 0, name)
            equal(os.listdir(f"/proc/{broker.worker}/root/"), [])
            equal(os.listdir(f"/proc/{broker.worker}/cwd/"), [])
            # Nothing of the machine lies above it either.
            equal(os.listdir(f"/proc/{broker.worker}/root/../../"), [])
            check(not os.path.ismount(f"/proc/{broker.worker}/root/proc"))
            def others():
                targets = [os.readlink(f"/proc/{broker.worker}/fd/{entry}")
                           for entry in os.listdir(f"/proc/{broker.worker}/fd")]
                return [target for target in targets if target not in ("/dev/null", "/") and
                        target.split(":")[0] not in ("socket", "pipe", "anon_inode")]
            # The policy that it has just handed over with READY it closes a moment later.
            end = time.monotonic() + 5
            while others() and time.monotonic() < end:
                time.sleep(0.01)
            equal(others(), [])


def test_a_writing_policy_takes_more():
    with Place() as place:
        place.directory("d")
        text = f"subject a {{\n user 0\n allow create {place.name('d')}/*\n}}\n"
        with Broker(place, text) as broker:
            # CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            equal(int(status_of(broker.worker)["CapEff"], 16), 1 << 0 | 1 << 1 | 1 << 2)
        for right, wanted in (("append", 1 << 1 | 1 << 2), ("mkdir", 1 << 0 | 1 << 1 | 1 << 2),
                              ("write", 1 << 1 | 1 << 2 | 1 << 3), ("delete", 1 << 1 | 1 << 2 | 1 << 3),
                              ("rename", 1 << 1 | 1 << 2 | 1 << 3)):
            with Broker(place, text.replace("create", right)) as broker:
                # ... and CAP_FOWNER
                equal(int(status_of(broker.worker)["CapEff"], 16), wanted, right)


def test_descriptors_that_the_daemon_inherits_do_not_reach_the_worker():
    with Place() as place:
        leak = os.open("/", os.O_RDONLY)
        os.set_inheritable(leak, True)
        try:
            with Broker(place, policy(place), close_fds=False) as broker:
                targets = [os.readlink(f"/proc/{broker.worker}/fd/{n}")
                           for n in os.listdir(f"/proc/{broker.worker}/fd")]
                device = os.stat("/").st_dev
                for n in os.listdir(f"/proc/{broker.worker}/fd"):
                    found = os.stat(f"/proc/{broker.worker}/fd/{n}")
                    check(not (stat.S_ISDIR(found.st_mode) and found.st_ino == os.stat("/").st_ino
                               and found.st_dev == device), targets)
        finally:
            os.close(leak)


def test_SIGCHLD_that_the_daemon_inherits_as_ignored_does_no_harm():
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with Place() as place:
        with Broker(place, policy(place), preexec_fn=ignore) as broker:
            os.kill(broker.worker, signal.SIGKILL)
            broker.wait_event("ready", 2)
            equal(ask(broker.abstract, place.name("d/x")), "OK")


def test_a_lock_that_a_stranger_holds_does_not_hang_the_start():
    import fcntl
    with Place() as place:
        place.directory("open", 0o777)
        text = place.file("policy", policy(place))
        held = open(place.name("open/s.lock"), "w")
        os.chown(place.name("open/s.lock"), 6666, 6666)
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run(
            [FDBROKERD, "--policy", text, "--user", str(WORKER_UID), "--listen",
             place.name("open/s")], capture_output=True, text=True, timeout=5)
        equal(done.returncode, 1)
        check("EADDRINUSE" in done.stderr, done.stderr)
        held.close()
        # A file of a stranger's is never the lock, held or not.
        done = subprocess.run(
            [FDBROKERD, "--policy", text, "--user", str(WORKER_UID), "--listen",
             place.name("open/s")], capture_output=True, text=True, timeout=5)
        equal(done.returncode, 1)


def test_the_worker_dies_with_the_supervisor_even_when_it_cannot_hear():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            os.kill(broker.worker, signal.SIGSTOP)
            broker.process.kill()
            broker.process.wait()
            wait_for(lambda: not alive(broker.worker), "the worker is left")


def test_SIGTERM_ends_both_within_a_second_and_removes_the_socket():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            with Client(broker.pathname) as client:
                equal(client.ask(path=place.name("d/x")), "OK")
                begin = time.monotonic()
                equal(broker.stop(), 0)
                check(time.monotonic() - begin < 1, "it took", time.monotonic() - begin)
            check(not alive(broker.worker), "the worker is left")
            check(not os.path.exists(broker.pathname), "the socket is left")
            equal(sorted(os.listdir(place.path)), ["d", "policy"])
            equal([r["event"] for r in broker.records], ["start", "confined", "ready", "stop"])


def test_SIGINT_too():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            broker.process.send_signal(signal.SIGINT)
            equal(broker.wait_end(), 0)


def test_SIGTERM_is_prompt_while_the_worker_is_stopped():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            os.kill(broker.worker, signal.SIGSTOP)
            begin = time.monotonic()
            equal(broker.stop(), 0)
            check(time.monotonic() - begin < 1, "it took", time.monotonic() - begin)
            wait_for(lambda: not alive(broker.worker), "the worker is left")


def test_the_worker_dies_with_the_supervisor():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            broker.process.kill()
            broker.process.wait()
            wait_for(lambda: not alive(broker.worker), "the worker is left")


def test_a_worker_that_dies_is_replaced():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            for round in range(3):
                worker = broker.wait_event("ready", round + 1)["worker"]
                equal(ask(broker.abstract, place.name("d/x")), "OK")
                os.kill(worker, signal.SIGKILL)
                death = broker.wait_event("worker", round + 1)
                equal((death["pid"], death["signal"]), (worker, "KILL"))
            broker.wait_event("ready", 4)
            equal(ask(broker.pathname, place.name("d/x")), "OK")
            equal(broker.stop(), 0)


def copy_of_the_daemon(place):
    return shutil.copy2(DAEMON_FILE, place.name("fdbrokerd"))


def test_a_worker_that_dies_before_it_is_ready_is_started_later_and_later():
    with Place() as place:
        program = copy_of_the_daemon(place)
        with Broker(place, policy(place), program=program) as broker:
            os.rename(program, program + ".away")
            os.kill(broker.worker, signal.SIGKILL)
            first, second, third = (broker.wait_event("worker", n) for n in (2, 3, 4))
            stamp = lambda record: float(record["time"][17:-1])
            gaps = [(stamp(b) - stamp(a)) % 60 for a, b in ((first, second), (second, third))]
            check(0.08 < gaps[0] < 1 and gaps[0] * 1.3 < gaps[1] < 2, gaps)
            # The clients wait meanwhile; they are served as soon as the program is back.
            answers = []
            client = threading.Thread(
                target=lambda: answers.append(ask(broker.abstract, place.name("d/x"))))
            client.start()
            os.rename(program + ".away", program)
            client.join(10)
            equal(answers, ["OK"])
            equal(broker.stop(), 0)


def test_SIGTERM_while_no_worker_is_there():
    with Place() as place:
        program = copy_of_the_daemon(place)
        with Broker(place, policy(place), program=program) as broker:
            os.unlink(program)
            os.kill(broker.worker, signal.SIGKILL)
            broker.wait_event("worker", 4)
            begin = time.monotonic()
            equal(broker.stop(), 0)
            check(time.monotonic() - begin < 1)


def test_a_stale_pathname_socket_is_replaced():
    with Place() as place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
            dead.bind(place.name("socket"))
        with Broker(place, policy(place)) as broker:
            equal(ask(broker.pathname, place.name("d/x")), "OK")


def test_a_second_broker_does_not_take_the_place_of_the_first():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            other = subprocess.run(
                [FDBROKERD, "--policy", broker.policy, "--user", str(WORKER_UID),
                 "--listen", broker.pathname], capture_output=True, text=True, timeout=10)
            equal(other.returncode, 1)
            check("EADDRINUSE" in other.stderr, other.stderr)
            equal(ask(broker.pathname, place.name("d/x")), "OK")


def test_of_two_that_start_at_once_exactly_one_has_the_socket():
    with Place() as place:
        text = place.file("policy", policy(place))
        for _ in range(5):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
                dead.bind(place.name("socket"))
            both = [subprocess.Popen([FDBROKERD, "--policy", text, "--user", str(WORKER_UID),
                                      "--listen", place.name("socket")],
                                     stderr=subprocess.PIPE) for _ in range(2)]
            try:
                wait_for(lambda: sum(p.poll() is not None for p in both) == 1, "both, or none")
                equal([p.returncode for p in both if p.returncode is not None], [1])
                wait_for(lambda: ask_or_none(place.name("socket"), place.name("d/x")) == "OK",
                         "the one that is left does not answer")
            finally:
                for p in both:
                    p.terminate()
                    p.communicate(timeout=5)
            check(not os.path.exists(place.name("socket")))


def ask_or_none(address, path):
    try:
        return ask(address, path)
    except OSError:
        return None


def test_a_socket_that_another_has_put_in_place_is_left_alone():
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            os.unlink(broker.pathname)
            place.file("socket", "another's")
            equal(broker.stop(), 0)
            equal(open(broker.pathname).read(), "another's")


def test_the_sockets_mode_and_group():
    with Place() as place:
        with Broker(place, policy(place), options=("--mode", "0660", "--group", "6001")) as broker:
            found = os.stat(broker.pathname)
            equal((stat.S_IMODE(found.st_mode), found.st_gid), (0o660, 6001))
        with Broker(place, policy(place)) as broker:
            equal(stat.S_IMODE(os.stat(broker.pathname).st_mode), 0o666)


def test_a_log_file_of_its_own():
    with Place() as place:
        log = place.name("log")
        with Broker(place, policy(place), options=("--log", log), wait=False) as broker:
            wait_for(lambda: os.path.exists(log) and '"ready"' in open(log).read(), "not ready")
            equal(stat.S_IMODE(os.stat(log).st_mode) & 0o137, 0, "the log's mode")
            equal(broker.stop(), 0)
            equal(broker.records, [])


def test_a_directory_that_is_not_there_costs_only_what_is_beneath_it():
    with Place() as place:
        text = policy(place) + (
            f"subject b {{\n user 0\n allow read {place.name('missing')}/*\n"
            f" allow read {place.name('link')}/*\n}}\n")
        os.symlink(place.name("d"), place.name("link"))
        with Broker(place, text) as broker:
            equal(ask(broker.abstract, place.name("d/x")), "OK")
            equal(ask(broker.abstract, place.name("missing/x")), "ENOENT")
            equal(ask(broker.abstract, place.name("link/x")), "EACCES")
            views = {r["path"]: r for r in broker.events("view")}
            equal(views[place.name("missing")]["errno"], "ENOENT")
            equal(views[place.name("missing")]["rule"], f"{broker.policy}:7")
            check("symbolic link" in views[place.name("link")]["reason"])


def test_closed_standard_descriptors_do_no_harm():
    with Place() as place:
        text = place.file("policy", policy(place))
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", FDBROKERD, "--policy", text,
             "--user", str(WORKER_UID), "--listen", place.name("socket")])
        try:
            wait_for(lambda: ask_or_none(place.name("socket"), place.name("d/x")) == "OK", "no answer")
        finally:
            process.terminate()
            equal(process.wait(5), 0)


main(globals())
