"""Attention of one new token over cached keys: by the machine's kernel and by torch, each as the definition has it."""

import pytest
import torch

from affina.engine.torch import decode, native
from affina.engine.torch.attention import How
from affina.engine.torch.cache import Decoding, Run, Slots, Tail

HEADS, GROUPS, WIDTH = 6, 2, 32
CLOSE = {torch.float32: 1e-6, torch.bfloat16: 2**-7}  # of the largest value; bf16 keeps 8 bits
HOWS = [How(0.2, None, None), How(0.5, 1.5, None), How(0.2, None, 1), How(0.2, 1.5, 9), How(0.2, None, 40)]


class Drawn:
    """Four sequences: one below two shared runs, two below the first alone, one of no more than its new token."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype, self.source = dtype, torch.Generator().manual_seed(3)
        self.root, self.branch = Run(0, [0] * 17), Run(17, [0] * 5)
        for run in (self.root, self.branch):
            run.layers.append((self.some(GROUPS, len(run.tokens), WIDTH), self.some(GROUPS, len(run.tokens), WIDTH)))
        runs = [(self.root, self.branch), (self.root,), (self.root,), ()]
        starts, sizes = (22, 17, 17, 0), (3, 33, 0, 0)
        self.tails = [Tail(*each) for each in zip(runs, starts, sizes, strict=True)]
        self.stored = self.some(2, 4, GROUPS, 64, WIDTH)
        self.query, self.key, self.value = (self.some(1, heads, 4, WIDTH) for heads in (HEADS, GROUPS, GROUPS))

    def some(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.source).to(self.dtype)

    def attended(self, how: How, kernels: bool) -> torch.Tensor:
        slots = Slots(4, self.dtype, kernels)
        slots.reserve(64)
        slots.layers.append((self.stored[0].clone(), self.stored[1].clone()))
        step = Decoding(slots, self.tails, torch.device("cpu"))
        return step.attend(self.query, self.key, self.value, how)[0]

    def defined(self, how: How) -> torch.Tensor:
        """[B, H, D] in float64, sequence by sequence, all keys it sees laid end to end."""
        out = []
        for b, tail in enumerate(self.tails):
            own = [torch.cat([self.stored[0][b, :, : tail.size], self.key[0, :, b, None]], 1),
                   torch.cat([self.stored[1][b, :, : tail.size], self.value[0, :, b, None]], 1)]  # fmt: skip
            keys, values = (torch.cat([*(run.layers[0][n] for run in tail.runs), own[n]], 1) for n in (0, 1))
            query = self.query[0, :, b].double().view(GROUPS, -1, WIDTH)
            scores = query @ keys.double().mT * how.scale
            scores = scores if how.softcap is None else how.softcap * torch.tanh(scores / how.softcap)
            scores = scores[..., -(how.window or scores.shape[-1]) :]
            mixed = scores.softmax(-1) @ values.double()[:, -scores.shape[-1] :]
            out.append(mixed.view(HEADS, WIDTH))
        return torch.stack(out)


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("how", HOWS, ids=str)
def test_a_new_token_attends_as_the_definition_says(how: How, dtype: torch.dtype, kernels: bool) -> None:
    if kernels and native.library() is None:
        pytest.skip(native.reason())
    drawn = Drawn(dtype)
    assert not kernels or decode.takes(drawn.query, drawn.key, drawn.value, dtype)
    found, expected = drawn.attended(how, kernels), drawn.defined(how)
    assert found.dtype == dtype and found.shape == (4, HEADS, WIDTH)
    assert (found.double() - expected).abs().max() <= CLOSE[dtype] * expected.abs().max()


def test_values_of_another_width_are_not_the_kernels() -> None:
    query, key, wider = torch.zeros(1, 4, 2, 16), torch.zeros(1, 2, 2, 16), torch.zeros(1, 2, 2, 32)
    assert not decode.takes(query, key, wider, torch.float32)
    assert decode.takes(query, key, key, torch.float32) is (native.library() is not None)
