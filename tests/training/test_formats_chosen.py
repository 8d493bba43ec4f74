"""A run whose prompt format was chosen by the base keeps the choice in its lock, and learns from that format."""

from pathlib import Path

from tiny import data, recipe

import affina


def test_the_chosen_format_is_in_the_lock_and_in_the_training_text(chat_model: Path, tmp_path: Path) -> None:
    forms = ["Say the label of: {text}", "{text} Which of {labels} is it?"]
    formats = {"name": "formats", "formats": forms, "choose": "best", "model": str(chat_model), "rows": 6}
    asked = recipe(data(tmp_path), chat_model, data={"transforms": ["dedup", "split", formats]}, train={"steps": 2})
    run = affina.train(asked, run="chosen", root=tmp_path / "runs")
    told = [note for note in run.read("lock.json")["notes"] if note.startswith("formats:")]
    kept = [form for form in forms if any(f"{form} kept" in note for note in told)]
    assert len(kept) == 1 and len(told) == 3
    said = run.read("samples.json")[0]["given"]
    seen = affina.check(asked)["examples"][0]["pieces"][0]["text"]
    assert all(("Say the label of:" in text) == (kept[0] == forms[0]) for text in (seen, said))
