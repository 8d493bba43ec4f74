"""Ours and another tool's script in turn, A B A B A B: the ratio pair by pair, with its spread, memory and losses.

    python benchmarks/compare.py --pairs 3 --python PEERS/bin/python \\
        --peer "PEERS/hf_trainer.py --attn eager --micro 4 --group 1" -- --data gsm --group 1

What stands behind `--` is given to both. Both scripts print one JSON line. The peer gets the allocator settings that
serve it best; ours gets none, since affina sets its own. Nothing else may run meanwhile: `others_cpu_s` tells.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from machine import measured

PEER_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
"""glibc keeps large buffers instead of giving them back to be zeroed again: worth about 25 % to a padded loop."""
DISTURBED = 0.05  # share of the machine's time taken by others from which a run is marked
UNLIKE = 0.25  # of the larger mean loss: a token more per row makes 10 % of banking77's

Line = dict[str, Any]


def environments() -> tuple[dict[str, str], dict[str, str]]:
    """(ours, the peer's): what is set here, without and with the allocator settings."""
    ours = {name: value for name, value in os.environ.items() if name not in PEER_ALLOCATOR}
    return ours, {**ours, **PEER_ALLOCATOR}


def rate(line: Line, by: str) -> float:
    """A line's figure; of a list of figures, the median."""
    value = line[by]
    return float(median(value) if isinstance(value, list) else value)


def ratios(pairs: Sequence[tuple[Line, Line]], by: str) -> dict[str, Any]:
    """Medians of both sides; ours over the peer's, pair by pair; the peer's memory over ours."""
    found = [rate(ours, by) / rate(peer, by) for ours, peer in pairs]
    memory = [peer["tree_gb"] / ours["tree_gb"] for ours, peer in pairs]
    return {
        "by": by,
        "ours": median(rate(ours, by) for ours, _ in pairs),
        "peer": median(rate(peer, by) for _, peer in pairs),
        "ratios": [round(each, 3) for each in found],
        "ratio": {"min": round(min(found), 3), "median": round(median(found), 3), "max": round(max(found), 3)},
        "ours_gb": median(ours["tree_gb"] for ours, _ in pairs),
        "peer_gb": median(peer["tree_gb"] for _, peer in pairs),
        "memory_ratio": round(median(memory), 3),
    }


def disturbed(line: Line) -> bool:
    """Whether others, or the hypervisor, took more of the machine than a measurement bears."""
    seconds = sum(line.get("step_s", [])) * (os.cpu_count() or 1)
    return bool(seconds) and float(line.get("others_cpu_s", 0) + line.get("steal_s", 0)) > DISTURBED * seconds


def unlike(pairs: Sequence[tuple[Line, Line]]) -> str | None:
    """What to say where the two sides' losses differ too much to be of one model and the same rows."""
    for pair in pairs:
        ours, peer = (sum(line["losses"]) / len(line["losses"]) if line.get("losses") else 0.0 for line in pair)
        if ours and peer and abs(ours - peer) > UNLIKE * max(ours, peer):
            return f"mean losses {ours:.3f} and {peer:.3f}: not the same model or rows, so the ratio says nothing"
    return None


def markdown(pairs: Sequence[tuple[Line, Line]], found: Line) -> str:
    """A line per run, and the ratios below."""
    lines = ["| pair | tool | rate | GB | first loss | last loss | others' CPU s |", "|---|---|---|---|---|---|---|"]
    for number, pair in enumerate(pairs, 1):
        for line in pair:
            losses = [f"{line['losses'][place]:.4f}" for place in (0, -1)] if line.get("losses") else ["", ""]
            noise = f"{line.get('others_cpu_s', '')}{' (disturbed)' if disturbed(line) else ''}"
            cells = [
                str(number),
                line["tool"],
                f"{rate(line, found['by']):.1f}",
                f"{line['tree_gb']:.2f}",
                *losses,
                noise,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    ratio = found["ratio"]
    lines += [
        "",
        f"{found['by']}: ours {found['ours']:.1f}, peer {found['peer']:.1f}; "
        f"ratio {ratio['median']:.2f} ({ratio['min']:.2f}–{ratio['max']:.2f})",
        f"memory: ours {found['ours_gb']:.2f} GB, peer {found['peer_gb']:.2f} GB; {found['memory_ratio']:.2f} × less",
    ]
    if (said := unlike(pairs)) is not None:
        lines.append(said)
    return "\n".join(lines)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peer", required=True, help="the other tool's command; a script alone runs under --python")
    parser.add_argument("--python", default=sys.executable, help="the peer's own interpreter")
    parser.add_argument("--ours", default="sft.py", help="our script in this folder, with arguments for it alone")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--by", default="real_tokens_per_s", help="the figure that is compared")
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("shared", nargs="*", metavar="-- ARGUMENT", help="given to both scripts")
    return parser.parse_args(argv)


def commands(given: argparse.Namespace) -> tuple[list[str], list[str]]:
    """(ours, the peer's)."""
    script, *own = shlex.split(given.ours)
    peer = shlex.split(given.peer)
    peer = [given.python, *peer] if peer[0].endswith(".py") else peer
    return [sys.executable, str(Path(__file__).with_name(script)), *own, *given.shared], [*peer, *given.shared]


def main() -> None:
    given = arguments()
    sides = list(zip(commands(given), environments(), strict=True))
    pairs: list[tuple[Line, Line]] = []
    for number in range(given.pairs):
        ours, peer = (measured(command, environment) for command, environment in sides)
        pairs.append((ours, peer))
        now = " and ".join(f"{line['tool']} {rate(line, given.by):.1f}" for line in pairs[-1])
        print(f"# {number + 1}/{given.pairs}: {now}", file=sys.stderr, flush=True)
    found = ratios(pairs, given.by)
    if given.out:
        kept = {**found, "pairs": [{"ours": ours, "peer": peer} for ours, peer in pairs]}
        Path(given.out).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(markdown(pairs, found))


if __name__ == "__main__":
    main()
