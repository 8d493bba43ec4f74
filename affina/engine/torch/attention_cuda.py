"""Exact attention over a forest on a CUDA card: FlexAttention for trees, flash-attn for plain packs where installed.

FlexAttention (Dong et al. 2024, arXiv:2412.05496) skips the blocks of keys that no query of a block sees;
FlashAttention-2 (Dao 2023, arXiv:2307.08691) takes sequences laid end to end. Neither stores the scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from affina.core.kinds import Segment
from affina.engine.torch.flash import WIDEST, Rule

if TYPE_CHECKING:
    from affina.engine.torch.attention import Forest

BLOCK = 128  # tokens: the granularity at which FlexAttention skips
NARROWEST = 16  # the least head width of a product in Triton
OLDEST_CARD = (8, 0)  # compute capability: flash-attn and bf16 start there
OLDEST_FLASH = (2, 6)  # the first flash-attn that soft-caps
FAR = 2**31 - 1

Seen = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(batch, head, query, key) → whether the query may look at the key: FlexAttention's mask_mod."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Who may see whom: [T] segment and depth of every token, int32; [N, N] True where q is k or descends from it."""

    segment_T: torch.Tensor
    depth_T: torch.Tensor
    sees_NN: torch.Tensor

    def seen(self, causal: bool, window: int | None) -> Seen:
        """FlexAttention's mask_mod. It captures tensors alone, so that one compiled kernel serves every batch."""
        segment_T, depth_T, sees_NN = self.segment_T, self.depth_T, self.sees_NN
        first_T = torch.zeros_like(depth_T) if window is None else depth_T - (window - 1)
        ahead_T = torch.full_like(depth_T, FAR) if window is None else depth_T + (window - 1)
        last_T = depth_T if causal else ahead_T

        def seen(b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
            near = (depth_T[k] >= first_T[q]) & (depth_T[k] <= last_T[q])
            return sees_NN[segment_T[q], segment_T[k]] & near

        return seen


@dataclass(slots=True)
class Packed:
    """What the layers of one batch share on the card: built by the first that needs it, kept on the forest."""

    segments: tuple[Segment, ...]
    tree: Tree | None = None
    masks: dict[tuple[bool, int | None], BlockMask] = field(default_factory=dict)
    ends: torch.Tensor | None = None

    @property
    def tokens(self) -> int:
        """T."""
        return self.segments[-1].stop

    @property
    def plain(self) -> bool:
        """Whether no segment continues another."""
        return all(each.parent < 0 for each in self.segments)

    @property
    def longest(self) -> int:
        """Tokens of the longest segment."""
        return max(each.stop - each.start for each in self.segments)

    def mask(self, causal: bool, window: int | None, device: torch.device) -> BlockMask:
        """The blocks of keys each block of queries sees. Building one takes T² bytes and more for a moment."""
        if self.tree is None:
            self.tree = tree_of(self.segments, device)
        if (causal, window) not in self.masks:
            seen = self.tree.seen(causal, window)
            self.masks[causal, window] = create_block_mask(
                seen, 1, None, self.tokens, self.tokens, device=device, BLOCK_SIZE=BLOCK
            )
        return self.masks[causal, window]

    def bounds(self, device: torch.device) -> torch.Tensor:
        """[N + 1] int32: 0 and where each segment ends, as flash-attn's `cu_seqlens`."""
        if self.ends is None:
            self.ends = torch.tensor([0, *(each.stop for each in self.segments)], dtype=torch.int32, device=device)
        return self.ends


def tree_of(segments: Sequence[Segment], device: torch.device) -> Tree:
    """The relations of a batch's segments, parents before children, on a device."""
    lengths = torch.tensor([each.stop - each.start for each in segments])
    above: list[int] = []
    sees_NN = torch.eye(max(2, len(segments)), dtype=torch.bool)  # from two on the compiler takes a size as variable
    for n, each in enumerate(segments):
        above.append(0)
        if each.parent >= 0:
            sees_NN[n] |= sees_NN[each.parent]
            above[n] = above[each.parent] + int(lengths[each.parent])
    segment_T = torch.repeat_interleave(torch.arange(len(segments)), lengths)
    shift_N = torch.tensor([a - each.start for a, each in zip(above, segments, strict=True)])
    depth_T = torch.arange(segments[-1].stop) + shift_N[segment_T]
    return Tree(segment_T.int().to(device), depth_T.int().to(device), sees_NN.to(device))


def backend(
    forest: "Forest", query: torch.Tensor, value: torch.Tensor, rule: Rule, dropout: float = 0.0
) -> Literal["flash", "flex"] | None:
    """What computes this layer, query [T, H, D] and value [T, Hkv, Dv]; None: attention in torch, which takes all."""
    widths = (query.shape[-1], value.shape[-1])
    if query.device.type != "cuda" or dropout or capability(query.device) < OLDEST_CARD or max(widths) > WIDEST:
        return None
    half, packed = query.dtype in (torch.bfloat16, torch.float16), packed_of(forest)
    alike = widths[0] == widths[1] and widths[0] % 8 == 0
    if half and alike and packed.plain and flash_version() >= OLDEST_FLASH:
        return "flash"
    single = query.dtype == torch.float32
    # Within one block nothing can be skipped, and FlexAttention would be compiled once more for it.
    if (half or single) and min(widths) >= NARROWEST and packed.tokens > BLOCK and triton():
        return "flex"
    return None


def attend(
    forest: "Forest", given: tuple[torch.Tensor, torch.Tensor, torch.Tensor], rule: Rule, dropout: float = 0.0
) -> torch.Tensor | None:
    """query [T, H, D], key [T, Hkv, D], value [T, Hkv, Dv] → [1, T, H, Dv], differentiable; None: not here."""
    chosen = backend(forest, given[0], given[2], rule, dropout)
    if chosen is None:
        return None
    packed = packed_of(forest)
    return by_flash(packed, *given, rule) if chosen == "flash" else by_flex(compiled(), packed, *given, rule)


def by_flash(packed: Packed, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: Rule) -> torch.Tensor:
    """As `attend`, by flash-attn; the gradients are summed in a fixed order, so that a resumed run repeats exactly."""
    bounds, reach = packed.bounds(query.device), -1 if rule.window is None else rule.window - 1
    out: torch.Tensor = import_module("flash_attn").flash_attn_varlen_func(
        query,
        key,
        value,
        cu_seqlens_q=bounds,
        cu_seqlens_k=bounds,
        max_seqlen_q=packed.longest,
        max_seqlen_k=packed.longest,
        softmax_scale=rule.scale,
        causal=rule.causal,
        window_size=(reach, 0 if rule.causal and rule.window is not None else reach),
        softcap=rule.softcap or 0.0,
        deterministic=True,
    )
    return out[None]


Flex = Callable[..., Any]


def by_flex(
    flex: Flex, packed: Packed, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: Rule
) -> torch.Tensor:
    """As `attend`, by FlexAttention as given: compiled on a card, eager where it is only checked."""
    mask = packed.mask(rule.causal, rule.window, query.device)
    cap = None if rule.softcap is None else torch.full((1,), rule.softcap, device=query.device)

    def capped(score: torch.Tensor, b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        assert cap is not None
        return torch.tanh(score / cap[b]) * cap[b]

    out: torch.Tensor = flex(
        *(each.transpose(0, 1)[None] for each in (query, key, value)),
        score_mod=None if cap is None else capped,
        block_mask=mask,
        scale=rule.scale,
        enable_gqa=query.shape[1] != key.shape[1],
        kernel_options={"BACKEND": "TRITON"},  # the kernel for short queries refuses groups of 3 heads
    )
    return out.transpose(1, 2)


@cache
def compiled() -> Flex:
    """FlexAttention compiled for any length; a batch that would need too many variants fails aloud."""
    return torch.compile(flex_attention, dynamic=True, fullgraph=True)


def packed_of(forest: "Forest") -> Packed:
    """What is kept on the forest, made at the first call."""
    if forest.packed is None:
        forest.packed = Packed(forest.segments)
    return forest.packed


@cache
def capability(device: torch.device) -> tuple[int, int]:
    """The card's compute capability, (major, minor)."""
    return torch.cuda.get_device_capability(device)


@cache
def flash_version() -> tuple[int, ...]:
    """(major, minor) of the flash-attn that can be imported; (0, 0) without one."""
    if find_spec("flash_attn") is None:
        return (0, 0)
    try:
        return tuple(int(each) for each in version("flash-attn").split(".")[:2])
    except PackageNotFoundError:  # version 4 shares the module's name and has another interface
        return (0, 0)


@cache
def triton() -> bool:
    """Whether the compiler that FlexAttention needs on a card is installed."""
    return find_spec("triton") is not None
