"""What a model folder is, told by its configuration: how it reads, and where the hub's cache keeps it."""

import json
from pathlib import Path
from typing import Any

import pytest

from affina.data.tokens import Vocabulary
from affina.engine.folder import reads, snapshot
from affina.engine.outline import outline

WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "a published BART": ({"is_encoder_decoder": True, "architectures": ["BartModel"]}, "source"),
    "a Marian": ({"is_encoder_decoder": True, "architectures": ["MarianMTModel"]}, "source"),
    "an early T5": ({"is_encoder_decoder": True, "architectures": ["T5WithLMHeadModel"]}, "source"),
    "a T5's encoder": ({"is_encoder_decoder": True, "architectures": ["T5EncoderModel"]}, ""),
    "an ELECTRA that tells words from others": ({"architectures": ["ElectraForPreTraining"]}, ""),
    "an ELECTRA that says words": ({"architectures": ["ElectraForMaskedLM"]}, "both"),
    "a BERT that was trained on two tasks": ({"architectures": ["BertForPreTraining"]}, "both"),
    "a DeBERTa that names no class": ({"model_type": "deberta-v2"}, "both"),
    "a BERT that names no class and decodes": ({"model_type": "bert", "is_decoder": True}, "past"),
    "a Llama that names no class": ({"model_type": "llama"}, "past"),
    "a Llama's body": ({"model_type": "llama", "architectures": ["LlamaModel"]}, ""),
}


@pytest.mark.parametrize("name", WAYS)
def test_how_it_reads_is_told_by_its_configuration(name: str, tmp_path: Path) -> None:
    config, expected = WAYS[name]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert reads(tmp_path) == expected


def test_a_model_in_the_hubs_cache_is_what_its_main_branch_holds(family: Any, tmp_path: Path) -> None:
    cache = tmp_path / "models--who--what"
    for part in ("refs", "blobs", "snapshots/0a1b"):
        (cache / part).mkdir(parents=True)
    (cache / "refs" / "main").write_text("0a1b")
    for number, file in enumerate(sorted(family("llama").iterdir())):
        (cache / "blobs" / str(number)).write_bytes(file.read_bytes())
        (cache / "snapshots" / "0a1b" / file.name).symlink_to(f"../../blobs/{number}")
    assert snapshot(cache) == cache / "snapshots" / "0a1b" and snapshot(tmp_path) == tmp_path
    found = outline(str(cache), False, lambda *_: None)
    assert found is not None and found.folder == (cache / "snapshots" / "0a1b").resolve()


def test_the_smaller_of_two_position_tables_counts(family: Any, tmp_path: Path) -> None:
    folder = tmp_path / "led"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes((family("bart") / "tokenizer.json").read_bytes())
    sizes = {"max_encoder_position_embeddings": 16384, "max_decoder_position_embeddings": 1024}
    (folder / "config.json").write_text(json.dumps({"model_type": "led", **sizes}))
    assert Vocabulary(folder).limit == 1024
