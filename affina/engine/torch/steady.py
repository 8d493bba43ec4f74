"""Float32 matrix products whose rows have the same bits in any company: how many rows there are changes none of them.

A model thirty layers deep turns a last bit that differs in its first into a gradient that is 10⁻⁴ off; where every
row is rounded as it is alone, packed and padded batches train alike (docs/why.md).
"""

import torch
from torch import Tensor, nn

TOGETHER = FEW = 16
"""A multiple of the rows that the library's product computes at once. Of fewer than `FEW` rows a thread, what is left
over at the end goes another way, which rounds otherwise: seen with MKL, which computes four at once on the processor it
was seen on, for 1 to 16 threads."""


def product(x: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
    """x [T, K] · weight [K, N] → [T, N], `out` where it is given."""
    rows = _filled(x, weight.shape[1])
    if rows is x:
        return torch.mm(x, weight, out=out)
    made = (rows @ weight)[: len(x)]
    return made if out is None else out.copy_(made)


class Linear(nn.Linear):
    """The library's; rows are alike of x [T, K]."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 2:
            return super().forward(input)
        return super().forward(_filled(input, self.out_features))[: len(input)]


def _filled(x: Tensor, outputs: int) -> Tensor:
    """x [T, K], with as many rows of zeros as a product with so many outputs needs to round alike."""
    missing = -len(x) % TOGETHER
    many = outputs > 1 and len(x) >= FEW * torch.get_num_threads()  # with one it is a vector's, of any number of rows
    alike = x.dtype != torch.float32 or x.device.type != "cpu" or many
    return x if alike or not missing else nn.functional.pad(x, (0, 0, 0, missing))
