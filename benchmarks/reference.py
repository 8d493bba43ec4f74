"""The loss to be held against: transformers + PEFT in float32, padded batches, the same rows, three seeds.

    python benchmarks/reference.py --data gsm --steps 30 --seeds 0 1 2 --paired

Plain code with nothing of the engine in it: right padding, full logits, torch's cross-entropy over the supervised
tokens of the step, AdamW at a constant rate, gradients clipped to norm 1. The order is the product's own for the seed.
Adapters are drawn from the seed; `--paired` begins with those that the product draws, so that a run of `sft.py` of the
same seed differs in nothing but how it is computed. Prints the loss on the rows that `sft.py --validation-loss` holds
out, per seed, and its range.
"""

import argparse
import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import workload
from peft import LoraConfig, get_peft_model
from sft import VALIDATING
from transformers import AutoModelForCausalLM

from affina.core.compute import Computing
from affina.core.kinds import Row, tunings
from affina.engine.source import find
from affina.engine.torch.load import load
from affina.engine.torch.tuned import attach

MICRO = 4  # rows whose logits are held at once


def nats(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """Σ of -log p of every supervised token of the rows, padded to the longest."""
    width = max(len(row.tokens) for row in rows)
    tokens_RT, labels_RT = torch.zeros(len(rows), width, dtype=torch.long), torch.full((len(rows), width), -100)
    mask_RT = torch.zeros(len(rows), width, dtype=torch.long)
    for r, row in enumerate(rows):
        size = len(row.tokens)
        tokens_RT[r, :size], mask_RT[r, :size] = torch.from_numpy(row.tokens.astype(np.int64)), 1
        labels_RT[r, :size][torch.from_numpy(row.weights > 0)] = tokens_RT[r, :size][torch.from_numpy(row.weights > 0)]
    logits_RTV = model(input_ids=tokens_RT, attention_mask=mask_RT).logits[:, :-1]
    return torch.nn.functional.cross_entropy(
        logits_RTV.flatten(0, 1).float(), labels_RT[:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )


def parts(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """The rows in micro-batches."""
    return [rows[start : start + MICRO] for start in range(0, len(rows), MICRO)]


@torch.no_grad()
def validation_loss(model: Any, rows: Sequence[Row]) -> float:
    """Nats per supervised token."""
    model.eval()
    return sum(float(nats(model, part)) for part in parts(rows)) / sum(row.targets for row in rows)


@torch.no_grad()
def begin_as_the_product(model: Any, given: argparse.Namespace, seed: int) -> None:
    """The adapters of a run of the product with that seed, before its first step."""
    folder, tuning = (
        find(given.base).folder,
        tunings.build({"name": "lora", "rank": given.rank, "alpha": 2 * given.rank}),
    )
    network = load(folder, Computing("float32", kernels=False))
    attach(network, tuning, seed)
    drawn = {name: each for name, each in network.named_parameters() if each.requires_grad}
    named = {f"base_model.{name}.default.weight": each for name, each in drawn.items()}
    moving = {name: each for name, each in model.named_parameters() if each.requires_grad}
    if named.keys() != moving.keys():
        raise SystemExit(f"other adapters than the product's: {sorted(named.keys() ^ moving.keys())[:4]}")
    for name, each in moving.items():
        each.copy_(named[name])


def train(given: argparse.Namespace, rows: Sequence[Row], held: Sequence[Row], seed: int) -> dict[str, Any]:
    """One run: its losses by step and the loss on the held-out rows after the last."""
    torch.manual_seed(seed)
    model: Any = AutoModelForCausalLM.from_pretrained(find(given.base).folder, dtype=torch.float32)
    if given.rank:
        thin = LoraConfig(r=given.rank, lora_alpha=2 * given.rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, thin)
        if given.paired:
            begin_as_the_product(model, given, seed)
    moving = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=given.lr, weight_decay=0.0)
    order, losses = np.random.default_rng(seed).permutation(len(rows)), []
    for step in range(math.ceil(len(rows) / given.batch)):
        members = [rows[place] for place in order[step * given.batch : (step + 1) * given.batch]]
        model.train()
        count, total = sum(row.targets for row in members), 0.0
        for part in parts(members):
            loss = nats(model, part) / count
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(round(total, 4))
    return {"seed": seed, "losses": losses, "validation_loss": round(validation_loss(model, held), 5)}


def main() -> None:
    parser = workload.arguments(__doc__ or "")
    parser.set_defaults(held_out=VALIDATING + workload.TEST)
    parser.add_argument("--paired", action="store_true", help="begin with the adapters that the product draws")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    torch.set_num_threads(given.threads)
    folder = find(given.base).folder
    training, held = (workload.tokenised(each, folder) for each in workload.chosen(given, folder))
    runs = [train(given, training, held[: -workload.TEST], seed) for seed in given.seeds]
    found = [run["validation_loss"] for run in runs]
    print(
        json.dumps(
            {
                "tool": "reference",
                "workload": given.data,
                "settings": workload.settings(given),
                "runs": runs,
                "validation_loss": {"min": min(found), "max": max(found)},
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
