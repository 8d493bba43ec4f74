"""Supervised fine-tuning speed: the product's own `train` on chat rows, one JSON line with rate, memory and losses.

    python benchmarks/sft.py --data gsm --steps 8 --warm 2 --batch 8 --rank 16 --lr 2e-4

Workloads: `gsm`, question → worked answer (gsm8k/train_first3000.jsonl); `banking`, message → one of 77 intents that
the system prompt lists (banking77/train.csv). Both are read from $AFFINA_BENCH_DATA. Rates count the tokens of whole
samples from optimizer step to optimizer step, warm-up steps left out.
"""

import argparse
import csv
import json
import os
import platform
import random
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("affina", "torch", "transformers", "tokenizers")
HELD_OUT = 24  # rows that the product splits off before it trains


def conversations(data: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The workload's first `count` rows in the seeded order, as OpenAI messages."""
    folder = Path(os.environ.get("AFFINA_BENCH_DATA", "data"))
    turns: list[list[tuple[str, str]]]
    if data == "gsm":
        lines = (folder / "gsm8k" / "train_first3000.jsonl").read_text(encoding="utf-8").splitlines()
        turns = [[("user", row["question"]), ("assistant", row["answer"])] for row in map(json.loads, lines)]
    else:
        with (folder / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        intents = sorted({row["category"] for row in rows})
        asked = "Read the customer's message and answer with exactly one of these intents and nothing else:\n"
        system = f"You are the intent classifier of a bank. {asked}" + "\n".join(intents)
        turns = [[("system", system), ("user", row["text"]), ("assistant", row["category"])] for row in rows]
    random.Random(seed).shuffle(turns)
    return [{"messages": [{"role": role, "content": text} for role, text in each]} for each in turns[:count]]


def recipe(given: argparse.Namespace, file: Path) -> dict[str, Any]:
    """The run as a user would write it; validation and test are kept to a few rows, since only steps are timed."""
    steps = given.steps + given.warm
    share = HELD_OUT / (given.batch * steps + HELD_OUT)
    return {
        "name": "sft",
        "model": {"base": given.base},
        "data": {"read": [str(file)], "transforms": [{"name": "split", "test": share / 2, "validation": share / 2}]},
        "tuning": {"name": "lora", "rank": given.rank, "alpha": 2 * given.rank} if given.rank else "full",
        "train": {"steps": steps, "batch": given.batch, "learning_rate": given.lr, "schedule": "constant"},
        "evaluate": {"metrics": ["loss"], "every": steps},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", default="gsm", choices=["gsm", "banking"])
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--steps", type=int, default=8, help="measured steps")
    parser.add_argument("--warm", type=int, default=2, help="steps before the clock")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16, help="LoRA rank; 0: full fine-tuning")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def main() -> None:
    given = arguments()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])  # affina takes its threads from here
    import affina
    from affina.core.recipe import Recipe

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        rows = conversations(given.data, given.batch * (given.steps + given.warm) + HELD_OUT)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        began = time.perf_counter()
        run = affina.train(Recipe.build(recipe(given, file)), root=Path(folder) / "runs")
        wall = time.perf_counter() - began
        events, counted = run.events("learn"), run.events("learn")[given.warm :]
        proofs = sum(finding["seconds"] for finding in run.read("proofs.json")["findings"])
        precision = run.read("lock.json")["machine"]["compute"]["precision"]
    seconds = sum(event["seconds"] for event in counted)
    rates = sorted(event["tokens_per_s"] for event in counted)
    line = {
        "tool": "affina",
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "workload": given.data,
        "settings": {key: value for key, value in vars(given).items() if key != "data"} | {"precision": precision},
        "real_tokens_per_s": round(sum(event["tokens"] for event in counted) / seconds, 1),
        "median_step_tokens_per_s": round(rates[len(rates) // 2], 1),
        "samples_per_s": round(given.batch * len(counted) / seconds, 3),
        "step_s": [round(event["seconds"], 2) for event in events],
        "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "proofs_s": round(proofs, 1),
        "whole_run_s": round(wall, 1),
        "losses": [round(event["loss"], 4) for event in events],
        "load_before": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
