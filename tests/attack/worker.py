# SPDX-License-Identifier: MIT
"""
A worker that has been taken over: what it can reach. And a worker that has not: that a denied request makes it
touch nothing.
"""
import os
import re
import shutil
import subprocess
import time

from broker import Broker, Client, Place
from linux import as_user
from tap import Skip, check, equal, main

HOLE = 99


def attack(rights):
    with Place() as place:
        place.directory("granted/deep", 0o755)
        place.file("granted/f", "granted")
        outside = place.file("outside", "outside", 0o600)
        os.chmod(place.path, 0o755)
        before = os.stat(outside)
        policy = f"subject a {{\n user 5001\n allow {rights} {place.name('granted')}/**\n}}\n"
        with Broker(place, policy, program=os.environ["FDBROKERD_HOLE"]) as broker:
            def run():
                with Client(broker.abstract) as client:
                    client.send(HOLE, outside)
                    return client.receive()[2].decode()
            report = as_user(5001, run)
            check(broker.process.poll() is None, "the supervisor was ended")
        after = os.stat(outside)
        equal((after.st_mode, after.st_uid), (before.st_mode, before.st_uid))
        return report


def test_a_reading_worker_reaches_nothing_outside():
    report = attack("read")
    check(report.count("open@") >= 2, "it holds no directory", report)
    equal([l for l in report.splitlines() if l.endswith("succeeded")], [], report)


def test_a_writing_worker_reaches_nothing_outside():
    report = attack("read,write,create")
    # Its own root is empty and read-only; what it holds are views.
    equal([l for l in report.splitlines() if l.endswith("succeeded")], [], report)


def test_a_denied_request_touches_nothing():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    with Place() as place:
        place.file("d/f", "f")
        place.file("d/denied/f", "f")
        os.symlink("denied/f", place.name("d/link"))
        policy = (f"subject a {{\n user 5001\n allow read {place.name('d')}/**\n"
                  f" deny all {place.name('d')}/denied\n}}\n")
        with Broker(place, policy) as broker:
            trace = place.name("trace")
            tracer = subprocess.Popen(["strace", "-f", "-o", trace, "-p", str(broker.worker)],
                                      stderr=subprocess.PIPE)
            tracer.stderr.readline()
            try:
                def run():
                    with Client(broker.abstract) as client:
                        granted = client.ask(path=place.name("d/f"))
                        denied = [client.ask(operation, path, flags, mode) for operation in (1, 3, 4, 5, 6, 7)
                                  for path in (place.name("d/denied/f"), "/etc/shadow", place.path)
                                  for flags, mode in ((0, 0),)]
                        denied += [client.ask(operation, path, extra=extra) for path in
                                   (place.name("d/denied/f"), "/etc/fdbroker-test-new", place.path)
                                   for operation, extra in (
                                       (8, b""), (9, b""), (10, b""), (11, b"/etc/fdbroker-test-new"),
                                       (12, b"/etc/fdbroker-test-new"), (13, b"x"), (14, b""), (15, bytes(32)))]
                        denied += [client.ask(1, "/etc/fdbroker-test-new", os.O_CREAT | os.O_RDWR, 0o600)]
                        return granted, set(denied), client.ask(path=place.name("d/link"))
                equal(as_user(5001, run), ("OK", {"EACCES"}, "EACCES"))
                time.sleep(0.2)
            finally:
                tracer.terminate()
                tracer.wait()
            calls = [l.split(None, 1)[1] for l in open(trace) if "(" in l]
            named = [c for c in calls if re.match(
                r"(open|stat|lstat|newfstatat|statx|access|readlink|getdents|chmod|chown|faccessat|mkdir|rmdir|unlink|rename|link|symlink|fchmod|fchown|utimens)", c)]
            # The granted file once; and the link, which is read where it stands: looked at, found to be one,
            # and never what it leads to.
            opened = [re.search(r'"([^"]*)"', c).group(1) for c in named if c.startswith("openat2")]
            equal(set(opened), {"f", "link"}, named)
            for call in named:
                check("denied" not in call.split("=")[0] or "readlink" in call, call)
                check("shadow" not in call and "fdbroker-test-new" not in call, call)


main(globals())
