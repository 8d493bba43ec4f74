"""The law every asker keeps: one for each kind of example, documented, true about its columns and usual metrics."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

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
from affina.core.kinds import Asker, askers, metrics
from affina.evaluation.measure import COLUMNS, light, measure

TURNS = (Message("user", "is it warm"), Message("assistant", "yes"))
NAMED = ("cold", "warm", "wet")
TAGS = ("O", "B-PER", "I-PER")
EXAMPLES: dict[str, list[Example]] = {
    "chat": [Chat(id="f:1", messages=TURNS)],
    "choice": [Chat(id="f:1", messages=TURNS, options=("yes", "no"))],
    "text": [Text(id="f:1", text="some words")],
    "gapped": [Gapped(id="f:1", text="some words", share=0.15)],
    "labelled": [
        Labelled(id=f"f:{n}", text=f"text {n}", label=NAMED[n % 3], labels=NAMED) for n in (0, 1, 1, 2, 1)
    ],
    "multi_labelled": [
        MultiLabelled(id=f"f:{n}", text=f"text {n}", right=NAMED[: n % 3], labels=NAMED) for n in range(5)
    ],
    "rated": [Rated(id=f"f:{n}", text=f"text {n}", value=n * n / 2) for n in range(5)],
    "tagged": [
        Tagged(id="f:0", words=("Ada", "Byron", "sat"), tags=("B-PER", "I-PER", "O"), labels=TAGS),
        Tagged(id="f:1", words=("so", "sat", "Ada"), tags=("O", "O", "B-PER"), labels=TAGS),
    ],
    "question": [
        Question(id="f:0", question="Who sat there?", context="It rained. Ada sat there. So!", answers=(("Ada", 11),)),
        Question(id="f:1", question="What rained?", context="It rained.", answers=()),
    ],
    "parallel": [Parallel(id="f:0", source="uno due", result="one two", references=("a two",))],
    "pair": [
        Pair(id="f:0", messages=TURNS[:1], chosen="yes it is", rejected="no"),
        Pair(id="f:1", messages=TURNS[:1], chosen="it is so", rejected="never"),
        Pair(id="f:2", messages=TURNS[:1], chosen="no", rejected="well, who knows"),
    ],
    "related": [Related(id="f:0", anchor="a cat", positive="the cat", negatives=("a cot",))],
}  # fmt: skip
NAMES = askers.names()


def trivial(name: str) -> Any:
    return askers.build(name).trivial(EXAMPLES[name], EXAMPLES[name])


@pytest.mark.parametrize("name", NAMES)
def test_exactly_one_asker_asks_a_kind_of_example(name: str) -> None:
    assert [each for each in NAMES if askers.find(each).fits(EXAMPLES[name])] == [name]
    assert all(isinstance(each, askers.find(name).asks) for each in EXAMPLES[name])


@pytest.mark.parametrize("name", NAMES)
def test_an_asker_is_documented_and_its_usual_metrics_can_be_computed_without_extras(name: str) -> None:
    kind = askers.find(name)
    assert kind.__doc__ and kind.why and not kind.why.endswith(".")
    assert kind.gives <= {"nats", "words", *COLUMNS} and "nats" in kind.gives
    for metric in kind.usual:
        assert metrics.find(metric).reads in kind.gives and not metrics.build(metric).objection(("O", "one"))


@pytest.mark.parametrize("name", NAMES)
def test_what_answers_without_a_model_has_a_name_and_every_column(name: str) -> None:
    kind = askers.find(name)
    stands = kind.trivial is not Asker.trivial
    assert stands == (trivial(name) is not None)
    assert bool(kind.without) == (stands or kind.counted is not Asker.counted)
    found = trivial(name)
    if found is None:
        return
    assert found.ids == tuple(each.id for each in EXAMPLES[name]) and all(found.worded(n) for n in range(len(found)))
    every = [metrics.build(each) for each in metrics.names() if metrics.find(each).reads in kind.gives]
    chosen = [metric for metric in every if not metric.objection(found.labels)]
    measured = measure(found, chosen, 0.05, 0)
    assert all(np.isfinite(each.value) for each in measured.values())
    assert all(metric.value(light(found, metric)) == measured[metric.name].value for metric in chosen)


@pytest.mark.parametrize("name", [each for each in NAMES if askers.find(each).trivial is not Asker.trivial])
def test_what_answers_without_a_model_does_not_look_at_the_right_answers(name: str) -> None:
    examples = EXAMPLES[name]
    changes: dict[str, Any] = {
        "labelled": {"label": "wet"}, "multi_labelled": {"right": ("wet",)}, "rated": {"value": 77.0},
        "tagged": {"tags": ("O", "O", "O")}, "question": {"answers": (("It", 0),)},
    }  # fmt: skip
    if name == "pair":  # right is what stands first: the other way round the margin turns
        turned = [replace(each, chosen=each.rejected, rejected=each.chosen) for each in examples]  # type: ignore[call-arg, attr-defined]
        other = askers.build(name).trivial(examples, turned)
        assert (
            other is not None and other.margin_N is not None and np.array_equal(other.margin_N, -trivial(name).margin_N)
        )
        return
    other = askers.build(name).trivial(examples, [replace(each, **changes[name]) for each in examples])
    assert other is not None
    for column in ("predicted_N", "chances_NL", "guess_N", "guessed", "said"):
        assert np.array_equal(getattr(other, column), getattr(trivial(name), column)), column
