"""Examples before a bank's items: the same before each, never an item itself, in every form, read by the model once."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from tiny import written
from tiny_models import Guessing

from affina.core.errors import Refused
from affina.core.kinds import tasks
from affina.core.task import Hall, Tested
from affina.data.layout import layout
from affina.engine.toy import Toy
from affina.evaluation.task_file import tasks_of

ROWS = [
    {"question": f"What is {n} and {n}?", "options": [str(2 * n), "x"], "answer": str(2 * n), "label": "ab"[n % 2]}
    for n in range(8)
]
TEXTS = [str(row["question"]) for row in ROWS]
RANKED = sorted(TEXTS, key=lambda text: blake2b(text.encode()).digest())


def ask(folder: Path, prompt: Any, name: str = "multiple_choice", model: Any = None, **settings: Any) -> Tested:
    if not (folder / "bank.jsonl").exists():
        written(folder, "bank.jsonl", ROWS)
    task = tasks.build({"name": name, "data": "bank.jsonl", "prompt": prompt, **settings})
    assert tasks.build(tasks.dump(task)) == task
    return task.ask(model or Toy(), Hall(folder=folder))


def seen(folder: Path, prompt: Any, **settings: Any) -> list[str]:
    """What stood before each option."""
    before: list[str] = []

    def guess(given: str, said: str) -> float:
        before.append(given)
        return 1.0

    ask(folder, prompt, model=Guessing(guess), **settings)
    return before


def test_the_drawn_rows_are_shown_with_their_answers_and_not_asked(tmp_path: Path) -> None:
    found = ask(tmp_path, {"shots": 2})
    asked = [str(each["given"]) for each in found.shown]
    assert asked == [text for text in TEXTS if text not in RANKED[:2]] and len(found) == 6
    assert found.notes == ("2 answered examples stand before every item; 2 rows are examples and not asked",)
    answers = {str(row["question"]): str(row["answer"]) for row in ROWS}
    before = seen(tmp_path, {"shots": 2, "text": "Q: {question}\nA:"}, form="text")
    shown = sorted((f"Q: {each}\nA:" for each in TEXTS), key=lambda text: blake2b(text.encode()).digest())[:2]
    for given in before:
        for each in shown:
            assert given.count(f"{each} {answers[each[3:-3]]}\n\n") == 1
        assert given.startswith(shown[0]) and given.count("Q: ") == 3


def test_what_is_shown_does_not_hang_on_the_order_of_the_rows(tmp_path: Path) -> None:
    (tmp_path / "turned").mkdir()
    written(tmp_path / "turned", "bank.jsonl", ROWS[::-1])
    one, two = (ask(folder, {"shots": 3}) for folder in (tmp_path, tmp_path / "turned"))
    assert {each["given"] for each in one.shown} == {each["given"] for each in two.shown}
    assert len(ask(tmp_path, {"shots": 3}, most=2)) == 2


def test_examples_of_another_file_leave_all_items_and_none_of_them_is_an_item(tmp_path: Path) -> None:
    others = [{**row, "question": f"other {n}"} for n, row in enumerate(ROWS[:3])]
    written(tmp_path, "train.jsonl", [*ROWS, *others])
    before = seen(tmp_path, {"shots": 3, "rows": "train.jsonl"})
    assert len(before) == 16
    for given in before:
        assert all(given.count(f"other {n}") == 1 for n in range(3)) and sum(text in given for text in TEXTS) == 1
    with pytest.raises(Refused, match=r"4 examples cannot stand before .*train.jsonl has 11 different rows, and are"):
        ask(tmp_path, {"shots": 4, "rows": "train.jsonl"})
    with pytest.raises(Refused, match=r"8 examples cannot stand before the items of bank.jsonl"):
        ask(tmp_path, {"shots": 8})


def test_what_examples_answer_counts_nothing(tmp_path: Path) -> None:
    """A nat per option and one per letter of it, whatever stands before: `8` and `x` are 2 each, `14` is 3."""
    found = ask(tmp_path, {"shots": 2}, model=Guessing(lambda before, said: 1.0 + len(said.strip())))
    options = {str(row["question"]): str(row["answer"]) for row in ROWS}
    assert found.columns["nats"].tolist() == [1.0 + len(options[str(each["given"])]) for each in found.shown]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("exact_match", {}), ("generation", {}), ("exact_match", {"form": "text"}), ("judged", {"judge": "toy"}),
        ("classification", {"prompt": "{question}", "words": {"a": "even", "b": "odd"}}),
    ],
)  # fmt: skip
def test_every_bank_takes_examples(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    prompt = {"shots": 2, **({"text": settings["prompt"]} if "prompt" in settings else {})}
    rest = {key: value for key, value in settings.items() if key != "prompt"}
    prompts: list[str] = []

    class Heard(Toy):
        def sample(self, given: Any, how: Any) -> Any:
            prompts.extend(map(self.renderer.text, given))
            return super().sample(given, how)

        def score(self, rows: Any) -> Any:
            prompts.extend(self.renderer.text(row.tokens[row.weights == 0].tolist()) for row in rows)
            return super().score(rows)

    written(tmp_path, "bank.jsonl", ROWS)
    task = tasks.build({"name": name, "data": "bank.jsonl", "prompt": prompt, **rest})
    assert len(task.ask(Heard(), Hall(folder=tmp_path, open=lambda reference: Toy()))) == 6
    answer = [("even", "odd")[n % 2] if name == "classification" else str(2 * n) for n in range(8)]
    places = [TEXTS.index(text) for text in RANKED[:2]]
    for given in prompts:
        at = [given.index(TEXTS[place]) for place in places]
        assert at == sorted(at) and all(answer[place] in given[start:] for place, start in zip(places, at, strict=True))


def test_the_examples_are_read_once_for_all_options_of_all_items(tmp_path: Path) -> None:
    """A toy's token is a byte: the batch holds the common beginning once, and of each row only what is its own."""
    rows: list[Any] = []

    class Heard(Toy):
        def score(self, given: Any) -> Any:
            rows.extend(given)
            return super().score(given)

    ask(tmp_path, {"shots": 4}, model=Heard())
    batch, texts = layout(rows), [row.tokens.tolist() for row in rows]
    common = next(n for n, column in enumerate(zip(*texts, strict=False)) if len({*column}) > 1)
    assert common > 100 and len(rows) == 8
    assert len(batch.tokens_T) <= common + sum(len(text) - common for text in texts)


def test_what_is_wrong_with_examples_is_said(tmp_path: Path) -> None:
    for prompt, complaint in (
        ({"shots": 0}, "shots: must be at least 1"),
        ({"shot": 2}, "shot: unknown setting; did you mean 'shots'"),
        ({"shots": 2, "rows": "none.jsonl"}, "none.jsonl"),
        (3, "prompt"),
    ):
        (tmp_path / "task.yaml").write_text(
            f"name: multiple_choice\ndata: bank.jsonl\nprompt: {prompt}\n".replace("'shots'", "shots"), encoding="utf-8"
        )
        written(tmp_path, "bank.jsonl", ROWS)
        with pytest.raises(Refused, match=complaint):
            tasks_of(str(tmp_path / "task.yaml"))[0].task.ask(Toy(), Hall(folder=tmp_path))
    with pytest.raises(Refused, match="has no right answers"):
        ask(tmp_path, {"shots": 2}, "judged", judge="toy", asks="points")
    labels = tasks.build({"name": "classification", "data": "bank.jsonl", "prompt": {"shots": 2, "text": "{question}"}})
    with pytest.raises(Refused, match="a head of labels sees no examples"):
        labels.ask(Toy(), Hall(folder=tmp_path, labels=("a", "b")))
