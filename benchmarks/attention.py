"""Attention over a forest, forward and backward: the kernels beside attention in torch and the library's own.

    python benchmarks/attention.py --threads 2 --repeats 15

One JSON line per batch: the medians in milliseconds of rounds that take every way in turn, and the smallest times.
`kernels`, `torch`: `forest_attention` with and without kernels; `library`: scaled_dot_product_attention per segment,
its ancestors' keys before its own (masked where there are any). All three go through autograd and take queries, keys
and values that lie side by side.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import torch

from affina.core.kinds import Segment
from affina.engine.torch import attention, native

HEADS, GROUPS, WIDTH = 9, 3, 64  # SmolLM2-135M
Way = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def roots(count: int, length: int) -> list[Segment]:
    return [Segment(n * length, (n + 1) * length, -1) for n in range(count)]


def batches() -> dict[str, list[Segment]]:
    """Rows of one length that make about 2048 tokens, and the batches of the three usual kinds of work."""
    shared = [Segment(0, 593, -1), *(Segment(593 + 29 * n, 622 + 29 * n, 0) for n in range(8))]
    equal = {
        f"{2048 // length} x {length}": roots(2048 // length, length) for length in (32, 64, 128, 256, 512, 1024, 2048)
    }
    return {**equal, "8 x 218": roots(8, 218), "593 + 8 x 29": shared, "4 x 1024": roots(4, 1024)}


def by_forest(segments: list[Segment], kernels: bool) -> Way:
    module = torch.nn.Module()

    def way(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        with attention.computing(segments, kernels):
            return attention.forest_attention(module, query, key, value, None)[0]

    return way


def by_library(segments: list[Segment]) -> Way:
    def way(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        parts, runs = [], attention.runs_of(segments)
        for segment, run in zip(segments, runs, strict=True):
            keys, values = (torch.cat([each[:, :, a:b] for a, b in run], 2) for each in (key, value))
            size, above = segment.stop - segment.start, keys.shape[2] - segment.stop + segment.start
            mask = torch.ones(size, above + size, dtype=torch.bool).tril(above) if above else None
            own = query[:, :, segment.start : segment.stop]
            parts.append(
                torch.nn.functional.scaled_dot_product_attention(
                    own, keys, values, mask, is_causal=mask is None, enable_gqa=True
                )
            )
        return torch.cat(parts, 2).transpose(1, 2)

    return way


def timed(segments: list[Segment], dtype: torch.dtype, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of every round, by way."""
    size = segments[-1].stop
    edges = [HEADS * WIDTH, GROUPS * WIDTH, GROUPS * WIDTH]
    together = torch.randn(size, sum(edges)).to(dtype).requires_grad_()
    gradient = torch.randn(1, size, HEADS, WIDTH).to(dtype)
    ways = {"torch": by_forest(segments, False), "library": by_library(segments)}
    if native.library() is not None:
        ways["kernels"] = by_forest(segments, True)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 2):
        for name, way in ways.items():
            began = time.perf_counter()
            query, key, value = (
                part.view(1, size, -1, WIDTH).transpose(1, 2) for part in torch.split(together, edges, 1)
            )
            torch.autograd.grad(way(query, key, value), together, gradient)
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: each[2:] for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--batch", default="", help="only the batch of this name")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name, segments in batches().items():
        if given.batch in ("", name):
            times = timed(segments, getattr(torch, given.dtype), given.repeats)
            line = {
                "batch": name,
                "dtype": given.dtype,
                "threads": given.threads,
                "median_ms": {way: round(statistics.median(each), 2) for way, each in times.items()},
                "least_ms": {way: round(min(each), 2) for way, each in times.items()},
                "load_before": round(os.getloadavg()[0], 2),
                "no_kernels": native.reason(),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
