"""Steps of fine-tuning on an accelerator, as a share of its measured matrix rate; shapes of real bases, random weights.

    python benchmarks/accelerator.py --shape llama-3-8b --tuning lora --rows 4 --length 2048
    python benchmarks/accelerator.py --shape smollm2-135m --tuning full --rows 64 --length 0 --tool trl

`--length 0`: rows as long as worked answers are (about 218 tokens, 58 % supervised, lengths log-normal), else all of
one length, half of it supervised. One line of JSON. MFU counts the operations that the work needs (docs/speed.md), the
same for both tools, over the rate of the best of several large bf16 products on the same card. Weights are random, so
no loss says anything here; what is computed does not depend on them. `--tool trl` needs trl and peft.
"""

import argparse
import json
import math
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from floor import Shape

from affina.core.kinds import Row
from affina.engine.torch.machine import device

SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True,
        "rope_theta": 100000.0, "max_position_embeddings": 8192,
    },
    "llama-3-8b": {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
        "rope_theta": 500000.0, "max_position_embeddings": 8192,
    },
    "qwen2.5-7b": {
        "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False,
        "rope_theta": 1000000.0, "max_position_embeddings": 32768,
    },
}  # fmt: skip
"""Sizes as the bases' own configurations state them."""
SUPERVISED, MEAN, SPREAD = 0.58, 218, 0.35
PRODUCT = 8192


def rows_of(given: argparse.Namespace, steps: int) -> list[list[Row]]:
    """Micro-batches of rows of random tokens, other ones at every step."""
    draws, words = np.random.default_rng(given.seed), SHAPES[given.shape]["vocab_size"]
    made = []
    for step in range(steps):
        if given.length:
            lengths = np.full(given.rows, given.length)
        else:
            drawn = draws.lognormal(math.log(MEAN) - SPREAD**2 / 2, SPREAD, given.rows)
            lengths = np.clip(drawn.astype(int), 16, 1000)
        made.append([_row(f"{step}-{n}", int(size), words, draws, given.length > 0) for n, size in enumerate(lengths)])
    return made


def _row(name: str, size: int, words: int, draws: np.random.Generator, half: bool) -> Row:
    weights = np.zeros(size, np.float32)
    weights[-int(size * (0.5 if half else SUPERVISED)) :] = 1
    return Row(name, draws.integers(0, words, size).astype(np.int32), weights)


def operations(shape: Shape, rows: list[Row], given: argparse.Namespace) -> float:
    """Floating-point operations that one step needs: see docs/speed.md, "The floor"."""
    tokens, targets = sum(len(row.tokens) for row in rows), sum(row.targets for row in rows)
    pairs = sum(len(row.tokens) * (len(row.tokens) + 1) / 2 for row in rows)
    moving = given.tuning == "full"
    passes, thin = (6, 0.0) if moving else (4, 6.0 * shape.adapters(given.rank))
    head = passes * targets * shape.hidden * shape.vocabulary
    return tokens * (passes * shape.weights() + thin) + head + 3 * 4 * shape.layers * shape.q * pairs


def finished() -> float:
    """The time once the card has done all that it was given."""
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak(size: int) -> float:
    """Operations per second of the best of 20 products of two random bf16 matrices."""
    left, right = (torch.randn(size, size, device=device(), dtype=torch.bfloat16) for _ in range(2))
    taken = []
    for _ in range(23):
        began = finished()
        left @ right
        taken.append(finished() - began)
    return 2 * size**3 / min(taken[3:])


def network(given: argparse.Namespace, name: str) -> Any:
    """The base with random weights, made where it computes."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = dict(SHAPES[given.shape])
    theta = sizes.pop("rope_theta")
    rope = {"rope_type": "default", "rope_theta": theta}
    config = AutoConfig.for_model(sizes.pop("model_type"), **sizes, rope_parameters=rope, rope_theta=theta)
    with device():
        kind: Any = AutoModelForCausalLM
        made = kind.from_config(config, dtype=torch.bfloat16, attn_implementation=name)
    return made.requires_grad_(False)


def ours(given: argparse.Namespace) -> tuple[list[float], dict[str, Any]]:
    """Seconds of every step of the product's own engine."""
    from affina.core.compute import Computing
    from affina.core.kinds import objectives, optimizers, schedules, tunings
    from affina.data.rows import Renderer
    from affina.engine.torch import attention
    from affina.engine.torch.load import Network
    from affina.engine.torch.norms import follow_precision
    from affina.engine.torch.step import Course, TorchEngine

    model = network(given, attention.NAME)
    follow_precision(model)
    computing = Computing("bf16", kernels=given.kernels, compile=given.compile, checkpoint=given.checkpoint,
                          masters=given.masters)  # fmt: skip
    tuning = tunings.build({"name": "lora", "rank": given.rank} if given.tuning == "lora" else "full")
    course = Course(tuning, optimizers.build("adamw"), schedules.build("constant"), 1e-5, 10**6, seed=0)
    engine = TorchEngine(Network(model, computing).eval(), Renderer.open(Path(given.tokenizer)), course)
    objective, seconds = objectives.build("cross_entropy"), []
    losses = []
    for step, rows in enumerate(rows_of(given, given.warm + given.steps), 1):
        batch = engine.layout(rows)
        began = time.perf_counter()
        losses.append(engine.learn([batch], objective, step)["loss"])
        seconds.append(finished() - began)
    fused = sum(stage.block() is not None for stage in engine.network.stages)
    return seconds, {"losses": [round(each, 3) for each in losses], "fused": fused, "packs": engine.network.flat}


def theirs(given: argparse.Namespace) -> tuple[list[float], dict[str, Any]]:
    """Seconds of every step of TRL's trainer on the same rows, padded to the longest as it does without flash-attn."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **more: Any) -> None:
            ends.append(finished())

    rows = [row for step in rows_of(given, given.warm + given.steps + 1) for row in step]
    held = Dataset.from_list(
        [{"input_ids": row.tokens.tolist(), "completion_mask": row.weights.astype(int).tolist()} for row in rows]
    )
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, per_device_train_batch_size=given.rows, max_steps=given.warm + given.steps + 1,
            bf16=True, max_length=None, learning_rate=1e-5, lr_scheduler_type="constant", report_to=[],
            save_strategy="no", gradient_checkpointing=given.checkpoint, logging_steps=10**6, completion_only_loss=True,
            disable_tqdm=True, torch_compile=given.compile, train_sampling_strategy="sequential",
            optim="adamw_torch_fused", use_cpu=device().type == "cpu",
        )  # fmt: skip
        lora = LoraConfig(r=given.rank, lora_alpha=2 * given.rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = network(given, "sdpa")
        if given.tuning == "full":
            model.requires_grad_(True)
        trainer = SFTTrainer(
            model, args=config, train_dataset=held, processing_class=AutoTokenizer.from_pretrained(given.tokenizer),
            peft_config=lora if given.tuning == "lora" else None, callbacks=[Clock()],
        )  # fmt: skip
        trainer.train()
    return list(np.diff(ends)), {"versions": {name: version(name) for name in ("trl", "peft")}}


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """The line."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(SHAPES[given.shape]), encoding="utf-8")
        shape = Shape.read(Path(folder))
    best = peak(PRODUCT if device().type == "cuda" else 1024)
    first = 0 if given.tool == "affina" else 1  # their clock starts at the end of a step
    seconds, more = (theirs if first else ours)(given)
    timed = rows_of(given, first + given.warm + given.steps)[first + given.warm :]
    each = [(sum(len(row.tokens) for row in rows), operations(shape, rows, given)) for rows in timed]
    counted = seconds[given.warm : given.warm + given.steps]
    rates = [tokens / taken for (tokens, _), taken in zip(each, counted, strict=True)]
    shares = [needed / taken / best for (_, needed), taken in zip(each, counted, strict=True)]
    return {
        "tool": given.tool,
        "settings": vars(given),
        "card": torch.cuda.get_device_name() if device().type == "cuda" else "none",
        "versions": {"torch": torch.__version__, "transformers": version("transformers")},
        "matrix_tflops": round(best / 1e12, 1),
        "tokens_per_step": round(sum(tokens for tokens, _ in each) / len(each)),
        "real_tokens_per_s": round(median(rates)),
        "mfu": round(median(shares), 4),
        "step_ms": [round(1000 * taken, 1) for taken in counted],
        "first_steps_s": [round(taken, 2) for taken in seconds[: given.warm]],
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2),
        **more,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", choices=[*SHAPES], default="smollm2-135m")
    parser.add_argument("--tuning", choices=["lora", "full"], default="lora")
    parser.add_argument("--tool", choices=["affina", "trl"], default="affina")
    parser.add_argument("--tokenizer", default="tokenizer", help="a folder with any tokenizer: no text is read")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=2048, help="tokens of every row; 0: as worked answers")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--masters", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--checkpoint", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--kernels", action=argparse.BooleanOptionalAction, default=True)
    print(json.dumps(measured(parser.parse_args())), flush=True)


if __name__ == "__main__":
    main()
