"""Real models of a size that trains in a second, data they can learn, and the affina command in its own process."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

import affina
from affina.core.kinds import Bench
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Silent
from affina.training.cells import SAID, SUBJECTS
from affina.training.material import Material
from affina.training.plan import plan
from affina.training.session import Session

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SENTENCES = tuple(text.format(subject) for texts in SAID.values() for text in texts for subject in SUBJECTS)


def _tokenizer(named: Sequence[str], size: int) -> Tokenizer:
    """A byte-level BPE learnt on this file's own sentences; `named` are its special tokens, from id 0 on."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*named], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, learner)
    return tokenizer


def chat_base(folder: Path, template: str | None = CHATML, seed: int = 0) -> Path:
    """A Llama of 2 layers and width 64; <|im_end|> is eos, pad and the template's stop token at once."""
    tokenizer = _tokenizer(["<|im_start|>", "<|im_end|>"], 384)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    if template is not None:
        settings["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def encoder_base(folder: Path, seed: int = 0) -> Path:
    """A BERT of 2 layers and width 64 without a language head."""
    tokenizer = _tokenizer(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], 384)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=512, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(seed)
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named), encoding="utf-8")
    return folder


def tickets(folder: Path, rows: int = 90) -> Path:
    """A CSV of `rows` texts in three classes that one word tells apart."""
    lines = ["text,label"]
    kinds = [*SAID]
    for number in range(rows):
        label = kinds[number % 3]
        text = SAID[label][number // 3 % 3].format(SUBJECTS[number // 9 % 12])
        lines.append(f'"{text} (case {number * 7919 % 9973:04d})",{label}')
    path = folder / "tickets.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def conversations(folder: Path, rows: int = 60) -> Path:
    """Dialogues of two turns each, in the messages format."""
    path = folder / "chats.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            subject = SUBJECTS[number % 12]
            turns = [
                ("user", f"where is {subject}, case {number * 7919 % 9973:04d}"),
                ("assistant", f"the courier has {subject}"),
                ("user", "and when does it arrive"),
                ("assistant", "it arrives on day " + ["one", "two", "three", "four", "five"][number % 5]),
            ]
            file.write(json.dumps({"messages": [{"role": who, "content": said} for who, said in turns]}) + "\n")
    return path


def prose(folder: Path, paragraphs: int = 40) -> Path:
    """Raw text, a paragraph per row."""
    texts = [
        f"Case {number * 7919 % 9973:04d}. {SENTENCES[number * 5 % len(SENTENCES)]}. {SENTENCES[number * 11 % 108]}."
        for number in range(paragraphs)
    ]
    path = folder / "prose.txt"
    path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return path


def recipe(folder: Path, base: Path | str, read: str = "tickets.csv", **sections: Any) -> Path:
    """A recipe's file beside its data: float32, few steps; a mapping given for a section replaces those settings."""
    plain: dict[str, Any] = {
        "name": "tiny",
        "model": {"base": str(base)},
        "data": {"read": [read], "max_tokens": 256},
        "tuning": {"name": "lora", "rank": 4},
        "train": {"steps": 12, "batch": 8, "learning_rate": 0.01, "save_every": 4, "compute": {"precision": "float32"}},
        "evaluate": {"every": 4, "patience": 9, "suites": []},
    }
    for name, given in sections.items():
        plain[name] = {**plain.get(name, {}), **given} if isinstance(given, dict) and name != "tuning" else given
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    return path


def environment(**more: str) -> dict[str, str]:
    """This process's environment, one thread, with a warning as bad as an error left to the parent."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **more}


def command(*arguments: str | Path) -> list[str]:
    """The affina command with this interpreter."""
    return [sys.executable, "-m", "affina.cli.main", *map(str, arguments)]


def affina_process(
    *arguments: str | Path, cwd: Path | None = None, within_s: float = 600, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end, at most two minutes unless it is said otherwise."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=within_s, cwd=cwd, env=environment(**env)
    )


PROSE: dict[str, Any] = {"reader": {"name": "text", "by": "paragraph"}}
KINDS: dict[str, dict[str, Any]] = {
    "words": {"tuning": {"name": "lora", "rank": 16}, "train": {"learning_rate": 0.03}},
    "labels": {"objective": "classify"},
    "encoder": {"objective": "classify", "train": {"learning_rate": 0.03}},
    "chats": {"read": "chats.jsonl"},
    "prose": {"read": "prose.txt", "data": PROSE},
    "full": {"tuning": "full", "train": {"learning_rate": 0.003}},
}


def data(folder: Path) -> Path:
    """Every tiny data file in `folder`, made when absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in (tickets, conversations, prose):
        make(folder)
    return folder


class Heard(Silent):
    """Keeps the lines that were said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


class Finished:
    """Runs of `KINDS`, each trained once, in `folder`/KIND."""

    def __init__(self, folder: Path, chat: Path, encoder: Path) -> None:
        self.folder, self.bases = folder, {"encoder": encoder}
        self.chat = chat

    def __call__(self, kind: str) -> Run:
        place = self.folder / kind
        root = place / "runs"
        if not (root / kind).exists():
            affina.train(recipe(data(place), self.bases.get(kind, self.chat), **KINDS[kind]), run=kind, root=root)
        return Run(root / kind)


def session(folder: Path, base: Path, **sections: Any) -> Session:
    """An opened session of a recipe on the tiny data, before anything is written but the run's empty folder."""
    asked = Recipe.load(recipe(data(folder), base, **sections))
    material = Material.gather(asked, offline=True, say=Silent())
    run = Run.create(folder / "runs", "tiny")
    return Session.open(material, plan(asked, material.prepared, material.source, material.rows, run), run)


def bench(opened: Session) -> Bench:
    """What proofs see of a session."""
    asked = opened.recipe
    return Bench(
        opened.engine, asked.objective, opened.expanded("train"), opened.material.rows, asked.data.truncate,
        asked.train.seed,
    )  # fmt: skip


def tensors(opened: Session) -> dict[str, str]:
    """The SHA-256 of every parameter and buffer, by name, with the optimizer's state."""
    network = opened.engine.network
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    found = {
        name: hashlib.sha256(each.detach().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
        for name, each in held.items()
    }
    return found | {"optimizer": str(len(opened.engine.optimizer.state)), "step": str(opened.engine.step)}


def outcome(run: Run) -> dict[str, Any]:
    """What must be the same however often a run was interrupted."""
    shown = run.show()
    return {key: shown[key] for key in ("state", "step", "best_step", "weights_sha256", "metrics", "verdict")}


def written(folder: Path, name: str, rows: Sequence[Any]) -> Path:
    """JSON lines."""
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def words_base(folder: Path, name: str) -> Path:
    """A small BERT, XLNet, T5 or BART that ends in words, of 2 layers and width 64, with random weights."""
    import transformers

    tokenizer = _tokenizer(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], 384)
    closing = {"t5": "$A [SEP]", "bart": "[CLS] $A [SEP]", "bert": "[CLS] $A [SEP]", "xlnet": "$A [SEP] [CLS]"}[name]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=closing, special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    shared = {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}
    model: Any
    if name == "bert":
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
        model = transformers.BertForMaskedLM(transformers.BertConfig(**shared, **sizes))
    elif name == "xlnet":
        model = transformers.XLNetLMHeadModel(
            transformers.XLNetConfig(**shared, d_model=64, n_layer=2, n_head=4, d_inner=128)
        )
    elif name == "t5":
        model = transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                **shared, d_model=64, d_ff=128, d_kv=16, num_layers=2, num_heads=4, decoder_start_token_id=0
            )
        )
    else:
        sides = {
            f"{side}_{what}": size
            for side in ("encoder", "decoder")
            for what, size in (("layers", 2), ("ffn_dim", 128), ("attention_heads", 4))
        }
        model = transformers.BartForConditionalGeneration(
            transformers.BartConfig(**shared, **sides, d_model=64, decoder_start_token_id=2, forced_eos_token_id=None)
        )
    torch.manual_seed(0)
    for module in model.modules():
        model._init_weights(module)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named | {"eos_token": "[SEP]"}), encoding="utf-8")
    return folder
