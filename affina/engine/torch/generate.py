"""Generation with continuous batching: one new token per sequence in a flat batch, shared prompts read once."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from affina.core.errors import Refused
from affina.core.kinds import Row, Sampling
from affina.data.layout import layout
from affina.engine.torch.attention import How
from affina.engine.torch.cache import Decoding, Reading, Run, Slots, Stretch, Tail, caching
from affina.engine.torch.lean import LeanBody
from affina.engine.torch.load import Network
from affina.engine.torch.machine import device
from affina.engine.torch.products import Products, product

SLOTS = 32  # sequences that decode at once (8, 16, 32: 298, 383, 447 tokens per processor second, 135M weights, bf16)
CACHE_BYTES = 1 << 30  # of tails: fewer sequences decode at once where they could grow beyond it
READ_TOKENS = 2048  # of prompts in one forward: bounds memory
APART = 1024  # tokens that a shared run must save to stay apart, with products of its own; else each tail has a copy
REPAID = 16  # steps after which copies of the weights pay: made in 0.1 to 0.3 processor seconds, a step gains 0.02
NUCLEUS = 1024  # words among which top_p is looked for first: sorting a whole vocabulary takes longer than a step
NEAR = 32  # of the likeliest tokens whose bf16 logits are computed again without rounding


@dataclass(slots=True, eq=False)
class _Sequence:
    """A prompt on its way: the shared runs above it, the tokens of its own that are not yet read, and its tail."""

    index: int
    runs: tuple[Run, ...]
    copied: tuple[Run, ...]
    tokens: list[int]
    start: int
    """The position of the tail's first token."""
    room: int
    """Tokens it may still generate."""
    chances: Iterator[float]
    """What each draw is decided by, uniform in [0, 1); nothing where the likeliest token is taken."""
    size: int = 0
    """Tokens of the tail whose keys are stored."""

    @property
    def most(self) -> int:
        """Tokens that the tail of a waiting sequence may come to."""
        return sum(len(run.tokens) for run in self.copied) + len(self.tokens) + self.room


class Decoder:
    """One call's generation. A sequence's tokens depend, but for rounding, on its prompt, seed and index alone."""

    def __init__(self, network: Network, limit: int, stops: frozenset[int], how: Sampling) -> None:
        self.network, self.limit, self.stops, self.how = network, limit, stops, how
        self.waiting: deque[_Sequence] = deque()
        self.active: list[_Sequence] = []  # the place is the slot
        self.products = Products(network, copies=False)
        self.lean: LeanBody | None = None

    def stream(self, prompts: Sequence[Sequence[int]], merge: bool | None = None) -> Iterator[tuple[int, int]]:
        """(index of the prompt, token) as they come, a stop token included; one prompt's tokens come in order.

        `merge`: whether to generate with copies of the weights, adapters merged; None: where the call repays it.
        Raises Refused for an empty prompt and for one that leaves no position for an answer.
        """
        self.waiting.extend(self._sequences(prompts))
        steps = -(-len(prompts) // SLOTS) * self.how.max_tokens
        merges = steps >= REPAID if merge is None else merge
        with torch.inference_mode():
            self.slots, hows = self._slots()
            self.head = _Head(self.network, merges)
            self.lean = LeanBody.of(self.network, hows) if merges else None
            if merges and self.lean is None:
                self.products = Products(self.network, copies=True)
        while self.waiting or self.active:
            yield from self._advance()

    @torch.inference_mode()
    def _advance(self) -> list[tuple[int, int]]:
        """Lets waiting sequences join, adds one token to each active one, lets the finished ones leave."""
        if self.waiting and len(self.active) < self.slots.count:
            self._read()
        tails = [Tail(each.runs, each.start, each.size) for each in self.active]
        tokens, depths = [each.tokens[-1] for each in self.active], [each.start + each.size for each in self.active]
        hidden_BD = self._forward(tokens, depths, Decoding(self.slots, tails, device()))
        chances = [next(each.chances, 0.0) for each in self.active]
        picked = pick(self.head.logits(hidden_BD), self.how, chances).tolist()
        made = [(each.index, token) for each, token in zip(self.active, picked, strict=True)]
        for each, token in zip(self.active, picked, strict=True):
            each.tokens, each.size, each.room = [token], each.size + 1, each.room - 1
        for slot in range(len(picked) - 1, -1, -1):
            if picked[slot] in self.stops or self.active[slot].room <= 0:
                self._leave(slot)
        return made

    def _read(self) -> None:
        """One forward over the prompts that join, but their last tokens, which are decoded."""
        joining: list[_Sequence] = []
        stretches: list[Stretch] = []
        tokens: list[int] = []
        depths: list[int] = []
        planned: set[Run] = set()

        def add(new: list[int], depth: int) -> tuple[int, int]:
            tokens.extend(new)
            depths.extend(range(depth, depth + len(new)))
            return len(tokens) - len(new), len(tokens)

        while self.waiting and len(self.active) + len(joining) < self.slots.count and len(tokens) < READ_TOKENS:
            each = self.waiting.popleft()
            chain, slot = (*each.runs, *each.copied), len(self.active) + len(joining)
            for place, run in enumerate(chain):
                if not run.layers and run not in planned:
                    planned.add(run)
                    stretches.append(Stretch(*add(run.tokens, run.depth), chain[:place], run))
            at = sum(len(run.tokens) for run in each.copied)
            if own := each.tokens[:-1]:
                stretches.append(Stretch(*add(own, each.start + at), chain, None, slot, at))
            each.size, each.tokens = at + len(own), each.tokens[-1:]
            joining.append(each)
        self.slots.reserve(max(each.size for each in joining) + 1)
        if stretches:
            self._forward(tokens, depths, Reading(self.slots, stretches))
        for each in joining:
            at = 0
            for run in each.copied:
                self.slots.copy(run, len(self.active), at)
                at += len(run.tokens)
                run.leave()
            self.active.append(each)

    def _leave(self, slot: int) -> None:
        """The last sequence takes the place of the one that leaves."""
        for run in self.active[slot].runs:
            run.leave()
        last = self.active.pop()
        if slot < len(self.active):
            self.slots.move(len(self.active), slot, last.size)
            self.active[slot] = last

    def _forward(self, tokens: list[int], depths: list[int], step: Reading | Decoding) -> Tensor:
        """[T, D] hidden states after the final norm, dropout off."""
        tokens_T, depths_T = (torch.tensor(each, device=device()) for each in (tokens, depths))
        with caching(step):
            if self.lean is not None:
                return self.lean(tokens_T, depths_T, step)
            with self.network.computing(), self.products.used():
                return self.network.at(tokens_T, depths_T)

    def _slots(self) -> tuple[Slots, list[How]]:
        """As many slots as may decode at once; one token read and forgotten tells what a token takes.

        Also how each layer's attention is called.
        """
        longest = max((each.most for each in self.waiting), default=1)
        probe = Slots(1, self.network.dtype)
        self._forward([0], [0], reading := Reading(probe, [Stretch(0, 1, ())]))
        most = CACHE_BYTES // (probe.token_bytes * longest)
        return Slots(
            max(1, min(SLOTS, most, len(self.waiting))), self.network.dtype, self.network.how.kernels
        ), reading.hows

    def _sequences(self, prompts: Sequence[Sequence[int]]) -> list[_Sequence]:
        """The prompts in the order of their forest, so that those that share a run decode together."""
        if not prompts:
            return []
        before = self.network.before
        need_room(prompts, self.limit - len(before))
        rows = [
            Row(str(i), np.array(each, np.int32), np.zeros(len(each), np.float32)) for i, each in enumerate(prompts)
        ]
        batch = layout(rows, before=before)
        cuts = [(batch.depths_T[s.start], batch.tokens_T[s.start : s.stop].tolist()) for s in batch.segments]
        runs = [Run(int(depth), tokens) for depth, tokens in cuts]
        chains: list[tuple[Run, ...]] = []
        for segment, run in zip(batch.segments, runs, strict=True):
            chains.append((*(chains[segment.parent] if segment.parent >= 0 else ()), run))
        leaves = np.searchsorted([s.start for s in batch.segments], batch.ends_R, side="right") - 1
        for leaf in leaves:
            for run in chains[leaf]:
                run.users += 1
        return [self._sequence(int(index), chains[leaves[index]]) for index in np.argsort(leaves)]

    def _sequence(self, index: int, chain: tuple[Run, ...]) -> _Sequence:
        """The last run of the chain is the prompt's own; short ones before it are copied into the tail."""
        *shared, own = chain
        apart = len(shared)
        while apart and len(shared[apart - 1].tokens) * (min(shared[apart - 1].users, SLOTS) - 1) < APART:
            apart -= 1
        copied = tuple(shared[apart:])
        room = min(self.how.max_tokens, self.limit - own.depth - len(own.tokens))
        drawn = np.random.default_rng((self.how.seed, index)).random(room) if self.how.temperature > 0 else ()
        start = copied[0].depth if copied else own.depth
        return _Sequence(index, tuple(shared[:apart]), copied, own.tokens, start, room, iter(drawn))


def need_room(prompts: Sequence[Sequence[int]], limit: int) -> None:
    """Raises Refused for an empty prompt, and for one that leaves none of so many positions for an answer."""
    for place, prompt in enumerate(prompts):
        if not 0 < len(prompt) < limit:
            raise Refused(
                f"prompt {place} has {len(prompt)} tokens",
                why=f"the base takes 1 to {limit}, the answer's included",
                instead="shorten the prompt" if prompt else "give it one token at least",
            )


class _Head:
    """Logits at the last position of each sequence, as `WordHead` has them."""

    def __init__(self, network: Network, copies: bool) -> None:
        self.words, dtype = network.words, network.dtype
        self.wide = torch.promote_types(dtype, torch.float32)
        weight_VD, bias_V = self.words.weight_VD.detach().to(dtype), self.words.bias_V
        self.bias_V = None if bias_V is None else bias_V.detach().to(self.wide)
        self.product = product(weight_VD) if copies else lambda hidden_BD: hidden_BD.to(dtype) @ weight_VD.T

    def logits(self, hidden_BD: Tensor) -> Tensor:
        """[B, V], float32 at least; of the likeliest tokens bf16 logits, which may tie, are computed again wide."""
        dtype = self.words.dtype
        hidden_BD = hidden_BD.to(dtype)
        logits = self.product(hidden_BD).to(self.wide)
        logits = logits if self.bias_V is None else logits + self.bias_V
        if dtype != self.wide:
            near = logits.topk(min(NEAR, logits.shape[1])).indices
            rows_BND = self.words.weight_VD[near].to(dtype).to(self.wide)
            again_BN = (rows_BND @ hidden_BD.to(self.wide)[..., None])[..., 0]
            logits.scatter_(1, near, again_BN if self.bias_V is None else again_BN + self.bias_V[near])
        logits *= self.words.scale
        cap = self.words.softcap
        return logits if cap is None else torch.tanh(logits / cap) * cap


def pick(logits_BV: Tensor, how: Sampling, chances: Sequence[float]) -> Tensor:
    """[B] tokens: the likeliest, or where each row's chance falls in its distribution's cumulative sum."""
    if how.temperature == 0:
        return logits_BV.argmax(-1)
    probabilities, words = (logits_BV / how.temperature).softmax(-1), None
    if how.top_p < 1:
        probabilities, words = _nucleus(probabilities, how.top_p)
    sums = probabilities.double().cumsum(-1)
    drawn = torch.tensor(chances, dtype=sums.dtype, device=sums.device)[:, None] * sums[:, -1:]
    places = torch.searchsorted(sums, drawn, right=True).clamp_(max=sums.shape[1] - 1)
    return (places if words is None else words.gather(1, places))[:, 0]


def _nucleus(probabilities_BV: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The smallest set of likeliest words that holds `top_p` (Holtzman et al., 2020), the rest 0; and the words."""
    size = probabilities_BV.shape[1]
    held, words = probabilities_BV.topk(min(NUCLEUS, size))
    if size > NUCLEUS and (held.double().sum(-1) < top_p).any():
        held, words = probabilities_BV.sort(descending=True)
    before = held.double().cumsum(-1) - held
    return held.masked_fill(before >= top_p, 0), words
