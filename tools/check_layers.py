#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check every #include in src/ against the table "The house" in docs/architecture.md."""
import pathlib
import re
import sys

ROW = re.compile(r"^\| `src/(\w+)` \|.*\| ([^|]+) \|$", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def read_table(text):
    """{folder: set of folders it may use}, rows in layer order."""
    layers = {}
    for folder, may_use in ROW.findall(text):
        if may_use == "nothing above it":
            allowed = set()
        elif may_use == "all of the above":
            allowed = set(layers)
        else:
            allowed = {name.strip() for name in may_use.split(",")}
        unknown = allowed - set(layers)
        if unknown:
            sys.exit(f"docs/architecture.md: {folder} may use {sorted(unknown)}, which stand nowhere above it")
        if folder in layers:
            sys.exit(f"docs/architecture.md: src/{folder} has two rows")
        layers[folder] = allowed
    if not layers:
        sys.exit("docs/architecture.md: no table of src/ folders found")
    return layers


def check_file(path, folder, layers):
    complaints = []
    for name in INCLUDE.findall(path.read_text()):
        target = name.split("/")[0] if "/" in name else folder
        if target not in layers:
            complaints.append(f'{path}: "{name}" is in no folder of the house')
        elif target != folder and target not in layers[folder]:
            complaints.append(f'{path}: {folder} may not use {target} ("{name}")')
    return complaints


def main():
    layers = read_table(pathlib.Path("docs/architecture.md").read_text())
    complaints = []
    for path in sorted(pathlib.Path("src").rglob("*.[ch]")):
        # main.c, right under src/, belongs to the command line.
        folder = path.parts[1] if len(path.parts) > 2 else "cmd"
        if folder not in layers:
            complaints.append(f"{path}: folder {folder} is missing in docs/architecture.md")
            continue
        complaints += check_file(path, folder, layers)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
