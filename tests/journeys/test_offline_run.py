"""After the fetch nothing is asked of the network: every verb works where a connection raises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import data, environment, recipe

REFUSING = """
import socket, sys

def refuse(self, *arguments):
    raise OSError("this test refuses every connection")

socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
from affina.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def refused(folder: Path, *arguments: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process whose sockets cannot connect, with a cache that holds nothing."""
    return subprocess.run(
        [sys.executable, "-c", REFUSING, *map(str, arguments)], capture_output=True, text=True, timeout=120,
        input=typed,
        env=environment(AFFINA_CACHE=str(folder / "cache"), HF_HOME=str(folder / "hub")),
        cwd=folder,
    )  # fmt: skip


@pytest.mark.slow
def test_every_verb_works_without_a_network(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model, train={"steps": 4})
    calls: list[tuple[list[str | Path], str]] = [
        (["new", "tickets.csv", "--out", "made.yaml"], ""),
        (["check", path, "--offline", "--json"], ""),
        (["train", path, "--offline", "--json"], ""),
        (["evaluate", "tiny", "--offline", "--json"], ""),
        (["compare", chat_model, "tiny", "--offline", "--json"], ""),
        (["generate", "tiny", "hello", "--offline", "--json"], ""),
        (["chat", "tiny", "--offline", "--json"], "hello\nand you\n"),
        (["show", "tiny", "--json"], ""),
        (["runs", "--json"], ""),
    ]
    for arguments, typed in calls:
        done = refused(tmp_path, *arguments, typed=typed)
        assert done.returncode == 0, (arguments, done.stderr)
        if "--json" in arguments:
            assert isinstance(json.loads(done.stdout), dict)
    assert not (tmp_path / "hub").exists() or not [*(tmp_path / "hub").rglob("*.safetensors")]
    assert os.path.exists(tmp_path / "runs" / "tiny" / "report.html")


def test_a_base_that_is_not_here_is_refused_offline_in_one_sentence(tmp_path: Path) -> None:
    done = refused(tmp_path, "train", recipe(data(tmp_path), "someone/some-model"), "--offline", "--quiet")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "someone/some-model" in done.stderr
    assert not (tmp_path / "runs").exists()
