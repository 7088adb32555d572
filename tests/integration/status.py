# SPDX-License-Identifier: MIT
"""What status tells in numbers, and what the record tells of the same requests."""
import json
import os
import re
import select
import threading
import time

import fuse
from broker import OPEN, Broker, Client, Place, ask, tool
from linux import CLONE_NEWNS, as_user, in_child, mount, umount, unshare
from records import ME, policy, within
from tap import Skip, check, equal, main


def metrics(text):
    """{name{labels}: value}, and the types; every line is one of those that Prometheus reads."""
    values, types = {}, {}
    label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
    last = None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name not in types, "twice", name)
            check(kind in ("counter", "gauge", "histogram", "untyped"), line)
            types[name] = kind
            last = name
        elif line.startswith("# HELP "):
            check(re.fullmatch(r"# HELP [a-z_]+ \S.*\.", line), line)
        else:
            got = re.fullmatch(rf"([a-z_]+)((?:\{{{label}(?:,{label})*\}})?) ([0-9.]+)", line)
            check(got, "no sample", line)
            check(re.sub("_(bucket|sum|count)$", "", got[1]) == last or got[1] == last, line, last)
            check(got[1] + got[2] not in values, "twice", line)
            values[got[1] + got[2]] = float(got[3])
    return values, types


def test_status_in_numbers():
    with Place() as place:
        file = place.file("d/x", "x")
        with Broker(place, policy(place)) as broker:
            def client():
                with Client(broker.abstract) as c:
                    for _ in range(7):
                        c.ask(path=file)
                    for _ in range(5):
                        c.ask(path="/etc/shadow")
                    for _ in range(3):
                        c.ask(path=place.name("d/none"))
                    c.ask(3, file)
                    c.ask(77)
                with Client(broker.abstract) as c:
                    c.socket.send(b"x")
                    c.receive()
            as_user(ME, client)
            status = json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
            wanted = {"requests_open_allow": 7, "requests_open_deny": 5, "requests_open_error": 3,
                      "requests_stat_allow": 1, "requests_invalid_error": 2, "requests": 18, "denials": 5,
                      "accepted": 3, "connections": 1, "limits_connections": 0, "subjects": 1, "rules": 2,
                      "latency_us_inf": 18, "latency_us_10000000": 18}
            wanted.update(lane_waiting=0, lane_running=0, lane_stuck=0)
            equal({k: status.get(k) for k in wanted}, wanted)
            check(0 < status["latency_us_sum"] < 5000000, status)
            buckets = [v for k, v in status.items() if re.fullmatch("latency_us_[0-9]+", k)]
            equal(buckets, sorted(buckets))
            check(status["age"] < 60, status)
            time.sleep(1.1)
            done = tool("status", "--metrics", "--socket", broker.abstract)
            equal((done.returncode, done.stderr), (0, ""))
            values, types = metrics(done.stdout)
            name = "fdbroker_requests_total"
            equal(types[name], "counter")
            equal({k: v for k, v in values.items() if k.startswith(name) and "status" not in k and v},
                  {name + '{operation="open",result="allow"}': 7, name + '{operation="open",result="deny"}': 5,
                   name + '{operation="open",result="error"}': 3,
                   name + '{operation="stat",result="allow"}': 1,
                   name + '{operation="invalid",result="error"}': 2})
            equal(values[name + '{operation="status",result="allow"}'], 1)
            equal(values['fdbroker_info{version="0.1.0"}'], 1)
            equal(values["fdbroker_denials_total"], 5)
            equal(values["fdbroker_connections"], 1)
            equal((values["fdbroker_lane_stuck"], types["fdbroker_lane_stuck"]), (0, "gauge"))
            equal(values["fdbroker_connections_accepted_total"], 4)
            equal(values['fdbroker_limits_hit_total{limit="connections"}'], 0)
            equal((values["fdbroker_policy_rules"], values["fdbroker_policy_subjects"]), (2, 1))
            check(1 <= values["fdbroker_policy_age_seconds"] < 60, values)
            histogram = "fdbroker_request_duration_seconds"
            equal(types[histogram], "histogram")
            equal(values[histogram + '_bucket{le="+Inf"}'], 19)
            equal(values[histogram + "_count"], 19)
            equal(values[histogram + '_bucket{le="10.000000"}'], 19)
            check(histogram + '_bucket{le="0.000005"}' in values, values)
            check(0 < values[histogram + "_sum"] < 5, values)
            equal(tool("status", "--metrics", "--json").returncode, 2)


def test_what_is_not_answered_in_time_is_told():
    with Place() as place:
        place.directory("d")
        os.mkfifo(place.name("d/fifo"))
        os.chmod(place.name("d/fifo"), 0o666)
        text = f"subject mine {{\n user {ME}\n allow read {place.name('d')}/fifo type fifo\n log grants\n}}\n"
        with Broker(place, text, options=["--open-timeout", "1"]) as broker:
            equal(as_user(ME, ask, broker.abstract, place.name("d/fifo")), "ETIMEDOUT")
            record = broker.wait_event("request")
            equal((record["verdict"], record["errno"], record["path"]),
                  ("error", "ETIMEDOUT", place.name("d/fifo")))
            check(990000 <= record["us"] < 3000000, record)
            # What becomes of it afterwards is not told as if it had been granted.
            os.close(os.open(place.name("d/fifo"), os.O_RDWR))
            time.sleep(0.3)
            status = json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
            equal([status[f"requests_open_{r}"] for r in ("allow", "deny", "error")], [0, 0, 1])
            equal(len(broker.events("request")), 1)
            # One that waits for the other end and gets it took that long.
            def client():
                with Client(broker.abstract) as c:
                    c.send(OPEN, place.name("d/fifo"))
                    time.sleep(0.3)
                    writer = os.open(place.name("d/fifo"), os.O_WRONLY)
                    got = c.receive()
                    os.close(writer)
                    return got[1]
            equal(as_user(ME, client), 0)
            record = broker.wait_event("request", 2)
            equal(record["verdict"], "allow")
            check(250000 <= record["us"] < 900000, record)


def test_what_is_opened_too_late_is_not_told_as_granted():
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse")

    def run(place):
        unshare(CLONE_NEWNS)
        mount(None, "/", None, 1 << 14 | 1 << 18)
        d = place.directory("d")
        held, usual = threading.Event(), fuse.answer

        def late(operation, node, body):
            if operation == fuse.OPEN:
                held.wait(10)
            return usual(operation, node, body)
        fuse.answer = late
        try:
            fuse.mount_folding(d)
        except OSError as error:
            raise Skip(f"no FUSE: {error}")
        try:
            text = f"subject mine {{\n user {ME}\n allow read {d}/*\n log grants\n}}\n"
            with Broker(place, text, options=["--open-timeout", "1"]) as broker:
                status = lambda: json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
                equal(as_user(ME, ask, broker.abstract, f"{d}/other"), "ETIMEDOUT")
                now = status()
                equal((now["lane_stuck"], now["lane_running"]), (1, 1))
                held.set()
                now = within(5, lambda: status()["lane_running"] == 0 and status())
                equal((now["lane_stuck"], now["requests_open_allow"], now["requests_open_error"]), (0, 0, 1))
                broker.stop()
                equal([r["errno"] for r in broker.events("request")], ["ETIMEDOUT"])
        finally:
            held.set()
            umount(d)
    with Place() as place:
        in_child(run, place)


def test_every_operation_has_a_name():
    source = os.environ["FDBROKER_SOURCE"]
    header = open(f"{source}/include/fdbroker-protocol.h").read()
    operations = re.findall(r"^\tFDBROKER_([A-Z]+) = (\d+),$", header, re.M)
    check(len(operations) >= 7)
    names = re.search(r"operations\[STATISTICS_OPERATIONS\] = \{(.*?)\}",
                      open(f"{source}/broker/statistics.c").read(), re.S)[1]
    names = re.findall(r'"([a-z]+)"', names)
    equal([names[int(number)] for _, number in operations], [name.lower() for name, _ in operations])


def test_limits_that_are_hit_are_counted():
    with Place() as place:
        place.file("d/x", "x")
        with Broker(place, policy(place, " limit connections 2\n")) as broker:
            def client():
                clients = [Client(broker.abstract) for _ in range(5)]
                told = lambda: select.select([c.socket for c in clients], [], [], 0)[0]
                return within(10, lambda: len(told()) == 3)
            equal(as_user(ME, client), True)
            status = json.loads(tool("status", "--json", "--socket", broker.abstract).stdout)
            equal(status["limits_connections"], 3)
            equal(len(broker.events("limit")), 1)


main(globals())
