"""The verbs about releases, as they are typed: what they print, and what a program reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import Finished

from affina.cli.command import run
from affina.core.errors import Refused
from affina.core.run import Run


@pytest.fixture
def root(finished: Finished, tmp_path: Path) -> Path:
    shutil.copytree(finished("labels").folder, tmp_path / "runs" / "labels")
    return tmp_path / "runs"


def test_a_release_goes_through_its_life_on_the_command_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--root", str(root), "--by", "anna"]

    def typed(*words: str, code: int = 0) -> str:
        assert run([*words, *where]) == code
        return "".join(capsys.readouterr())

    def told(*words: str) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(typed(*words, "--json"))
        return plain

    assert "no releases; `affina release RUN --name NAME` makes one" in typed("releases")
    assert not (root / "releases").exists(), "asking makes nothing"
    made = told("release", "labels", "--name", "intents")
    assert (made["version"], made["stage"], made["verdict"]["decision"]) == (1, "candidate", "promote")
    assert made["next"][0].endswith(f"promote intents@1 --root {root}")
    assert "intents@1: candidate, verdict promote" in typed("release", "labels", "--name", "intents")
    assert told("approve", "--require", "1") == {"approvals": 1}
    assert "lacks approval: 1 person must approve it, and 0 did" in typed("promote", "intents", code=2)
    where[-1] = "bea"
    assert "intents@1: approved by bea; needed: 1" in typed("approve", "intents", "--note", "read it")
    where[-1] = "anna"
    assert "intents@1 is live" in typed("promote", "intents@1")
    assert "intents@1 is live already" in typed("promote", "intents@1", "--to", "canary", code=2)
    assert "intents@1 replaced nothing" in typed("rollback", "intents", code=2)
    assert "'intents@1' names one version" in typed("rollback", "intents@1", code=2)
    listed = typed("releases", "intents")
    assert "bea" in listed and "read it" in listed and "tampered" not in listed
    assert [each["stage"] for each in told("releases")["releases"]] == ["live"]
    walked = typed("lineage", "intents")
    assert "came of" in walked and "tickets.csv" in walked
    assert told("lineage", "intents")["down"] == []


def test_another_release_of_the_run_replaces_the_first_and_is_rolled_back(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--root", str(root), "--quiet"]
    for system in ("be brief", "be kind"):
        assert run(["release", "labels", "--name", "intents", "--system", system, *where]) == 0
        assert run(["promote", "intents", *where]) == 0
    assert "it replaces intents@1; `affina rollback intents` goes back to it" in capsys.readouterr().out
    assert run(["rollback", "intents", "--reason", "too kind", *where]) == 0
    assert "intents@1 is live again; intents@2 is retired" in capsys.readouterr().out


def test_no_run_takes_the_folder_of_releases(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="a run cannot be called 'releases': releases are kept in that folder"):
        Run.create(tmp_path, "releases")
