"""The least time a token can take: matrix rates measured at the model's own shapes, over the operations counted.

    python benchmarks/floor.py --batch 8 --rank 16

Counted are the matrix products that no exact method avoids: every weight once forward and once for the gradient of its
input (a third time where it trains), the head at supervised positions only, attention's two products over the pairs
that see each other, adapters at the best rate. Element-wise work counts as nothing in the floor; the bytes it moves
are counted apart, each array written once and read once. docs/speed.md has the list.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import workload

from affina.core.kinds import Row
from affina.engine.source import find

TOKENS = 2048  # rows of the left matrix, about a batch of eight worked answers
REPEATS = 5
LEAST_OPERATIONS = 8e10  # of one repeat: long beside the clock and the first touch
ROWS = 800  # over which a workload's means are taken


@dataclass(frozen=True)
class Shape:
    """A Llama-like model's sizes; `q` and `kv` are the widths of all query heads and of all key (or value) heads."""

    hidden: int
    inner: int
    q: int
    kv: int
    vocabulary: int
    layers: int

    @classmethod
    def read(cls, folder: Path) -> "Shape":
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        width = config.get("head_dim") or hidden // heads
        kv = width * config.get("num_key_value_heads", heads)
        return cls(
            hidden, config["intermediate_size"], heads * width, kv, config["vocab_size"], config["num_hidden_layers"]
        )

    def products(self) -> dict[str, tuple[int, int, int]]:
        """name → (in, out, how many a layer has)."""
        return {
            "gate, up": (self.hidden, self.inner, 2),
            "down": (self.inner, self.hidden, 1),
            "q": (self.hidden, self.q, 1),
            "o": (self.q, self.hidden, 1),
            "k, v": (self.hidden, self.kv, 2),
        }

    def adapters(self, rank: int) -> int:
        """Numbers in the thin matrices of rank `rank` beside every product of every layer."""
        return self.layers * rank * sum(times * (into + out) for into, out, times in self.products().values())

    def weights(self) -> int:
        """Numbers in the blocks' matrices."""
        return self.layers * sum(into * out * times for into, out, times in self.products().values())


@dataclass(frozen=True)
class Work:
    """A workload's means per row: tokens, supervised tokens, pairs attended to; and the prefix that all rows share."""

    tokens: float
    targets: float
    pairs: float
    prefix: int

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Work":
        lengths = [len(row.tokens) for row in rows]
        columns = enumerate(zip(*(row.tokens for row in rows), strict=False))
        shared = next((place for place, column in columns if len(set(column)) > 1), min(lengths))
        pairs = sum(length * (length + 1) / 2 for length in lengths)
        return cls(sum(lengths) / len(rows), sum(row.targets for row in rows) / len(rows), pairs / len(rows), shared)


@dataclass(frozen=True)
class Times:
    """Seconds: per token for one forward of all blocks, per supervised position for the head; and the best rate."""

    body_s: float
    head_s: float
    peak: float
    """Operations per second."""

    @classmethod
    def of(cls, shape: Shape, rates: dict[str, float]) -> "Times":
        """From operations per second at each product's own shape."""
        body = sum(
            2 * into * out * times * shape.layers / rates[name] for name, (into, out, times) in shape.products().items()
        )
        return cls(body, 2 * shape.hidden * shape.vocabulary / rates["head"], max(rates.values()))


def limits(shape: Shape, work: Work, times: Times, batch: int, rank: int) -> dict[str, float]:
    """Real tokens per second that no exact method exceeds, by kind of training.

    `products`: LoRA, blocks and head alone. `lora`: with adapters and attention. `full`: every weight trains, attention
    included; `full_products`: without. `shared`: `products` where a batch computes the common prefix once.
    """
    attention_s = 3 * 4 * shape.layers * shape.q * work.pairs / times.peak  # QKᵀ and PV, forward 1 ×, backward 2 ×
    adapters_s = 6 * shape.adapters(rank) * work.tokens / times.peak
    forward_s = work.tokens * times.body_s + work.targets * times.head_s
    flat_tokens = batch * (work.tokens - work.prefix) + work.prefix
    shared_s = 2 * (flat_tokens * times.body_s + batch * work.targets * times.head_s)
    return {
        "products": work.tokens / (2 * forward_s),
        "lora": work.tokens / (2 * forward_s + attention_s + adapters_s),
        "full_products": work.tokens / (3 * forward_s),
        "full": work.tokens / (3 * forward_s + attention_s),
        "shared": batch * work.tokens / shared_s,
    }


def moved_bytes(shape: Shape) -> dict[str, int]:
    """Bytes per token and layer that element-wise work reads and writes at least, forward; float32 residual, bf16 else.

    `norms`: two, each reads the residual and writes bf16. `rotary`: q and k, read and written. `swiglu`: gate and up
    read, their product written. `residual`: two sums, product and residual read, residual written.
    """
    half, whole = 2, 4
    return {
        "norms": 2 * shape.hidden * (whole + half),
        "rotary": 2 * half * (shape.q + shape.kv),
        "swiglu": 3 * half * shape.inner,
        "residual": 2 * shape.hidden * (half + whole + whole),
    }


def repeated(work: Callable[[], Any], times: int) -> list[float]:
    """Seconds of one call, over several measurements of `times` calls each, after two calls that do not count."""
    work(), work()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - started) / times)
    return found


def rates(shape: Shape, dtype: str) -> dict[str, list[float]]:
    """name → [median, best] operations per second of [TOKENS, in] × [in, out], at each product's shape and the head."""
    import torch

    sizes = {name: (into, out) for name, (into, out, _) in shape.products().items()}
    found = {}
    with torch.no_grad():
        for name, (into, out) in {**sizes, "head": (shape.hidden, shape.vocabulary)}.items():
            left = torch.randn(TOKENS, into).to(getattr(torch, dtype))
            right = torch.randn(out, into).to(getattr(torch, dtype))
            operations = 2 * TOKENS * into * out
            times = max(3, int(LEAST_OPERATIONS / operations))
            seconds = repeated(lambda left=left, right=right: torch.nn.functional.linear(left, right), times)  # type: ignore[misc]
            found[name] = [operations / median(seconds), operations / min(seconds)]
    return found


def bandwidth(size: int = 64_000_000) -> float:
    """Bytes per second of a copy larger than every cache, reads and writes counted."""
    import torch

    source, goal = torch.ones(size), torch.empty(size)
    return 2 * 4 * size / min(repeated(lambda: goal.copy_(source), 3))


def measured(given: argparse.Namespace) -> dict[str, Any]:
    import torch

    torch.set_num_threads(given.threads)
    folder = find(given.base).folder
    shape = Shape.read(folder)
    by_dtype = {dtype: rates(shape, dtype) for dtype in ("bfloat16", "float32")}
    times = Times.of(shape, {name: best for name, (_, best) in by_dtype["bfloat16"].items()})
    found = {}
    for data in ("gsm", "banking"):
        work = Work.of(workload.tokenised(workload.turns(data)[:ROWS], folder))
        computed = limits(shape, work, times, given.batch, given.rank)
        found[data] = {
            "tokens_per_row": round(work.tokens, 1),
            "targets_per_row": round(work.targets, 1),
            "prefix": work.prefix,
            "real_tokens_per_s": {name: round(value) for name, value in computed.items()},
        }
    return {
        "tool": "floor",
        "settings": {"batch": given.batch, "rank": given.rank, "threads": given.threads, "base": given.base},
        "gflops": {d: {n: [round(r / 1e9) for r in both] for n, both in r.items()} for d, r in by_dtype.items()},
        "block_weights": shape.weights(),
        "adapter_weights": shape.adapters(given.rank),
        "forward_ns_per_token": round(times.body_s * 1e9),
        "head_ns_per_target": round(times.head_s * 1e9),
        "copy_gb_per_s": round(bandwidth() / 1e9, 1),
        "elementwise_bytes_per_token_and_layer": moved_bytes(shape),
        "limits": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    print(json.dumps(measured(parser.parse_args())), flush=True)


if __name__ == "__main__":
    main()
