"""Rows padded and computed together: every row once, bounded, in its place, and only where padding changes nothing."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from families import random_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.compute import Computing
from affina.core.kinds import Segment
from affina.data.layout import layout
from affina.engine.torch import padded
from affina.engine.torch.load import load

CPU = torch.device("cpu")


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 5000), max_size=40))
def test_groups_hold_every_row_once_within_the_bound_and_little_padding(lengths: list[int]) -> None:
    groups = list(padded.groups(lengths))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        sizes = [lengths[place] for place in group]
        assert len(group) == 1 or len(group) * max(sizes) <= padded.TOKENS
        assert min(sizes) >= padded.ALIKE * max(sizes)


def test_rows_of_one_length_are_one_group_up_to_the_bound() -> None:
    assert [len(group) for group in padded.groups([1024] * 9)] == [4, 4, 1]


def embedded(tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, group: Sequence[int]) -> torch.Tensor:
    """An honest model: each token's state is its own."""
    return torch.stack([tokens_BL.float(), tokens_BL.float() ** 2], -1)


def averaging(tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, group: Sequence[int]) -> torch.Tensor:
    """Each row's mean is taken over its padding too, whatever stands there."""
    states = embedded(tokens_BL, mask_BL, group)
    kept = states if mask_BL is None else states * mask_BL[..., None]
    return states + kept.mean(1, keepdim=True)


def leaking(tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, group: Sequence[int]) -> torch.Tensor:
    """A trace of the last column, too small to be told from rounding by its size."""
    states = embedded(tokens_BL, mask_BL, group)
    return states if mask_BL is None else states + 1e-5 * (states[:, -1:] - embedded(torch.zeros(1, 1), None, group))


def masked_mean(tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, group: Sequence[int]) -> torch.Tensor:
    """Each row's mean over its own tokens: an honest encoder."""
    states, mask = embedded(tokens_BL, mask_BL, group), torch.ones_like(tokens_BL) if mask_BL is None else mask_BL
    return states + (states * mask[..., None]).sum(1, keepdim=True) / mask.sum(1)[:, None, None]


@pytest.mark.parametrize(
    ("run", "honest"), [(embedded, True), (masked_mean, True), (averaging, False), (leaking, False)]
)
def test_padding_that_changes_something_is_seen(run: padded.Run, honest: bool) -> None:
    assert padded.changes_nothing(run, 0, CPU, torch.float32) == honest


@pytest.mark.parametrize("together", [True, False])
def test_states_stand_where_their_tokens_stand(together: bool) -> None:
    edges = np.cumsum([0, 3, 1, 9, 8, 3]).tolist()
    segments = [Segment(start, stop, -1) for start, stop in pairwise(edges)]
    tokens_T, calls = torch.arange(24), list[int]()

    def counted(tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, group: Sequence[int]) -> torch.Tensor:
        calls.append(len(tokens_BL))
        return masked_mean(tokens_BL, mask_BL, group)

    found = padded.hidden(counted, tokens_T, segments, 0, together)
    expected = torch.cat([masked_mean(tokens_T[s.start : s.stop][None], None, [0])[0] for s in segments])
    assert torch.allclose(found, expected) and calls == ([2, 2, 1] if together else [1] * 5)


def test_a_base_that_padding_changes_goes_row_by_row_and_says_so(
    family: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = layout(random_rows(300), share=False)
    together = load(family("bloom"), Computing("float32"))
    monkeypatch.setattr(padded, "changes_nothing", lambda *_: False)
    alone = load(family("bloom"), Computing("float32"))
    sizes: list[tuple[int, ...]] = []
    alone.body.register_forward_pre_hook(
        lambda _, __, given: sizes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    with torch.no_grad():
        assert torch.allclose(alone.hidden(batch), together.hidden(batch), atol=1e-5)
    assert sizes == [(1, each.stop - each.start) for each in batch.segments]
    assert together.together and "padded" in together.notes[0] and "bloom" in together.notes[0]
    assert not alone.together and "one at a time" in alone.notes[0]
    assert not any("pack" in note for note in load(family("llama"), Computing("float32")).notes)
