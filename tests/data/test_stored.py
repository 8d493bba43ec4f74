"""Examples survive the way to disk and back, whatever they hold."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affina.core import example as kinds
from affina.core.cache import scratch_file
from affina.core.errors import Refused
from affina.core.example import (
    Chat,
    Example,
    Gapped,
    Labelled,
    Message,
    MultiLabelled,
    Pair,
    Parallel,
    Question,
    Rated,
    Related,
    Tagged,
    Text,
)
from affina.data import held, stored

FACTS = {"customer": "Però & figli", "date": "2024-05-01"}
TURNS = (Message("user", "What time?"), Message("assistant", "", {"tool_calls": [{"name": "clock", "arguments": {}}]}))
EVERY: list[Example] = [
    Text(id="a:1", text="line\nline 🜁", facts=FACTS),
    Chat(id="a:1", messages=TURNS, tools=({"name": "clock", "parameters": {"list": [1, [2]]}},), options=("a", "b")),
    Labelled(id="a:1", text="t", label="x", split="train", origin="a:0", made="synonyms: t for s"),
    MultiLabelled(id="a:1", text="t", right=()),
    Rated(id="a:1", text="t", value=0.1),
    Tagged(id="a:1", words=("a", ""), tags=("O", "B-X")),
    Question(id="a:1", question="q", context="c c", answers=(("c", 0), ("c", 2))),
    Parallel(id="a:1", source="s", result="r", references=("r2",)),
    Pair(id="a:1", messages=TURNS, chosen="c", rejected=""),
    Related(id="a:1", anchor="a", positive="p", negatives=("n",)),
    Gapped(id="a:1", text="t", share=0.15, whole=False, spans=3),
]


def test_every_kind_of_example_is_here() -> None:
    defined = {each for each in vars(kinds).values() if isinstance(each, type) and issubclass(each, Example)}
    assert defined - {Example} == {type(each) for each in EVERY}


@pytest.mark.parametrize("example", EVERY, ids=lambda each: type(each).__name__)
def test_an_example_comes_back_from_columns_as_it_was(example: Example) -> None:
    batch = stored.encode([example, example], stored.schema(type(example)))
    assert list(stored.decode(batch)) == [example, example]


@pytest.mark.parametrize("example", EVERY, ids=lambda each: type(each).__name__)
def test_an_example_comes_back_from_parquet_as_it_was(tmp_path: Path, example: Example) -> None:
    path = tmp_path / "train.parquet"
    with stored.Writer(path, type(example), {"split": "train"}) as writer:
        for _ in range(3):
            writer.add(example)
    assert writer.count == 3
    assert list(stored.read_parquet(path)) == [example] * 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert pq.read_schema(path).metadata[b"split"] == b"train"


@given(texts=st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1, max_size=20))
def test_any_text_comes_back(texts: list[str]) -> None:
    examples = [Labelled(id=str(place), text=text, label=text, facts={text: text}) for place, text in enumerate(texts)]
    assert list(stored.decode(stored.encode(examples, stored.schema(Labelled)))) == examples


def test_few_examples_stay_in_memory_and_many_go_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path))
    examples = [Labelled(id=f"a:{place}", text="word " * (place % 7), label="x") for place in range(5000)]
    assert held.held(iter(examples)) == examples
    monkeypatch.setattr(held, "MEMORY_BYTES", 100_000)
    kept: Any = held.held(iter(examples))
    assert len(kept) == 5000 and list(kept) == examples and list(kept) == examples
    assert examples[77] in kept and dataclasses.replace(examples[77], label="y") not in kept
    files = list((tmp_path / "scratch").iterdir())
    assert len(files) == 1 and files[0].stat().st_mode & 0o777 == 0o600
    del kept
    assert not list((tmp_path / "scratch").iterdir())


def test_scratch_files_of_a_killed_process_are_removed_and_those_in_use_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path))
    script = (
        "import os, signal\nfrom affina.core.cache import scratch_file\n"
        "file = scratch_file('.left')\nfile.write(b'rows')\nfile.flush()\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=300).returncode == -signal.SIGKILL
    (left,) = (tmp_path / "scratch").iterdir()
    used = scratch_file(".used")
    assert left.exists()  # it may be a new one that has no lock yet
    for path in (left, Path(used.name)):
        os.utime(path, (0, 0))
    with scratch_file(".next"):
        assert not left.exists() and Path(used.name).exists()
    used.close()


def test_kept_columns_count_towards_what_memory_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path))
    monkeypatch.setattr(held, "MEMORY_BYTES", 100_000)
    few = [Text(id=f"a:{n}", text="short", facts={"document": "x" * 10_000}) for n in range(20)]
    found = held.held(few)
    assert isinstance(found, held.OnDisk) and list(found) == few


def test_more_text_than_a_column_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST", 10)
    with pytest.raises(Refused, match="2 texts together have 12 bytes"):
        stored.encode([Text(id="a:1", text="è" * 3)] * 2, stored.schema(Text))


def test_no_example_needs_pandas() -> None:
    """It is loaded by Arrow's own constructors, where it is installed: 0.2 s that no one asked for."""
    script = (
        "import sys\nsys.path.insert(0, 'tests/data')\nfrom test_stored import EVERY\nfrom affina.data import stored\n"
        "from affina.data.content import contents\nsys.modules.pop('pandas', None)\ncontents(EVERY)\n"
        "assert 'pandas' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
