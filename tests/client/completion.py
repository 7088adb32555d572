#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a shell completes is what the tool's help has.

Usage: completion.py FDBROKER COMPLETION
"""

import os
import re
import subprocess
import sys
import unittest

TOOL, COMPLETION = map(os.path.abspath, sys.argv[1:3])


def help_of(*command):
    return subprocess.run([TOOL, *command, "--help"], capture_output=True, text=True, timeout=20, check=False).stdout


class Completion(unittest.TestCase):
    def complete(self, *words):
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  '_fdbroker 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(["bash", "--norc", "-c", script, "bash", COMPLETION, *words],
                                capture_output=True, text=True, check=True)
        return set(result.stdout.split())

    def commands(self):
        names = set(re.findall(r"^  (\S+)  ", help_of(), re.M))
        self.assertIn("open", names)
        return names

    def test_commands(self):
        self.assertEqual(self.complete("fdbroker", ""), self.commands() | {"--help", "--version"})
        self.assertEqual(self.complete("fdbroker", "statu"), {"status"})
        self.assertEqual(self.complete("fdbroker", "sta"), {"stat", "status"})

    def test_options(self):
        for name in self.commands():
            text = help_of(name)
            options = set(re.findall(r"--[a-z][a-z-]*", text)) | {"--help"}
            self.assertEqual(self.complete("fdbroker", name, "--"), options, name)

    def test_flags(self):
        self.assertEqual(self.complete("fdbroker", "open", "--flags", "read,w"), {"read,write"})

    def test_command(self):
        self.assertIn("cat", self.complete("fdbroker", "open", "/x", "--", "ca"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
