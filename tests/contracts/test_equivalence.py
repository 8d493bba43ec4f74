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
from laws import LABELS, NOTHING, WIDE, apart, engine, numbers, plain_gradients, taught

from affina.core.compute import Computing
from affina.core.kinds import Objective, Row, objectives
from affina.data.layout import layout
from affina.engine.torch import head
from affina.engine.torch.step import TorchEngine

Folder = Callable[[str], Path]

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "mistral", "gpt2", "bert", "t5")
BOUNDS = {"float32": 1e-5, "float64": 1e-10}  # of a tensor's largest gradient
WAYS_BF16, EXACT_BF16, SOURCED_BF16 = 0.02, 0.06, 0.15
"""Of the gradient's norm, in bf16: between two ways, and from float32; measured over these cases: ≤ 0.005, ≤ 0.023,
with an encoder before the decoder ≤ 0.076."""
SWITCHES: dict[str, tuple[Computing, Computing]] = {
    "packed = padded": (Computing("float32"), Computing("float32", packing=False)),
    "head at targets = everywhere": (Computing("float32"), Computing("float32", head="everywhere")),
    "kernels on = off": (Computing("float32", kernels=True), Computing("float32", kernels=False)),
    "checkpointed = not": (Computing("float32", checkpoint=True), Computing("float32")),
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

    @property
    def unseen(self) -> str:
        """Whose gradient is 0 in theory: a choice among places does not see what is added to them all."""
        return f"{NOTHING}|layer.1.output.LayerNorm.bias$" if self.objective == "span" else NOTHING

    def built(self, family: Folder, computing: Computing | None = None) -> tuple[Objective, TorchEngine]:
        part = objectives.build(self.objective)
        return part, engine(family(self.family), part, self.tuning, computing)


def families_of(part: Objective) -> tuple[str, ...]:
    """Every family for the two objectives that most are trained by; for others one of each kind."""
    if part.name == "classify":
        return FAMILIES
    if part.head != "words":
        return ("llama", "bert")
    decoders = tuple(name for name in FAMILIES if name not in (*ENCODERS, *PADDED_ENCODERS))
    others = {"past": decoders, "both": ("bert+words",), "order": ("xlnet+words",), "source": ("t5", "bart")}
    return others[part.reads]


def cases() -> list[Case]:
    parts = [objectives.build(name) for name in objectives.names()]
    return [
        Case(family, part.name, tuning) for part in parts for family in families_of(part) for tuning in ("full", "lora")
    ]


CASES = cases()
SHARING = [case for case in CASES if case.family in FAMILIES and case.family not in ("bert", "t5")]
PLAIN = [case for case in CASES if objectives.build(case.objective).reads == "past"]
"""Those whose plain way is written out in `laws`; others are held to the library's whole models (`test_reading`)."""
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def precise(chosen: Sequence[Case]) -> pytest.MarkDecorator:
    """Every case in every precision; but XLNet, whose positions the library computes in float32 whatever is asked."""
    pairs = [
        (case, each) for case in chosen for each in BOUNDS if each == "float32" or case.objective != "permutation_lm"
    ]
    return pytest.mark.parametrize(("case", "precision"), pairs, ids=str)


def rows_of(seed: int = 0) -> list[Row]:
    """Eight rows of the kinds a batch can hold, with labels; weights differ, so that a mean of means shows."""
    rows = random_rows(300, seed)
    return [replace(each, label=n % LABELS, weights=each.weights * (1 + n % 3)) for n, each in enumerate(rows)]


def given_to(part: Objective) -> list[Row]:
    """The rows with what the objective learns from."""
    return taught(rows_of(), part)


def split(rows: Sequence[Row], size: int, part: Objective) -> list[list[Row]]:
    """Rows in micro-batches; those that are tied, or that an objective couples, stay together."""
    size = len(rows) if part.couples else max(size, 2) if part.head == "margin" else size
    return [[*rows[start : start + size]] for start in range(0, len(rows), size)]


@precise(PLAIN)
def test_packed_rows_have_the_gradient_of_padded_rows_under_the_librarys_attention(
    case: Case, precision: str, family: Folder
) -> None:
    part, made = case.built(family)
    rows = given_to(part)
    with made.exactly(precision):
        found = made.gradients([made.layout(rows)], part)
        expected = plain_gradients(made, family(case.family), rows, part, precision)
    worst, name = apart(found, expected, case.unseen)
    assert worst <= BOUNDS[precision], name


@precise(SHARING)
def test_shared_prefixes_leave_the_gradient_unchanged(case: Case, precision: str, family: Folder) -> None:
    part, made = case.built(family)
    rows = given_to(part)
    assert len(made.layout(rows).tokens_T) < made.layout(rows).tokens == len(layout(rows, share=False).tokens_T)
    with made.exactly(precision):
        shared, alone = (made.gradients([layout(rows, share=share)], part) for share in (True, False))
    worst, name = apart(shared, alone, case.unseen)
    assert worst <= BOUNDS[precision], name


@precise([case for case in CASES if objectives.build(case.objective).head == "words"])
def test_a_head_in_tiles_has_the_gradient_of_the_whole_head(
    case: Case, precision: str, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, made = case.built(family)
    rows = given_to(part)
    with made.exactly(precision):
        monkeypatch.setitem(head.TILE_BYTES, "cpu", 999)  # of 25 positions and 320 words: dozens of tiles
        monkeypatch.setitem(head.ROWS, "cpu", 7)
        tiled = made.gradients([made.layout(rows)], part)
    _, other = case.built(family, Computing("float32", head="everywhere"))
    with other.exactly(precision):
        untiled = other.gradients([other.layout(rows)], part)
    worst, name = apart(tiled, untiled)
    assert worst <= BOUNDS[precision], name


@precise(CASES)
def test_a_step_of_eight_is_two_of_four_and_eight_of_one(case: Case, precision: str, family: Folder) -> None:
    part, made = case.built(family)
    rows = given_to(part)
    with made.exactly(precision):
        together, *others = (
            made.gradients([made.layout(each) for each in split(rows, size, part)], part) for size in (8, 4, 1)
        )
    for other in others:
        worst, name = apart(other, together, case.unseen)
        assert worst <= BOUNDS[precision], name


@pytest.mark.parametrize("switch", SWITCHES)
@precise(CASES)
def test_a_switch_changes_nothing(case: Case, precision: str, switch: str, family: Folder) -> None:
    found = []
    for computing in SWITCHES[switch]:
        part, made = case.built(family, computing)
        rows = given_to(part)
        if made.network.config._attn_implementation == "eager":  # Gemma 2, padded: its softmax would be float32
            made.network.model.set_attn_implementation(WIDE)
        with made.exactly(precision):
            found.append(made.gradients([made.layout(rows[:4]), made.layout(rows[4:])], part))
    worst, name = apart(*found, case.unseen)
    assert worst <= BOUNDS[precision], name


@each_case
def test_in_bf16_the_ways_differ_by_rounding_alone(case: Case, family: Folder) -> None:
    part, made = case.built(family, Computing("bf16"))
    rows = given_to(part)
    ways = [
        made.gradients([made.layout(rows)], part),
        made.gradients([made.layout(rows, share=False)], part),
        made.gradients([made.layout(each) for each in split(rows, 1, part)], part),
    ]
    with made.exactly():
        ways.append(made.gradients([made.layout(rows)], part))
    first, *others = (torch.cat([way[name].flatten() for name in sorted(way)]) for way in ways)
    exact = SOURCED_BF16 if part.reads == "source" else EXACT_BF16
    for other, bound in zip(others, (WAYS_BF16, WAYS_BF16, exact), strict=True):
        assert float((first - other).norm() / first.norm()) <= bound


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@each_case
def test_other_tokens_in_a_neighbour_change_no_bit(case: Case, precision: str, family: Folder) -> None:
    part, made = case.built(family, Computing(precision))
    rows = given_to(part)
    changed = [replace(each, tokens=each.tokens.copy()) for each in rows]
    changed[0].tokens[-2:] = (changed[0].tokens[-2:] + 1) % 300
    with torch.no_grad():
        before, after = (made.forward(made.layout(given)) for given in (rows, changed))
    assert all(torch.equal(numbers(before, r), numbers(after, r)) for r in range(1, len(rows)))
    assert not torch.equal(numbers(before, 0), numbers(after, 0))
