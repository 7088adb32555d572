#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What doc/protocol.md and the manual pages say is so.

Usage: document.py DOC-DIRECTORY TOOL
"""

import errno
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

from fake_broker import ENTRY, LIST_HEAD, REPLY, REQUEST, TIMES, FakeBroker

DIRECTORY, TOOL = map(os.path.abspath, sys.argv[1:3])


def read(name):
    with open(os.path.join(DIRECTORY, name), encoding="utf-8") as file:
        return file.read()


class Protocol(unittest.TestCase):
    def setUp(self):
        self.text = read("protocol.md")

    def test_client(self):
        client = re.search(r"^```python\n(.*?)^```", self.text, re.M | re.S)[1]
        with tempfile.TemporaryDirectory(dir="/tmp", prefix="fdb-doc-") as directory:
            script, address = directory + "/client.py", directory + "/socket"
            with open(script, "w", encoding="utf-8") as file:
                file.write(client)
            with FakeBroker(address):
                def run(path):
                    return subprocess.run([sys.executable, script, address, path], timeout=20,
                                          capture_output=True, check=False)
                result = run(script)
                self.assertEqual((result.stdout.decode(), result.stderr), (client, b""))
                result = run("/forbidden")
                self.assertEqual(result.returncode, 1)
                self.assertIn(b"PermissionError: [Errno 13]", result.stderr)

    @unittest.skipUnless(sys.byteorder == "little", "the examples are of a little-endian machine")
    def test_examples(self):
        blocks = re.findall(r"(?:^    (?:[0-9a-f]{2} +)*[0-9a-f]{2}\n)+", self.text, re.M)
        path = b"/etc/hostname"
        self.assertEqual([bytes.fromhex(block) for block in blocks], [
            REQUEST.pack(1, 1, 7, os.O_RDONLY, 0, len(path), 0) + path,
            REPLY.pack(1, 1, 7, 0, 1, 0, 0),
            REPLY.pack(1, 1, 7, errno.EACCES, 0, 0, 0)])

    def test_layouts(self):
        """Each table's offsets are the sums of the lengths above them."""
        tables = re.findall(r"(?:^\| \d+ \| .*\n)+", self.text, re.M)
        layouts = (REQUEST, REPLY, LIST_HEAD, ENTRY, TIMES)
        self.assertEqual(len(tables), len(layouts))
        for table, layout in zip(tables, layouts):
            offset = 0
            for line in table.splitlines():
                where, length = [cell.strip() for cell in line.split("|")[1:3]]
                self.assertEqual(int(where), offset, line)
                offset += int(length) if length.isdigit() else 0
            self.assertEqual(offset, layout.size)


class ManualPage(unittest.TestCase):
    def test_options(self):
        """fdbroker(1) names every command and option that the tool's own help names."""
        page = read("fdbroker.1.scd")
        listing = subprocess.run([TOOL, "--help"], capture_output=True, text=True, check=True).stdout
        for command in re.findall(r"^  (\S+)  ", listing, re.M):
            self.assertRegex(page, rf"(?m)^\*{command}\*")
            text = subprocess.run([TOOL, command, "--help"], capture_output=True, text=True,
                                  check=True).stdout
            for option in re.findall(r"^  (--[a-z-]+)", text, re.M):
                self.assertRegex(page, rf"(?m)^\*{option}\*")

    def test_record(self):
        """fdbrokerd(8) names every event of the record, and every member of a request's."""
        page = read("fdbrokerd.8.scd")
        page = page[page.index("# THE RECORD"):page.index("# EXIT STATUS")].replace("\\", "")
        events = json.loads(read("record.schema.json"))["oneOf"]
        for event in events:
            name = event["properties"]["event"]["const"]
            self.assertIn(f"_{name}_", page)
            self.assertEqual(event["title"].partition(",")[0], name)
        request, = [event for event in events if event["title"] == "request"]
        for member in request["properties"]:
            self.assertIn(f"_{member}_", page)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
