"""Loss and perplexity against arithmetic: sums first, one division at the end."""

import math

import numpy as np
import pytest

from affina.core.answers import Answers
from affina.evaluation.metrics.loss import Loss
from affina.evaluation.metrics.perplexity import Perplexity


def scored(nats: list[float], tokens: list[float]) -> Answers:
    return Answers(tuple(map(str, range(len(nats)))), np.array(nats), np.array(tokens))


def test_loss_divides_all_nats_by_all_tokens_and_not_item_by_item() -> None:
    # (2 + 9) / (1 + 9) = 1.1, whereas the mean of the items' means would be (2 + 1) / 2 = 1.5
    assert Loss().value(scored([2.0, 9.0], [1.0, 9.0])) == pytest.approx(1.1)


def test_perplexity_of_a_uniform_guess_is_the_size_of_the_vocabulary() -> None:
    # 7 tokens at log(50) nats each
    assert Perplexity().value(scored([3 * math.log(50), 4 * math.log(50)], [3.0, 4.0])) == pytest.approx(50)


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    answers = scored([0.3, 4.0, 2.2], [2.0, 3.0, 1.0])
    assert Perplexity().value(answers) == pytest.approx(math.exp(Loss().value(answers)))
