"""Log-probabilities of given targets, tile by tile: nobody ever holds [positions x vocabulary]."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.autograd.function import once_differentiable

from affina.engine.torch import head_kernel
from affina.engine.torch.steady import product

ROWS, MOST_ROWS = {"cpu": 512}, 4096  # positions in a tile, at most; the second elsewhere
TILE_BYTES = {"cpu": 16 << 20}  # of a tile's logits, in every form they take: what a processor's cache holds (measured)
MOST_BYTES = 512 << 20  # the same elsewhere, where launching many small products costs more than they do


@dataclass(frozen=True, slots=True)
class WordHead:
    """The output embedding and what a family does to its logits: times `scale`, then softcap·tanh(·/softcap).

    Products are computed in `dtype`; the soft maximum and the sums in float32 (float64 where `dtype` is).
    """

    weight_VD: torch.Tensor
    dtype: torch.dtype
    scale: float = 1.0
    softcap: float | None = None
    bias_V: torch.Tensor | None = None

    def logprobs(self, hidden_SD: torch.Tensor, targets_S: torch.Tensor) -> torch.Tensor:
        """[S] log-probabilities, differentiable in the hidden states and in a trainable weight."""
        head, hidden_SD = self.unbiased(hidden_SD)
        shape = (head.dtype, head.scale, head.softcap, torch.is_grad_enabled())
        result: torch.Tensor = _Logprobs.apply(hidden_SD, head.weight_VD, targets_S, *shape)  # type: ignore[no-untyped-call]
        return result

    def everywhere(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        """[T, V] log-probabilities of all words at all positions, held whole: what `logprobs` is there to avoid."""
        wide = torch.promote_types(self.dtype, torch.float32)
        logits_TV = (hidden_TD.to(self.dtype) @ self.weight_VD.to(self.dtype).T).to(wide)
        logits_TV = (logits_TV if self.bias_V is None else logits_TV + self.bias_V.to(wide)) * self.scale
        if self.softcap is not None:
            logits_TV = torch.tanh(logits_TV / self.softcap) * self.softcap
        return logits_TV.log_softmax(-1)

    def unbiased(self, hidden_SD: torch.Tensor) -> tuple["WordHead", torch.Tensor]:
        """A head without a bias and states that give the same logits: the bias weighs one more number, always 1.

        A zero beside it keeps the width even, as the kernel needs it.
        """
        if self.bias_V is None:
            return self, hidden_SD
        bias_V1 = self.bias_V[:, None].to(self.weight_VD.dtype)
        weight_VD = torch.cat([self.weight_VD, bias_V1, torch.zeros_like(bias_V1)], 1)
        more_SD = torch.cat([hidden_SD, torch.ones_like(hidden_SD[:, :1]).expand(-1, 2)], 1)
        return WordHead(weight_VD, self.dtype, self.scale, self.softcap), more_SD


Shape: TypeAlias = tuple[torch.dtype, float, float | None, bool]
"""Of the products their dtype, scale and softcap, and whether a gradient may be asked for."""


class _Tiles:
    """The logits of S positions over V words, a tile of rows and words at a time, in two buffers used again."""

    def __init__(self, hidden_SD: torch.Tensor, weight_VD: torch.Tensor, targets_S: torch.Tensor, shape: Shape) -> None:
        self.dtype, self.scale, self.softcap, _ = shape
        self.wide = torch.promote_types(self.dtype, torch.float32)
        # of what is summed from tile to tile: how many tiles there are is not to be seen
        self.widest = torch.float64 if hidden_SD.device.type == "cpu" else self.wide
        self.hidden_SD, self.weight_VD, self.targets_S = hidden_SD.to(self.dtype), weight_VD, targets_S
        taken = head_kernel.takes(self.hidden_SD, weight_VD)
        self.native = head_kernel.Head(weight_VD, self.scale, self.softcap) if taken else None
        (size, width), (words, _), place = hidden_SD.shape, weight_VD.shape, hidden_SD.device
        cell = self.wide.itemsize * (1 if self.softcap is None else 2)
        cell += self.dtype.itemsize if self.dtype != self.wide else 0
        bound = TILE_BYTES.get(place.type, MOST_BYTES)
        most = max(1, min(ROWS.get(place.type, MOST_ROWS), bound // cell))
        self.rows = max(1, min(size, most))
        # on the processor sums are cut alike however many positions there are
        wide = bound // (cell * (most if place.type == "cpu" else self.rows))
        self.words = max(1, min(words, wide, bound // (width * self.dtype.itemsize)))
        area = self.rows * self.words
        self._wide = torch.empty(area, dtype=self.wide, device=place)
        self._raw = self._wide if self.dtype == self.wide else torch.empty(area, dtype=self.dtype, device=place)

    def slices(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Which words, and their part of the weight in the dtype of the products."""
        for start in range(0, len(self.weight_VD), self.words):
            part = slice(start, start + self.words)
            yield part, self.weight_VD[part].to(self.dtype)

    def blocks(self) -> Iterator[slice]:
        """Which positions."""
        for start in range(0, len(self.targets_S), self.rows):
            yield slice(start, start + self.rows)

    def logits(self, rows: slice, weight_WD: torch.Tensor) -> torch.Tensor:
        """[B, W] in the wide dtype, in a buffer that the next call overwrites."""
        hidden_BD = self.hidden_SD[rows]
        shape = (len(hidden_BD), len(weight_WD))
        raw, wide = (each[: shape[0] * shape[1]].view(shape) for each in (self._raw, self._wide))
        product(hidden_BD, weight_WD.T, raw)
        if raw is not wide:
            wide.copy_(raw)
        if self.scale != 1:
            wide.mul_(self.scale)
        return wide if self.softcap is None else wide.div_(self.softcap).tanh_().mul_(self.softcap)

    def targets(self, rows: slice, words: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, 1] each: the target's place in this tile, and whether it has one."""
        local = self.targets_S[rows, None] - words.start
        size = min(self.words, len(self.weight_VD) - words.start)
        return local.clamp(0, size - 1), (local >= 0) & (local < size)

    def bend(self, logits: torch.Tensor) -> torch.Tensor | None:
        """d logit / d (scale · product); None where it is 1."""
        return None if self.softcap is None else (logits / self.softcap).square_().neg_().add_(1)

    def pull(self, odds_S1: torch.Tensor, target_S1: torch.Tensor) -> torch.Tensor:
        """[S, 1] d logprob / d (scale · product) of the target's own product: (1 - p) · bend."""
        bend = self.bend(target_S1)
        return odds_S1.sigmoid() if bend is None else odds_S1.sigmoid() * bend

    def others(self, rows: slice, words: slice, weight_WD: torch.Tensor, logsumexp_B1: torch.Tensor) -> torch.Tensor:
        """[B, W] p · bend of every word but the target, in the dtype of the products, in a buffer used again."""
        logits = self.logits(rows, weight_WD)
        place, inside = self.targets(rows, words)
        bend = self.bend(logits)
        chances = logits.sub_(logsumexp_B1).exp_()
        chances.scatter_(1, place, torch.where(inside, 0, chances.gather(1, place)))
        return self.rounded(chances if bend is None else chances.mul_(bend))

    def rounded(self, wide: torch.Tensor) -> torch.Tensor:
        """The tile in the dtype of the products; where that is a narrower one, in the other buffer."""
        return wide if self.dtype == self.wide else self._raw[: wide.numel()].view(wide.shape).copy_(wide)


@dataclass(slots=True)
class _Sums:
    """Of each position: its largest logit so far, its target's, Σ exp(logit - largest) over all other words,
    and, where the slope is wanted, Σ exp(logit - largest) · bend · weight over them."""

    largest_S1: torch.Tensor
    target_S1: torch.Tensor
    rest_S1: torch.Tensor
    mixed_SD: torch.Tensor | None
    kept: head_kernel.Kept | None = None
    """With `keep`, what the gradient of the weight need not compute again."""

    @classmethod
    def over(cls, tiles: _Tiles, slope: bool, keep: bool) -> "_Sums":
        hidden_SD = tiles.hidden_SD
        wide = tiles.wide if tiles.native is not None else tiles.widest
        mixed = torch.zeros(hidden_SD.shape, dtype=wide, device=hidden_SD.device) if slope else None
        if tiles.native is not None:
            made, kept = tiles.native.sums(hidden_SD, tiles.targets_S, mixed, keep)
            largest_S1, target_S1, rest_S1 = (each[:, None] for each in made)
            return cls(largest_S1, target_S1, rest_S1, mixed, kept)
        empty = hidden_SD.new_full((len(hidden_SD), 1), float("-inf"), dtype=tiles.wide)
        sums = cls(empty, empty.clone(), torch.zeros_like(empty, dtype=wide), mixed)
        for words, weight_WD in tiles.slices():
            for rows in tiles.blocks():
                sums.add(tiles, rows, words, weight_WD)
        return sums

    def add(self, tiles: _Tiles, rows: slice, words: slice, weight_WD: torch.Tensor) -> None:
        logits = tiles.logits(rows, weight_WD)
        place, inside = tiles.targets(rows, words)
        self.target_S1[rows] = torch.where(inside, logits.gather(1, place), self.target_S1[rows])
        largest = torch.maximum(self.largest_S1[rows], logits.amax(1, keepdim=True))
        shrink = (self.largest_S1[rows] - largest).exp_()
        self.largest_S1[rows] = largest
        bend = tiles.bend(logits) if self.mixed_SD is not None else None
        others = logits.sub_(largest).exp_()
        others.scatter_(1, place, torch.where(inside, 0, others.gather(1, place)))
        self.rest_S1[rows] = self.rest_S1[rows] * shrink + others.sum(1, keepdim=True)
        if self.mixed_SD is not None:
            mixed = product(tiles.rounded(others if bend is None else others.mul_(bend)), weight_WD)
            self.mixed_SD[rows] = (self.mixed_SD[rows] * shrink).add_(mixed)

    @property
    def odds_S1(self) -> torch.Tensor:
        """log of (everything else : the target): log p = -log(1 + exp(odds)), exact where p is near 1."""
        return self.largest_S1 + self.rest_S1.log().to(self.largest_S1.dtype) - self.target_S1


class _Logprobs(torch.autograd.Function):
    """Keeps d logprob / d hidden from the forward pass; for a trainable weight the logits are computed again, unless
    what the kernel kept says all that the backward pass needs."""

    @staticmethod
    def forward(
        ctx: Any, hidden_SD: torch.Tensor, weight_VD: torch.Tensor, targets_S: torch.Tensor, *shape: Any
    ) -> torch.Tensor:
        learns, trains = (each and shape[-1] for each in ctx.needs_input_grad[:2])
        tiles = _Tiles(hidden_SD, weight_VD, targets_S, shape)
        sums = _Sums.over(tiles, slope=learns, keep=trains)
        odds_S1, target_S1 = sums.odds_S1, sums.target_S1
        logprobs_S1 = torch.nn.functional.logsigmoid(-odds_S1)
        ctx.shape, slope_SD = shape, None
        if sums.mixed_SD is not None:
            share_S1 = torch.exp(sums.largest_S1 - target_S1 + logprobs_S1)
            slope_SD = tiles.pull(odds_S1, target_S1) * weight_VD[targets_S] - sums.mixed_SD.mul_(share_S1)
            slope_SD = slope_SD.mul_(tiles.scale).to(hidden_SD.dtype)
        trained = (hidden_SD, weight_VD, targets_S, odds_S1, target_S1, *(sums.kept or (None, None)))
        ctx.save_for_backward(slope_SD, *(trained if trains else ()))
        return logprobs_S1[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_S: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slope_SD, *trained = ctx.saved_tensors
        grad_hidden = None if slope_SD is None else slope_SD * grad_S[:, None].to(slope_SD.dtype)
        grad_weight = _weight_gradient(ctx.shape, grad_S, trained) if trained else None
        return grad_hidden, grad_weight, None, None, None, None, None


def _weight_gradient(shape: Shape, grad_S: torch.Tensor, saved: Sequence[Any]) -> torch.Tensor:
    """[V, D] in the wide dtype, from what the forward pass saved of a weight that learns."""
    hidden_SD, weight_VD, targets_S, odds_S1, target_S1, chances, marks = saved
    tiles = _Tiles(hidden_SD, weight_VD, targets_S, shape)
    scaled_S1 = grad_S[:, None] * tiles.scale
    pushed_SD = (hidden_SD * scaled_S1).to(tiles.dtype)
    logsumexp_S1 = target_S1 - torch.nn.functional.logsigmoid(-odds_S1)
    if tiles.native is not None:
        kept = None if chances is None or marks is None else (chances, marks)
        made = tiles.native.weight_gradient(tiles.hidden_SD, targets_S, logsumexp_S1, pushed_SD, kept)
    else:
        made = torch.zeros_like(weight_VD, dtype=tiles.wide)
        for words, weight_WD in tiles.slices():
            for rows in tiles.blocks():
                made[words] -= tiles.others(rows, words, weight_WD, logsumexp_S1[rows]).T @ pushed_SD[rows]
    pull_S1 = tiles.pull(odds_S1, target_S1) * scaled_S1
    return made.index_add_(0, targets_S, (hidden_SD * pull_S1).to(made.dtype))
