"""Generation speed beside transformers' own `generate`: the same prompts, greedy, nothing stops early.

    python benchmarks/generate.py --batch 8 --tokens 128 --pairs 3

Prompts are questions of gsm8k/train_first3000.jsonl below $AFFINA_BENCH_DATA, rendered with the base's chat template.
Two lines of JSON, one with `--work gsm`: the questions alone, then twice as many below one system prompt of 500 tokens.
Both sides run in turns; the ratio is the median of the pairs' ratios, its spread their lowest and highest.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

SYSTEM_TOKENS = 500


def prompts(renderer: Any, count: int, system_tokens: int = 0) -> list[list[int]]:
    """The first questions as chat prompts; below a system prompt of about this many tokens if there is one."""
    from affina.core.example import Message

    file = Path(os.environ.get("AFFINA_BENCH_DATA", "data")) / "gsm8k" / "train_first3000.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    shown = " ".join(row["answer"] for row in rows[-20:])
    system = renderer.text(renderer.continued(shown)[:system_tokens])
    above = [Message("system", f"Answer as these answers do. {system}")] if system_tokens else []
    return [renderer.opening([*above, Message("user", row["question"])]) for row in rows[:count]]


def ours(model: Any, asked: Sequence[Sequence[int]], tokens: int) -> Callable[[], int]:
    """Generates as the product does, with no stop token; returns how many tokens came."""
    from affina.core.kinds import Sampling
    from affina.engine.torch.generate import Decoder

    def run() -> int:
        decoder = Decoder(model.network, model.renderer.vocabulary.limit, frozenset(), Sampling(max_tokens=tokens))
        return sum(1 for _ in decoder.stream(asked))

    return run


def theirs(folder: Path, asked: Sequence[Sequence[int]], tokens: int) -> Callable[[], int]:
    """transformers' `generate` in bf16 on the whole batch, padded on the left."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model = loaded.eval()
    width = max(map(len, asked))
    given = torch.tensor([[0] * (width - len(each)) + list(each) for each in asked])
    mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in asked])
    most = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "pad_token_id": 0}

    def run() -> int:
        made = model.generate(input_ids=given, attention_mask=mask, **most)
        return int(made[:, width:].numel())

    return run


def compared(sides: dict[str, Callable[[], int]], pairs: int) -> dict[str, Any]:
    """Tokens per second of both sides in turns, after one run of each that is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(pairs + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            made = run()
            if turn:
                rates[name].append(made / (time.perf_counter() - began))
    ratios = [a / b for a, b in zip(rates["affina"], rates["transformers"], strict=True)]
    return {
        "tokens_per_s": {name: [round(rate, 1) for rate in each] for name, each in rates.items()},
        "median": {name: round(statistics.median(each), 1) for name, each in rates.items()},
        "ratio": round(statistics.median(ratios), 2),
        "ratio_spread": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128, help="new tokens per prompt")
    parser.add_argument("--work", choices=["both", "gsm"], default="both", help="gsm: the questions alone")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    from affina.core.recipe import Compute
    from affina.data.rows import Renderer
    from affina.engine.source import find
    from affina.engine.torch.settle import settled_on
    from affina.engine.torch.tuned import base

    folder = find(given.base).folder
    model = base(folder, Renderer.open(folder), settled_on(Compute()))
    works = (("gsm", given.batch, 0), ("gsm, shared system", 2 * given.batch, SYSTEM_TOKENS))
    for work, count, system in (each for each in works if given.work in ("both", each[0])):
        asked = prompts(model.renderer, count, system)
        sides = {"affina": ours(model, asked, given.tokens), "transformers": theirs(folder, asked, given.tokens)}
        line = {
            "workload": work,
            "versions": {name: version(name) for name in ("affina", "torch", "transformers")},
            "python": platform.python_version(),
            "settings": vars(given) | {"batch": count, "prompt_tokens": sum(map(len, asked))},
            **compared(sides, given.pairs),
            "load_before": round(os.getloadavg()[0], 2),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
