import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tiny_models import Scribe

from affina.core.errors import Refused
from affina.core.kinds import Workshop, makers, readers, shapes
from affina.core.say import Silent
from affina.data.making import Order, make_rows
from affina.data.recognise import shape_for

MODEL = {"reference": "scribe", "digest": "0" * 64}


WORDS = re.findall(
    r"\w+",
    """amber barley cedar donkey ember flax garnet hazel indigo juniper kelp lemon marble nettle olive pepper quartz rye
    saffron tallow umber velvet walnut yarrow zinc anchor basket candle drum easel funnel goblet hammer inkwell jug
    kettle ladder mortar needle oar plough quill rope saddle tongs urn vessel wheel yoke zither""",
)


def documents(folder: Path, count: int = 12) -> list[str]:
    """Texts of a few sentences, each with a date and an amount of its own behind words of its own."""
    draws = random.Random(5)
    for n in range(count):
        one, two, three, four, five, six = draws.sample(WORDS, 6)
        text = (
            f"They carried {one} with {two} beside {three}, which cost {100 + n},000 euro in that town.\n"
            f"No letter about it was ever found.\n\n"
            f"The last of the {four} and {five} under {six} went on {1 + n % 28} March {1950 + n}. "
            f"It was the work of many hands and of a long winter.\n"
        )
        (folder / f"document{n:02}.txt").write_text(text, encoding="utf-8")
    return [str(folder)]


def made(
    folder: Path, out: Path, rows: int = 100, seed: int = 0, model: Scribe | None = None, **settings: Any
) -> dict[str, Any]:
    scribe = model or Scribe()
    maker = makers.find("questions").model_validate({"tokens": 500, "alike": 0.9, "ask": "model", **settings})
    order = Order(maker, [str(folder)], rows, seed, MODEL, MODEL)
    return make_rows(order, lambda: Workshop(scribe, scribe, seed), out, Silent())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    documents(folder)
    return folder


def test_every_answer_stands_where_the_row_says_and_the_row_says_where_it_came_from(
    texts: Path, tmp_path: Path
) -> None:
    report = made(texts, tmp_path / "qa.jsonl")
    rows = lines(tmp_path / "qa.jsonl")
    assert len(rows) == report["kept"] > 12
    for row in rows:
        (answer,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(answer)] == answer
        origin = row["made"]
        name, _, line = origin["document"].rpartition(":")
        text = (texts / name).read_text(encoding="utf-8")
        assert line == "1" and text[origin["start"] : origin["stop"]] == row["context"]
        assert (origin["model"], origin["weights"], origin["seed"]) == ("scribe", "0" * 64, 0)
        assert origin["by"] == "question_for_span_en@1"
        assert origin["passed"] == [
            "passage",
            "span",
            "wording",
            "no repetition",
            "leads back",
            "passage needed",
            "answered again",
        ]
        # the scribe gives the right answer -1, a rival -5 (no rise), an empty question -5, no passage -9
        assert origin["nats"] == {"lead": 4.0, "needed": 8.0}
    assert report["spans"] == {"rows": len(rows), "right": len(rows)}


def test_the_rows_are_read_as_questions_about_a_text(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "qa.jsonl")
    records = list(readers.build("jsonl").records(tmp_path / "qa.jsonl"))
    shape, _ = shape_for(records)
    assert shape == shapes.build("squad")
    assert all(shape.example(record) for record in records)


def test_the_report_adds_up_and_gives_every_reason_with_examples(texts: Path, tmp_path: Path) -> None:
    report = made(texts, tmp_path / "qa.jsonl", tries=3)
    folder = tmp_path / "qa.make"
    rejected = lines(folder / "rejected.jsonl")
    assert report["rejected"] == dict(Counter(row["rejected"] for row in rejected).most_common())
    assert report["tried"] == report["kept"] + len(rejected)
    assert report["yield"] == round(report["kept"] / report["tried"], 4)
    assert len(report["samples"]) == min(30, report["kept"])
    assert set(report["examples"]) == set(report["rejected"])
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == report
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "://" not in page
    assert page.count("<article>") == len(report["samples"])
    assert all(reason in page for reason in report["rejected"])


def test_only_the_owner_reads_what_was_rejected(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "qa.jsonl")
    for path in (tmp_path / "qa.make").iterdir():
        if path.name != ".lock":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_one_seed_makes_one_file_and_another_another(texts: Path, tmp_path: Path) -> None:
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        made(texts, tmp_path / f"{out}.jsonl", rows=10, seed=seed)
    first, again, other = ((tmp_path / f"{out}.jsonl").read_bytes() for out in "abc")
    assert first == again
    assert [json.loads(line)["question"] for line in first.splitlines()] != [
        json.loads(line)["question"] for line in other.splitlines()
    ]


def test_no_more_rows_are_kept_than_were_asked_for(texts: Path, tmp_path: Path) -> None:
    report = made(texts, tmp_path / "qa.jsonl", rows=5)
    assert (report["kept"], report["ended"]) == (5, "enough rows")
    assert len(lines(tmp_path / "qa.jsonl")) == 5
    assert report["rejected"]["there are enough rows"] > 0


def test_what_is_done_is_not_done_again(texts: Path, tmp_path: Path) -> None:
    report = made(texts, tmp_path / "qa.jsonl", rows=5)
    scribe = Scribe()
    assert made(texts, tmp_path / "qa.jsonl", rows=5, model=scribe) == report
    assert scribe.calls == 0


@pytest.mark.parametrize("left", ["nothing", "half a row", "half a round", "a whole round less"])
def test_a_round_that_was_half_written_is_made_again_to_the_same_bytes(texts: Path, tmp_path: Path, left: str) -> None:
    made(texts, tmp_path / "whole.jsonl")
    made(texts, tmp_path / "cut.jsonl")
    folder = tmp_path / "cut.make"
    (folder / "report.json").unlink()
    rounds = (folder / "rounds.jsonl").read_bytes().splitlines(keepends=True)
    assert len(rounds) > 1
    if left == "half a row":
        with (tmp_path / "cut.jsonl").open("ab") as file:
            file.write(b'{"question": "half')
    elif left == "half a round":
        (folder / "rounds.jsonl").write_bytes(b"".join(rounds[:-1]) + rounds[-1][:7])
    elif left == "a whole round less":
        (folder / "rounds.jsonl").write_bytes(b"".join(rounds[:-1]))
    made(texts, tmp_path / "cut.jsonl")
    for name in (".jsonl", ".make/rejected.jsonl", ".make/rounds.jsonl", ".make/report.json"):
        assert (tmp_path / f"cut{name}").read_bytes() == (tmp_path / f"whole{name}").read_bytes()


SCRIPT = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import test_making
from tiny_models import Scribe

class Slow(Scribe):
    def sample(self, prompts, how):
        time.sleep(0.2)
        return super().sample(prompts, how)

test_making.made(Path(sys.argv[1]), Path(sys.argv[2]), model=Slow())
"""


def test_killed_at_any_moment_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    documents(folder, 40)
    made(folder, tmp_path / "whole.jsonl")
    here, out = Path(__file__).parent, tmp_path / "killed.jsonl"
    command = [sys.executable, "-c", SCRIPT, str(folder), str(out), str(here), str(here.parent)]
    for rounds in (1, 3):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            for _ in range(600):
                state = tmp_path / "killed.make" / "rounds.jsonl"
                if state.is_file() and state.read_bytes().count(b"\n") >= rounds:
                    break
                assert process.poll() is None, "it ended before it was killed"
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "killed.make" / "report.json").exists()
    made(folder, out)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    rejected = [tmp_path / f"{name}.make" / "rejected.jsonl" for name in ("killed", "whole")]
    assert rejected[0].read_bytes() == rejected[1].read_bytes()


def test_another_request_does_not_write_over_an_earlier_one(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "qa.jsonl", rows=5)
    with pytest.raises(Refused, match="another rows and seed was asked for then"):
        made(texts, tmp_path / "qa.jsonl", rows=6, seed=1)
    with pytest.raises(Refused, match="another maker was asked for then"):
        made(texts, tmp_path / "qa.jsonl", rows=5, tries=2)
    (texts / "document00.txt").write_text("Other words.", encoding="utf-8")
    with pytest.raises(Refused, match="another files was asked for then"):
        made(texts, tmp_path / "qa.jsonl", rows=5)
    (tmp_path / "mine.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(Refused, match="nothing is written over"):
        made(texts, tmp_path / "mine.jsonl")
    assert (tmp_path / "mine.jsonl").read_text(encoding="utf-8") == "{}\n"


def test_rows_taken_out_by_hand_are_noticed(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "qa.jsonl", rows=5)
    (tmp_path / "qa.make" / "report.json").unlink()
    (tmp_path / "qa.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(Refused, match="shorter than it was"):
        made(texts, tmp_path / "qa.jsonl", rows=5)


def test_a_folder_that_is_not_there_is_refused(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no folder"):
        made(texts, tmp_path / "no" / "qa.jsonl")
