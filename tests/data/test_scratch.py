import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from affina.core.errors import Failed, Refused
from affina.data import scratch

SCRIPT = """
from affina.data import scratch
path = scratch.place("member.csv", "a.zip!/member.csv")
path.write_text("x")
print(path)
"""


def run(script: str, cache: Path) -> str:
    environment = {**os.environ, "AFFINA_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_folder_is_its_owners_alone_and_goes_with_the_process(tmp_path: Path) -> None:
    asked = "import os, stat\nprint(oct(stat.S_IMODE(os.stat(scratch.folder()).st_mode)))"
    lines = run(SCRIPT + asked, tmp_path).splitlines()
    assert lines[0].startswith(str(tmp_path)) and lines[0].endswith("/member.csv")
    assert lines[1] == "0o700"
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(tmp_path: Path) -> None:
    killed = run(SCRIPT + "import os, sys\nsys.stdout.flush()\nos._exit(0)", tmp_path)
    left = Path(killed).parents[1]
    hour_ago = time.time() - 3600
    os.utime(left, (hour_ago, hour_ago))
    waits = SCRIPT + "import os, sys\nos.utime(scratch.folder(), (1, 1))\nsys.stdout.flush()\nsys.stdin.read()"
    environment = {**os.environ, "AFFINA_CACHE": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", waits], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as living:
        assert living.stdout is not None
        used = Path(living.stdout.readline().strip())
        run(SCRIPT, tmp_path)
        assert not left.exists()
        assert used.exists()
        living.communicate("")
    assert list(tmp_path.iterdir()) == []


def test_a_forked_process_does_not_take_the_folder_with_it(tmp_path: Path) -> None:
    fork = "import os, sys\nsys.stdout.flush()\nif os.fork() == 0: sys.exit()\nos.wait()\nprint(path.exists())"
    assert run(SCRIPT + fork, tmp_path).splitlines()[-1] == "True"


def test_a_file_is_called_what_it_stands_for_also_in_errors() -> None:
    path = scratch.place("inner/train.csv", "a.zip!/inner/train.csv")
    assert path.name == "train.csv"
    assert scratch.shown(path) == "a.zip!/inner/train.csv"
    assert scratch.shown(Path("/b.csv")) == "/b.csv"
    assert scratch.told(f"{path} is not UTF-8") == "a.zip!/inner/train.csv is not UTF-8"
    with pytest.raises(Refused) as error, scratch.called_by_name():
        raise Refused(f"{path} is empty", why=f"see {path}", where=f"{path}:3")
    assert str(error.value) == "a.zip!/inner/train.csv:3: a.zip!/inner/train.csv is empty: see a.zip!/inner/train.csv"


@pytest.mark.parametrize(
    "name", ["x" * 5000 + ".csv", "a." + "y" * 5000, "漢" * 300 + ".jsonl", ".csv", "", "a/", "\udcff.csv"]
)
def test_any_name_makes_a_file(name: str) -> None:
    path = scratch.place(name, "shown")
    path.write_text("x")
    assert path.read_text() == "x"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(Failed, match="set AFFINA_CACHE"):
        scratch.folder.__wrapped__()
