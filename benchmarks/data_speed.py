"""Rows a second of reading, tokenising, deduplication and packing, and how they grow; beside `datasets.map`.

    python benchmarks/data_speed.py --base smollm2-135m-instruct --peer OTHER/bin/python --out data_speed.json

Rows are made from a seed: a sentence of about 90 characters, of which 3 % repeat an earlier one. They stand where
preparation holds them, in memory while they are few and else on disk, and so does what is left of them. OTHER has
`datasets` and `tokenizers`; it tokenises the same rows with the same tokenizer.json in batches on all cores, and drops
exact repetitions by hashes that `map` computes. Each number is the median of --repeat runs, each in a process of its
own: rows by the second on the clock, and under `cpu` by the second of one processor, which other work on the machine
changes less.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from prepare import words

SIZES = (10_000, 100_000, 1_000_000)
STEPS = ("read", "tokenise", "dedup", "near", "pack")
PEER = """
import hashlib, json, resource, sys, time
from datasets import load_dataset, disable_caching, disable_progress_bars
from tokenizers import Tokenizer
disable_caching(), disable_progress_bars()
path, tokenizer, cores = sys.argv[1], sys.argv[2], int(sys.argv[3])
rows = load_dataset("json", data_files=path, split="train", cache_dir=sys.argv[4])
own = Tokenizer.from_file(tokenizer)
def now():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used)
def since(began):
    return [there - here for here, there in zip(began, now())]
found = {}
encode = lambda batch: {"ids": [each.ids for each in own.encode_batch(batch["text"], add_special_tokens=False)]}
if "tokenise" in sys.argv:
    began = now()
    rows.map(encode, batched=True, remove_columns=["text"])
    found["tokenise"] = since(began)
seen = set()
mark = lambda text: hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16).hexdigest()
digest = lambda batch: {"h": [mark(text) for text in batch["text"]]}
if "dedup" in sys.argv:
    began = now()
    hashed = rows.map(digest, batched=True, num_proc=cores)
    hashed.filter(lambda batch: [not (h in seen or seen.add(h)) for h in batch["h"]], batched=True)
    found["dedup"] = since(began)
print(json.dumps(found))
"""


def made(path: Path, count: int) -> None:
    """Writes the rows."""
    dice = random.Random(0)
    vocabulary, kept = words(dice), ["an earlier row"]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            text = " ".join(dice.choices(vocabulary, k=14)) if dice.random() > 0.03 else dice.choice(kept)
            kept = kept if len(kept) > 5000 else [*kept, text]
            file.write(json.dumps({"text": text}) + "\n")


def own(path: Path, base: str, asked: Sequence[str]) -> dict[str, Any]:
    """Seconds of each step on the rows of a file, on the clock and of processors."""
    from affina.core.example import Text
    from affina.core.kinds import Desk, transforms
    from affina.data.held import held
    from affina.data.layout import batches_of
    from affina.data.ledger import Ledger
    from affina.data.near import clusters
    from affina.data.recognise import readings
    from affina.data.rows import Renderer
    from affina.data.stream import Records
    from affina.engine.source import find

    lines = path.read_text(encoding="utf-8").splitlines()
    examples = [Text(id=f"a:{place}", text=json.loads(line)["text"]) for place, line in enumerate(lines)]
    renderer = Renderer.open(find(base).folder)
    rows: list[Any] = []
    there, kept = held(examples), list[Any]()

    def tokenise() -> None:
        rows.extend(renderer.rows(examples))

    def dedup() -> None:
        kept.append(held(transforms.build("dedup").apply(there, Desk(Ledger()))))

    steps: dict[str, Callable[[], Any]] = {
        "read": lambda: [*Records(readings([path]), ["rows"])],  # the second count goes along
        "tokenise": tokenise,
        "dedup": dedup,
        "near": lambda: clusters([each.text for each in examples], 0.8),
        "pack": lambda: sum(len(places) for places, _ in batches_of(rows, 4096)),
    }
    return {name: timed(steps[name]) for name in STEPS if name in asked} | {"kept": len(kept[0]) if kept else None}


def timed(step: Callable[[], Any]) -> list[float]:
    began, used = time.perf_counter(), time.process_time()
    step()
    return [time.perf_counter() - began, time.process_time() - used]


def printed(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    from affina.engine.source import find

    tokenizer, cores = str(find(given.base).folder / "tokenizer.json"), len(os.sched_getaffinity(0))
    found = []
    for size in given.sizes:
        path = folder / f"{size}.jsonl"
        made(path, size)
        ours, theirs = [], []
        for turn in range(given.repeat):
            command = [sys.executable, __file__, "--base", given.base, "--rows", str(path), "--steps", *given.steps]
            ours.append(printed(command))
            if given.peer:
                cache = str(folder / f"peer-{size}-{turn}")
                theirs.append(printed([given.peer, "-c", PEER, str(path), tokenizer, str(cores), cache, *given.steps]))
        line: dict[str, Any] = {"rows": size, "cores": cores, "kept": ours[0]["kept"]}
        for who, runs in (("affina", ours), ("datasets", theirs)):
            steps = [name for name in (runs[0] if runs else {}) if name != "kept"]
            wall, used = ({name: round(size / median(run[name][n] for run in runs)) for name in steps} for n in (0, 1))
            line[who] = {**wall, "cpu": used}
        print(json.dumps(line), flush=True)
        found.append(line)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="smollm2-135m-instruct", help="whose tokenizer")
    parser.add_argument("--peer", help="the python of an environment with datasets and tokenizers")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if "pack" in given.steps and "tokenise" not in given.steps:
        parser.error("what is packed is tokenised before: --steps tokenise pack")
    if given.rows:
        print(json.dumps(own(given.rows, given.base, given.steps)))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        found = measure(given, Path(folder))
    if given.out:
        Path(given.out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
