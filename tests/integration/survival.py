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


def test_workers_that_are_killed():
    with Load() as load:
        times = 0
        while load.goes_on():
            worker = load.ready(times + 1)
            time.sleep(0.05)
            os.kill(worker, signal.SIGKILL)
            times += 1
        load.check(times, SECONDS // 2)


def test_policies_that_are_loaded_anew():
    with Load() as load:
        times = 0
        while load.goes_on():
            load.ready(times + 1)
            time.sleep(0.05)
            os.kill(load.broker.process.pid, signal.SIGHUP)
            times += 1
        load.check(times, SECONDS // 2)


def test_both_together():
    with Load() as load:
        times = 0
        while load.goes_on():
            worker = load.ready(times + 1)
            time.sleep(0.05)
            os.kill(load.broker.process.pid, signal.SIGHUP)
            time.sleep(0.003 * (times % 5))
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                pass
            times += 1
        load.check(times, SECONDS // 2)



def test_supervisors_that_are_executed_anew():
    with Load() as load:
        times = 0
        while load.goes_on():
            load.ready(times + 1)
            time.sleep(0.05)
            os.kill(load.broker.process.pid, signal.SIGUSR2)
            times += 1
        load.check(times, SECONDS // 2)
        equal([r for r in load.broker.events("resume") if "verdict" in r], [])


def test_all_three_together():
    with Load() as load:
        times = 0
        while load.goes_on():
            worker = load.ready(times + 1)
            time.sleep(0.05)
            os.kill(load.broker.process.pid, signal.SIGUSR2)
            time.sleep(0.001 * (times % 7))
            os.kill(load.broker.process.pid, signal.SIGHUP)
            time.sleep(0.001 * (times % 5))
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                pass
            times += 1
        load.check(times, SECONDS // 2)
        check(len([r for r in load.broker.events("resume") if "verdict" not in r]) > SECONDS // 2)


main(globals())
