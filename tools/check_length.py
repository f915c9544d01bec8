#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check that no C function is longer than 90 lines."""
import os
import re
import subprocess
import sys

LONGEST = 90


def main():
    places = [place for place in ("src", "tests", "bench", "tools") if os.path.isdir(place)]
    tags = subprocess.run(
        ["ctags", "--recurse", "--exclude=node_modules", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f",
         "--fields=ne", "-f", "-", *places],
        check=True, capture_output=True, text=True).stdout
    bad = 0
    for line in tags.splitlines():
        match = re.search(r"\tline:(\d+)\tend:(\d+)", line)
        if not match:
            sys.exit(f"ctags gives no end of a function: {line}")
        length = int(match[2]) - int(match[1]) + 1
        if length > LONGEST:
            name, path = line.split("\t")[:2]
            print(f"{path}:{match[1]}: {name} has {length} lines, more than {LONGEST}")
            bad = 1
    sys.exit(bad)


if __name__ == "__main__":
    main()
