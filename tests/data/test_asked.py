from pathlib import Path

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.core.kinds import Sampling
from affina.data.asked import Put, likelihoods, said
from affina.data.prompt import prompt
from affina.data.rows import Renderer
from affina.engine.toy import Toy

ANSWER = Put(prompt("answer_unread_en"), {"question": "How long?"})
JUDGE = Put(prompt("judge"), {"request": "a", "answer": "b"})


def test_raw_text_goes_on_and_the_answers_tokens_are_the_targets(byte_base: Path) -> None:
    renderer = Renderer.open(byte_base)
    text = renderer.text(ANSWER.opened(renderer))
    assert text.endswith("Question: How long?\nAnswer:")
    row = ANSWER.answered(renderer, " two days")
    assert renderer.text(row.tokens.tolist()) == f"{text} two days"
    assert renderer.text(row.tokens[row.weights > 0].tolist()) == " two days"


def test_turns_are_put_in_the_bases_own_template(byte_base: Path) -> None:
    renderer = Renderer.open(byte_base)
    opened = renderer.vocabulary.decode(JUDGE.opened(renderer), special=True)
    assert opened.startswith("<|im_start|>user\nRequest: a\n\nAnswer: b") and opened.endswith("<|im_start|>assistant\n")
    row = JUDGE.answered(renderer, "Yes")
    told = renderer.vocabulary.decode(row.tokens[row.weights > 0].tolist(), special=True)
    assert told == "Yes<|im_end|>"


def test_likelihoods_are_the_models_own_and_the_same_pair_is_scored_once() -> None:
    model = Toy(max_tokens=4096)
    model.pairs_VV[ord(" "), ord("x")] += 3.0
    found = likelihoods(model, [(ANSWER, " x"), (ANSWER, " y"), (ANSWER, " x")])
    # every pair begins at 0.1 of 257: after a space x has 3.1 of 28.7; before it the space has 0.1 of 25.7
    likely, other = (np.log(0.1 / 25.7) + np.log(pairs / 28.7) for pairs in (3.1, 0.1))
    assert found == pytest.approx([likely, other, likely], abs=1e-12)
    assert len(likelihoods(model, [])) == 0


def test_what_leaves_no_room_is_refused_with_its_size() -> None:
    small = Toy(max_tokens=64)
    with pytest.raises(Refused, match="answer_unread_en@1 is too long"):
        said(small, [ANSWER], Sampling(8))
    with pytest.raises(Refused, match="the model takes 64"):
        likelihoods(small, [(ANSWER, " x")])
    assert said(small, [], Sampling(8)) == []
