"""A PostgreSQL server of Debian's package on loopback, run by an ordinary user in a folder that goes afterwards."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "s3cr3t p@ss:w/rd?#%41"


@contextmanager
def server() -> Iterator[int]:
    """The port of a PostgreSQL server on loopback, which asks for a password; in a folder that goes afterwards."""
    initdb = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if initdb is None:
        pytest.skip("initdb is absent: install postgresql")
    pytest.importorskip("psycopg", reason="psycopg is absent: pip install 'affina[postgresql]'")
    folder = Path(tempfile.mkdtemp(prefix="affina-postgres-"))
    user = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []  # PostgreSQL does not run as root
    if user:
        shutil.chown(folder, "nobody")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    binaries = Path(initdb).resolve().parent

    def run(*command: str) -> None:
        subprocess.run([*user, *command], check=True, capture_output=True, timeout=120, cwd=folder)

    cluster = str(folder / "cluster")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    run(str(binaries / "initdb"), "-D", cluster, "-U", "anna.rossi", "-A", "scram-sha-256",
        f"--pwfile={folder / 'password'}", "-E", "UTF8", "--locale=C")  # fmt: skip
    run(str(binaries / "pg_ctl"), "-D", cluster, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield port
    finally:
        run(str(binaries / "pg_ctl"), "-D", cluster, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)
