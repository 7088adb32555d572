#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The numbers of broker/defaults.h are those of fdbroker.policy(5), each one and no other."""
import os
import re

from tap import check, equal, main

SOURCE = os.environ["FDBROKER_SOURCE"]


def read(name):
    with open(f"{SOURCE}/{name}", encoding="utf-8") as file:
        return file.read()


def of_header():
    return {name.lower(): int(number)
            for name, number in re.findall(r"^#define DEFAULT_(\w+)\s+(\S+)", read("broker/defaults.h"), re.M)}


def of_page():
    """Words and numbers of the lines that each stand above an indented one: *rate* 1000/s *burst* 1000."""
    text = read("doc/fdbroker.policy.5.scd")
    part = re.search(r"^Where nothing is said there is no total.*?\n\n(.*?)^# ", text, re.M | re.S)
    check(part, "the page has no list of defaults")
    lines = re.findall(r"^(?!\t)(.+)\n\t", part[1], re.M)
    return {name: int(number) for line in lines
            for name, number in re.findall(r"(\w+)\*? (\d+)", line)}


def test_the_manual_page_names_every_default():
    defaults = of_header()
    check(len(defaults) >= 6, defaults)
    equal(of_page(), defaults)


main(globals())
