"""Speed of an encoder that learns to sort texts: the product's own `train`, or transformers' Trainer, one JSON line.

    python benchmarks/classify.py --data banking --rank 16
    python benchmarks/compare.py --python PEERS/bin/python --ours classify.py --by samples_per_s \\
        --peer "benchmarks/classify.py --tool trainer --attention eager" -- --data abstracts --rank 0 --batch 16

`banking`: banking77/train.csv, short messages of 77 classes; `abstracts`: pubmedqa_labeled/ori_pqal.json, questions
with their abstracts, of three classes, cut at 256 tokens. Both are read from $AFFINA_BENCH_DATA. Each side learns the
same rows once: those that length-grouped training meets, which Trainer takes in that order. `--rank 0`: everything
learns.
"""

import argparse
import csv
import json
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

POOL = 50  # batches sorted by length at once in length-grouped training
HELD = 40  # rows that do not train
LONGEST = 256
Rows = list[tuple[str, str]]


def rows(data: str) -> Rows:
    """(text, class) in a seeded order."""
    folder = Path(os.environ.get("AFFINA_BENCH_DATA", "data"))
    found: Rows
    if data == "banking":
        with (folder / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
            found = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    else:
        told = json.loads((folder / "pubmedqa_labeled" / "ori_pqal.json").read_text(encoding="utf-8"))
        found = [(" ".join([each["QUESTION"], *each["CONTEXTS"]]), each["final_decision"]) for each in told.values()]
    random.Random(0).shuffle(found)
    return found


def chosen(given: argparse.Namespace, tokenizer: Any) -> tuple[Rows, Rows]:
    """(training, held out). `tokenizer`: a folder's own, whose lengths group the rows."""
    every = rows(given.data)
    pool = every[: -5 * HELD][: POOL * given.batch]
    pool = pool[: len(pool) // given.batch * given.batch]  # whole batches alone
    lengths = [min(len(tokenizer.encode(text)), LONGEST) for text, _ in pool]
    order = sorted(range(len(pool)), key=lambda place: lengths[place])
    batches = [order[start : start + given.batch] for start in range(0, len(order), given.batch)]
    random.Random(0).shuffle(batches)
    count = given.steps + given.warm
    if count > len(batches):
        raise SystemExit(f"{count} steps of {given.batch} rows are more than {given.data} has: {len(pool)}")
    training = [pool[place] for members in batches[:count] for place in members]
    classes = {label for _, label in training}
    held = [each for each in every[len(pool) :] if each[1] in classes]
    return training, held[:HELD]


def line(given: argparse.Namespace, tool: str, tokens: Sequence[int], seconds: Sequence[float], **more: Any) -> str:
    """The JSON line: tokens and seconds are of every step, those before the clock too."""
    counted = slice(given.warm, None)
    whole = sum(seconds[counted])
    told = {
        "tool": tool,
        "workload": f"classify {given.data}",
        "settings": {key: value for key, value in vars(given).items() if key not in ("data", "tool", "base")},
        "real_tokens_per_s": round(sum(tokens[counted]) / whole, 1),
        "samples_per_s": round(given.batch * given.steps / whole, 2),
        "step_s": [round(each, 3) for each in seconds],
        **more,
    }
    return json.dumps(told)


def recipe(given: argparse.Namespace, file: Path, split: dict[str, Any]) -> dict[str, Any]:
    """The run as a user would write it."""
    steps = given.steps + given.warm
    return {
        "name": "classify",
        "model": {"base": given.base},
        "data": {
            "read": [str(file)],
            "shape": {"name": "labelled", "text": "text", "label": "label"},
            "transforms": [split],
            "max_tokens": LONGEST,
            "truncate": "allow",
        },
        "tuning": {"name": "lora", "rank": given.rank, "alpha": 2 * given.rank} if given.rank else "full",
        "objective": {"name": "classify"},
        "train": {"steps": steps, "batch": given.batch, "learning_rate": given.lr},
        "evaluate": {"metrics": ["loss"], "every": steps},
    }


def ours(given: argparse.Namespace) -> str:
    """A run of the product."""
    import workload
    from sft import Clock
    from tokenizers import Tokenizer

    import affina
    from affina.cli.runtime import prepare
    from affina.core.recipe import Recipe
    from affina.engine.source import find

    prepare()
    training, held = chosen(given, Tokenizer.from_file(str(find(given.base).folder / "tokenizer.json")))
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        told = [{"text": text, "label": label} for text, label in (*training, *held)]
        file.write_text("".join(json.dumps(each) + "\n" for each in told), encoding="utf-8")
        workload.offer_held_out(Path(folder))
        split = {"name": "held_out", "training": len(training), "validation": HELD // 2}
        plain = recipe(given, file, split)
        run = affina.train(Recipe.build(plain), root=Path(folder) / "runs", say=clock)
        events = run.events("learn")
        losses = [round(each["loss"], 4) for each in events]
        compute = run.read("lock.json")["machine"]["compute"]
        seconds = clock.steps_s(events[0]["seconds"])
        return line(given, "affina", [each["tokens"] for each in events], seconds, losses=losses, compute=compute)


def network(given: argparse.Namespace, classes: int) -> Any:
    """The base with a head for so many classes, as Trainer takes it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    narrow = {"dtype": torch.bfloat16} if given.rank else {}
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        given.base, num_labels=classes, attn_implementation=given.attention, **narrow
    )
    if not given.rank:
        return model
    from peft import LoraConfig, get_peft_model

    layers = (name for name, module in model.base_model.named_modules() if isinstance(module, torch.nn.Linear))
    places = sorted({name.rpartition(".")[2] for name in layers})  # as affina has it: every linear layer of the base
    how = LoraConfig(r=given.rank, lora_alpha=2 * given.rank, target_modules=places, task_type="SEQ_CLS")
    return get_peft_model(model, how)


def encoded(given: argparse.Namespace, tokenizer: Any) -> tuple[dict[str, list[Any]], int]:
    """The rows as Trainer's columns, in order, and how many classes there are."""
    training, _ = chosen(given, tokenizer)
    classes = sorted({label for _, label in rows(given.data)})
    taken = [tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"] for text, _ in training]
    return {"input_ids": taken, "labels": [classes.index(label) for _, label in training]}, len(classes)


def trainer(given: argparse.Namespace) -> str:
    """The same by transformers' Trainer, and PEFT: bf16 autocast, dynamic padding, batches of like lengths."""
    from datasets import Dataset
    from torch.utils.data import SequentialSampler
    from transformers import (
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    tokenizer: Any = AutoTokenizer.from_pretrained(given.base)
    columns, classes = encoded(given, tokenizer)
    data, model = Dataset.from_dict(columns), network(given, classes)
    ends: list[float] = []
    tokens: list[int] = []

    class InOrder(Trainer):
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return SequentialSampler(data)

        def training_step(self, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
            tokens.append(int(inputs["attention_mask"].sum()))
            return super().training_step(model, inputs, *more, **named)

    class Ends(TrainerCallback):
        def on_step_end(self, *given: Any, **named: Any) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        how = TrainingArguments(
            folder, per_device_train_batch_size=given.batch, max_steps=given.steps + given.warm, use_cpu=True,
            bf16=not given.rank, learning_rate=given.lr, save_strategy="no", logging_steps=1, report_to=[],
            disable_tqdm=True,
        )  # fmt: skip
        made = InOrder(
            model, how, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer), callbacks=[Ends()]
        )
        began = time.perf_counter()
        made.train()
    seconds = [end - begin for begin, end in zip([began, *ends], ends, strict=False)]
    losses = [round(float(each["loss"]), 4) for each in made.state.log_history if "loss" in each]
    return line(given, "transformers.Trainer", tokens, seconds, losses=losses)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tool", default="affina", choices=["affina", "trainer"])
    parser.add_argument("--data", default="banking", choices=["banking", "abstracts"])
    parser.add_argument("--base", default=os.environ.get("AFFINA_BENCH_ENCODER", "minilm"))
    parser.add_argument("--attention", default="eager", help="Trainer's attention")
    parser.add_argument("--steps", type=int, default=16, help="measured steps")
    parser.add_argument("--warm", type=int, default=4, help="steps before the clock")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rank", type=int, default=0, help="LoRA rank; 0: everything learns")
    parser.add_argument("--lr", type=float, default=1e-4)
    given = parser.parse_args()
    print(ours(given) if given.tool == "affina" else trainer(given))


if __name__ == "__main__":
    main()
