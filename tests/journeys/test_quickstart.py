"""The quickstart, whole, offline after the fetch; its numbers recomputed with plain transformers and PEFT."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from affina.core.atomic import sha256
from affina.engine.source import find

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # peft 0.21 asks it
]
PROJECT = Path(__file__).parents[2]
RECOMPUTED = 36  # test items answered again by other code


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The run's folder and what `train --json` printed. `--offline` refuses every connection after the fetch."""
    find("smollm2-135m-instruct")
    root = tmp_path_factory.mktemp("quickstart")
    command = [sys.executable, "-m", "affina.cli.main", "train", "recipes/quickstart.yaml", "--offline", "--json"]
    done = subprocess.run([*command, "--root", str(root)], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    yield root / "quickstart", json.loads(done.stdout)


def test_the_tuned_model_is_better_by_ten_points_at_the_least(quickstart: tuple[Path, dict[str, Any]]) -> None:
    _, shown = quickstart
    accuracy = shown["metrics"]["accuracy"]
    assert accuracy["difference"]["n"] >= 100
    assert accuracy["difference"]["low"] >= 0.10
    assert shown["verdict"]["decision"] == "promote"
    assert shown["state"] == "finished"


def test_every_proof_held(quickstart: tuple[Path, dict[str, Any]]) -> None:
    _, shown = quickstart
    assert len(shown["proofs"]) == 8
    assert all(proof["passed"] for proof in shown["proofs"])
    print({proof["name"]: proof["seconds"] for proof in shown["proofs"]})


def test_the_weights_digest_is_of_the_best_checkpoint(quickstart: tuple[Path, dict[str, Any]]) -> None:
    folder, shown = quickstart
    best = folder / "checkpoints" / f"step-{shown['best_step']:08d}" / "trained.safetensors"
    assert sha256(best) == shown["weights_sha256"]


def test_the_report_is_one_file_without_addresses_to_fetch(quickstart: tuple[Path, dict[str, Any]]) -> None:
    page = (quickstart[0] / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page and "<script" not in page
    assert "src=" not in page and "@import" not in page
    assert len(page) < 300_000


def test_accuracy_is_the_share_of_right_answers_in_the_file(quickstart: tuple[Path, dict[str, Any]]) -> None:
    folder, shown = quickstart
    with (PROJECT / "examples" / "support_intents.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        intents = []  # (line the record starts on, intent)
        line = 2
        for row in reader:
            intents.append((line, row["intent"]))
            line = reader.line_num + 1
    by_line = dict(intents)
    for who in ("base", "tuned"):
        answers = json.loads((folder / f"{who}.json").read_text(encoding="utf-8"))
        right = [
            answers["labels"][said] == by_line[int(name.rpartition(":")[2])]
            for name, said in zip(answers["ids"], answers["predicted_N"], strict=True)
        ]
        assert sum(right) / len(right) == pytest.approx(shown["metrics"]["accuracy"][who], abs=1e-12)


def test_plain_transformers_and_peft_give_the_same_answers(quickstart: tuple[Path, dict[str, Any]]) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, _ = quickstart
    base_folder = find("smollm2-135m-instruct").folder
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    network = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    with (PROJECT / "examples" / "support_intents.csv").open(encoding="utf-8", newline="") as file:
        reader, texts, line = csv.DictReader(file), {}, 2
        for row in reader:
            texts[line] = row["message"]
            line = reader.line_num + 1

    def answered(model: Any, answers: dict[str, Any]) -> float:
        """The share of items on which padded float32 scoring of every label picks what the run's answers say."""
        labels, same = answers["labels"], 0
        system = "Read the message and answer with exactly one of these labels and nothing else:\n" + "\n".join(labels)
        for name, said in list(zip(answers["ids"], answers["predicted_N"], strict=True))[:RECOMPUTED]:
            turns = [{"role": "system", "content": system}, {"role": "user", "content": texts[int(name.split(":")[1])]}]
            prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            rows = [tokenizer(prompt + label, add_special_tokens=False)["input_ids"] for label in labels]
            width, start = max(map(len, rows)), len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
            tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
            with torch.no_grad():
                logprobs = model(input_ids=tokens, attention_mask=mask).logits[:, start - 1 :].log_softmax(-1)
            scores = [
                logprobs[k, : len(row) - start].gather(1, torch.tensor(row[start:])[:, None]).sum().item()
                for k, row in enumerate(rows)
            ]
            same += int(max(range(len(labels)), key=scores.__getitem__) == said)
        return same / RECOMPUTED

    read = {who: json.loads((folder / f"{who}.json").read_text(encoding="utf-8")) for who in ("base", "tuned")}
    # The run computes in bf16: near ties may fall the other way.
    assert answered(network, read["base"]) >= 0.9
    assert answered(PeftModel.from_pretrained(network, str(folder / "model")).eval(), read["tuned"]) >= 0.95
