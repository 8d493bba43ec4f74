"""Conversations with tools on a base whose own template leaves them out, and the template the model is served with."""

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from tiny import chat_base, recipe, written

import affina
from affina.core.errors import Refused

TOOL = {"name": "find", "description": "Finds an order.", "parameters": {"type": "object", "properties": {}}}


def rows(count: int = 40) -> list[dict[str, Any]]:
    """Conversations that ask, call, are answered and say what was found."""
    found = []
    for number in range(count):
        turns = [
            ("human", f"where is order {number * 37 % 100}?"),
            ("function_call", json.dumps({"name": "find", "arguments": {"order": number * 37 % 100}})),
            ("observation", json.dumps({"place": "Turin"})),
            ("gpt", "it is in Turin"),
        ]
        found.append({"conversations": [{"from": a, "value": b} for a, b in turns], "tools": json.dumps([TOOL])})
    return found


def test_tools_are_learnt_and_the_models_template_shows_them(tmp_path: Path) -> None:
    written(tmp_path, "rows.jsonl", rows())
    base = chat_base(tmp_path / "base")
    sections: dict[str, Any] = {"read": "rows.jsonl", "train": {"steps": 4}}
    with pytest.raises(Refused, match="template: tools"):
        affina.train(recipe(tmp_path, base, **sections), run="own", root=tmp_path / "runs")
    sections["data"] = {"template": "tools"}
    run = affina.train(recipe(tmp_path, base, **sections), run="tools", root=tmp_path / "runs")
    assert all(proof["passed"] for proof in run.show()["proofs"]), run.show()["proofs"]
    template = Environment().from_string((run.folder / "model" / "chat_template.jinja").read_text(encoding="utf-8"))
    text = template.render(messages=[{"role": "user", "content": "hi"}], tools=[TOOL], add_generation_prompt=True)
    assert '"name": "find"' in text and text.endswith("<|im_start|>assistant\n")
