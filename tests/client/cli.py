#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tool as a client: what it prints, what it returns, what it asks of the broker.

Usage: cli.py FDBROKER
"""

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest

from fake_broker import TIMES, FakeBroker

TOOL = os.path.abspath(sys.argv[1])
STATUS = b'version 0.1.0\npolicy /etc/"odd\\\x1b[2J\xff\xc2\x85\xc3\xa9\npid 17\nzero 0\noctal 007\nempty\n'


def run(*arguments, data=b"", **keywords):
    environment = {k: v for k, v in os.environ.items() if k != "FDBROKER_SOCKET"}
    environment.update(keywords.pop("environment", {}))
    return subprocess.run([TOOL, *arguments], input=data, capture_output=True, timeout=20,
                          env=environment, check=False, **keywords)


class Client(unittest.TestCase):
    def setUp(self):
        # Not below TMPDIR: a socket's path has to fit into 107 bytes.
        self.directory = tempfile.TemporaryDirectory(dir="/tmp", prefix="fdb-cli-")
        self.address = self.directory.name + "/socket"
        self.file = self.directory.name + "/file"
        with open(self.file, "wb") as file:
            file.write(b"some\0text\n" * 50000)
        self.broker = FakeBroker(self.address, status=STATUS)

    def tearDown(self):
        with self.broker:
            pass
        self.directory.cleanup()

    def tool(self, command, *arguments, **keywords):
        return run(command, "--socket", self.address, *arguments, **keywords)

    def content(self):
        with open(self.file, "rb") as file:
            return file.read()

    def check(self, result, code, out=b"", err=b""):
        self.assertEqual((result.returncode, result.stdout, result.stderr), (code, out, err))

    def test_cat(self):
        self.check(self.tool("cat", self.file, self.file), 0, self.content() * 2)

    def test_cat_goes_on_after_a_failure(self):
        result = self.tool("cat", "/forbidden/x", self.file)
        self.check(result, 1, self.content(),
                   b"fdbroker: cat /forbidden/x: Permission denied (EACCES)\n")

    def test_cat_of_a_directory(self):
        result = self.tool("cat", self.directory.name)
        self.check(result, 1, b"", f"fdbroker: cat {self.directory.name}: Is a directory (EISDIR)\n"
                   .encode())

    def test_full_output(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([TOOL, "cat", "--socket", self.address, self.file],
                                    stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"standard output: No space left on device (ENOSPC)", result.stderr)
            result = subprocess.run([TOOL, "status", "--socket", self.address], stdout=full,
                                    stderr=subprocess.PIPE, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"(ENOSPC)", result.stderr)

    def test_open_reads_like_cat(self):
        self.check(self.tool("open", self.file), 0, self.content())
        self.assertEqual(self.broker.requests[-1],
                         (1, os.O_RDONLY, 0, self.file.encode()))

    def test_open_refused(self):
        self.check(self.tool("open", "/forbidden"), 1, b"",
                   b"fdbroker: open /forbidden: Permission denied (EACCES)\n")

    def test_open_writes_from_standard_input(self):
        self.check(self.tool("open", "--flags", "write,trunc", self.file, data=b"new"), 0)
        self.assertEqual(self.content(), b"new")
        self.check(self.tool("open", self.file, "--flags=write,append", data=b"er"), 0)
        self.assertEqual(self.content(), b"newer")

    def test_open_creates(self):
        path = self.directory.name + "/new"
        for mode, mask, expected in ((None, 0o027, 0o640), ("0664", 0o002, 0o664), ("7777", 0, 0o7777)):
            extra = ("--mode", mode) if mode else ()
            old = os.umask(mask)
            try:
                self.check(self.tool("open", "--flags", "write,create,excl", *extra, path), 0)
            finally:
                os.umask(old)
            self.assertEqual(self.broker.requests[-1][1:3],
                             (os.O_WRONLY | os.O_CREAT | os.O_EXCL, expected))
            os.unlink(path)

    def test_command_reads(self):
        result = self.tool("open", self.file, "--", "sh", "-c", 'wc -c; printf "%s\\n" "$@"', "sh", "-n", "--")
        self.assertEqual(result.stdout.split(), [b"500000", b"-n", b"--"])

    def test_command_writes(self):
        self.check(self.tool("open", "--flags", "write,trunc", self.file, "--", "echo", "hello"), 0)
        self.assertEqual(self.content(), b"hello\n")

    def test_command_reads_and_writes(self):
        script = "head -c 4 >/dev/null; printf XXXX"
        self.check(self.tool("open", "--flags", "read,write", self.file, "--", "sh", "-c", script), 0)
        self.assertEqual(self.content()[:4], b"some")
        self.assertIn(b"XXXX", self.content())

    def test_command_inherits_nothing_else(self):
        # 3 is the directory that ls reads.
        self.check(self.tool("open", self.file, "--", "ls", "/proc/self/fd"), 0, b"0\n1\n2\n3\n")

    def test_command_with_standard_input_closed(self):
        for flags, script, expected in (("read", "head -c 4", b"some"), ("write", "echo x", b"")):
            command = [TOOL, "open", "--flags", flags, "--socket", self.address, self.file]
            result = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *command, "--", "sh", "-c", script],
                                    capture_output=True, check=False)
            self.assertEqual((result.returncode, result.stdout), (0, expected), result.stderr)

    def test_command_status(self):
        self.check(self.tool("open", self.file, "--", "sh", "-c", "exit 7"), 7)
        self.check(self.tool("open", self.file, "--", "/nonexistent"), 127, b"",
                   b"fdbroker: cannot run /nonexistent: No such file or directory (ENOENT)\n")
        self.assertEqual(self.tool("open", self.file, "--", "/").returncode, 126)

    def test_relative_path(self):
        self.check(self.tool("cat", "./file", cwd=self.directory.name), 0, self.content())
        self.assertEqual(self.broker.requests[-1][3], os.path.realpath(self.file).encode())

    def test_path_after_two_dashes(self):
        self.check(self.tool("open", "--", self.file), 0, self.content())
        self.check(self.tool("open", "--", self.file, "--", "head", "-c", "4"), 0, b"some")
        self.check(self.tool("cat", "--", self.file), 0, self.content())

    def test_status(self):
        self.check(self.tool("status"), 0,
                   b"version     0.1.0\npolicy      /etc/\"odd\\\\x1b[2J\\xff\\x85\xc3\xa9\n"
                   b"pid         17\nzero        0\noctal       007\nempty       \n")

    def test_status_json(self):
        result = self.tool("status", "--json")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(json.loads(result.stdout.decode()),
                         {"version": "0.1.0", "policy": '/etc/"odd\\\x1b[2J\ufffd\x85é', "pid": 17,
                          "zero": 0, "octal": "007", "empty": ""})
        self.assertTrue(all(byte >= 0x20 or byte == 10 for byte in result.stdout))

    def test_reload(self):
        self.check(self.tool("reload"), 0)
        self.assertEqual(self.broker.requests[-1], (19, 0, 0, b""))
        self.broker.reload = 0, b"p:1:1: a warning\n"
        self.check(self.tool("reload"), 0, b"p:1:1: a warning\n")
        self.broker.reload = errno.EINVAL, b"p:2:3: no\n\tallow\x1b[2J \xff\n\t^"
        self.check(self.tool("reload"), 1, b"", b"p:2:3: no\n\tallow\\x1b[2J \\xff\n\t^\n"
                   b"fdbroker: reload: Invalid argument (EINVAL)\n"
                   b"fdbroker: reload: the policy that was in force goes on serving\n")
        self.broker.reload = errno.EACCES, b""
        self.check(self.tool("reload"), 1, b"", b"fdbroker: reload: Permission denied (EACCES)\n")

    def test_reload_into_a_full_device(self):
        self.broker.reload = 0, b"a warning\n"
        with open("/dev/full", "wb") as full:
            result = subprocess.run([TOOL, "reload", "--socket", self.address], stdout=full,
                                    stderr=subprocess.PIPE, timeout=20, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"standard output: No space left on device (ENOSPC)", result.stderr)

    def names(self):
        """A directory with names of all kinds."""
        path = self.directory.name.encode() + b"/names"
        os.mkdir(path)
        for name in (b"a", b"new\nline", b"\x1b[2J", b"bad\xff", b"caf\xc3\xa9", b'"\\'):
            with open(path + b"/" + name, "wb"):
                pass
        os.mkdir(path + b"/sub")
        os.mkfifo(path + b"/fifo")
        os.symlink(b"no\xffwhere\n", path + b"/link")
        return path.decode()

    def on_terminal(self, *arguments):
        """What the tool prints to a terminal."""
        ours, theirs = os.openpty()
        process = subprocess.Popen([TOOL, *arguments], stdout=theirs, stderr=theirs, stdin=theirs)
        os.close(theirs)
        output = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # EIO: nobody has the other end any more
                break
            output += part
        os.close(ours)
        self.assertEqual(process.wait(20), 0, output)
        return output.replace(b"\r\n", b"\n")

    def test_list(self):
        path = self.names()
        raw = b"".join(name + b"\n" for name in sorted(os.listdir(path.encode())))
        self.check(self.tool("list", path), 0, raw)
        self.check(self.tool("list", path + "/"), 0, raw)
        self.check(self.tool("list", path + "/sub"), 0)
        self.check(self.tool("list", path + "/sub", "/forbidden", path), 1,
                   f"{path}/sub:\n\n{path}:\n".encode() + raw,
                   b"fdbroker: list /forbidden: Permission denied (EACCES)\n")
        self.assertEqual(self.tool("list", "--long", path).stdout.split(b"\n")[-4:],
                         [b"new", b"line", b"sub/", b""])
        self.assertIn(b"\nfifo|\n", self.tool("list", "--long", path).stdout)
        self.check(self.tool("list", self.file), 1, b"",
                   f"fdbroker: list {self.file}: Not a directory (ENOTDIR)\n".encode())

    def test_list_on_a_terminal(self):
        output = self.on_terminal("list", "--socket", self.address, self.names())
        self.assertEqual(output, b'\\x1b[2J\n"\\\na\nbad\\xff\ncaf\xc3\xa9\nfifo\nlink\n'
                         b'new\\x0aline\nsub\n')

    def test_list_json(self):
        path = self.names()
        result = self.tool("list", "--json", "--long", path)
        found = {}
        for line in result.stdout.decode().splitlines():
            entry = json.loads(line)
            self.assertEqual(entry.pop("directory"), path)
            name = bytes.fromhex(entry["name_hex"]) if "name_hex" in entry else entry["name"].encode()
            self.assertEqual(int(entry["inode"]), os.lstat(path.encode() + b"/" + name).st_ino)
            found[name] = entry["type"]
        self.assertEqual(set(found), set(os.listdir(path.encode())))
        self.assertEqual([found[n] for n in (b"a", b"sub", b"fifo", b"link")],
                         ["regular", "directory", "fifo", "link"])
        self.assertTrue(all(byte >= 0x20 or byte == 10 for byte in result.stdout))

    def test_readlink(self):
        link = self.names() + "/link"
        self.check(self.tool("readlink", link, self.file, link), 1, b"no\xffwhere\n\n" * 2,
                   f"fdbroker: readlink {self.file}: Invalid argument (EINVAL)\n".encode())
        self.assertEqual(self.on_terminal("readlink", "--socket", self.address, link),
                         b"no\\xffwhere\\x0a\n")

    def test_stat(self):
        os.chmod(self.file, 0o4751)
        os.utime(self.file, ns=(0, 1000000000123456789))
        status = os.stat(self.file)
        lines = self.tool("stat", self.file).stdout.decode().splitlines()
        self.assertEqual(lines[0], f"  File: {self.file}")
        self.assertEqual(lines[1], f"  Type: regular  Size: 500000  Blocks: {status.st_blocks}")
        self.assertEqual(lines[2], f"  Mode: 4751 -rwsr-x--x  Uid: {os.getuid()}  Gid: {os.getgid()}")
        self.assertEqual(lines[3], f" Inode: {status.st_ino}  Links: 1  Device: "
                         f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}")
        self.assertEqual(lines[4:6], ["Access: 1970-01-01T00:00:00.000000000Z",
                                      "Modify: 2001-09-09T01:46:40.123456789Z"])
        self.assertIn("  Node: 1:3\n", self.tool("stat", "/dev/null").stdout.decode())
        self.check(self.tool("stat", "/forbidden"), 1, b"",
                   b"fdbroker: stat /forbidden: Permission denied (EACCES)\n")

    def test_stat_json(self):
        link = self.directory.name + "/link"
        os.symlink("file", link)
        result = self.tool("stat", "--json", self.file, link, "/dev/null")
        file, followed, null = map(json.loads, result.stdout.decode().splitlines())
        status = os.stat(self.file)
        self.assertEqual(
            [file[key] for key in ("path", "type", "mode", "uid", "gid", "size", "blocks", "links")],
            [self.file, "regular", f"{status.st_mode & 0o7777:04o}", status.st_uid, status.st_gid,
             500000, status.st_blocks, 1])
        self.assertEqual(int(file["inode"]), status.st_ino)
        self.assertRegex(file["modified"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\Z")
        self.assertNotIn("node", file)
        self.assertEqual((followed["path"], followed["inode"]), (link, file["inode"]))
        self.assertEqual((null["type"], null["node"]), ("chardev", "1:3"))
        itself = json.loads(self.tool("stat", "--json", "--no-follow", link).stdout)
        self.assertEqual((itself["type"], itself["size"]), ("link", 4))

    def test_access(self):
        os.chmod(self.file, 0o644)
        self.check(self.tool("access", self.file), 0)
        self.check(self.tool("access", "--read", "--write", self.file), 0)
        self.assertEqual(self.broker.requests[-1], (4, 0, os.R_OK | os.W_OK, self.file.encode()))
        self.check(self.tool("access", "--execute", self.file), 1, b"",
                   f"fdbroker: access {self.file}: Permission denied (EACCES)\n".encode())

    def test_tree(self):
        path = self.names()
        listed = self.tool("tree", path).stdout
        self.assertEqual(sorted(listed.split(b"\n")), sorted(self.tool("list", path).stdout.split(b"\n")))
        script = 'cd -P "/proc/self/fd/$FDBROKER_TREE" && ls -d a; printf "%s\\n" "$@"'
        self.check(self.tool("tree", path + "/", "--write", "--", "sh", "-c", script, "sh", "--chdir"),
                   0, b"a\n--chdir\n")
        self.assertEqual(self.broker.requests[-1], (7, os.O_RDWR, 0, path.encode()))
        self.check(self.tool("tree", "--chdir", path, "--", "ls", "-d", "sub"), 0, b"sub\n")
        self.check(self.tool("tree", path, "--", "/nonexistent"), 127, b"",
                   b"fdbroker: cannot run /nonexistent: No such file or directory (ENOENT)\n")
        self.check(self.tool("tree", "--chdir", "/forbidden", "--", "ls"), 1, b"",
                   b"fdbroker: tree /forbidden: Permission denied (EACCES)\n")

    def test_names(self):
        """mkdir, symlink, link, rename, unlink, rmdir."""
        d = self.directory.name
        old = os.umask(0o027)
        try:
            self.check(self.tool("mkdir", f"{d}/a", f"{d}/b/"), 0)
            self.check(self.tool("mkdir", "--mode", "0707", f"{d}/c"), 0)
        finally:
            os.umask(old)
        self.assertEqual([os.stat(f"{d}/{n}").st_mode & 0o7777 for n in "abc"], [0o750, 0o750, 0o700])
        self.check(self.tool("mkdir", "/forbidden/x", f"{d}/a"), 1, b"",
                   b"fdbroker: mkdir /forbidden/x: Permission denied (EACCES)\n"
                   + f"fdbroker: mkdir {d}/a: File exists (EEXIST)\n".encode())
        self.check(self.tool("symlink", "../any//where/", f"{d}/link"), 0)
        self.assertEqual(os.readlink(f"{d}/link"), "../any//where/")
        self.check(self.tool("link", "file", "./a//f", cwd=d), 0)
        self.assertEqual(os.stat(self.file).st_nlink, 2)
        self.check(self.tool("rename", f"{d}/a/f", f"{d}/b/f"), 0)
        self.check(self.tool("rename", "--no-replace", f"{d}/b/f", self.file), 1, b"",
                   f"fdbroker: rename {d}/b/f to {self.file}: File exists (EEXIST)\n".encode())
        self.check(self.tool("rename", "--exchange", f"{d}/b", f"{d}/link"), 0)
        self.assertEqual(os.listdir(f"{d}/link"), ["f"])
        self.check(self.tool("link", "/forbidden", f"{d}/x"), 1, b"",
                   f"fdbroker: link /forbidden to {d}/x: Permission denied (EACCES)\n".encode())
        self.check(self.tool("unlink", f"{d}/b", f"{d}/link/f"), 0)
        self.check(self.tool("unlink", f"{d}/a", "/forbidden"), 1, b"",
                   f"fdbroker: unlink {d}/a: Is a directory (EISDIR)\n".encode()
                   + b"fdbroker: unlink /forbidden: Permission denied (EACCES)\n")
        self.check(self.tool("rmdir", f"{d}/a", f"{d}/link/", f"{d}/c"), 0)
        self.assertEqual(sorted(os.listdir(d)), ["file", "socket"])

    def test_chmod(self):
        self.check(self.tool("chmod", "0604", self.file, self.file), 0)
        self.assertEqual(os.stat(self.file).st_mode & 0o7777, 0o604)
        self.assertEqual(self.broker.requests[-2:], [(14, 0, 0o604, self.file.encode())] * 2)
        self.check(self.tool("chmod", "644", "/forbidden"), 1, b"",
                   b"fdbroker: chmod /forbidden: Permission denied (EACCES)\n")

    def test_utimens(self):
        now, omit = (0, (1 << 30) - 1, 0), (0, (1 << 30) - 2, 0)
        moment = (1769860800, 0, 0)
        for arguments, flags, accessed, modified in (
                ((), 0, now, now), (("--accessed", "now"), 0, now, omit),
                (("--modified", "@12"), 0, omit, (12, 0, 0)),
                (("--modified", "2026-01-31T12:00:00Z", "--no-follow"), 0x100, omit, moment),
                (("--accessed=2026-01-31T12:00:00.000000001Z", "--modified=@0.5"), 0, (moment[0], 1, 0),
                 (0, 500000000, 0)),
                (("--accessed", "1969-12-31T23:59:59.9Z"), 0, (-1, 900000000, 0), omit)):
            self.check(self.tool("utimens", *arguments, self.file, environment={"TZ": "Asia/Tokyo"}), 0)
            self.assertEqual(self.broker.requests[-1],
                             (15, flags, 0, self.file.encode(), TIMES.pack(*accessed, *modified)), arguments)
        self.check(self.tool("utimens", "/forbidden"), 1, b"",
                   b"fdbroker: utimens /forbidden: Permission denied (EACCES)\n")

    def test_full_output_of_names(self):
        path = self.names()
        for command in (["list", path], ["readlink", path + "/link"], ["stat", path], ["tree", path]):
            with open("/dev/full", "wb") as full:
                result = subprocess.run([TOOL, command[0], "--socket", self.address, command[1]],
                                        stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"standard output: No space left on device (ENOSPC)", result.stderr)

    def test_environment(self):
        environment = {"FDBROKER_SOCKET": self.address}
        self.check(run("cat", self.file, environment=environment), 0, self.content())

    def test_inherited_socket(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with FakeBroker(connection=ours), theirs:
            result = run("cat", "--socket", f"fd:{theirs.fileno()}", self.file,
                         pass_fds=[theirs.fileno()])
        self.check(result, 0, self.content())


class NoConnection(unittest.TestCase):
    def refused(self, address, *texts, status=1):
        result = run("cat", "--socket", address, "/x")
        self.assertEqual((result.returncode, result.stdout), (status, b""))
        first, second, *rest = result.stderr.decode().split("\n")
        self.assertEqual(rest, [""])
        self.assertTrue(first.startswith(f"fdbroker: cat: cannot connect to {address}: "), first)
        for text in texts:
            self.assertIn(text, first + "\n" + second)

    def test_abstract(self):
        self.refused(f"@nobody-{os.getpid()}", "Connection refused (ECONNREFUSED)",
                     "in this network namespace", "do not cross network namespaces",
                     "/run/fdbroker/socket", "fd:N", "$FDBROKER_SOCKET")

    def test_pathname(self):
        self.refused("/nonexistent/socket", "(ENOENT)", "mount namespace")

    def test_descriptor(self):
        self.refused("fd:789", "(EBADF)", "FD_CLOEXEC")
        self.refused("fd:0", "(EINVAL)", "SOCK_SEQPACKET")

    def test_form(self):
        self.refused("fdbroker", "(EINVAL)", "@NAME, /PATH or fd:N", status=2)
        self.refused("/" + 107 * "x", "(ENAMETOOLONG)", "107 bytes", status=2)

    def test_default(self):
        result = run("cat", "/x")
        if result.returncode == 0 or b"cannot connect" not in result.stderr:
            self.skipTest("a broker is running here")
        self.assertIn(b"cannot connect to @fdbroker or /run/fdbroker/socket", result.stderr)
        self.assertIn(b"network namespace", result.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to be another user")
    def test_stranger(self):
        address = f"@stranger-{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind("\0" + address[1:])
        os.setresuid(5001, 5001, 0)
        try:
            listener.listen()  # the kernel notes who calls this
        finally:
            os.setresuid(0, 0, 0)
        with listener:
            self.refused(address, "Operation not permitted (EPERM)", "neither root nor you",
                         "its uid is 5001")


class Usage(unittest.TestCase):
    def test_errors(self):
        for line in (
                "", "bogus", "--bogus", "cat", "open", "cat --bogus /x", "cat -n /x", "cat -xy",
                "cat --socket", "cat --help=x", "open /x /y", "open /x cat", "open /x --",
                "open --flags= /x", "open --flags create /x", "open --flags read,rite /x",
                "open --flags read,excl /x", "open --flags read,trunc /x", "open --flags read, /x",
                "open --flags read,append /x", "open --flags read,write /x", "open --mode 600 /x",
                "open --flags write,create --mode 0800 /x", "open --flags write,create --mode 10000 /x",
                "open --flags write,create --mode= /x", "status x", "status --json=1",
                "reload x", "reload --json",
                "stat", "stat --json", "access", "access --read", "access /x /y", "access -r /x", "list",
                "list --long=1 /x", "readlink", "readlink --json /x", "tree", "tree /x /y", "tree /x --",
                "tree --chdir /x", "tree /x --read", "mkdir", "mkdir --mode 0800 /x", "mkdir --mode= /x", "rmdir",
                "unlink", "unlink --bogus /x", "rename /x", "rename /x /y /z", "rename --no-replace --exchange /x /y",
                "link /x", "symlink x", "symlink x /y /z", "chmod", "chmod 644", "chmod u+x /x", "chmod 10000 /x",
                "utimens", "utimens --accessed yesterday /x", "utimens --modified @ /x", "utimens --modified @1. /x",
                "utimens --modified @1.1234567890 /x", "utimens --modified @1x /x", "utimens --modified @-1 /x",
                "utimens --modified 2026-01-31T12:00:00 /x", "utimens --modified 2026-04-31T12:00:00Z /x",
                "utimens --modified 2026-01-31 /x", "utimens --modified 2026-01-31T12:00:00Zx /x",
                "utimens --modified @99999999999999 /x", "utimens --modified= /x"):
            with self.subTest(line):
                result = run(*line.split())
                self.assertEqual((result.returncode, result.stdout), (2, b""))
                text = result.stderr.decode()
                self.assertIn("--help", text)
                if line:
                    self.assertRegex(text, r"\Afdbroker: [^\n]*\n\Z")

    def test_version(self):
        self.assertRegex(run("--version").stdout, rb"\Afdbroker \d+\.\d+\.\d+\n\Z")

    def test_lost_help(self):
        with open("/dev/full", "wb") as full:
            for line in (["--help"], ["--version"], ["cat", "--help"]):
                result = subprocess.run([TOOL, *line], stdout=full, stderr=subprocess.DEVNULL,
                                        check=False)
                self.assertEqual(result.returncode, 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
