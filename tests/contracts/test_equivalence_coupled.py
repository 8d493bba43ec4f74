"""What couples rows of words keeps its gradient whichever way it is computed: preferences in pairs, groups of rollouts,
and a plain teacher's chances. These losses are written here as in their papers; the engine knows nothing of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from families import row
from laws import apart, engine, plain_gradients
from torch.nn.functional import logsigmoid

from affina.core.compute import Computing
from affina.core.example import Chat, Pair
from affina.core.kinds import Batch, Forward, Loss, Objective, Row
from affina.data.layout import layout
from affina.engine.torch import head

Folder = Callable[[str], Path]

BOUNDS = {"float32": 1e-5, "float64": 1e-10}  # of a tensor's largest gradient
FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "mistral", "gpt2")
GROUP = 4


def of_rows(values_S: torch.Tensor, forward: Forward) -> torch.Tensor:
    """[R] sums over each row's supervised places."""
    sums_R = values_S.new_zeros(len(forward.labels_R))
    return sums_R.index_add(0, forward.owners_S, values_S * (forward.weights_S != 0))


def known(batch: Batch, scale: float) -> torch.Tensor:
    """[R] numbers that were known of each row before the step: they follow from its id."""
    return torch.tensor([scale * np.sin(1.0 + int(name.split(":")[1])) for name in batch.ids], dtype=torch.float32)


class Preferences(Objective):
    """-log σ(β · (what the chosen gained on the reference - what the rejected did)) (Rafailov et al., 2023, eq. 7)."""

    consumes: ClassVar = (Pair,)
    couples: ClassVar[bool] = True

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.logprobs_S is not None
        gained_P2 = (of_rows(forward.logprobs_S, forward) - known(batch, 3.0)).view(-1, 2)
        return Loss(-logsigmoid(0.1 * (gained_P2[:, 0] - gained_P2[:, 1])).sum(), float(len(gained_P2)))


class Rollouts(Objective):
    """Clipped ratios times the advantage within a group, a mean over tokens (Shao et al., 2024, eq. 3, without KL)."""

    consumes: ClassVar = (Chat,)
    couples: ClassVar[bool] = True

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.logprobs_S is not None
        rewards_GK = known(batch, 1.0).view(-1, GROUP)
        spread_G1 = rewards_GK.std(1, keepdim=True)
        advantages_S = ((rewards_GK - rewards_GK.mean(1, keepdim=True)) / spread_G1).view(-1)[forward.owners_S]
        before_S = -5.7 + 0.3 * torch.sin(torch.from_numpy(batch.targets_S).float())  # about what a random model says
        ratio_S = (forward.logprobs_S - before_S).exp()
        worse_S = torch.minimum(ratio_S * advantages_S, ratio_S.clamp(0.8, 1.2) * advantages_S)
        return Loss(-worse_S.sum(), float(len(ratio_S)))


class Taught(Objective):
    """Cross-entropy against a teacher that gives the target a chance of its own and spreads the rest over all words
    (Yuan et al., 2020): a teacher's own distribution is not among what the engine gives an objective."""

    consumes: ClassVar = (Chat,)

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        assert forward.logprobs_S is not None and forward.words is not None
        sure_S = 0.6 + 0.3 * torch.sin(torch.from_numpy(batch.targets_S).float())
        mean_S = forward.words.spread(forward.logprobs_S)
        total = -(sure_S * forward.logprobs_S + (1 - sure_S) * mean_S).sum()
        return Loss(total, float(len(sure_S)))


OBJECTIVES = (Preferences, Rollouts, Taught)
each_case = pytest.mark.parametrize(
    ("kind", "family_name", "tuning"),
    [(kind, name, tuning) for kind in OBJECTIVES for name in FAMILIES for tuning in ("full", "lora")],
)
each_precision = pytest.mark.parametrize("precision", list(BOUNDS))


def answers() -> list[Row]:
    """Two prompts under one system prompt, four answers to each: a chosen and a rejected, and the same again."""
    draw = np.random.default_rng(3)

    def tokens(count: int) -> list[int]:
        return [int(token) for token in draw.integers(0, 300, count)]

    system = tokens(11)
    prompts = [[*system, *tokens(9)], [*system, *tokens(14)]]
    rows = [row(f"r:{n}", prompts[n // GROUP], tokens(2 + n % 5)) for n in range(2 * GROUP)]
    return [replace(each, tied=n % 2 == 1) for n, each in enumerate(rows)]


def divided(rows: Sequence[Row]) -> list[list[Row]]:
    """A micro-batch for each group."""
    return [[*rows[:GROUP]], [*rows[GROUP:]]]


@each_precision
@each_case
def test_shared_and_packed_rows_have_the_gradient_of_padded_rows_under_the_librarys_attention(
    kind: type[Objective], family_name: str, tuning: str, precision: str, family: Folder
) -> None:
    part, rows = kind(), answers()
    made = engine(family(family_name), part, tuning)
    assert len(made.layout(rows).tokens_T) < 0.6 * made.layout(rows).tokens
    with made.exactly(precision):
        found = [made.gradients([layout(rows, share=share)], part) for share in (True, False)]
        expected = plain_gradients(made, family(family_name), rows, part, precision)
    assert max(float(each.abs().max()) for each in expected.values()) > 1e-4
    for each in found:
        worst, name = apart(each, expected)
        assert worst <= BOUNDS[precision], name


@each_precision
@each_case
def test_groups_apart_tiles_and_blocks_computed_again_change_nothing(
    kind: type[Objective],
    family_name: str,
    tuning: str,
    precision: str,
    family: Folder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part, rows = kind(), answers()
    made = engine(family(family_name), part, tuning)
    again = engine(family(family_name), part, tuning, Computing("float32", checkpoint=True))
    with made.exactly(precision), again.exactly(precision):
        expected = made.gradients([made.layout(rows)], part)
        found = [
            made.gradients([made.layout(each) for each in divided(rows)], part),
            again.gradients([again.layout(rows)], part),
        ]
        monkeypatch.setitem(head.TILE_BYTES, "cpu", 999)
        monkeypatch.setitem(head.ROWS, "cpu", 7)
        found.append(made.gradients([made.layout(rows)], part))
    for each in found:
        worst, name = apart(each, expected)
        assert worst <= BOUNDS[precision], name


@each_case
def test_a_row_of_a_pair_or_group_moves_the_others_through_the_loss_alone(
    kind: type[Objective], family_name: str, tuning: str, family: Folder
) -> None:
    """Other tokens at the end of one answer change no bit of what the model says of any other."""
    part, rows = kind(), answers()
    made = engine(family(family_name), part, tuning)
    changed = [replace(each, tokens=each.tokens.copy()) for each in rows]
    changed[2].tokens[-1] = (changed[2].tokens[-1] + 1) % 300
    with torch.no_grad():
        before, after = (made.forward(made.layout(given)) for given in (rows, changed))
    assert before.logprobs_S is not None and after.logprobs_S is not None
    others = before.owners_S != 2
    assert torch.equal(before.logprobs_S[others], after.logprobs_S[others])
    assert not torch.equal(before.logprobs_S[~others], after.logprobs_S[~others])
