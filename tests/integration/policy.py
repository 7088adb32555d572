# SPDX-License-Identifier: MIT
"""The commands that ask a policy and no broker: check, test, fmt (explain.py has explain). And the examples."""
import glob
import itertools
import json
import os
import re
import subprocess
import tempfile

from linux import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, in_child, mount, unshare
from policies import POLICY, TOOL, explain, run
from tap import check, equal, main

EXAMPLES = sorted(glob.glob(os.path.join(os.environ["FDBROKER_SOURCE"], "policy/examples/*.policy")))


def know_alice():
    """Gives this process a user data base that has the one user whom an example names."""
    with open("/etc/passwd") as file:
        users = [line for line in file if not line.startswith("alice:")]
    unshare(CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("".join(users) + "alice:x:4999:4999::/home/alice:/bin/sh\n")
        file.flush()
        os.chmod(file.name, 0o644)
        mount(file.name, "/etc/passwd", None, MS_BIND)


def check_examples():
    know_alice()
    for example in EXAMPLES:
        with open(example) as stream:
            text = stream.read()
        status, out, err = run("test", "--policy", "POLICY", policy=text)
        equal(status, 0, example, out, err)
        check(" 0 of 0 " not in " " + out, example, "expects nothing")
        status, out, err = run("check", "--policy", "POLICY", policy=text)
        # What the machine's own links say of a path is no fault of the example, nor what the language has
        # and this version does not serve.
        lines = [l for l in err.splitlines() if ": warning: " in l or ": error: " in l]
        equal([l for l in lines if "symbolic link" not in l and "this version" not in l], [], example)
        status, out, err = run("fmt", "--check", "POLICY", policy=text)
        equal(status, 0, example, "is not in the canonical layout")


def test_examples_hold_and_are_clean():
    check(len(EXAMPLES) >= 8, EXAMPLES)
    in_child(check_examples)


def test_check_clean():
    equal(run("check", "--policy", "POLICY", policy="subject s {\n\tuser 5\n\tallow read /x\n}\n"),
          (0, "", ""))


def test_check_finds_everything_in_one_run():
    status, out, err = run("check", "--policy", "POLICY",
                           policy="subject s {\n\tuser 5\n\tallow raed /x\n\tallow read y/z\n}\n")
    equal(status, 1)
    check("P:3:8: error: unknown right 'raed'" in err, err)
    check("hint: did you mean 'read'?" in err, err)
    check("P:4:13: error: a pattern must be an absolute path" in err, err)


def test_check_json():
    status, out, err = run("check", "--json", "--policy", "POLICY",
                           policy="subject s {\n\tuser 5\n\tallow r\xe9ad /x\n}\n")
    equal((status, err), (1, ""))
    one = json.loads(out)
    equal((one["severity"], one["line"], one["column"]), ("error", 3, 8))


def test_check_warns():
    rows = {
        "allow read /**": "this rule grants every file there is",
        "allow tree /": "this rule grants every file there is",
        "allow write-tree /": "this rule grants every file there is",
        "allow read /x\n\tdeny all /x": "nothing can match this rule: it is denied at P:4",
        "allow read /x\n\tdeny read,stat /x": "nothing can match this rule: it is denied at P:4",
        "allow read /x/a /y/a\n\tdeny all /x\n\tdeny all /y":
            "nothing can match this rule: it is denied by several, one of them at P:",
        "allow read /x /x /x/a\n\tdeny all /x": "nothing can match this rule: it is denied at P:4",
        "allow read /x/** /y/**\n\tallow read /x/a /y/a":
            "this rule says nothing that is not said at P:3",
        "allow read /x/y\n\tdeny all /x": "nothing can match this rule: it is denied at P:4",
        "allow read /x\n\tallow read /x": "this rule says nothing that is not said at P:3",
        "allow read /x/**\n\tallow read /x/y/z": "this rule says nothing that is not said at P:3",
        "allow read /x\n}\nsubject t {\n\tuser 5\n\tgroup 7\n\tdeny read /y": "a caller evades this deny",
        "allow read /x\n}\nexpect deny user 5 read /x\nsubject t {\n\tuser 5\n\tdeny read /z":
            "this expect fails: it is allowed",
        "allow read /x\n}\nsubject t {\n\tuser 5": "the subject 't' has no rule",
    }
    for rules, warning in rows.items():
        status, out, err = run("check", "--policy", "POLICY",
                               policy=f"subject s {{\n\tuser 5\n\t{rules}\n}}\n")
        equal(status, 1, rules)
        check(f"warning: {warning}" in err, rules, err)
        equal(err.count("warning:") - err.count("by this version"), 1, rules, err)
    for rules in ("allow read /a/b\n\tdeny read /a", "allow read /x/a /y/a\n\tdeny all /x\n\tdeny all /x/a",
                  "allow read /x/** /z\n\tallow read /x/a /x/a /y", "allow create /x\n\tdeny read /x",
                  "allow read /x\n\tgroup 7\n}\nsubject t {\n\tuser *\n\tgroup 7\n\tdeny read /x/y",
                  "allow read /x\n}\nsubject t {\n\tuser *\n\tgroup 7\n\tdeny write /x/y",
                  "allow read /x/*\n\tdeny read /x/y", "allow read,write /x\n\tdeny read /x",
                  "allow read /x/**\n\tallow write /x/y", "allow read /x/**\n\tallow read /x",
                  "allow read /x/y /z\n\tdeny read /x"):
        status, out, err = run("check", "--policy", "POLICY",
                               policy=f"subject s {{\n\tuser 5\n\t{rules}\n}}\n")
        equal((status, err), (0, ""), rules)
    # Not the same, for all that the ids are in one place.
    status, out, err = run("check", "--policy", "POLICY", policy="subject s {\n\tuser 5\n"
                           "\tallow tree /x idmap 0 5 1\n\tallow tree /x idmap 0 6 1\n}\n")
    check("says nothing" not in err, err)


def test_include_under_another_name():
    with tempfile.TemporaryDirectory() as place:
        real = os.path.realpath(place)
        os.mkdir(f"{real}/d")
        os.symlink("policy", f"{real}/link")
        os.symlink("..", f"{real}/d/up")
        for name in ("other", "d/third"):
            with open(f"{real}/{name}", "w") as stream:
                stream.write("define x /x\n" if name == "other" else "include ../policy\n")
        rows = (("link", f"P:1:9: error: '{real}/link' is read already, as 'P'"),
                ("d/../policy", f"P:1:9: error: '{real}/d/../policy' is read already, as 'P'"),
                ("d/up/policy", f"P:1:9: error: '{real}/d/up/policy' is read already, as 'P'"),
                ("d/third", f"{real}/d/third:1:9: error: '{real}/d/../policy' is read already, as 'P'"),
                ("*/../other\ninclude other",
                 f"P:2:9: error: '{real}/other' is read already, as '{real}/d/../other'"),
                ("d/../other", None))
        for included, error in rows:
            path = f"{real}/policy"
            with open(path, "w") as stream:
                stream.write(f"include {included}\nsubject s {{\n\tuser 5\n\tallow read /x\n}}\n")
            os.chmod(path, 0o644)
            done = subprocess.run([TOOL, "check", "--policy", path], capture_output=True, text=True, timeout=20)
            equal(done.returncode, 1 if error else 0, included, done.stderr)
            equal(done.stderr.count("error:"), 1 if error else 0, done.stderr)
            check(not error or error in done.stderr.replace(path, "P"), done.stderr)


def test_check_takes_trees_with_variables():
    for rule in ("tree %h/{a,b}", "write-tree /srv/%U/x /srv/%u/x", "tree /srv/x%%U"):
        status, out, err = run("check", "--policy", "POLICY", "--privileges",
                               policy=f"subject s {{\n\tuser 5\n\tallow {rule}\n}}\n")
        equal((status, err), (0, ""), rule)


def test_check_warns_of_too_many_wildcards():
    def checked(pattern, count):
        rules = "".join("\tallow read " + pattern.format(i) + "\n" for i in range(count))
        return run("check", "--policy", "POLICY", policy=f"subject s {{\n\tuser 5\n{rules}}}\n")[2]
    check("deep paths can be denied" in checked("/**/*{}/**/x", 9000))
    equal(checked("/**/d{}/x", 9000), "")
    equal(checked("/a/d{}/*", 9000), "")


def test_check_warns_of_a_link():
    with tempfile.TemporaryDirectory() as place:
        real = os.path.realpath(place)
        os.mkdir(f"{real}/there")
        os.symlink("there", f"{real}/link")
        status, out, err = run("check", "--policy", "POLICY",
                               policy=f"subject s {{\n\tuser 5\n\tallow read {real}/link/x\n}}\n")
        equal(status, 1)
        check(f"'{real}/link' is a symbolic link: this never matches" in err, err)
        check(f"hint: write {real}/there/x\n" in err, err)
        check("P:3:13: " in err, err)
        with open(f"{real}/file", "w"):
            pass
        os.symlink("file", f"{real}/last")
        for rule, said in ((f"deny all {real}/link/x", "this never matches"),
                           (f"deny read {real}/link/**", "this never matches"),
                           (f"deny read {real}/last", "what it leads to is not meant by this"),
                           (f"allow connect unix:{real}/link/s", "this never matches"),
                           (f"allow readlink,delete {real}/last", None),
                           (f"deny read {real}/l*", None)):
            status, out, err = run("check", "--policy", "POLICY",
                                   policy=f"subject s {{\n\tuser 5\n\tallow read /q\n\t{rule}\n}}\n")
            err = "".join(l for l in err.splitlines(True) if "by this version" not in l)
            equal("symbolic link" in err, said is not None, rule, err)
            check(said is None or f"is a symbolic link: {said}" in err, rule, err)
            check(said is None or f"P:4:{rule.rindex(' ') + 3}: " in err, rule, err)


def test_check_warns_of_a_mount():
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return
    with tempfile.TemporaryDirectory() as place:
        real = os.path.realpath(place)
        for name in ("there", "there/private", "here"):
            os.mkdir(f"{real}/{name}")
        policy = f"{real}/policy"
        with open(policy, "w") as stream:
            stream.write(f"subject s {{\n\tuser 5\n\tdeny read {real}/there/private\n"
                         f"\tallow read {real}/here/**\n}}\n")
        os.chmod(policy, 0o644)
        bind = f"mount --bind {real}/there {real}/here && "
        for before, status in (("", 0), (bind, 1)):
            done = subprocess.run(["unshare", "--mount", "sh", "-c", f"{before}{TOOL} check --policy {policy}"],
                                  capture_output=True, text=True, timeout=20)
            equal(done.returncode, status, done.stderr)
            equal(f"policy:3:12: warning: '{real}/there/private' is mounted as '{real}/here/private' too, "
                  "where no deny stands" in done.stderr, status == 1, done.stderr)


def test_check_warns_of_what_is_mapped_away():
    rows = (("map /var/run /run", "deny all /var/run/x", "/run/x"),
            ("map /var/run /run", "deny all /var/run", "/run"),
            ("map /var/run /run", "allow read /var/run/*", "/run"),
            ("map /var/run /run", "allow read /var/*", None),
            ("map /a /a/b", "allow read /a/b/x", None),
            ("map /a /b\nmap /c /a/d", "allow read /a/d/x", None),
            ("map /a /b\nmap /c /a/d", "allow read /a/e/x", "/b/e/x"))
    for maps, rule, hint in rows:
        status, out, err = run("check", "--policy", "POLICY",
                               policy=f"{maps}\nsubject s {{\n\tuser 5\n\tallow read /q\n\t{rule}\n}}\n")
        equal("this never matches" in err, hint is not None, rule, err)
        check(hint is None or f"hint: write {hint}\n" in err, rule, err)


def test_check_privileges():
    status, out, err = run("check", "--privileges", "--policy", "POLICY", policy=POLICY)
    check("capabilities: CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_FOWNER\n" in out, out)
    check("  /run/app: read,stat (P:4)\n" in out, out)
    status, out, err = run("check", "--privileges", "--policy", "POLICY",
                           policy="subject s {\n\tuser 5\n\tallow read /x\n}\n")
    check("capabilities: CAP_DAC_READ_SEARCH\n" in out, out)
    for rights, capabilities in (("read,create", "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN"),
                                 ("append", "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE"),
                                 ("mkdir", "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN"),
                                 ("write", "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_FOWNER"),
                                 ("delete", "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_FOWNER"),
                                 ("rename", "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_FOWNER"),
                                 ("stat", "CAP_DAC_READ_SEARCH")):
        status, out, err = run("check", "--privileges", "--policy", "POLICY",
                               policy=f"subject s {{\n\tuser 5\n\tallow {rights} /x\n}}\n")
        check(f"capabilities: {capabilities}\n" in out, rights, out)


def test_check_privileges_names_the_rule():
    text = "subject s {\n\tuser 5\n\tallow read /x\n\tallow list /y\n\tallow create /z/*\n}\n"
    out = run("check", "--privileges", "--policy", "POLICY", policy=text)[1]
    worker = out.split("worker, ", 1)[1].split("maker, ", 1)[0]
    check("  CAP_DAC_READ_SEARCH: read,create,stat,list (P:3)\n" in worker, worker)
    check("  CAP_CHOWN: create (P:5)\n" in worker, worker)
    check("  to list a directory (P:4): getdents64\n" in worker, worker)
    check("  to give what is new to its owner (P:5): fchown " in worker, worker)
    check("fchmod" not in worker and "renameat2" not in worker and "open_by_handle_at" not in worker, worker)
    check("started by an ordinary user it needs: CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN, and for views "
          "CAP_SYS_ADMIN CAP_SYS_CHROOT\n" in out, out)
    reading = run("check", "--privileges", "--policy", "POLICY", policy="subject s {\n\tuser 5\n\tallow read /x\n}\n")[1]
    check("started by an ordinary user it needs: CAP_DAC_READ_SEARCH, and" in reading, reading)
    worker = reading.split("worker, ", 1)[1].split("maker, ", 1)[0]
    calls = {name for line in worker.splitlines() for name in line.split(": ")[-1].split()}
    check({"openat2", "sendmsg", "tgkill"} <= calls, calls)
    for call in ("fchmod", "fchown", "unlinkat", "mkdirat", "renameat2", "linkat", "symlinkat", "utimensat", "getdents64",
                 "execve", "socket", "openat", "kill", "ptrace"):
        check(call not in calls, call, worker)


def test_check_privileges_says_what_landlock_would_deny():
    def denied(rights):
        out = run("check", "--privileges", "--policy", "POLICY",
                  policy=f"subject s {{\n\tuser 5\n\tallow stat /y\n\tallow {rights} /x\n}}\n")[1]
        line, = (line for line in out.split("maker, ", 1)[0].splitlines() if "--landlock" in line)
        head, _, text = line.partition(": ")
        equal(head, "  with --landlock denied everywhere")
        return text
    net = "bind_tcp connect_tcp abstract_unix_socket signal"
    make = "make_char make_dir make_reg make_sock make_fifo make_block make_sym"
    equal(denied("read"), f"execute write_file remove_dir remove_file {make} refer truncate ioctl_dev {net}")
    equal(denied("write"), f"execute remove_dir remove_file {make} refer ioctl_dev {net}")
    for right in ("create", "rename"):
        equal(denied(right),
              f"{net}, and no access to files: links and renames between directories would be too (P:4)")


def part(out, process):
    """{what is kept: the rule that calls for it, or None} of a process, from the text."""
    lines = out.split(f"{process}, ", 1)[1].split("\n", 1)[1].split("\n")
    kept = {}
    for line in itertools.takewhile(lambda line: line.startswith("  "), lines):
        rule = re.search(r" \((P:\d+)\)", line)
        head, _, names = line.replace(rule.group(0) if rule else "", "").strip().partition(": ")
        kept[(head, names)] = rule and rule.group(1)
    return kept


def test_check_privileges_narrows_the_maker():
    def maker(text):
        return part(run("check", "--privileges", "--policy", "POLICY", policy=text)[1], "maker")

    def capabilities(kept):
        return {(name, rule) for (name, _), rule in kept.items() if name.startswith("CAP_")}
    views = {("CAP_SYS_ADMIN", None), ("CAP_SYS_CHROOT", None), ("CAP_DAC_READ_SEARCH", None)}
    reading = maker("subject s {\n\tuser 5\n\tallow read,write,create /x/*\n}\n")
    equal(capabilities(reading), views)
    calls = {call for _, names in reading for call in names.split()}
    check("open_tree" in calls, calls)
    for call in ("fork", "kill", "setresuid", "socket", "connect", "stat", "seccomp", "pread64"):
        check(call not in calls, call)
    equal(capabilities(maker("subject s {\n\tuser 5\n\tunit x.service\n\tallow read /x\n}\n")),
          views | {("CAP_SYS_PTRACE", "P:1")})
    equal(capabilities(maker("subject s {\n\tuser 5\n\tallow read /x\n\tallow write /dev/* type chardev\n}\n")),
          views | {("CAP_DAC_OVERRIDE", "P:4")})
    equal(capabilities(maker("subject s {\n\tuser 5\n\tallow read /x\n\tallow tree /y\n}\n")), views)
    equal(capabilities(maker("subject s {\n\tuser 5\n\tallow read /x\n\tallow tree /y idmap 0 caller\n}\n")),
          views | {(name, "P:4") for name in ("CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP", "CAP_SYS_PTRACE")})
    watching = maker("subject s {\n\tuser 5\n\tallow read /x\n\tallow watch /y\n}\n")
    check({("CAP_SETUID", "P:4"), ("CAP_KILL", "P:4")} <= capabilities(watching), watching)
    check(("CAP_NET_BIND_SERVICE", None) not in capabilities(watching), watching)


def test_check_privileges_for_machines():
    text = ("subject s {\n\tuser 5\n\texe /bin/sh\n\tallow read,create /x/*\n\tallow tree /y\n"
            "\tallow write /dev/* type chardev\n\tallow watch /z\n}\n")
    out = run("check", "--privileges", "--policy", "POLICY", policy=text)[1]
    *_, line = run("check", "--privileges", "--json", "--policy", "POLICY", policy=text)[1].splitlines()
    told = json.loads(line)["privileges"]
    equal(f"rights: {told['rights']}", out.splitlines()[0])
    equal("capabilities: " + " ".join(told["capabilities"]), out.splitlines()[1])
    for directory in told["directories"]:
        check(f"  {directory['path']}: {directory['rights']} ({directory['file']}:{directory['line']})\n" in out, directory)
    start = told["started_by_a_user"]
    check(f"it needs: {' '.join(start['capabilities'])}, and for views {' '.join(start['for_views'])}\n" in out, start)

    def rule(one):
        return f"{one['file']}:{one['line']}" if "file" in one else None
    for process in ("worker", "maker"):
        kept = {(one["name"], one.get("purpose", one.get("rights"))): rule(one)
                for one in told[process]["capabilities"]}
        kept.update({(one["purpose"].partition(": ")[0], ": ".join([*one["purpose"].split(": ")[1:], " ".join(one["names"])])):
                     rule(one) for one in told[process]["calls"]})
        landlock = told[process].get("landlock")
        if landlock:
            names = landlock["denied"] + (", and no access to files: links and renames between directories would be too"
                                          if rule(landlock) else "")
            kept[("with --landlock denied everywhere", names)] = rule(landlock)
        equal((process == "worker", kept), (bool(landlock), part(out, process)))
    check("  all system calls but: " + " ".join(told["supervisor"]["denied_calls"]) + "\n" in out)
    equal([one["name"] for one in told["supervisor"]["capabilities"]],
          [name for name, _ in part(out, "supervisor") if name.startswith("CAP_")])
    # Findings come first, each on a line of its own.
    lines = run("check", "--privileges", "--json", "--policy", "POLICY", policy=text + text.replace(" s ", " t "))[1]
    equal([sorted(json.loads(line))[0] == "privileges" for line in lines.splitlines()][-1], True)


def test_test():
    status, out, err = run("test", "--policy", "POLICY", policy=POLICY)
    equal((status, out), (0, "ok   P:12: allow read /var/run/app/x.log\n"
                             "ok   P:13: deny read /run/app/private-x.log\n"
                             "2 of 2 expects hold\n"))
    status, out, err = run("test", "--policy", "POLICY",
                           policy=POLICY + "expect allow user 1001 read /run/app/private-x.log\n")
    equal(status, 1)
    check("FAIL P:14: allow read /run/app/private-x.log: a deny stands against it (P:5)\n"
          "2 of 3 expects hold\n" in out, out)


def test_test_json():
    status, out, err = run("test", "--json", "--policy", "POLICY",
                           policy=POLICY + "expect allow user 1001 read /run/app/private-\xe9\n")
    equal((status, err), (1, ""))
    first, second, third = [json.loads(line) for line in out.splitlines()]
    equal(first, {"holds": True, "file": "P", "line": 12, "expected": "allow", "rights": "read",
                  "target": "/var/run/app/x.log", "reason": "allowed", "rule": {"file": "P", "line": 4}})
    equal((second["holds"], second["expected"], second["line"]), (True, "deny", 13))
    equal((third["holds"], third["reason"], third["rule"]["line"]), (False, "a deny stands against it", 5))
    equal(bytes.fromhex(third["target_hex"]), b"/run/app/private-\xe9")


def test_wrong_command_lines():
    for arguments in (("explain",), ("explain", "--user", "0", "read"), ("check", "extra"),
                      ("explain", "--user", "no-such-user", "read", "/x"), ("fmt",),
                      ("test", "--bogus"), ("explain", "--user", "0", "read", "/x", "/y")):
        equal(run(*arguments)[0], 2, arguments)
    equal(explain("--user", "0", "raed", "/x")[0], 2)
    equal(explain("--user", "0", "read", "x")[0], 2)


UGLY = """

# head
subject   s   {

  user    5    # who
  # inside
	allow read    "/a b"   /c


	deny all /d
  }
define x   /y
"""
PRETTY = """# head
subject s {
	user  5 # who
	# inside
	allow read "/a b" /c

	deny  all /d
}
define x /y
"""


def test_fmt():
    status, out, err = run("fmt", "--check", "POLICY", policy=UGLY)
    equal((status, out), (1, "P\n"))
    equal(run.after, UGLY)
    status, out, err = run("fmt", "POLICY", policy=UGLY)
    equal((status, out, err), (0, "", ""))
    equal(run.after, PRETTY)
    # What is laid out stays as it is.
    equal(run("fmt", "--check", "POLICY", policy=PRETTY), (0, "", ""))


def test_fmt_replaces_the_file():
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "real")
        with open(path, "w") as stream:
            stream.write(UGLY)
        os.chmod(path, 0o640)
        os.symlink("real", os.path.join(place, "link"))
        before = os.stat(path).st_ino
        with open(path) as old:
            equal(subprocess.run([TOOL, "fmt", os.path.join(place, "link")]).returncode, 0)
            equal(old.read(), UGLY, "whoever had it open sees it change")
        with open(path) as stream:
            equal(stream.read(), PRETTY)
        check(os.path.islink(os.path.join(place, "link")))
        equal(os.stat(path).st_mode & 0o7777, 0o640)
        check(os.stat(path).st_ino != before)
        equal(sorted(os.listdir(place)), ["link", "real"])


def test_nothing_raw_is_printed():
    policy = ("subject s {\n\tuser 5\n\tallow read /a\\x1b\\[1m\\x0a/b\n}\n"
              "expect allow user 5 read /a\\x1b\\[1m\\x0a/b\n")
    for arguments in (("test", "--policy", "POLICY"), ("check", "--privileges", "--policy", "POLICY"),
                      ("explain", "--policy", "POLICY", "--user", "5", "read", "/a\x1b[1m\n/b"),
                      ("explain", "--policy", "POLICY", "--user", "5", "read", "/a\x1b[1m\n/c"),
                      ("explain", "--policy", "POLICY", "--subject", "s")):
        status, out, err = run(*arguments, policy=policy, name="p\x1b[1m")
        for text in (out, err):
            check(not [c for c in text if (c < " " and c not in "\n\t") or c == "\x7f"], arguments, text)
        check("/a\\x1b" in out, arguments, out, err)


def test_fmt_leaves_a_broken_file_alone():
    broken = 'subject s {\n   user "5\n}\n'
    status, out, err = run("fmt", "POLICY", policy=broken)
    equal(status, 1)
    check("P:2:9: error: the quote is not closed" in err, err)
    equal(run.after, broken)


main(globals())
