"""The rows that every benchmark trains on, the arguments every benchmark takes, and the run as a user would write it.

`gsm`: question → worked answer (gsm8k/train_first3000.jsonl); `banking`: message → one of 77 intents that the system
prompt lists (banking77/train.csv). Both are read from $AFFINA_BENCH_DATA, in one seeded order.
"""

import argparse
import csv
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affina.core.example import Chat, Message
from affina.core.kinds import Row
from affina.data.rows import Renderer

Turns = list[tuple[str, str]]

WHOLE = 1 << 30  # tokens: as many as the base takes
USUAL = 1024  # tokens that a recipe's rows may have when it says nothing
TEST = 4  # rows of the test split: a run has one, and only its steps are timed here
POOL = 50  # batches sorted by length at once in length-grouped training


def turns(data: str, seed: int = 0) -> list[Turns]:
    """Every conversation of the workload as (role, content) turns, in the seeded order."""
    folder = Path(os.environ.get("AFFINA_BENCH_DATA", "data"))
    found: list[Turns]
    if data == "gsm":
        lines = (folder / "gsm8k" / "train_first3000.jsonl").read_text(encoding="utf-8").splitlines()
        found = [[("user", row["question"]), ("assistant", row["answer"])] for row in map(json.loads, lines)]
    else:
        with (folder / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        intents = sorted({row["category"] for row in rows})
        asked = "Read the customer's message and answer with exactly one of these intents and nothing else:\n"
        system = f"You are the intent classifier of a bank. {asked}" + "\n".join(intents)
        found = [[("system", system), ("user", row["text"]), ("assistant", row["category"])] for row in rows]
    random.Random(seed).shuffle(found)
    return found


def chats(conversations: Sequence[Turns]) -> list[Chat]:
    """The conversations as examples."""
    return [
        Chat(id=str(place), messages=tuple(Message(role, text) for role, text in each))
        for place, each in enumerate(conversations)
    ]


def tokenised(conversations: Sequence[Turns], folder: Path) -> list[Row]:
    """The conversations as the product's rows, by the model folder's tokenizer and template."""
    return Renderer.open(folder, max_tokens=WHOLE).rows(chats(conversations))


def grouped(lengths: Sequence[int], batch: int, steps: int, seed: int = 0) -> list[int]:
    """The places of `batch` × `steps` rows as length-grouped training meets them: a pool sorted by length, dealt into
    batches, the batches in a seeded order."""
    pool = sorted(range(min(len(lengths), POOL * batch)), key=lambda place: lengths[place])
    batches = [pool[start : start + batch] for start in range(0, len(pool), batch)]
    random.Random(seed).shuffle(batches)
    return [place for members in batches[:steps] for place in members]


def chosen(given: argparse.Namespace, folder: Path) -> tuple[list[Turns], list[Turns]]:
    """(training, held out): each training row is met once; held out are the last rows of the seeded order, always."""
    every = turns(given.data)
    pool, held = every[: -given.held_out], every[-given.held_out :]
    count = given.batch * (given.steps + given.warm)
    wanted = count * 5 if given.group else count
    if wanted > len(pool):
        raise SystemExit(f"{wanted} rows are needed and {given.data} has {len(pool)}: fewer steps or smaller batches")
    pool = pool[:wanted]
    if given.group:
        lengths = [len(row.tokens) for row in tokenised(pool, folder)]
        pool = [pool[place] for place in grouped(lengths, given.batch, given.steps + given.warm)]
    return (grown(every[: -given.held_out], given.rows) if given.rows else pool), held


def grown(pool: Sequence[Turns], rows: int) -> list[Turns]:
    """So many rows: the workload's own, then the same again, told apart by a number before the first turn."""
    found = []
    for place in range(rows):
        turn, own = divmod(place, len(pool))
        (role, text), *rest = pool[own]
        found.append([(role, f"{turn}. {text}" if turn else text), *rest])
    return found


def write(file: Path, training: Sequence[Turns], held: Sequence[Turns]) -> None:
    """The rows as JSON lines in OpenAI's messages, the training rows first."""
    lines = [{"messages": [{"role": role, "content": text} for role, text in each]} for each in (*training, *held)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def offer_held_out(folder: Path) -> None:
    """Makes the transform `held_out` known to affina, as any package would that adds a part: by an entry point."""
    told = folder / "affina_benchmarks-0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: affina-benchmarks\nVersion: 0\n", encoding="utf-8")
    (told / "entry_points.txt").write_text("[affina.transforms]\nheld_out = held_out:HeldOut\n", encoding="utf-8")
    sys.path.append(str(folder))


def recipe(given: argparse.Namespace, file: Path, training: int, longest: int = 0) -> dict[str, Any]:
    """The run as a user would write it, for rows of `longest` tokens at most; what `--set` says comes on top."""
    steps = given.steps + given.warm
    split = {"name": "held_out", "training": training, "validation": given.held_out - TEST}
    return {
        "name": "sft",
        "model": {"base": given.base},
        "data": {"read": [str(file)], "transforms": [split], "max_tokens": max(USUAL, longest)},
        "tuning": {"name": "lora", "rank": given.rank, "alpha": 2 * given.rank} if given.rank else "full",
        "train": {
            "steps": steps,
            "batch": given.batch,
            "learning_rate": given.lr,
            "schedule": {"name": "constant", "warmup": 0.0},
            "save_every": steps,
            "seed": given.seed,
        },
        "evaluate": {"metrics": ["loss"], "every": steps},
    }


def settings(given: argparse.Namespace) -> dict[str, Any]:
    """What a line prints of its arguments; of a base in a folder its name, for the folder is this machine's."""
    return {key: value for key, value in vars(given).items() if key != "data"} | {"base": Path(given.base).name}


def arguments(about: str) -> argparse.ArgumentParser:
    """The arguments that every script here shares."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--data", default="gsm", choices=["gsm", "banking"])
    own = os.environ.get("AFFINA_BENCH_MODEL", "smollm2-135m-instruct")
    parser.add_argument(
        "--base",
        default=own,
        help="what a recipe's model.base takes; $AFFINA_BENCH_MODEL, which the peers read, when set",
    )
    parser.add_argument("--steps", type=int, default=8, help="measured steps")
    parser.add_argument("--warm", type=int, default=2, help="steps before the clock")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16, help="LoRA rank; 0: full fine-tuning")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--group", type=int, default=0, help="1: the rows that length-grouped training would meet")
    parser.add_argument(
        "--rows", type=int, default=0, help="rows of the training split, of which the steps draw; 0: theirs"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", type=int, default=8, help=f"rows kept back: {TEST} for the test, others validate")
    return parser
