"""Twenty kills of workers on a real PostgreSQL server, which this starts and stops: `python -m pytest` on this file.

It is not collected by itself, because not every machine has a server. It looks for `initdb` in the folder that
QUAGPREDICT_POSTGRESQL_BIN names, where Debian puts it, and on the PATH; without one, or without the driver psycopg2, it
fails and says so.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest


def server_programs() -> Path | None:
    """The folder with initdb and postgres."""
    named = os.environ.get("QUAGPREDICT_POSTGRESQL_BIN")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    for folder in [*([Path(named)] if named else []), *debian, *([Path(on_path).resolve().parent] if on_path else [])]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of a fresh server, which ends with the test."""
    programs = server_programs()
    assert programs is not None, "no PostgreSQL server programs were found; install postgresql (apt-get) and try again"
    assert find_spec("psycopg2") is not None, "the driver is missing: pip install psycopg2-binary"
    folder = Path(tempfile.mkdtemp(prefix="quagpredict-pg-", dir="/tmp"))
    user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **user}
    subprocess.run([programs / "initdb", "-D", folder / "data", "-U", "search", "-A", "trust"], check=True, **quiet)
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "max_connections=60"]
    server = subprocess.Popen([programs / "postgres", "-D", folder / "data", *options], **quiet)
    try:
        for _ in range(300):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            pytest.fail("the PostgreSQL server did not start within 30 s")
        time.sleep(1)
        yield f"postgresql+psycopg2://search@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: it does not wait for connections to end
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def test_killed_workers_lose_and_double_nothing(postgresql: str, survives_kills: Callable[[str], None]) -> None:
    survives_kills(postgresql)
