"""What adapters leave out of their input: as often as asked, the same by seed and place, kernel and numpy alike."""

import numpy as np
import pytest
import torch

from affina.engine.torch import dropped, native
from affina.engine.torch.dropped import Dropped, drawn, threshold


@pytest.mark.parametrize(("rows", "columns"), [(1, 16), (3, 32), (7, 48), (5, 576)])
def test_the_kernel_draws_what_numpy_draws(rows: int, columns: int) -> None:
    if native.library() is None:
        pytest.skip(native.reason())
    for seed in (0, 1, 2**63 - 2):
        for share in (0.0, 0.05, 0.5, 0.99999):
            made = Dropped.of(seed, rows, columns, share)
            assert made.bits.numpy().tolist() == drawn(seed, rows, made.bits.shape[1], threshold(share)).tolist()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_expectation_stays(share: float) -> None:
    made = Dropped.of(7, 1000, 512, share)
    kept = made.stays().double()
    assert abs(float(kept.mean()) - (1 - share)) < 5 * np.sqrt(share * (1 - share) / kept.numel()) + 2**-17
    for side in (0, 1):  # no row and no column is favoured
        means, count = kept.mean(side), kept.shape[side]
        assert float((means - (1 - share)).abs().max()) < 5.5 * np.sqrt(share * (1 - share) / count)
    neighbours = (kept[:, 1:] * kept[:, :-1]).mean(), (kept[1:] * kept[:-1]).mean()
    assert all(abs(float(each) - (1 - share) ** 2) < 0.01 for each in neighbours)
    assert float(made(torch.ones(1000, 512, dtype=torch.float64)).mean()) == pytest.approx(1.0, abs=5e-3 / (1 - share))


def test_other_seeds_drop_other_numbers() -> None:
    first, second = (Dropped.of(seed, 200, 512, 0.5).stays() for seed in (1, 2))
    assert float((first == second).double().mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_rest_is_scaled_in_the_inputs_own_dtype(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    made, x = Dropped.of(3, 9, 48, 0.25), torch.randn(9, 48).to(dtype)
    found = made(x)
    assert found.dtype == dtype
    right = torch.where(made.stays(), x.double() / 0.75, 0.0).to(dtype)
    assert torch.allclose(found, right, rtol=torch.finfo(dtype).eps, atol=0)
    assert torch.equal(found != 0, made.stays())
    monkeypatch.setattr(dropped, "_library", lambda: None)
    assert torch.equal(Dropped.of(3, 9, 48, 0.25)(x), found)


def test_no_rows_and_a_share_that_rounds_to_nothing() -> None:
    assert Dropped.of(1, 0, 32, 0.5)(torch.empty(0, 32)).shape == (0, 32)
    x = torch.randn(4, 32)
    assert torch.equal(Dropped.of(1, 4, 32, 1e-9)(x), x)
