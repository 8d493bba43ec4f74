"""`affina data look` in a terminal and in a pipe: what it prints, and 2 with one sentence for what cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from affina.cli.main import main


@pytest.fixture
def tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rows = [f"some words of number {n},{('ask', 'buy')[n % 3 == 0]}" for n in range(30)]
    Path("tickets.csv").write_text("\n".join(["text,label", *rows, "one,two,three"]), encoding="utf-8")
    return "tickets.csv"


def test_what_was_found_is_told_in_words(tickets: str, capsys: Any) -> None:
    assert main(["data", "look", tickets]) == 0
    said = capsys.readouterr()
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    for line in (
        "shape labelled text in column 'text', class in 'label' (by its name)",
        "task classification 30 texts; the label is answered in words",
        "ask 20 66.7 % ████████████████████████",
        "buy 10 33.3 % ████████████",
        "row: the row has 3 cells where 2 are expected (tickets.csv:32)",
        "text: some words of number 0",
        "30 of 31 rows can be used, 1 would be set aside",
        "next: affina new tickets.csv",
    ):
        assert line in lines, said.out
    assert said.err == ""


def test_with_json_it_is_one_object_with_the_keys_that_scripts_rely_on(tickets: str, capsys: Any) -> None:
    assert main(["data", "look", tickets, "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert {*seen} >= {"rows", "shape", "task", "encoding", "columns", "problems", "ledger", "samples", "error"}
    assert {*seen["ledger"]} >= {"read", "used", "dropped", "quarantined"}
    assert {*seen["problems"][0]} >= {"kind", "line", "sentence"}


def test_options_say_what_a_recipe_says(tickets: str, capsys: Any) -> None:
    assert main(["data", "look", tickets, "--reader", "{name: text, by: line}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shape"] == "raw"
    assert main(["data", "look", tickets, "--shape", "{name: raw, text: text}", "--html", "page.html"]) == 0
    shown = capsys.readouterr().out
    assert "wrote page.html" in shown and "next:" not in shown
    assert "<svg" in Path("page.html").read_text(encoding="utf-8")
    assert main(["data", "look", tickets, "--shape", "{name: raw"]) == 2
    assert capsys.readouterr().err.startswith("affina: --shape cannot be read: ")
    assert main(["data", "look", tickets, "--shape", "labeled"]) == 2
    assert "did you mean 'labelled'?" in capsys.readouterr().err


def test_what_cannot_be_used_is_2_and_one_sentence_on_standard_error(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "strange.csv"
    path.write_text("alfa,beta\n" + "\n".join(f"x{n} y{n},z{n} w{n}" for n in range(9)), encoding="utf-8")
    assert main(["data", "look", str(path)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("affina: the dataset's shape is not recognised: its columns are alfa, beta")
    assert said.err.count("\n") == 1
    assert "alfa" in said.out and "0 of 9 rows can be used" in said.out
    assert main(["data", "look", str(path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["what"] == "the dataset's shape is not recognised"
    assert main(["data", "look", str(tmp_path / "absent.csv"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["what"].startswith("there is no file")


def test_a_conversation_is_shown_turn_by_turn(tmp_path: Path, capsys: Any) -> None:
    turns = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "This one."}]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(f"{json.dumps({'messages': turns})}\n" for _ in range(3)), encoding="utf-8")
    assert main(["data", "look", str(path)]) == 0
    assert "user: Which?\nassistant: This one.\n" in capsys.readouterr().out


def test_what_would_steer_the_terminal_is_not_printed(tmp_path: Path, capsys: Any) -> None:
    rows = [{"text": f"\x1b[2J words {n} \u202e", "label\x1b[1m": "a\x07b"[n % 2 :]} for n in range(9)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    main(["data", "look", str(path)])
    said = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & {*said.out, *said.err}
    assert "[2J words 0" in said.out
