#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check that no tracked file holds a reminder, a path of one machine or the host of a package registry."""
import os
import re
import subprocess
import sys

# Written in pieces, so that this file passes its own check.
FORBIDDEN = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b"), "a reminder: do it, or drop it"),
    (re.compile(r"(?<![\w.~)}\]])/(work|root)/"), "a path of one machine"),
    (re.compile(r"\bregistry\.(npm" r"js|yarn" r"pkg|npm" r"mirror)\b|\bfiles\.python" r"hosted\b|\bpy" r"pi\.org\b"
                r"|\bstatic\.crates" r"\.io\b|\bproxy\.golang" r"\.org\b|\brubygems" r"\.org\b|[\w-]+\.pkg" r"\.dev\b"),
     "the host of a package registry"),
]
SKIPPED = ("tests/fuzz/corpus/",)  # arbitrary bytes


def tracked_files():
    """What git tracks or would track; without git, everything but hidden and generated folders."""
    git = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard"], capture_output=True, text=True)
    if git.returncode == 0:
        return [path for path in git.stdout.split("\0") if path]
    found = []
    for folder, folders, files in os.walk("."):
        folders[:] = [f for f in folders if f == ".ci" or not f.startswith((".", "build", "node_modules", "data"))]
        found += [os.path.relpath(os.path.join(folder, name)) for name in files]
    return found


def main():
    bad = 0
    for path in sorted(tracked_files()):
        if path.startswith(SKIPPED) or not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                for pattern, why in FORBIDDEN:
                    match = pattern.search(line)
                    if match:
                        print(f"{path}:{number}: {match[0]}: {why}")
                        bad = 1
    sys.exit(bad)


if __name__ == "__main__":
    main()
