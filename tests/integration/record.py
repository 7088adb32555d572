# SPDX-License-Identifier: MIT
"""The record: what is in it, and what is not."""
import json
import os
import random
import re
import time

from broker import OPEN, Broker, Client, Place, ask, tool
from linux import as_user
from records import ME, Logging, policy, records, within
from tap import check, equal, main


def test_grants_are_recorded_where_somebody_wants_to_know():
    def granted(*options, more=""):
        with Place() as place:
            file = place.file("d/x", "x")
            os.symlink("x", place.name("d/link"))
            with Broker(place, policy(place, more), options=options) as broker:
                def client():
                    with Client(broker.abstract) as c:
                        return [c.ask(path=place.name("d/link")), c.ask(3, file), c.ask(6, place.name("d")),
                                c.ask(path=place.name("d/none"))]
                equal(as_user(ME, client), ["OK", "OK", "EACCES", "ENOENT"])
                broker.stop()
                return place, [r for r in broker.events("request") if r["verdict"] == "allow"]
    equal(granted()[1], [])
    for place, found in (granted("--log-grants"), granted(more=" log grants\n")):
        link, stat = found
        equal({k: link[k] for k in ("event", "subject", "uid", "gid", "right", "path", "opened", "rule")},
              {"event": "request", "subject": "mine", "uid": ME, "gid": ME, "right": "read",
               "path": place.name("d/link"), "opened": place.name("d/x"), "rule": link["rule"]})
        check(re.fullmatch(re.escape(place.name("policy")) + r":[34]", link["rule"]), link)
        check(link["via"].startswith("@fdbroker-test-") and link["pid"] > 1, link)
        check("errno" not in link and "reason" not in link, link)
        check(1 <= link["us"] < 1000000, link)
        equal((stat["right"], stat["path"]), ("stat", place.name("d/x")))


def test_log_grants_of_one_subject_is_not_that_of_another():
    with Place() as place:
        file = place.file("d/x", "x")
        text = policy(place, " log grants\n") + (
            f"subject yours {{\n user 5002\n allow read {file}\n}}\n")
        with Broker(place, text) as broker:
            for uid in (5002, ME):
                equal(as_user(uid, ask, broker.abstract, file), "OK")
            broker.stop()
            equal([r["uid"] for r in broker.events("request")], [ME])
        done = tool("explain", "--policy", place.name("policy"), "--user", str(ME), "read", file)
        check("user 5001, log grants\n" in done.stdout, done)
        done = tool("explain", "--policy", place.name("policy"), "--user", "5002", "read", file)
        check("log grants" not in done.stdout, done)
        done = tool("explain", "--policy", place.name("policy"), "--json", "--user", str(ME), "read", file)
        equal(json.loads(done.stdout)["subjects"][0]["logs_grants"], True)
        equal(tool("fmt", place.name("policy")).returncode, 0)
        check("\n\tlog   grants\n" in open(place.name("policy")).read())


def test_comm_is_recorded_where_the_process_is_looked_at_anyway():
    def client(address):
        with open("/proc/self/comm", "wb") as file:
            file.write(b"\n\xff\"odd")
        return ask(address, "/etc/shadow")
    with Place() as place:
        with Broker(place, policy(place)) as broker:
            equal(as_user(ME, client, broker.abstract), "EACCES")
            check("comm" not in broker.wait_event("request"))
        text = policy(place) + "subject other {\n user 5002\n unit x.service\n allow read /x\n}\n"
        with Broker(place, text) as broker:
            equal(as_user(ME, client, broker.abstract), "EACCES")
            record = broker.wait_event("request")
            equal((record["comm"], record["comm_hex"]), ("\n\ufffd\"odd", b"\n\xff\"odd".hex()))


def test_repeated_denials_are_counted():
    with Place() as place:
        # Where nothing happens that would wake the daemon.
        file = "/usr/share/x"
        text = f"subject mine {{\n user {ME}\n allow read /usr/share/*\n deny write /usr/share/*\n}}\n"
        with Broker(place, text) as broker:
            def client():
                with Client(broker.abstract) as c:
                    return {c.ask(path="/etc/shadow") for _ in range(300)} | {
                        c.ask(OPEN, file, os.O_WRONLY) for _ in range(20)}
            equal(as_user(ME, client), {"EACCES"})
            equal(as_user(5002, ask, broker.abstract, file), "EACCES")
            time.sleep(0.2)
            found = broker.events("request")
            equal([r["uid"] for r in found], [ME] * 10 + [5002], found)
            check(all("repeated" not in r for r in found), found)
            # Told when ten seconds are over, from the first one on.
            broker.wait_event("request", 12, 12)
            time.sleep(0.2)
            first, second = broker.events("request")[11:]
            equal({k: first.get(k) for k in ("uid", "subject", "verdict", "right", "rule", "reason", "errno",
                                             "repeated", "path", "pid")},
                  {"uid": ME, "subject": "mine", "verdict": "deny", "right": "read", "rule": None,
                   "reason": "no rule allows it", "errno": "EACCES", "repeated": 295, "path": None,
                   "pid": None})
            equal((second["right"], second["rule"], second["repeated"]),
                  ("write", f"{place.name('policy')}:4", 15))
            # Then the first ones have lines again; and what is counted is told at the end.
            equal(as_user(ME, client), {"EACCES"})
            broker.stop()
            found = broker.events("request")[13:]
            equal(len(found), 12)
            equal(sorted(r["repeated"] for r in found[10:]), [15, 295])


def test_a_flood_of_denials_costs_little_of_the_log():
    """With paths that make the longest lines, of every kind there is, by several uids."""
    with Place() as place, Logging(place, "--log", place.name("log")) as s:
        s.ready()
        evil = b"/" + b"\xff" * 250

        def client():
            asked = 0
            end = time.monotonic() + 1
            with Client(s.broker.abstract) as c:
                while time.monotonic() < end:
                    for flags in (0, os.O_WRONLY, os.O_RDWR, os.O_CREAT | os.O_WRONLY, 1 << 40, 3):
                        c.ask(OPEN, evil * 16, flags)
                    for operation in (3, 4, 5, 6, 7):
                        c.ask(operation, evil * 16)
                    asked += 11
            return asked
        asked = sum(as_user(uid, client) for uid in (ME, 5002, 5003))
        check(asked > 3000, asked)
        equal(s.broker.stop(), 0)
        check(os.stat(s.log).st_size < 300000, os.stat(s.log).st_size)
        found = records(s.log, "request")
        # Not one of them is forgotten.
        equal(sum(r.get("repeated", 1) for r in found), asked)


def test_any_bytes_are_valid_json_and_come_back():
    odd = ["\u2028", "\u0085", "\x7f", "\ufffd", "\U0001f600", "é"]
    paths = [bytes([b]) for b in range(256)] + [c.encode() for c in odd]
    paths += [b"\xed\xa0\x80", b"\xed\xa0\x80\xed\xb0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"a\"b\\c\x00d",
              b"\\u0041"]
    chance = random.Random(1)
    paths += [bytes(chance.randrange(256) for _ in range(chance.randrange(1, 200))) for _ in range(300)]
    paths = [b"/" + p for p in paths]
    # Of one uid not more than get lines of their own.
    groups = [[(b"/" + b"\xff" * 250) * 16], [(b"/" + b"\x01" * 250) * 16]]
    groups += [paths[i:i + 4] for i in range(0, len(paths), 4)]
    with Place() as place:
        log = place.name("log")
        asked = []
        def client(address, some):
            with Client(address) as c:
                for path in some:
                    c.ask(path=path)
        for start in range(0, len(groups), 60):
            with Logging(place, "--log", log) as s:
                count = len(records(log, "ready"))
                within(10, lambda: len(records(log, "ready")) > count)
                for i, some in enumerate(groups[start:start + 60]):
                    as_user(6000 + i, client, s.broker.abstract, some)
                    asked += some
                equal(s.broker.stop(), 0)
        raw = open(log, "rb").read()
        raw.decode()  # UTF-8
        check(not any(c < 0x20 and c != 10 or c == 0x7f for c in raw), "a control character")
        check("\u2028" not in raw.decode() and "\u0085" not in raw.decode())
        got = []
        for r in records(log, "request"):
            check("repeated" not in r, r)
            r["path"].encode()  # no lone surrogates
            got.append(bytes.fromhex(r["path_hex"]) if "path_hex" in r else r["path"].encode())
        equal([p for p in asked if p not in got], [])
        equal(got, asked)


main(globals())
