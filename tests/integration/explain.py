# SPDX-License-Identifier: MIT
"""fdbroker explain: may they, and why."""
import json

from policies import explain, run
from tap import check, equal, main


def test_explain_json():
    status, out, err = explain("--json", "--user", "1001", "read", "/var/run/app/x.log")
    equal((status, err, out.count("\n")), (0, "", 1))
    equal(json.loads(out), {
        "decision": "allow", "reason": "allowed", "rights": "read", "target": "/run/app/x.log",
        "map": {"file": "P", "line": 1},
        "rule": {"file": "P", "line": 4, "subject": "readers", "text": "allow read /run/app/*.log /srv/%U/**"},
        "variables": {"%U": "1001"},
        "subjects": [{"name": "readers", "file": "P", "line": 2, "held": {"user": "1000-1999"}, "failed": []}]})
    status, out, err = explain("--json", "--user", "5", "--group", "4", "write", "/srv/all")
    equal(status, 1)
    one = json.loads(out)
    equal((one["decision"], one["subjects"]), ("deny", []))
    equal(one["nearest_subject"], {"name": "admins", "file": "P", "line": 7, "held": {"group": "4"},
                                   "failed": ["user"]})
    equal((one["nearest"]["misses"], one["nearest"]["rule"]["line"]), ("subject", 10))
    status, out, err = explain("--json", "--user", "1001", "read", "/run/app/x.txt")
    equal((json.loads(out)["nearest"]["misses"], json.loads(out)["nearest"]["matches"]), ("path", "/run/app"))
    status, out, err = explain("--json", "--subject", "readers")
    equal([json.loads(line)["line"] for line in out.splitlines()], [4, 5])


def test_explain_allow():
    status, out, err = explain("--user", "1001", "read", "/var/run/app/x.log")
    equal(status, 0, err)
    check("allow: allowed\nrule: P:4: allow read /run/app/*.log /srv/%U/** (subject readers)\n" in out,
          out)
    check("map: P:1: decided as /run/app/x.log\n" in out, out)
    check("subject readers (P:2): user 1000-1999\n" in out, out)
    check("%U is 1001" in out, out)
    check("%u" not in out and "%h" not in out, out)


def test_explain_deny():
    status, out, err = explain("--user", "1001", "read", "/run/app/private-x.log")
    equal(status, 1)
    check("deny: a deny stands against it\nrule: P:5: deny read /run/app/private-*" in out, out)


def test_explain_near():
    rows = (
        (("--user", "1001", "write", "/run/app/x.log"), "line 4 allows read, asked was write"),
        (("--user", "1001", "read", "/srv/all"),
         "line 10 allows it to 'admins', but the caller is not in its group"),
        (("--user", "5", "read", "/run/app/x.log"),
         "line 4 allows it to 'readers', but the caller is not its user"),
        (("--user", "1001", "read", "/run/app/x.txt"),
         "line 4 has the right, but its pattern leaves the path behind /run/app"),
    )
    for arguments, near in rows:
        status, out, err = explain(*arguments)
        equal(status, 1, arguments)
        check(f"nearest: {near}\n" in out, arguments, out)
    status, out, err = run("explain", "--policy", "POLICY", "--user", "5", "read", "/a/b/c",
                           policy="subject s {\n\tuser 5\n\tallow write /a/b/d\n\tallow read /a/b/e\n}\n")
    check("nearest: line 4 has the right, but its pattern leaves the path behind /a/b\n" in out, out)
    status, out, err = explain("--user", "1001", "read", "/elsewhere")
    check("nearest" not in out, out)


ADDRESSES = """subject s {
	user 1001
	allow connect tcp:10.0.0.5:5432 tcp:[2001:db8::/32]:80-89 any-peer
	allow bind udp:0.0.0.0:53 any-peer
	allow connect unix:/run/a.sock unix:@name
	allow bind unix-dgram:/run/d.sock any-peer
	deny connect tcp:10.0.0.6:*
}
subject t {
	user 1001
	group 7
	allow connect tcp:10.1.0.0/16:22 any-peer
	allow connect unix:/run/t.sock
}
"""


def test_explain_near_addresses():
    rows = (
        ("connect", "tcp:10.0.0.5:5433", "line 3 allows port 5432, asked was 5433"),
        ("connect", "tcp:[2001:db8::1]:90", "line 3 allows port 80-89, asked was 90"),
        ("connect", "tcp:10.0.0.7:5432", "line 3 has the right and the port, but another address"),
        ("connect", "udp:10.0.0.5:5432", "line 3 has the right and the address, but another protocol"),
        ("bind", "tcp:10.0.0.5:5432", "line 3 allows connect, asked was bind"),
        ("bind", "udp:0.0.0.0:54", "line 4 allows port 53, asked was 54"),
        ("connect", "tcp:10.1.2.3:22", "line 12 allows it to 't', but the caller is not in its group"),
        ("connect", "tcp:10.1.2.3:23", None),
        ("connect", "tcp:10.9.0.5:1", None),
        ("connect", "tcp:10.0.0.6:5432", None),
        ("bind", "unix:/run/a.sock", "line 5 allows connect, asked was bind"),
        ("bind", "unix:@name", "line 5 allows connect, asked was bind"),
        ("connect", "unix-dgram:@name", "line 5 has the right and the address, but another protocol"),
        ("bind", "unix:/run/d.sock", "line 6 has the right and the address, but another protocol"),
        ("connect", "unix:/run/t.sock", "line 13 allows it to 't', but the caller is not in its group"),
        ("connect", "unix:/run/z.sock", None),
    )
    for right, address, near in rows:
        status, out, err = run("explain", "--policy", "POLICY", "--user", "1001", right, address,
                               policy=ADDRESSES)
        equal((status, err), (1, ""), address)
        equal("nearest" in out, near is not None, right, address, out)
        check(near is None or f"nearest: {near}\n" in out, right, address, out)


IDENTITIES = """subject a {
	user root 1000-1999
	group 4 5
	exe /bin/a /bin/b
	unit x.service
	label web
	via @y
	allow read /a
}
subject b {
	group 7
	allow read /b
}
subject c {
	user *
	group 8
	allow read /c
}
"""


def test_explain_says_why_a_subject_matched():
    all_of_a = ("--group", "5", "--exe", "/bin/b", "--unit", "x.service", "--label", "web", "--via", "@y")
    a = "subject a (P:1): user {}, group 5, exe /bin/b, unit x.service, label web, via @y\n"
    rows = (
        (("--user", "1001", *all_of_a), a.format("1000-1999")),
        (("--user", "0", *all_of_a), a.format("root")),
        (("--user", "1001", "--group", "7"), "subject b (P:10): group 7\n"),
        (("--user", "2001", "--group", "7", "--group", "8"),
         "subject b (P:10): group 7\nsubject c (P:14): user *, group 8\n"),
        (("--user", "2001"), "subject: none\nnearest subject c (P:14): user matches, group does not match\n"),
        (("--user", "1001", *all_of_a[2:]),
         "subject: none\nnearest subject a (P:1): user matches, group does not match, exe matches,"
         " unit matches, label matches, via matches\n"),
        (("--user", "1001", "--group", "4", *all_of_a[4:]),
         "nearest subject a (P:1): user matches, group matches, exe does not match, unit matches,"
         " label matches, via matches\n"),
        (("--user", "65534", "--group", "7"), "user does not match, group matches\n"),
    )
    for arguments, said in rows:
        status, out, err = run("explain", "--policy", "POLICY", *arguments, "read", "/z", policy=IDENTITIES)
        equal((status, err), (1, ""), arguments)
        check(said in out, arguments, out)
        equal("nearest subject" in out, "nearest subject" in said or "not match" in said, arguments, out)


def test_explain_subject():
    status, out, err = explain("--subject", "readers")
    equal((status, out), (0, "P:4: allow read /run/app/*.log /srv/%U/**\n"
                             "P:5: deny read /run/app/private-*\n"))
    status, out, err = explain("--subject", "nobody-here")
    equal(status, 1)


main(globals())
