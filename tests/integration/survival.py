# SPDX-License-Identifier: MIT
"""
Workers that are killed, policies that are loaded and supervisors that are executed anew, under load: no read-only open fails. FDBROKER_TEST_SURVIVAL
is for how many seconds each (6).
"""
import os
import signal
import subprocess
import time

from broker import PROGRAMS, Broker, Place
from tap import check, equal, main

SECONDS = int(os.environ.get("FDBROKER_TEST_SURVIVAL", "6"))
SURVIVOR = os.environ["SURVIVOR"]
CLIENTS = 10
RULE = "subject a {\n user 5001\n allow read %s\n}\n"


class Load:
    """Clients that open a file without a pause, each on one connection."""

    def __init__(self):
        self.place = Place()
        self.path = self.place.file("d/x", "x" * 100)
        self.broker = Broker(self.place, RULE % self.path)
        self.clients = [subprocess.Popen(
            [SURVIVOR, self.broker.abstract, str(SECONDS), self.path, "x" * 100], user=5001,
            stdout=subprocess.PIPE, text=True, env={"LD_LIBRARY_PATH": f"{PROGRAMS}/client-lib"})
            for _ in range(CLIENTS)]
        self.end = time.monotonic() + SECONDS - 0.5

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for client in self.clients:
            client.kill()
            client.wait()
            client.stdout.close()
        self.broker.__exit__()
        self.place.__exit__()

    def goes_on(self):
        return time.monotonic() < self.end

    def ready(self, count):
        return self.broker.wait_event("ready", count)["worker"]

    def check(self, times, least):
        check(times >= least, f"only {times} times")
        total, longest = 0, 0
        for client in self.clients:
            text, _ = client.communicate(timeout=30)
            equal((client.returncode, text.strip() if client.returncode else ""), (0, ""))
            total += int(text.split()[0])
            longest = max(longest, int(text.split()[1]))
        print(f"# {total} opens of {CLIENTS} clients, {times} times, the longest took {longest} ms")


def under_load(harm):
    """Calls harm(the daemon's pid, the worker's, how often it was called) 50 ms after each ready. The load."""
    load = Load()
    with load:
        times = 0
        while load.goes_on():
            worker = load.ready(times + 1)
            time.sleep(0.05)
            harm(load.broker.process.pid, worker, times)
            times += 1
        load.check(times, SECONDS * 2)
        load.broker.read()
    return load


def kill_worker(worker):
    """Which may have ended since, replaced by another."""
    try:
        os.kill(worker, signal.SIGKILL)
    except ProcessLookupError:
        pass


def test_workers_that_are_killed():
    under_load(lambda daemon, worker, times: os.kill(worker, signal.SIGKILL))


def test_policies_that_are_loaded_anew():
    under_load(lambda daemon, worker, times: os.kill(daemon, signal.SIGHUP))


def test_both_together():
    def harm(daemon, worker, times):
        os.kill(daemon, signal.SIGHUP)
        time.sleep(0.003 * (times % 5))
        kill_worker(worker)
    under_load(harm)


def resumed(load):
    """How often the daemon was executed anew, and how often it could not be."""
    events = [record for record in load.broker.records if record["event"] == "resume"]
    return len([e for e in events if "verdict" not in e]), len([e for e in events if "verdict" in e])


def test_supervisors_that_are_executed_anew():
    load = under_load(lambda daemon, worker, times: os.kill(daemon, signal.SIGUSR2))
    equal(resumed(load)[1], 0)


def test_all_three_together():
    def harm(daemon, worker, times):
        os.kill(daemon, signal.SIGUSR2)
        time.sleep(0.001 * (times % 7))
        os.kill(daemon, signal.SIGHUP)
        time.sleep(0.001 * (times % 5))
        kill_worker(worker)
    load = under_load(harm)
    check(resumed(load)[0] > SECONDS // 2, resumed(load))


main(globals())
