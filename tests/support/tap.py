# SPDX-License-Identifier: MIT
"""Runs the test_* functions of a script and reports them as TAP, which meson counts one by one."""
import inspect
import sys
import traceback


class Skip(Exception):
    """Raised by a test that this machine cannot run; says why."""


def check(condition, *details):
    """assert that is never optimized away and shows what it saw."""
    if not condition:
        raise AssertionError(" ".join(str(d) for d in details) or "condition does not hold")


def equal(got, wanted, *details):
    check(got == wanted, f"got {got!r}, wanted {wanted!r}", *details)


def main(namespace):
    """Runs every test of `namespace` (globals()), or those whose names contain an argument given."""
    tests = [(name, function) for name, function in namespace.items()
             if name.startswith("test_") and inspect.isfunction(function)
             and all(word in name for word in sys.argv[1:])]
    print(f"1..{len(tests)}")
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        title = name[5:].replace("_", " ")
        try:
            function()
            print(f"ok {number} - {title}")
        except Skip as reason:
            print(f"ok {number} - {title} # SKIP {reason}")
        except BaseException:
            failed += 1
            print(f"not ok {number} - {title}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
