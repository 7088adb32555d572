# SPDX-License-Identifier: MIT
"""The installed units under a real systemd: activation, readiness, the sandbox, reload, restart, the watchdog."""
import errno
import json
import os
import signal
import stat
import time

from broker import Client, ask, read
from linux import MS_BIND, as_user, mount, umount
from machine import Machine
from tap import Skip, check, equal, main

POLICY = """
subject reader {
	user 0
	allow read /srv/data/*
	allow read,write /srv/device/* type chardev
	allow tree /srv/tree idmap 0 5001 1
}
subject creator {
	user 5001
	allow create /srv/made/*
}
subject exe {
	user 5001
	exe  FDBROKER
	allow read /srv/exe/*
}
subject abstract {
	user 0
	via  @fdbroker
	allow read /srv/abstract/*
}
"""
PATH = "/run/fdbroker/socket"

machines = []


def machine():
    """The one of all tests, on which the daemon is not running yet, only its sockets."""
    if not machines:
        try:
            machines.append(Machine())
        except Skip as reason:
            machines.append(reason)
        else:
            prepare(machines[0])
    if isinstance(machines[0], Skip):
        raise machines[0]
    return machines[0]


def prepare(m):
    # What a package's installation does.
    m.run("systemd-sysusers", "fdbroker.conf")
    m.run("systemd-tmpfiles", "--create", "fdbroker.conf")
    m.run("systemctl", "start", "systemd-journald.socket", "systemd-journald.service")
    m.run("ldconfig")
    fdbroker = m.run("sh", "-c", "command -v fdbroker").stdout.strip()
    m.write("/etc/fdbroker/policy.d/test.policy", POLICY.replace("FDBROKER", fdbroker))
    for name in ("data", "abstract", "exe"):
        m.write(f"/srv/{name}/x", name, 0o600)
    m.write("/srv/made/there", "")
    m.run("chmod", "700", "/srv/made")
    m.write("/srv/tree/x", "tree", 0o600)

    def device():
        os.mkdir("/srv/device")
        # /dev/kmsg: not one of those that every service has, and harmless while nothing is written.
        os.mknod("/srv/device/kmsg", stat.S_IFCHR | 0o600, os.makedev(1, 11))
    m.inside(device)
    # A build with sanitizers looks for leaks at the end by means that the sandbox does not have.
    m.write("/etc/systemd/system/fdbrokerd.service.d/leaks.conf", "[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", "fdbrokerd.socket")


def records(m, event):
    lines = m.run("journalctl", "-u", "fdbrokerd", "-o", "cat", "--no-pager").stdout.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [record for record in found if record["event"] == event]


def wait_for(what, condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.1)


def main_pid(m):
    return int(m.show("fdbrokerd", "MainPID"))


def running():
    """The same, with the daemon running."""
    m = machine()
    equal(m.inside(read, PATH, "/srv/data/x"), "data")
    return m


def test_the_units_have_no_faults():
    m = machine()
    found = m.run("sh", "-c", "systemd-analyze verify --recursive-errors=no "
                  "$(systemctl show -P FragmentPath fdbrokerd.service fdbrokerd.socket) 2>&1")
    equal(found.stdout, "")
    figure = m.run("systemd-analyze", "security", "--no-pager", "fdbrokerd.service").stdout.splitlines()[-1]
    print(f"# {figure.strip()}")
    check(float(figure.split("fdbrokerd.service:")[1].split()[0]) <= 6, figure)


def test_a_first_policy_is_put_in_place_and_never_over_another():
    m = machine()
    first = m.run("cat", "/etc/fdbroker/policy").stdout
    check("grants nothing to anybody" in first, first)
    m.write("/etc/fdbroker/policy", first + "# changed\n")
    m.run("systemd-tmpfiles", "--create", "fdbroker.conf")
    equal(m.run("cat", "/etc/fdbroker/policy").stdout, first + "# changed\n")


def test_the_first_request_starts_the_daemon_and_is_answered():
    m = machine()
    equal(m.show("fdbrokerd", "ActiveState"), "inactive")
    equal(m.inside(read, "@fdbroker", "/srv/data/x"), "data")
    equal(m.show("fdbrokerd", "ActiveState"), "active")
    equal(m.inside(read, PATH, "/srv/data/x"), "data")
    ready = records(m, "ready")
    equal(ready[0]["listen"], f"@fdbroker {PATH}")
    equal(m.show("fdbrokerd", "StatusText"), ready[0]["summary"])
    equal(m.inside(ask, "@fdbroker", "/srv/abstract/x"), "OK")
    equal(m.inside(ask, PATH, "/srv/abstract/x"), "EACCES")


def test_the_sandbox_lets_the_daemon_do_its_work():
    m = machine()
    equal(m.inside(read, PATH, "/srv/data/x"), "data")
    equal(m.inside(as_user, 5001, ask, PATH, "/srv/exe/x"), "EACCES")
    someone = ("setpriv", "--reuid", "5001", "--regid", "5001", "--clear-groups")
    equal(m.run(*someone, "fdbroker", "cat", "--socket", PATH, "/srv/exe/x").stdout, "exe")

    def create():
        with Client(PATH) as client:
            os.close(client.open("/srv/made/new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
    m.inside(as_user, 5001, create)
    equal(m.run("stat", "-c", "%u %a", "/srv/made/new").stdout, "5001 640\n")

    def device():
        with Client(PATH) as client:
            return os.fstat(client.open("/srv/device/kmsg", os.O_WRONLY)).st_rdev
    equal(m.inside(device), os.makedev(1, 11))
    # The views stay attached, in mount namespaces beside the empty one.
    held = m.run("sh", "-c", "ls -l /proc/[0-9]*/fd | grep -c mnt:", status=None).stdout
    check(int(held) > 1, held)

    equal((records(m, "worker"), records(m, "view")), ([], []))
    # Everything that the kernel refused it by the filter would be a failure above, or here.
    said = m.run("journalctl", "-u", "fdbrokerd", "-o", "cat", "--no-pager").stdout
    check("ready" in said and "EPERM" not in said and "ENOSYS" not in said, said)


def test_the_sandbox_lets_the_daemon_map_ids():
    m = machine()
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 3):
        raise Skip("ids of a tmpfs can be mapped from Linux 6.3 on")

    def tree():
        with Client(PATH) as client:
            client.send(7, "/srv/tree", os.O_RDONLY)
            _, error, _, descriptors = client.receive()
            equal(error, 0, errno.errorcode.get(error))
            inside = lambda: os.read(os.open("x", os.O_RDONLY, dir_fd=descriptors[0]), 10)
            return as_user(5001, inside)
    equal(m.inside(tree), b"tree")


def test_mounts_that_are_made_later_are_served():
    m = running()
    ours = m.run("readlink", f"/proc/{main_pid(m)}/ns/mnt").stdout
    equal(ours, m.run("readlink", "/proc/1/ns/mnt").stdout, "it has a mount namespace of its own")

    def over():
        mount("/srv/abstract", "/srv/data", None, MS_BIND)
        time.sleep(0.1)
        try:
            return read(PATH, "/srv/data/x")
        finally:
            umount("/srv/data")
    equal(m.inside(over), "abstract")
    time.sleep(0.1)
    equal(m.inside(read, PATH, "/srv/data/x"), "data")


def test_a_reload_succeeds_and_keeps_the_daemon():
    m = running()
    before = main_pid(m)
    m.run("systemctl", "reload", "fdbrokerd")
    equal((m.show("fdbrokerd", "ActiveState"), main_pid(m)), ("active", before))
    equal(m.inside(read, PATH, "/srv/data/x"), "data")


def test_a_worker_that_is_killed_or_hangs_is_replaced_without_a_restart():
    m = running()
    before = main_pid(m)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        count = len(records(m, "ready"))
        worker = records(m, "ready")[-1]["worker"]
        m.kill(worker, number)
        wait_for("no other worker", lambda: len(records(m, "ready")) > count, 30)
        wait_for("the worker is left", lambda: m.run("test", "-e", f"/proc/{worker}", status=None).returncode, 3)
        equal(m.inside(read, PATH, "/srv/data/x"), "data")
    equal((main_pid(m), m.show("fdbrokerd", "NRestarts")), (before, "0"))


def test_a_daemon_that_is_killed_is_restarted_and_its_clients_wait():
    m = running()
    before, worker = main_pid(m), records(m, "ready")[-1]["worker"]
    m.kill(before)
    # What the worker had accepted goes with it.
    wait_for("the worker is left", lambda: m.run("test", "-e", f"/proc/{worker}", status=None).returncode)
    equal(m.inside(read, "@fdbroker", "/srv/data/x"), "data")
    equal(m.inside(read, PATH, "/srv/data/x"), "data")
    equal(m.show("fdbrokerd", "NRestarts"), "1")
    check(main_pid(m) != before)


def test_a_daemon_that_hangs_is_restarted_by_the_watchdog():
    m = running()
    m.write("/etc/systemd/system/fdbrokerd.service.d/test.conf", "[Service]\nWatchdogSec=2s\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "restart", "fdbrokerd")
    before = main_pid(m)
    time.sleep(5)
    equal(main_pid(m), before, "the watchdog struck a daemon that was well")
    m.kill(before, signal.SIGSTOP)
    wait_for("it is not restarted", lambda: main_pid(m) not in (0, before))
    check("Watchdog timeout" in m.run("journalctl", "-u", "fdbrokerd", "--no-pager").stdout)
    equal(m.inside(read, PATH, "/srv/data/x"), "data")


def test_a_start_succeeds_only_when_the_daemon_is_ready():
    m = machine()
    m.write("/etc/fdbroker/policy.d/wrong.policy", "nonsense\n")
    done = m.run("systemctl", "restart", "fdbrokerd", status=None)
    check(done.returncode != 0, "it started with a policy that it cannot read")
    check("nonsense" in m.run("journalctl", "-u", "fdbrokerd", "-o", "cat", "--no-pager").stdout)
    m.run("rm", "/etc/fdbroker/policy.d/wrong.policy")
    m.run("systemctl", "reset-failed", "fdbrokerd.service", "fdbrokerd.socket")
    m.run("systemctl", "restart", "fdbrokerd")
    equal(m.inside(read, PATH, "/srv/data/x"), "data")


def test_a_stop_is_prompt_and_leaves_the_sockets():
    m = machine()
    begin = time.monotonic()
    m.run("systemctl", "stop", "fdbrokerd")
    check(time.monotonic() - begin < 3, time.monotonic() - begin)
    equal(m.show("fdbrokerd", "Result"), "success")
    equal(m.inside(read, PATH, "/srv/data/x"), "data")
    m.run("systemctl", "stop", "fdbrokerd.socket", "fdbrokerd.service")
    equal(m.run("pgrep", "fdbrokerd", status=None).stdout, "")


def test_it_serves_another_network_namespace():
    m = machine()
    m.run("sh", "-c", ": >/run/other && unshare --net=/run/other true")
    m.write("/etc/systemd/system/fdbrokerd.service.d/test.conf", "[Service]\nExecStart=\n"
            f"ExecStart={m.show('fdbrokerd', 'ExecStart').split('path=')[1].split()[0]} --listen netns:/run/other/@x\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", "fdbrokerd")
    equal(records(m, "ready")[-1]["listen"], f"@fdbroker {PATH} netns:/run/other/@x")
    names = m.run("nsenter", "--net=/run/other", "cat", "/proc/net/unix").stdout
    check("@x" in names.split(), names)


main(globals())
