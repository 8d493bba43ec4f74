import json
from pathlib import Path

from reconciled import applied

from affina.core.example import Example, Labelled
from affina.core.kinds import transforms


def rows(split: str, words: str, count: int) -> list[Example]:
    return [
        Labelled(
            id=f"{split}:{n}", split=split, text=f"{words} number {n % 7}", label="xy"[n % 2],
            facts={"region": "north" if n % 3 else "south"},
        )
        for n in range(count)
    ]  # fmt: skip


GIVEN = [
    *rows("train", "the card is lost", 60),
    *rows("validation", "the card is lost", 30),
    *rows("test", "a train leaves", 30),
]


def test_everything_passes_and_a_note_says_what_differs(tmp_path: Path) -> None:
    left, reasons, notes = applied("profile", GIVEN, folder=tmp_path, by=["region"], write="profile.json")
    assert left == GIVEN and reasons == {}
    assert len(notes) == 1 and notes[0].startswith("profile: test differs from train in vocabulary (PSI ")
    assert "words are not in train" in notes[0]
    report = json.loads((tmp_path / "profile.json").read_text(encoding="utf-8"))
    assert report["sets"]["train"]["labels"] == {"x": 30, "y": 30} and report["sets"]["train"]["words"]["half"] == 6
    assert report["sets"]["test"]["slices"] == {"region": {"north": 20, "south": 10}}
    assert set(report["against"]["validation"]) == {"label", "region", "words", "vocabulary", "unseen"}
    assert report["against"]["base"] == "train" and report["against"]["test"]["label"]["p"] > 0.05


def test_sets_that_are_alike_are_said_to_be() -> None:
    assert applied("profile", GIVEN[:90])[2] == ["profile: validation are like train in label, words, vocabulary"]


def test_live_texts_are_compared_too(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"id": f"u{n}", "asked": f"il treno parte alle {n % 9}"}) + "\n" for n in range(40))
    (tmp_path / "live.jsonl").write_text(lines, encoding="utf-8")
    notes = applied("profile", GIVEN[:60], folder=tmp_path, live=["live.jsonl"])[2]
    assert notes[0].startswith("profile: live differs from train in") and "vocabulary" in notes[0]


def test_without_a_split_there_is_nothing_to_compare_and_no_note() -> None:
    plain: list[Example] = [Labelled(id=f"a:{n}", text="x", label="x") for n in range(3)]
    assert applied("profile", plain) == (plain, {}, []) and applied("profile", []) == ([], {}, [])
    assert transforms.build({"name": "profile", "by": ["region"]}).reads() == ("region",)
