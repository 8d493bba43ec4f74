"""The law of noises: documented, of the shape asked for, a function of the random state, nothing beyond its rows."""

import math

import pytest
import torch

from affina.core.kinds import noises

NAMES = noises.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_noise_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = noises.build(name)
    assert part.name == name == noises.dump(part)
    changed = noises.build({"name": name, "alpha": 0.5})
    assert noises.build(noises.dump(changed)) == changed != part
    assert type(part).__doc__ and len(type(part).model_fields) <= 10
    assert all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(7,), (2, 5), (1, 1)])
def test_noise_has_a_vector_for_each_token_and_is_drawn_anew(name: str, shape: tuple[int, ...]) -> None:
    part, lengths = noises.build(name), torch.full(shape, 9)
    torch.manual_seed(0)
    first, second = part.added(lengths, 16), part.added(lengths, 16)
    torch.manual_seed(0)
    assert first.shape == (*shape, 16) and torch.equal(first, part.added(lengths, 16))
    assert not torch.equal(first, second)


def test_neftune_is_even_within_alpha_over_the_root_of_length_times_width() -> None:
    """Uniform on [-b, b] has standard deviation b / √3; b = 15 / √(L·64) for rows of 4 and of 100 tokens."""
    torch.manual_seed(0)
    lengths = torch.tensor([4] * 3000 + [100] * 3000)
    found = noises.build({"name": "neftune", "alpha": 15.0}).added(lengths, 64)
    for part, length in ((found[:3000], 4), (found[3000:], 100)):
        bound = 15 / math.sqrt(length * 64)
        assert float(part.abs().max()) <= bound and float(part.abs().max()) > 0.999 * bound
        assert float(part.std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)
        assert abs(float(part.mean())) < 0.01 * bound
