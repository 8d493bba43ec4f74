"""Labels as words on a base whose own template refuses system messages, as Gemma's does."""

from pathlib import Path

import pytest
from jinja2 import Environment
from tiny import CHATML, Heard, chat_base, data, recipe

import affina

TEMPLATE = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML


@pytest.mark.slow
def test_the_labels_reach_the_model_and_its_template_is_written(tmp_path: Path) -> None:
    data(tmp_path)
    base, heard = chat_base(tmp_path / "base", template=TEMPLATE), Heard()
    path = recipe(tmp_path, base, train={"steps": 4})
    run = affina.train(path, run="labels", root=tmp_path / "runs", say=heard)
    assert any("no place for a system message: it is put before the user's" in line for line in heard.lines)
    assert all(proof["passed"] for proof in run.show()["proofs"]), run.show()["proofs"]
    written = (run.folder / "model" / "chat_template.jinja").read_text(encoding="utf-8")
    turns = [{"role": "system", "content": "Choose."}, {"role": "user", "content": "hi"}]
    text = Environment(trim_blocks=True, lstrip_blocks=True).from_string(written).render(messages=turns)
    assert text == "<|im_start|>user\nChoose.\n\nhi<|im_end|>\n"
