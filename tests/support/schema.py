# SPDX-License-Identifier: MIT
"""Checks a value against a JSON schema, as much of it as doc/record.schema.json uses, and no more: what is not
known here is an error, not passed over."""
import json
import os
import re

PATH = os.path.join(os.environ["FDBROKER_SOURCE"], "doc", "record.schema.json")
TYPES = {"string": str, "integer": int, "object": dict}
SILENT = {"$schema", "$id", "title", "description", "$defs"}


def load():
    with open(PATH) as file:
        return json.load(file)


def wrong(value, schema, root, where="record"):
    """What is wrong with `value`: lines, none if it is valid."""
    found = []
    for word, wanted in schema.items():
        if word in SILENT:
            continue
        if word == "$ref":
            assert wanted.startswith("#/$defs/"), wanted
            found += wrong(value, root["$defs"][wanted[8:]], root, where)
        elif word == "type":
            if not isinstance(value, TYPES[wanted]) or isinstance(value, bool):
                found.append(f"{where}: {value!r} is no {wanted}")
        elif word == "const":
            if value != wanted:
                found.append(f"{where}: {value!r} is not {wanted!r}")
        elif word == "enum":
            if value not in wanted:
                found.append(f"{where}: {value!r} is none of {wanted}")
        elif word == "pattern":
            if isinstance(value, str) and not re.search(wanted, value):
                found.append(f"{where}: {value!r} does not match {wanted}")
        elif word == "minimum":
            if isinstance(value, int) and value < wanted:
                found.append(f"{where}: {value} is below {wanted}")
        elif word == "required":
            found += [f"{where}: there is no {name}" for name in wanted if name not in value]
        elif word == "properties":
            for name in wanted.keys() & value.keys():
                found += wrong(value[name], wanted[name], root, f"{where}.{name}")
        elif word == "patternProperties":
            for pattern, inner in wanted.items():
                for name in value:
                    if re.search(pattern, name):
                        found += wrong(value[name], inner, root, f"{where}.{name}")
        elif word == "additionalProperties":
            assert wanted is False
            known = schema.get("properties", {})
            patterns = schema.get("patternProperties", {})
            found += [f"{where}: {name} is not known" for name in value
                      if name not in known and not any(re.search(p, name) for p in patterns)]
        elif word == "oneOf":
            each = [wrong(value, inner, root, where) for inner in wanted]
            if sum(not one for one in each) != 1:
                # The one that is meant is the one of that event.
                found += min(each, key=lambda one: (any(".event" in line for line in one), len(one)))
        else:
            raise AssertionError(f"the schema says {word}, which is not known here")
    return found


def check_record(record, root=load()):
    found = wrong(record, root, root)
    assert not found, (found, record)
