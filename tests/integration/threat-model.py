# SPDX-License-Identifier: MIT
"""Each test that the threat model names is there."""
import os
import re

from tap import check, main

SOURCE = os.environ["FDBROKER_SOURCE"]


def test_every_test_named_in_the_threat_model_exists():
    with open(f"{SOURCE}/doc/threat-model.md") as file:
        named = re.findall(r"`([a-z]+/[a-z-]+): (\w+)`", file.read())
    check(len(named) >= 6, named)
    for script, name in named:
        with open(f"{SOURCE}/tests/{script}.py") as file:
            check(f"def test_{name}():" in file.read(), script, name)


main(globals())
