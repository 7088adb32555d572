# SPDX-License-Identifier: MIT
"""
A machine with a real systemd as process 1, in namespaces of its own: this system's files under an overlay that
forgets everything, with fdbroker installed, and none of this system's services.
"""
import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time

from broker import BUILD
from linux import (CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC, in_child, libc, mount, result,
                   umount, unshare)
from tap import Skip, check

SYSTEMD = "/usr/lib/systemd/systemd"

# In a mount namespace of its own, and others. What it must not reach: this system's kernel settings.
BOOT = r"""
set -eu
place=$1 build=$2
mount -t tmpfs tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
root=$place/root
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet || exit 99
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t tmpfs tmpfs "$root/sys"
mkdir -p "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
	: >"$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# An overlay's ids cannot be mapped.
mkdir -p "$root/srv"
mount -t tmpfs -o mode=755 tmpfs "$root/srv"
rm -rf "$root"/etc/systemd/system "$root"/usr/lib/systemd/system/*.wants "$root"/usr/lib/systemd/system-generators
mkdir "$root/etc/systemd/system"
printf '%s\n' 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
printf '[Unit]\nDescription=The test\n' >"$root/etc/systemd/system/test.target"
: >"$root/etc/fstab"
cd "$root"
mkdir old
pivot_root . old
umount -l /old
exec env -i container=fdbroker-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	"$3" --unit=test.target --log-target=journal --show-status=no </dev/null
"""


def in_cgroups(function):
    """Runs function(where cgroup2 is mounted) in a child with a mount namespace of its own."""
    def run():
        unshare(CLONE_NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        place = tempfile.mkdtemp()
        try:
            mount("cgroup2", place, "cgroup2")
            try:
                return function(place)
            finally:
                umount(place)
        finally:
            os.rmdir(place)
    return in_child(run)


class Machine:
    def __init__(self):
        if os.geteuid() != 0:
            raise Skip("it takes root")
        if not os.path.exists(SYSTEMD) or not shutil.which("systemd-analyze"):
            raise Skip("systemd is not installed")
        try:
            in_child(unshare, CLONE_NEWUSER)
        except OSError as error:
            raise Skip(f"there are no user namespaces, as in a chroot: {error}")
        self.cgroup = f"fdbroker-test-{os.getpid()}"
        try:
            in_cgroups(lambda at: os.mkdir(f"{at}/{self.cgroup}"))
        except OSError as error:
            raise Skip(f"no cgroup can be made here: {error}")
        self.place = tempfile.mkdtemp(prefix="fdbroker-test-machine-")
        self.output = tempfile.TemporaryFile()
        self.process = None
        owner = os.getpid()
        atexit.register(lambda: os.getpid() == owner and self.close())
        self.process = subprocess.Popen(
            ["unshare", "-mpfniuC", "--kill-child=SIGKILL", "--propagation", "private", "sh", "-c", BOOT, "sh",
             self.place, os.path.realpath(BUILD), SYSTEMD],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT, preexec_fn=self.join)
        self.pid = self.wait_boot()

    def join(self):
        unshare(CLONE_NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        mount("cgroup2", self.place, "cgroup2")
        with open(f"{self.place}/{self.cgroup}/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))
        umount(self.place)

    def log(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def wait_boot(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            check(self.process.poll() != 99, "it cannot be installed:", self.log())
            if self.process.poll() is not None:
                raise Skip(f"systemd does not start here: {self.log()[-400:]!r}")
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
                children = file.read().split()
            if children and os.readlink(f"/proc/{children[0]}/exe").endswith(SYSTEMD):
                self.pid = int(children[0])
                if self.run("systemctl", "is-active", "test.target", status=None).stdout == "active\n":
                    return self.pid
            time.sleep(0.1)
        raise AssertionError(f"systemd did not come up: {children} {self.log()}")

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.output.close()
        os.rmdir(self.place)

        def remove(at):
            end = time.monotonic() + 10
            while os.path.exists(f"{at}/{self.cgroup}"):
                for directory, _, _ in os.walk(f"{at}/{self.cgroup}", topdown=False):
                    try:
                        os.rmdir(directory)
                    except OSError:
                        if time.monotonic() > end:
                            raise
                time.sleep(0.05)
        in_cgroups(remove)

    def run(self, *command, status=0):
        """Runs a command in the machine; its output is text."""
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w",
                               "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               *command], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if status is not None and done.returncode != status:
            raise AssertionError(f"{command}: status {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def inside(self, function, *arguments):
        """function(*arguments) in a child that sees the machine's files, processes and abstract names."""
        def enter():
            for name, flag in (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS)):
                descriptor = os.open(f"/proc/{self.pid}/ns/{name}", os.O_RDONLY)
                namespaces.append((descriptor, flag))
            for descriptor, flag in namespaces:
                result(libc.setns(descriptor, ctypes.c_int(flag)))
            # The namespace's root is another one where all this runs in a chroot.
            os.fchdir(root)
            os.chroot(".")
            return function(*arguments)
        namespaces = []
        root = os.open(f"/proc/{self.pid}/root", os.O_PATH | os.O_DIRECTORY)
        try:
            return in_child(enter)
        finally:
            os.close(root)

    def write(self, path, text, mode=0o644):
        def write():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
            os.chmod(path, mode)
        self.inside(write)

    def show(self, unit, what):
        return self.run("systemctl", "show", "-P", what, unit).stdout.strip()

    def kill(self, pid, number=signal.SIGKILL):
        """By the number that the process has in the machine."""
        check(pid > 1, pid)
        self.run("kill", f"-{int(number)}", str(pid))
