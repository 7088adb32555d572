# SPDX-License-Identifier: MIT
"""
Hostile clients, one kind after the other, beside a well-behaved one, on the same two cores and as another uid. The
well-behaved one loses no request and is not much slower than in the pauses between the attacks; the record stays
short, and the worker's memory returns.

FDBROKER_TEST_HOSTILE_SECONDS is how long each attacks (default: 3).
"""
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

from broker import Broker, Place, sanitized
from linux import become
from tap import check, main

GOOD, HOSTILE = 5001, 5002
# How fast is a question for a quiet machine: the benchmark asks it.
TIMING = "--timing" in sys.argv
SECONDS = float(os.environ.get("FDBROKER_TEST_HOSTILE_SECONDS", "3"))
SLICES = 3
QUIET = 0.5
SLOWER, SLOWER_IN_FLOODS = 2.0, 3.0
LOG_MOST = 1_000_000
# kB that the worker may have kept: what malloc has not given back.
MEMORY_MARGIN = 1024


class Setting:
    """A broker on two cores, with its record in a file."""

    def __init__(self):
        self.cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(self.cores)[:2])
        self.place = Place()
        self.file = self.place.file("d/x", "x")
        self.client = self.place.name("hostile-client")
        shutil.copy(os.environ["HOSTILE_CLIENT"], self.client)
        self.log = self.place.name("log")
        self.broker = Broker(self.place, "".join(
            f"subject {name} {{\n user {uid}\n allow read {self.place.name('d')}/**\n}}\n"
            for name, uid in (("good", GOOD), ("hostile", HOSTILE))), options=["--log", self.log], wait=False)
        self.worker = self.wait_ready()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self.broker.__exit__()
        finally:
            self.place.__exit__()
            os.sched_setaffinity(0, self.cores)

    def wait_ready(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            ready = self.workers()
            if ready:
                return ready[0]
            time.sleep(0.01)
        raise AssertionError("the broker is not ready")

    def workers(self):
        """The workers that have become ready so far."""
        try:
            with open(self.log, encoding="utf-8") as file:
                return [json.loads(line)["worker"] for line in file if '"event":"ready"' in line]
        except FileNotFoundError:
            return []

    def start(self, uid, kind, seconds):
        return subprocess.Popen([self.client, self.broker.pathname, kind, self.file, str(seconds)],
                                stdout=subprocess.PIPE, text=True, preexec_fn=lambda: become(uid))

    def good(self, seconds):
        """(answered, lost, median, 99th percentile)"""
        out, _ = self.start(GOOD, "good", seconds).communicate(timeout=seconds + 60)
        answered, lost, median, late = (int(word) for word in out.split())
        return (answered, lost, median, late) if answered else (0, lost, math.inf, math.inf)

    def memory(self):
        with open(f"/proc/{self.worker}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def attack(kind, most):
    with Setting() as s:
        # Once before anything is measured, so that the worker has what it needs in any case.
        hostile = s.start(HOSTILE, kind, 0.2)
        s.good(0.2)
        hostile.communicate(timeout=30)
        time.sleep(0.5)
        memory, log = s.memory(), os.path.getsize(s.log)
        quiet, attacked, harm = [s.good(QUIET)], [], 0
        for _ in range(SLICES):
            hostile = s.start(HOSTILE, kind, SECONDS / SLICES + 0.2)
            time.sleep(0.1)
            attacked.append(s.good(SECONDS / SLICES))
            harm += int(hostile.communicate(timeout=60)[0])
            time.sleep(0.2)
            quiet.append(s.good(QUIET))
        log = os.path.getsize(s.log) - log
        end = time.monotonic() + 10
        while s.memory() > memory + MEMORY_MARGIN and time.monotonic() < end and not sanitized(s.worker):
            time.sleep(0.1)
        grown = s.memory() - memory
        usual = statistics.median(result[2] for result in quiet)
        median = statistics.median(result[2] for result in attacked)
        lost = sum(result[1] for result in quiet + attacked)
        asked = sum(result[0] for result in attacked)
        print(f"# {kind}: harm {harm}, asked {asked}, lost {lost}, median {usual / 1000:.1f} to "
              f"{median / 1000:.1f} us ({median / usual:.2f}, at most {most}), 99 % "
              f"{statistics.median(r[3] for r in quiet) / 1000:.0f} to "
              f"{statistics.median(r[3] for r in attacked) / 1000:.0f} us, log {log} bytes, memory {grown} kB")
        check(harm > 10, "there was no attack:", harm)
        check(asked > 10 * SLICES, "hardly a request was answered:", asked)
        wrong = [text for is_wrong, text in (
            (lost, f"{lost} requests were lost"),
            (TIMING and median > most * usual, f"{median / usual:.2f} times slower"),
            (log >= LOG_MOST, f"the log grew by {log} bytes"),
            (grown > MEMORY_MARGIN and not sanitized(s.worker), f"the worker kept {grown} kB"),
            (s.workers() != [s.worker], "the worker was started again")) if is_wrong]
        check(not wrong, *wrong)


def test_request_flood():
    attack("request-flood", SLOWER_IN_FLOODS)


def test_denial_flood():
    attack("denial-flood", SLOWER_IN_FLOODS)


def test_connect_and_close_flood():
    attack("connect-and-close", SLOWER_IN_FLOODS)


def test_idle_connections():
    attack("idle", SLOWER)


def test_never_reading():
    attack("never-reading", SLOWER)


def test_dropped_with_unread_descriptors():
    attack("dropped", SLOWER)


def test_one_byte_messages():
    attack("one-byte", SLOWER)


def test_largest_messages():
    attack("largest", SLOWER)


def test_malformed_messages():
    attack("malformed", SLOWER)


def test_slowest_reader():
    attack("slowest-reader", SLOWER)


sys.argv = [word for word in sys.argv if word != "--timing"]
main(globals())
