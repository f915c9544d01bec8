#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check packages.txt: everything the build and ./dev use must come from a package in it, or from bare Debian.

Bare means the packages every Debian has (essential or of required priority). What cannot be traced to a package
because it is not installed here is a complaint too, except for programs that packages.txt names.
"""
import os
import pathlib
import re
import subprocess
import sys

STANDARD_PATH = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
SHELL_FILES = ["dev", ".ci/run"]
OPTIONAL = {"sudo"}  # used only where it is the way to become root


def output_of(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def owner(path):
    """The package a file belongs to, or ''. Tries the names a merged /usr and links give it."""
    for name in dict.fromkeys([path, path.removeprefix("/usr"), os.path.realpath(path)]):
        line = output_of("dpkg", "-S", name)
        if line:
            return line.splitlines()[0].split(":")[0]
    return ""


def read_packages():
    packages, programs = set(), set()
    for line in pathlib.Path("packages.txt").read_text().splitlines():
        columns = line.split("#")[0].split()
        if columns:
            packages.add(columns[1])
            programs.update(columns[2:3])
    return packages, programs


def allowed_packages(packages):
    """The listed packages, what they directly depend on, and bare Debian."""
    allowed = set(packages)
    for line in output_of("dpkg-query", "-W", "-f", "${Package}|${Essential}|${Priority}|${Pre-Depends},${Depends}\\n").splitlines():
        name, essential, priority, depends = line.split("|", 3)
        if essential == "yes" or priority == "required":
            allowed.add(name)
        if name in packages:
            allowed.update(re.split(r"[ :(]", item.strip())[0] for item in re.split(r"[,|]", depends) if item.strip())
    return allowed


def find_program(name):
    for folder in STANDARD_PATH:
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    return ""


def find_library(name):
    path = output_of("gcc", f"-print-file-name=lib{name}.so")
    return os.path.normpath(path) if "/" in path else ""


def find_dependency(name):
    if name == "threads":
        return find_library("c")
    folder = output_of("pkg-config", "--variable=pcfiledir", name)
    return f"{folder}/{name}.pc" if folder else ""


def find_header(name):
    return f"/usr/include/{name}" if os.path.exists(f"/usr/include/{name}") else ""


MESON_CALLS = {
    "dependency": find_dependency,
    "find_library": find_library,
    "find_program": find_program,
    "has_header": find_header,
}


def meson_needs():
    """(where, name, path) for everything the meson.build files ask the system for."""
    call = re.compile(r"\b(" + "|".join(MESON_CALLS) + r")\('([^']+)'")
    for path in [pathlib.Path("meson.build"), *sorted(pathlib.Path("src").rglob("meson.build")),
                 *sorted(pathlib.Path("tests").glob("*/meson.build"))]:
        for kind, name in call.findall(path.read_text()):
            yield str(path), name, MESON_CALLS[kind](name)


def shell_needs():
    """(where, name, path) for every word of the shell scripts that is a program on this machine."""
    for path in SHELL_FILES:
        text = re.sub(r"<<'(\w+)'.*?^\1$", "", pathlib.Path(path).read_text(), flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"(^|\s)#.*", "", text)
        text = re.sub(r'\b(say|note|fail|die) "[^"]*"', "", text)
        functions = set(re.findall(r"^(\w+)\(\)", text, re.MULTILINE))
        for word in sorted(set(re.findall(r"(?<![\w./$-])[a-z][\w-]*(?![\w./=-])", text)) - functions):
            if word not in OPTIONAL and find_program(word):
                yield path, word, find_program(word)


def main():
    if not find_program("dpkg-query"):
        sys.exit("check_packages.py: needs dpkg")
    packages, programs = read_packages()
    allowed = allowed_packages(packages)
    bad = 0
    for where, name, path in [*meson_needs(), *shell_needs()]:
        package = owner(path) if path else ""
        if name not in programs and package not in allowed:
            print(f"{where}: {name}: {'package ' + package if package else 'no package found'}, not in packages.txt")
            bad = 1
    sys.exit(bad)


if __name__ == "__main__":
    main()
