#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print "PASSED FAILED" for one run of tests; exit 1 if any failed, with what failed on stderr.

count_tests.py meson TESTLOG.json    counts the cases inside each unit test, read from its TAP output
count_tests.py tap FILE STATUS       counts the summary that `node --test` ends with
"""
import json
import pathlib
import re
import sys


def count_unit(test):
    """Cases passed and failed; a program that dies, hangs or runs no case is a failure of its own."""
    # A program may leave a line of its own unfinished before cmocka's.
    passed = len(re.findall(r"(?<!not )\bok \d+ - ", test["stdout"]))
    failed = len(re.findall(r"\bnot ok \d+ - ", test["stdout"]))
    if failed == 0 and (test["result"] != "OK" or passed == 0):
        failed = 1
    return passed, failed


def count_meson(log):
    passed = failed = 0
    for line in log.read_text().splitlines():
        test = json.loads(line)
        if "/ fuzz/" in test["name"]:
            good, bad = (1, 0) if test["result"] == "OK" else (0, 1)
        else:
            good, bad = count_unit(test)
        if bad:
            print(f"---- {test['name']}: {test['result']}", test["stdout"], test.get("stderr", ""),
                  sep="\n", file=sys.stderr)
        passed += good
        failed += bad
    return passed, failed


def count_tap(tap, status):
    # Only the last summary stands at the margin's own level; those of nested files are indented.
    counts = {key: int(value) for key, value in re.findall(r"^# (pass|fail|cancelled) (\d+)$", tap, re.MULTILINE)}
    passed = counts.get("pass", 0)
    failed = counts.get("fail", 0) + counts.get("cancelled", 0)
    if failed == 0 and (status != 0 or passed == 0):
        print(f"node --test ended with status {status} and {passed} passed tests", file=sys.stderr)
        failed = 1
    return passed, failed


def main():
    kind, path = sys.argv[1], pathlib.Path(sys.argv[2])
    if not path.exists():
        passed, failed = 0, 1
    elif kind == "meson":
        passed, failed = count_meson(path)
    else:
        passed, failed = count_tap(path.read_text(errors="replace"), int(sys.argv[3]))
    print(passed, failed)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
