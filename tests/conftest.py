"""Fixtures that tests of several stages use."""

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from affina.cli.runtime import SPIN
from affina.core.part import Shelf
from affina.engine.offline import SWITCHES

os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # what tests save is not told where they read
os.environ.setdefault("GOMP_SPINCOUNT", SPIN)  # as the command line does, before any test loads torch
AddPart = Callable[[Shelf[Any], str, str], None]


@pytest.fixture(autouse=True)
def still_online() -> Iterator[None]:
    """No test takes this process offline, which cannot be undone: tests that follow it would depend on the order."""
    before = {name: os.environ.get(name) for name in SWITCHES}
    yield
    assert {name: os.environ.get(name) for name in SWITCHES} == before, "run `--offline` in a process of its own"


@pytest.fixture
def add_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AddPart]:
    """Puts one file on a shelf for the length of a test: add_part(shelf, name, source)."""
    added: list[tuple[Any, str]] = []

    def add(shelf: Shelf[Any], name: str, source: str) -> None:
        package = importlib.import_module(shelf.package)
        folder = tmp_path / "shelves" / shelf.title
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        importlib.invalidate_caches()
        added.append((package, name))

    yield add
    for package, name in added:
        sys.modules.pop(f"{package.__name__}.{name}", None)
        vars(package).pop(name, None)


CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture
def byte_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder whose tokenizer has one token per byte and the ChatML template; its weights compute nothing."""
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "byte-base"
    folder.mkdir()
    named = ["<|im_start|>", "<|im_end|>"]
    vocabulary = {token: number for number, token in enumerate([*named, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(named)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "chat_template": CHATML}
    config = {"model_type": "llama", "vocab_size": len(vocabulary), "max_position_embeddings": 2048, "eos_token_id": 1}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({"embedding": np.zeros((len(vocabulary), 2), np.float32)}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A family's name → the folder of a tiny random model of it, built on first use."""
    from families import store

    return store(tmp_path_factory.mktemp("families"))


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny real Llama with the ChatML template."""
    from tiny import chat_base

    return chat_base(tmp_path_factory.mktemp("chat-model"))


@pytest.fixture(scope="session")
def encoder_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny real BERT."""
    from tiny import encoder_base

    return encoder_base(tmp_path_factory.mktemp("encoder-model"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, chat_model: Path, encoder_model: Path) -> Callable[[str], Any]:
    """A kind of `tiny.KINDS` → its run, trained to the end on first use; only to be read."""
    from tiny import Finished

    return Finished(tmp_path_factory.mktemp("finished"), chat_model, encoder_model)
