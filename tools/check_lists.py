#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check that every C source is in the meson.build of its folder: a test in no list would never run."""
import pathlib
import re
import sys

UNLISTED = {pathlib.Path("src/main.c")}  # named by the top meson.build


def is_listed(path):
    lists = path.parent / "meson.build"
    if not lists.exists():
        return False
    text = re.sub(r"#.*", "", lists.read_text())
    if path.name.startswith("fuzz_"):
        return f"'{path.stem.removeprefix('fuzz_')}'" in text
    return f"'{path.name}'" in text


def main():
    bad = 0
    for place in ("src", "tests/unit", "tests/fuzz", "bench"):
        for path in sorted(pathlib.Path(place).rglob("*.c")):
            if path not in UNLISTED and not is_listed(path):
                print(f"{path}: not in {path.parent}/meson.build")
                bad = 1
    sys.exit(bad)


if __name__ == "__main__":
    main()
