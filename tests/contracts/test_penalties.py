"""The law of penalties: documented, a sum over the batch in the objective's count, nothing where nothing differs."""

import math
from typing import Any

import pytest
import torch
from test_objectives import ROWS, computed

from affina.core.kinds import Forward, Penalty, objectives, penalties
from affina.data.layout import layout

NAMES = penalties.names()
DRAWN = [name for name in NAMES if penalties.build(name).draws > 1]
KINDS = ["labels", "tags", "words"]


class Told:
    """Distributions over words that are held whole, as a head would never do."""

    def __init__(self, logits_SV: torch.Tensor) -> None:
        self.logprobs_SV = logits_SV.log_softmax(-1)

    def spread(self, logprobs_S: torch.Tensor) -> torch.Tensor:
        return self.logprobs_SV.mean(-1)

    def divergence(self, other: Any) -> torch.Tensor:
        p, q = self.logprobs_SV, other.logprobs_SV
        return ((p.exp() - q.exp()) * (p - q)).sum(-1) / 2


def forward(numbers: list[int], kind: str, seed: int) -> Forward:
    """A draw of these rows, whose numbers depend on row and seed alone."""
    batch = layout([ROWS[n] for n in numbers])
    plain = computed(batch, "words")
    sizes = [int((batch.owners_S == r).sum()) for r in range(len(numbers))]
    rows = [torch.randn(30, 3, generator=torch.Generator().manual_seed(100 * seed + n)) for n in numbers]
    if kind == "labels":
        scores = torch.stack([each[0] for each in rows])
        return Forward(plain.weights_S, plain.owners_S, plain.labels_R, scores_RL=scores)
    places = torch.cat([each[:size] for each, size in zip(rows, sizes, strict=True)])
    if kind == "tags":
        return Forward(plain.weights_S, plain.owners_S, plain.labels_R, scores_SL=places)
    return Forward(plain.weights_S, plain.owners_S, plain.labels_R, plain.logprobs_S, words=Told(places))


def term(part: Penalty, numbers: list[int], kind: str, seeds: tuple[int, int] = (1, 2)) -> float:
    found = part.of_draws([forward(numbers, kind, seed) for seed in seeds], layout([ROWS[n] for n in numbers]))
    assert found is not None and found.shape == ()
    return float(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = penalties.build(name)
    assert part.name == name == penalties.dump(part)
    changed = penalties.build({"name": name, "alpha": 0.5})
    assert penalties.build(penalties.dump(changed)) == changed != part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())
    assert part.draws >= 1
    with pytest.raises(ValueError, match="alpha"):
        penalties.build({"name": name, "alpha": -1})


@pytest.mark.parametrize("name", NAMES)
def test_a_penalty_looks_at_draws_or_at_weights(name: str) -> None:
    part = penalties.build(name)
    weights = {"model.a": torch.ones(2), "head.weight": torch.ones(2)}
    draws = [forward([0, 1], "labels", seed) for seed in range(part.draws)]
    given = (part.of_draws(draws, layout(ROWS[:2])), part.of_weights(weights, weights))
    assert [each is not None for each in given] == [part.draws > 1, part.draws == 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DRAWN)
def test_terms_of_parts_add_up_to_that_of_the_whole(name: str, kind: str) -> None:
    part = penalties.build(name)
    whole = term(part, [0, 1, 2, 3, 4, 5], kind)
    assert whole > 0
    for parts in ([[0], [1, 2, 3, 4, 5]], [[5, 0], [1], [4, 2, 3]]):
        assert sum(term(part, each, kind) for each in parts) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_to_pay_where_draws_agree_and_the_order_of_draws_is_nothing(name: str, kind: str) -> None:
    part = penalties.build(name)
    assert term(part, [0, 1, 2], kind, (1, 1)) == 0
    assert term(part, [0, 1, 2], kind, (1, 2)) == pytest.approx(term(part, [0, 1, 2], kind, (2, 1)), rel=1e-6)


def test_r_drop_of_two_labels_by_hand() -> None:
    """p = (3/4, 1/4), q = (1/2, 1/2): (KL(p‖q) + KL(q‖p)) / 2 = (p₁ - q₁) · ln 3 / 2 = ln 3 / 8, of each row."""
    batch = layout(ROWS[:2])
    scores = [torch.tensor([[math.log(3), 0.0]] * 2), torch.zeros(2, 2)]
    draws = [Forward(torch.zeros(0), torch.zeros(0), torch.zeros(2), scores_RL=each) for each in scores]
    found = penalties.build({"name": "r_drop", "alpha": 2.0}).of_draws(draws, batch)
    assert float(found) == pytest.approx(2 * 2 * math.log(3) / 8, rel=1e-6)


def test_r_drop_objects_to_what_predicts_no_distribution() -> None:
    part = penalties.build("r_drop")
    assert [part.objection(objectives.build(name)) for name in ("cross_entropy", "classify")] == ["", ""]

    class Several(type(objectives.build("classify"))):  # type: ignore[misc]
        exclusive = False

    class Score(type(objectives.build("classify"))):  # type: ignore[misc]
        head = "score"

    assert all("no distribution" in part.objection(each()) for each in (Several, Score))
    assert penalties.build("l2_sp").objection(Score()) == ""


def test_l2_sp_by_hand() -> None:
    """alpha/2 · ((3-1)² + 0) + beta/2 · (2² + 1²) = 0.2/2 · 4 + 0.4/2 · 5 = 1.4; the new head's start is nothing."""
    weights = {"model.a": torch.tensor([3.0, 1.0], requires_grad=True), "head.weight": torch.tensor([2.0, -1.0])}
    starts = {"model.a": torch.tensor([1.0, 1.0]), "head.weight": torch.tensor([9.0, 9.0])}
    found = penalties.build({"name": "l2_sp", "alpha": 0.2, "beta": 0.4}).of_weights(weights, starts)
    assert found is not None and float(found.detach()) == pytest.approx(1.4, rel=1e-6)
    torch.autograd.backward(found)
    assert weights["model.a"].grad is not None
    assert weights["model.a"].grad.tolist() == pytest.approx([0.4, 0.0])  # alpha · (w - w₀)
