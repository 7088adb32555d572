#!/bin/sh
# SPDX-License-Identifier: MIT
# The library exports what <fdbroker.h> declares, under one version, and nothing else.
# Usage: symbols.sh LIBRARY HEADER
set -eu
declared=$(sed -n 's/^[a-z].*[ *]\(fdbroker_[a-z0-9_]*\)(.*/\1@@FDBROKER_0/p' "$2" | sort)
exported=$(nm -D --defined-only "$1" | awk '$2 != "A" { print $3 }' | sort)
if [ -z "$declared" ] || [ "$declared" != "$exported" ]; then
	printf 'declared:\n%s\nexported:\n%s\n' "$declared" "$exported"
	exit 1
fi
