"""Every way of computing a step gives the step of the plain way: rows alone, eager attention, whole logits, autograd.

Two engines of the same weights are compared tensor by tensor: max|Δ| ≤ bound · max|g|. Adding a switch is one row of
`SWITCHES`; a new objective or a new family is compared without being named here or by one word in `FAMILIES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from families import ENCODERS, PADDED_ENCODERS, random_rows
from laws import LABELS, apart, engine, plain_gradients

from affina.core.compute import Computing
from affina.core.kinds import Forward, Objective, Row, objectives
from affina.data.layout import layout
from affina.engine.torch import head
from affina.engine.torch.step import TorchEngine

Folder = Callable[[str], Path]

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "mistral", "gpt2", "bert", "t5")
BOUNDS = {"float32": 1e-5, "float64": 1e-10}  # of a tensor's largest gradient
WAYS_BF16, EXACT_BF16 = 0.02, 0.06
"""Of the gradient's norm, in bf16: between two ways, and from float32; measured over these cases: ≤ 0.005, ≤ 0.023."""
SWITCHES: dict[str, tuple[Computing, Computing]] = {
    "kernels on = off": (Computing("float32", kernels=True), Computing("float32", kernels=False)),
}
"""What a switch turns on, and the same without it."""


@dataclass(frozen=True)
class Case:
    """A family, an objective and a tuning: what can be trained together."""

    family: str
    objective: str
    tuning: str

    def __str__(self) -> str:
        return f"{self.family}-{self.objective}-{self.tuning}"

    def built(self, family: Folder, computing: Computing | None = None) -> tuple[Objective, TorchEngine]:
        part = objectives.build(self.objective)
        return part, engine(family(self.family), part, self.tuning, computing)


def cases() -> list[Case]:
    encoders = (*ENCODERS, *PADDED_ENCODERS)
    return [
        Case(family, objective, tuning)
        for family in FAMILIES
        for objective in objectives.names()
        for tuning in ("full", "lora")
        if objectives.build(objective).head == "labels" or family not in encoders
    ]


CASES = cases()
SHARING = [case for case in CASES if case.family not in ("bert", "t5")]
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_precision = pytest.mark.parametrize("precision", list(BOUNDS))


def rows_of(seed: int = 0) -> list[Row]:
    """Eight rows of the kinds a batch can hold, with labels; weights differ, so that a mean of means shows."""
    rows = random_rows(300, seed)
    return [replace(each, label=n % LABELS, weights=each.weights * (1 + n % 3)) for n, each in enumerate(rows)]


ROWS = rows_of()


def split(rows: Sequence[Row], size: int, part: Objective) -> list[list[Row]]:
    """Rows in micro-batches; those that an objective couples stay together."""
    size = len(rows) if part.couples else size
    return [[*rows[start : start + size]] for start in range(0, len(rows), size)]


def whole(hidden_SD: torch.Tensor, targets_S: torch.Tensor, given: head.WordHead) -> torch.Tensor:
    """All logits at once, and autograd."""
    wide = torch.promote_types(given.dtype, torch.float32)
    logits_SV = (hidden_SD.to(given.dtype) @ given.weight_VD.to(given.dtype).T).to(wide) * given.scale
    if given.softcap is not None:
        logits_SV = torch.tanh(logits_SV / given.softcap) * given.softcap
    return logits_SV.log_softmax(-1).gather(1, targets_S[:, None])[:, 0]


@each_precision
@each_case
def test_packed_rows_have_the_gradient_of_padded_rows_under_the_librarys_attention(
    case: Case, precision: str, family: Folder
) -> None:
    part, made = case.built(family)
    with made.exactly(precision):
        found = made.gradients([made.layout(ROWS)], part)
        expected = plain_gradients(made, family(case.family), ROWS, part, precision)
    worst, name = apart(found, expected)
    assert worst <= BOUNDS[precision], name


@each_precision
@pytest.mark.parametrize("case", SHARING, ids=str)
def test_shared_prefixes_leave_the_gradient_unchanged(case: Case, precision: str, family: Folder) -> None:
    part, made = case.built(family)
    assert len(made.layout(ROWS).tokens_T) < made.layout(ROWS).tokens == len(layout(ROWS, share=False).tokens_T)
    with made.exactly(precision):
        shared, alone = (made.gradients([layout(ROWS, share=share)], part) for share in (True, False))
    worst, name = apart(shared, alone)
    assert worst <= BOUNDS[precision], name


@each_precision
@pytest.mark.parametrize("case", [c for c in CASES if objectives.build(c.objective).head == "words"], ids=str)
def test_a_head_in_tiles_has_the_gradient_of_the_whole_head(
    case: Case, precision: str, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, made = case.built(family)
    with made.exactly(precision):
        monkeypatch.setitem(head.TILE_BYTES, "cpu", 999)  # of 25 positions and 320 words: dozens of tiles
        monkeypatch.setattr(head, "ROWS", 7)
        tiled = made.gradients([made.layout(ROWS)], part)
        monkeypatch.setattr(head.WordHead, "logprobs", lambda self, hidden, targets: whole(hidden, targets, self))
        untiled = made.gradients([made.layout(ROWS)], part)
    worst, name = apart(tiled, untiled)
    assert worst <= BOUNDS[precision], name


@each_precision
@each_case
def test_a_step_of_eight_is_two_of_four_and_eight_of_one(case: Case, precision: str, family: Folder) -> None:
    part, made = case.built(family)
    with made.exactly(precision):
        together, *others = (
            made.gradients([made.layout(each) for each in split(ROWS, size, part)], part) for size in (8, 4, 1)
        )
    for other in others:
        worst, name = apart(other, together)
        assert worst <= BOUNDS[precision], name


@pytest.mark.parametrize("switch", SWITCHES)
@each_precision
@each_case
def test_a_switch_changes_nothing(case: Case, precision: str, switch: str, family: Folder) -> None:
    found = []
    for computing in SWITCHES[switch]:
        part, made = case.built(family, computing)
        with made.exactly(precision):
            found.append(made.gradients([made.layout(ROWS[:4]), made.layout(ROWS[4:])], part))
    worst, name = apart(*found)
    assert worst <= BOUNDS[precision], name


@each_case
def test_in_bf16_the_ways_differ_by_rounding_alone(case: Case, family: Folder) -> None:
    part, made = case.built(family, Computing("bf16"))
    ways = [
        made.gradients([made.layout(ROWS)], part),
        made.gradients([made.layout(ROWS, share=False)], part),
        made.gradients([made.layout([each]) for each in ROWS], part),
    ]
    with made.exactly():
        ways.append(made.gradients([made.layout(ROWS)], part))
    first, *others = (torch.cat([way[name].flatten() for name in sorted(way)]) for way in ways)
    for other, bound in zip(others, (WAYS_BF16, WAYS_BF16, EXACT_BF16), strict=True):
        assert float((first - other).norm() / first.norm()) <= bound


def numbers(forward: Forward, row: int) -> torch.Tensor:
    """What a row's loss is made of."""
    if forward.scores_RL is not None:
        return forward.scores_RL[row]
    assert forward.logprobs_S is not None
    return forward.logprobs_S[forward.owners_S == row]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@each_case
def test_other_tokens_in_a_neighbour_change_no_bit(case: Case, precision: str, family: Folder) -> None:
    _, made = case.built(family, Computing(precision))
    changed = [replace(each, tokens=each.tokens.copy()) for each in ROWS]
    changed[0].tokens[-2:] = (changed[0].tokens[-2:] + 1) % 300
    with torch.no_grad():
        before, after = (made.forward(made.layout(rows)) for rows in (ROWS, changed))
    assert all(torch.equal(numbers(before, r), numbers(after, r)) for r in range(1, len(ROWS)))
    assert not torch.equal(numbers(before, 0), numbers(after, 0))
