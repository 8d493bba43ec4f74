"""The most typical answer, by hand: words shared with the others decide."""

import pytest

from affina.evaluation.typical import typical


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([], ""),
        (["one"], "one"),
        # F1 with the others: "a b" 1 + 2·2/5 + 0 … "a b c" (0.8 + 0.8) beats "a b" (0.8 + 0.5) and "b c d"
        (["x y", "a b", "a b c", "b c d"], "a b c"),
        (["no", "yes", "no", "maybe"], "no"),
    ],
)
def test_the_answer_that_agrees_best_with_the_others_is_typical(answers: list[str], found: str) -> None:
    assert typical(answers) == found


def test_of_many_answers_some_are_compared() -> None:
    assert typical([f"answer {n}" for n in range(10_000)] + ["other"]).startswith("answer")
