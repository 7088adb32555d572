# SPDX-License-Identifier: MIT
"""Does what README.md says, in a mount namespace of its own where /etc, /run and /var/log may be changed."""
import os
import re
import subprocess
import time

from broker import Place
from linux import CLONE_NEWNS, CLONE_NEWNET, in_child, mount, unshare
from tap import Skip, check, equal, main

SOURCE = os.environ["FDBROKER_SOURCE"]
BUILD = os.environ["FDBROKER_BUILD"]
README = open(os.path.join(SOURCE, "README.md")).read()


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.S | re.M)


def shell(text, **options):
    return subprocess.run(["/bin/sh", "-euc", text], capture_output=True, text=True, timeout=60,
                          **options)


def test_the_installation():
    """As README says, but for the place, which is not this machine's."""
    with Place() as place:
        text = blocks("sh")[2].replace("build", place.name("build"))
        done = shell(text, cwd=SOURCE, env={**os.environ, "DESTDIR": place.name("root")})
        equal(done.returncode, 0, done.stdout, done.stderr)
        for name in ("usr/sbin/fdbrokerd", "usr/bin/fdbroker", "usr/lib/libfdbroker.so.0",
                     "usr/lib/pkgconfig/fdbroker.pc", "usr/include/fdbroker.h"):
            check(os.path.exists(place.name(f"root/{name}")), name)


def installed(place):
    """Installs into `place`; the environment in which the commands of README are found."""
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"],
                          env={**os.environ, "DESTDIR": place.name("root")},
                          capture_output=True, text=True)
    equal(done.returncode, 0, done.stdout, done.stderr)
    root = place.name("root")
    libraries = [d for d, _, names in os.walk(root) if "libfdbroker.so.0" in names]
    configs = [d for d, _, names in os.walk(root) if "fdbroker.pc" in names]
    binaries = [d for d, _, names in os.walk(root) if "fdbroker" in names and d.endswith("/bin")]
    prefix = os.path.dirname(binaries[0])
    return {
        "PATH": f"{prefix}/sbin:{prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": libraries[0],
        "PKG_CONFIG_PATH": configs[0],
        "PKG_CONFIG_SYSROOT_DIR": root,
        # In a build with sanitizers the library brings one that the program was not linked with.
        "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
    }


def private_machine(place):
    """New namespaces in which the examples can do what they like to the machine."""
    unshare(CLONE_NEWNS | CLONE_NEWNET)
    mount(None, "/", None, 1 << 14 | 1 << 18)
    store = place.directory("store")
    mount("tmpfs", store, "tmpfs")
    os.makedirs(f"{store}/upper")
    os.makedirs(f"{store}/work")
    try:
        mount("overlay", "/etc", "overlay", 0,
              f"lowerdir=/etc,upperdir={store}/upper,workdir={store}/work")
    except OSError as error:
        raise Skip(f"no overlay on /etc here: {error.strerror}")
    mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    mount("tmpfs", "/var/log", "tmpfs", 0, "mode=755")
    os.makedirs("/var/log/apt", 0o750)
    for name, text in (("dpkg.log", "installed\n"), ("apt/history.log", "a\nb\n"),
                       ("apt/term.log", "hidden\n")):
        with open(f"/var/log/{name}", "w") as file:
            file.write(text)
        os.chmod(f"/var/log/{name}", 0o600)


def test_the_commands_exist():
    equal([b.split()[0] for b in blocks("sh")[:2]], ["tests/try", "tests/run"])
    for command in ("tests/try", "tests/run"):
        check(os.access(os.path.join(SOURCE, command), os.X_OK), command)


def test_the_first_policy_and_the_program():
    def run(place):
        environment = installed(place)
        private_machine(place)
        os.makedirs("/etc/fdbroker", exist_ok=True)
        with open("/etc/fdbroker/policy", "w") as file:
            file.write(blocks("policy")[0])
        install, start, ask = blocks("sh")[2:5]
        output = place.name("output")
        # The daemon goes on in the background with the descriptors it was started with.
        started = shell(f"exec >{output} 2>&1\n{start}echo $!", env=environment)
        equal(started.returncode, 0, open(output).read())
        pid = int(open(output).read().split()[-1])
        try:
            end = time.monotonic() + 10
            log = "/var/log/fdbroker.log"
            while not os.path.exists(log) or '"ready"' not in open(log).read():
                check(time.monotonic() < end, "not ready")
                time.sleep(0.05)

            def client(command, **options):
                return subprocess.run(
                    ["setpriv", "--reuid", "5001", "--regid", "5001", "--groups", "4", *command],
                    env=environment, capture_output=True, text=True, timeout=30, **options)
            commands = ask.strip().splitlines()
            got = [client(["/bin/sh", "-c", c]) for c in commands]
            equal([(g.returncode, g.stdout) for g in got], [(0, "installed\n"), (0, "2\n"), (1, "")])
            check("Permission denied (EACCES)" in got[2].stderr, got[2].stderr)
            record = open("/var/log/fdbroker.log").read()
            check('"rule":"/etc/fdbroker/policy:7"' in record, record)
            status = shell("fdbroker status", env=environment)
            equal(status.returncode, 0, status.stderr)

            source = place.file("program.c", blocks("c")[0])
            made = shell(f"cd {place.path} && cc program.c -Wall -Werror -o program "
                         "$(pkg-config --cflags --libs fdbroker)", env=environment)
            equal(made.returncode, 0, made.stderr)
            os.chmod(place.name("program"), 0o755)
            equal(client([place.name("program")]).returncode, 0)
            outsider = subprocess.run([place.name("program")], env=environment,
                                      capture_output=True, text=True)
            equal(outsider.returncode, 1)
            check("Permission denied" in outsider.stderr, outsider.stderr)
        finally:
            os.kill(pid, 15)
            end = time.monotonic() + 5
            while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
                time.sleep(0.05)
    with Place() as place:
        in_child(run, place, timeout=110)


main(globals())
