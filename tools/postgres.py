#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run a throw-away PostgreSQL for tests, in a directory of its own, reached by a Unix socket there.

postgres.py start           makes and starts one, prints its directory
postgres.py url DIR [NAME]  prints the URL of a database in it
postgres.py stop DIR        stops it and removes the directory
postgres.py halt DIR        stops it as an operator would, and keeps it
postgres.py resume DIR      starts it again
postgres.py run COMMAND...  runs a command with TEST_DATABASE_URL naming one, and stops it after

It keeps nothing safe: no flush ever reaches the disk. The server refuses to run as root, so root starts it as the
user postgres.
"""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 60
USER = "postgres"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "500",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


def programs():
    """The folder of the newest server that Debian has installed."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: float(p.parts[4]))
    if not found:
        sys.exit("postgres.py: there is no PostgreSQL server; ./dev setup installs one")
    return found[-1].parent


def as_server(argv):
    """A server started by hand and killed with its parent: setpriv changes the user, postgres keeps to itself."""
    if os.getuid() != 0:
        return argv
    user = pwd.getpwnam(USER)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *argv]


def url(folder, name="postgres"):
    return f"postgres://{USER}@/{name}?host={folder}"


def server_pid(folder):
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        return int((folder / "data/postmaster.pid").read_text().splitlines()[0])
    return None


def answers(folder):
    return subprocess.run([programs() / "pg_isready", "-q", "-h", folder, "-U", USER], check=False).returncode == 0


def resume(folder):
    with open(folder / "log", "ab") as log:
        subprocess.Popen(as_server([str(programs() / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]),
                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")
    deadline = time.monotonic() + PATIENCE_S
    while not answers(folder):
        if time.monotonic() > deadline:
            sys.exit(f"postgres.py: the server does not start:\n{(folder / 'log').read_text()}")
        time.sleep(0.05)


def start():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="genie-pg-", dir="/tmp"))  # a socket's path is short
    folder.chmod(0o755)
    if os.getuid() == 0:
        shutil.chown(folder, USER, pwd.getpwnam(USER).pw_gid)
    subprocess.run(as_server([str(programs() / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", USER,
                              "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]),
                   check=True, stdout=subprocess.DEVNULL, cwd="/")
    with open(folder / "data/postgresql.conf", "a") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
    resume(folder)
    return folder


def halt(folder):
    """Ends the server by its own process id: connections are cut, transactions undone."""
    pid = server_pid(folder)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + PATIENCE_S
    while server_pid(folder) is not None and time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            time.sleep(0.02)
            continue
        break


def stop(folder):
    halt(folder)
    shutil.rmtree(folder, ignore_errors=True)


def run(argv):
    folder = start()
    try:
        return subprocess.run(argv, env={**os.environ, "TEST_DATABASE_URL": url(folder)}, check=False).returncode
    finally:
        stop(folder)


def main():
    verb, args = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if verb == "start" and not args:
        print(start())
    elif verb == "url" and len(args) in (1, 2):
        print(url(*args))
    elif verb in ("stop", "halt", "resume") and len(args) == 1:
        {"stop": stop, "halt": halt, "resume": resume}[verb](pathlib.Path(args[0]))
    elif verb == "run" and args:
        sys.exit(run(args))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
