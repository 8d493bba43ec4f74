"""What examples are taken to weigh holds what is not text too: tools, and the calls of them."""

from pathlib import Path

import pytest

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Message
from affina.core.recipe import Recipe
from affina.data import held
from affina.data.prepare import Reach, build

TURNS = (Message("user", "x"), Message("assistant", "y"))


def spilled(examples: list[Example]) -> bool:
    return isinstance(held.held(examples), held.OnDisk)


def test_tools_calls_and_options_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MEMORY_BYTES", 40_000)
    tool = {"function": {"name": "look", "description": "z" * 3000}}
    called = Message("assistant", "", {"tool_calls": [{"function": {"name": "look", "arguments": "z" * 3000}}]})
    assert not spilled([Chat(id=f"a:{n}", messages=TURNS) for n in range(10)])
    assert spilled([Chat(id=f"a:{n}", messages=TURNS, tools=(tool,)) for n in range(10)])
    assert spilled([Chat(id=f"a:{n}", messages=(TURNS[0], called)) for n in range(10)])
    assert spilled([Chat(id=f"a:{n}", messages=TURNS, options=("z" * 3000,)) for n in range(10)])


def recipe(folder: Path, model: str) -> Recipe:
    (folder / "rows.csv").write_text("text,label\n" + "".join(f"row {n} {n * n},{n % 2}\n" for n in range(40)))
    transforms = ["split", {"name": "paraphrase", "model": model}]
    sections = {"name": "r", "model": {"base": "-"}, "data": {"read": ["rows.csv"], "transforms": transforms}}
    return Recipe.build(sections, folder)


def test_a_model_file_beside_the_recipe_is_found_there(tmp_path: Path) -> None:
    asked: list[str] = []

    def opened(reference: str) -> None:
        asked.append(reference)
        raise Refused("it is no model")

    for name in ("model.gguf", "missing.gguf", "rows.csv"):
        (tmp_path / "model.gguf").write_bytes(b"GGUF")
        with pytest.raises(Refused):
            build(recipe(tmp_path, name), reach=Reach(open=opened))  # type: ignore[arg-type]
    assert asked == [str(tmp_path / "model.gguf"), "missing.gguf", "rows.csv"]


def test_a_model_that_is_gone_is_named_with_who_asks_it(tmp_path: Path) -> None:
    def opened(reference: str) -> None:
        raise Refused(f"no run and no base is called '{reference}'", instead="known: a, b")

    with pytest.raises(Refused, match=r"without the model 'gone': a transform .* asks it, and no run .*known: a, b"):
        build(recipe(tmp_path, "gone"), reach=Reach(open=opened))  # type: ignore[arg-type]
