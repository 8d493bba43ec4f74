"""Numbers in 8 bits, block by block: each block of 256 has a scale of its own (Dettmers et al., 2022)."""

from functools import cache

import torch
from torch import Tensor

BLOCK = 256
DECADES = 7


def blocks(numbers: int) -> int:
    """How many scales so many numbers have."""
    return -(-numbers // BLOCK)


def quantised(values: Tensor, signed: bool) -> tuple[Tensor, Tensor]:
    """float32 of any shape → uint8 codes of that shape, and the largest size in each block, [blocks], float32.

    Codes are of the nearest level; without a sign (values of 0 and more), only 0 itself becomes 0, however small
    the rest: a second moment stands below a division.
    """
    flat = torch.nn.functional.pad(values.reshape(-1), (0, -values.numel() % BLOCK)).view(-1, BLOCK)
    scales = flat.abs().amax(1)
    shares = flat / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    codes = torch.bucketize(shares, _borders(signed, values.device)).to(torch.uint8)
    return codes.view(-1)[: values.numel()].view(values.shape), scales


def restored(codes: Tensor, scales: Tensor, signed: bool) -> Tensor:
    """What `quantised` made codes and scales of, to the nearest level: float32, of the codes' shape."""
    shares = levels(signed, codes.device)[codes.int()]
    return shares.view(-1).mul_(scales.repeat_interleave(BLOCK)[: codes.numel()]).view(codes.shape)


@cache
def levels(signed: bool, device: torch.device) -> Tensor:
    """[256] ascending in [-1, 1] or [0, 1]: the dynamic tree, whose leading zeros are decades and the rest a fraction.

    Decade k of 7 has 2^k fractions of each sign, evenly spread in [0.1, 1] · 10^(k - 6), twice as many without a sign.
    """
    found = [0.0, 1.0]
    for decade in range(DECADES):
        count = 2 ** (decade + (not signed))
        sizes = [(0.1 + 0.9 * (place + 0.5) / count) * 10.0 ** (decade - DECADES + 1) for place in range(count)]
        found += sizes + [-each for each in sizes if signed]
    return torch.tensor(sorted(found), device=device)


@cache
def _borders(signed: bool, device: torch.device) -> Tensor:
    """[255] between neighbouring levels; the level below a border takes the border itself."""
    known = levels(signed, device)
    between = (known[1:] + known[:-1]) / 2
    return between if signed else torch.cat([known[:1], between[1:]])
