#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No two files need each other, by however long a way (doc/architecture.md): read off what was compiled."""
import glob
import os
import subprocess

from tap import Skip, check, main

BUILD = os.environ["FDBROKER_BUILD"]
POLICY = ["policy/libpolicy.a.p", "policy/libpolicy-system.a.p"]


def symbols(paths):
    """What each object has for others, and what it takes from them."""
    gives, takes = {path: set() for path in paths}, {path: set() for path in paths}
    try:
        text = subprocess.run(["nm", "-A", "-P", *paths], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise Skip(f"nm reads none of it: {error}") from error
    for line in text.splitlines():
        path, _, symbol = line.partition(": ")
        name, kind = symbol.split()[:2]
        if kind == "U":
            takes[path].add(name)
        elif kind.isupper():
            gives[path].add(name)
    return gives, takes


def arrows(folders):
    """Of each object, those that it needs."""
    paths = [path for folder in folders for path in glob.glob(f"{BUILD}/{folder}/*.o")]
    check(paths, "there are no objects in", *folders)
    gives, takes = symbols(paths)
    owner = {name: path for path in gives for name in gives[path]}
    return {path: {owner[name] for name in takes[path] if name in owner} - {path} for path in takes}


def circles(needs):
    """Each object that needs itself, with what lies on the ways round."""
    def reach(start):
        seen, left = set(), [start]
        while left:
            for path in needs[left.pop()] - seen:
                seen.add(path)
                left.append(path)
        return seen
    reached = {path: reach(path) for path in needs}
    return sorted(os.path.basename(path).removesuffix(".o") for path in needs if path in reached[path])


def one_way(folders, least):
    needs = arrows(folders)
    count = sum(map(len, needs.values()))
    if not count:
        raise Skip("the objects hold nothing that nm could read")
    check(count >= least, "only", count, "arrows were found")
    check(not circles(needs), "these need each other:", *circles(needs))


def test_of_the_daemon():
    one_way(["broker/fdbrokerd.p"] + POLICY, 200)


def test_of_the_tool():
    one_way(["cli/fdbroker.p"] + POLICY, 80)


def test_of_the_library():
    one_way([os.path.relpath(path, BUILD) for path in glob.glob(f"{BUILD}/client-lib/libfdbroker.so*.p")], 10)


main(globals())
