"""Parity finds what differs and says where; a tie is no difference; KL is what arithmetic says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served import Otherwise, plainly, some_tokens

from affina.core.errors import Failed
from affina.core.example import Chat, Message
from affina.core.export import Bounds
from affina.core.say import Silent
from affina.release import divergence
from affina.release.items import Item
from affina.release.parity import Asked, shown

TURNS = (Message("user", "where is it"), Message("assistant", "here"))
EXACT = Bounds(logits=1e-3, greedy=True)


@pytest.fixture(scope="module")
def model(family: Callable[[str], Path]) -> Any:
    return plainly(family("llama"))


def asked(count: int = 2) -> Asked:
    return Asked([item(n) for n in range(count)], 4, frozenset({1}))


def item(n: int) -> Item:
    chat = Chat(id=f"row:{n}", messages=TURNS)
    return Item(chat.id, tuple(some_tokens(300, 9, n)), "x", prompt=tuple(some_tokens(300, 5, n)), chat=chat)


def compared(model: Any, bounds: Bounds = EXACT, yardstick: Any = None, **other: Any) -> dict[str, Any]:
    found: dict[str, Any] = shown(Otherwise(model), Otherwise(model, **other), asked(), bounds, yardstick, Silent())
    return found


def test_the_same_model_is_equal_in_all(model: Any) -> None:
    found = compared(model)
    assert found["logits"]["largest"] == found["kl"]["mean"] == 0
    assert found["greedy"] == {"answers": 2, "equal": 2, "ties": 0}
    assert found["tokens"] == 18


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"more": 0.5}, r"a logit of row:0, token 9, is 0.5 off where the run's largest is 3\.\d+; 0.001 is allowed"),
        (
            {"answer": [7, 7, 7, 7]},
            r"the answer to row:0 parts at token 1 \(token \d+, and not token 7\), where the run",
        ),
        ({"rendered": "<|im_start|>user "}, r"the prompt of row:0 is rendered otherwise from character \d+ on"),
        ({"encoded": [5, 6]}, r"the text of row:0 is other tokens from the \d+th on"),
    ],
)
def test_what_differs_is_named_with_its_place(other: dict[str, Any], why: str, model: Any) -> None:
    with pytest.raises(Failed, match=why):
        compared(model, **other)


def test_a_disagreement_between_two_tokens_that_are_as_likely_is_a_tie(model: Any) -> None:
    """With a bound above the gap of the two logits."""
    right = model.greedy(asked().items[0].prompt, 4, frozenset({1}))
    last_V = model.logits(asked().items[0].prompt)[-1]
    second = int(np.argsort(last_V)[-2])
    gap = float(last_V[right[0]] - last_V[second])
    one = Asked(asked(1).items, 4, frozenset({1}))
    for bound, ties in ((gap * 1.01, 1), (gap * 0.99, None)):
        other = Otherwise(model, answer=[second])
        if ties is None:
            with pytest.raises(Failed, match="parts at token 1"):
                shown(Otherwise(model), other, one, Bounds(logits=bound, greedy=True), None, Silent())
        else:
            found = shown(Otherwise(model), other, one, Bounds(logits=bound, greedy=True), None, Silent())
            assert found["greedy"] == {"answers": 1, "equal": 0, "ties": 1}


def test_a_yardstick_bounds_the_divergence(model: Any) -> None:
    bounds = Bounds(kl=1e-9, times=1.1)
    found = compared(model, bounds, Otherwise(model, more=1.0), more=1.0)
    assert found["kl"]["everywhere"] == pytest.approx(found["yardstick"]["everywhere"]) and found["kl"]["mean"] > 1e-6
    with pytest.raises(Failed, match=r"1.1 times that of llama.cpp's own quantiser"):
        compared(model, bounds, Otherwise(model, more=1.0), more=3.0)
    with pytest.raises(Failed, match="nats per token; 1e-09 is allowed"):
        compared(model, bounds, None, more=1.0)


def test_the_divergence_of_answers_leaves_prompts_out(model: Any) -> None:
    """What differs is the last token alone: 1 of the 2 places asked, 1 of 9 in all."""
    one = Asked([replace(item(0), answers=(7, 8))], 4, frozenset({1}))
    found = shown(Otherwise(model), Otherwise(model, more=1.0), one, Bounds(), None, Silent())["kl"]
    assert found["mean"] == pytest.approx(found["everywhere"] * 9 / 2) and found["mean"] == found["largest"] / 2


def test_numbers_that_are_none_never_pass(model: Any) -> None:
    for bounds in (EXACT, Bounds(kl=1e9)):
        with pytest.raises(Failed):
            compared(model, bounds, more=float("nan"))


def test_divergences_are_those_of_their_definitions() -> None:
    """By hand: KL of (1/2, 1/2) from (3/4, 1/4) is ln 2 - ln 3 / 2; of two coins of these the same; of normals 1 apart
    1/2; of vectors at right angles 1."""
    even, odd = np.zeros((1, 2), np.float32), np.log(np.array([[3, 1]], np.float32))
    kl = np.log(2) - np.log(3) / 2
    assert divergence.of("words", True, even, odd) == pytest.approx([kl], rel=1e-6)
    one, three = np.zeros((1, 1), np.float32), np.log(np.array([[3]], np.float32))
    for head, exclusive in (("labels", False), ("margin", True)):
        assert divergence.of(head, exclusive, one, three) == pytest.approx([kl], rel=1e-6)
    assert divergence.of("score", True, one, one + 1) == pytest.approx([0.5])
    ahead, aside = np.array([[1, 0]], np.float32), np.array([[0, 2]], np.float32)
    assert divergence.of("vector", True, ahead, aside) == pytest.approx([1])
    assert divergence.of("span", True, even.T, odd.T) == pytest.approx([kl], rel=1e-6)
