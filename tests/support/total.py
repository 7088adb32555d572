# SPDX-License-Identifier: MIT
"""Adds up runs of meson test, case by case, from their JUnit files. Fails where nothing ran or anything failed."""
import json
import os
import sys
import xml.etree.ElementTree

def unsuccessful(path):
    """How many programs of the run beside this JUnit file ended otherwise than well: a timeout has no cases."""
    log = os.path.join(os.path.dirname(path), "testlog.json")
    with open(log) as lines:
        return sum(json.loads(line)["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") for line in lines)


passed = failed = skipped = 0
for suite in (s for path in sys.argv[1:] for s in xml.etree.ElementTree.parse(path).getroot()):
    cases = suite.findall("testcase")
    bad = 0
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            bad += 1
        elif case.find("skipped") is not None:
            skipped += 1
            print(f"skipped: {suite.get('name')}: {case.get('name')}")
        else:
            passed += 1
    # A program that failed as a whole, after its cases had passed (a crash at its end).
    if not bad and (int(suite.get("failures", 0)) or int(suite.get("errors", 0))):
        bad = 1
    failed += bad
failed = max(failed, sum(unsuccessful(path) for path in sys.argv[1:]))
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
