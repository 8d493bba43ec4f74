"""GGUF files written here, run by llama.cpp: its numbers and its tokens beside those of transformers."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import build
from gguf import GGUFReader
from served import merged, plainly, settings, some_tokens
from tokenizers import Tokenizer, models, normalizers

from affina.core.errors import Failed, Refused
from affina.engine.tokenizers.wordpiece import WordPiece
from affina.release.gguf import architecture, write

pytest.importorskip("llama_cpp", reason="llama.cpp is not installed: pip install 'affina[llama]'")

import llama_cpp

from affina.release.gguf.llama import LlamaModel

pytestmark = pytest.mark.slow  # with llama.cpp, which `make test-slow` builds

F16 = 5e-3
"""Between float32 logits of size 30 and those of weights in 16 bits; a wrong order of terms gives 1 and more."""
TEXTS = (
    "The parcel has not arrived!",
    "Perché?\n\n  due  spazi\tDON'T 12345",
    "<|im_start|>user\nHi<|im_end|>\n",
    "日本 🚀",
)
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 10000.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 64}
BASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, tied": ("llama", {}),
    "llama, untied, biases": ("llama", {"tie_word_embeddings": False, "attention_bias": True}),
    "llama, stretched": ("llama", {"rope_parameters": LLAMA3}),
    "llama, linear": ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0}}),
    "llama, yarn": ("llama", {"rope_parameters": YARN}),
    "llama, yarn, louder": ("llama", {"rope_parameters": {**YARN, "attention_factor": 1.5}}),
    "qwen2": ("qwen2", {}),
    "qwen3, tied": ("qwen3", {"tie_word_embeddings": True}),
    "mistral": ("mistral", {"sliding_window": None}),
}


def exported(folder: Path, kind: str, tmp_path: Path, **more: Any) -> LlamaModel:
    write.write(merged(folder, **more), kind, tmp_path / f"{kind}.gguf")
    return LlamaModel(tmp_path / f"{kind}.gguf")


@pytest.mark.parametrize("name", BASES)
def test_llama_cpp_gives_the_logits_and_the_tokens_of_transformers(name: str, tmp_path: Path) -> None:
    kind, changes = BASES[name]
    folder = build(kind, tmp_path / "base", **changes)
    mine, theirs = plainly(folder), exported(folder, "f16", tmp_path)
    tokens = some_tokens(300)
    right, found = mine.logits(tokens), theirs.logits(tokens)
    assert right.shape == found.shape
    assert abs(right - found).max() <= F16 * max(1, abs(right).max() / 5)
    assert theirs.greedy(tokens, 8, frozenset({1})) == mine.greedy(tokens, 8, frozenset({1}))
    for text in TEXTS:
        assert theirs.tokens(text) == mine.tokens(text)


def test_fewer_bits_are_farther_from_the_model_and_smaller(family: Callable[[str], Path], tmp_path: Path) -> None:
    tokens, folder = some_tokens(300), family("llama")
    right = plainly(folder).logits(tokens)
    kinds = ("f32", "f16", "q8_0", "q4_0")
    off = [abs(exported(folder, kind, tmp_path).logits(tokens) - right).mean() for kind in kinds]
    sizes = [(tmp_path / f"{kind}.gguf").stat().st_size for kind in kinds]
    assert off == sorted(off) and sizes == sorted(sizes, reverse=True) and off[0] < 1e-5


def test_rows_of_the_embedding_without_a_token_are_unused_tokens(tmp_path: Path) -> None:
    """A vocabulary that was resized, or padded to a round number."""
    folder = build("llama", tmp_path / "base", vocab_size=328)
    own = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    model = exported(folder, "f16", tmp_path)
    tokens = some_tokens(own)
    assert model.logits(tokens).shape == (24, 328)
    assert abs(model.logits(tokens) - plainly(folder).logits(tokens)).max() <= F16 * 10
    fields = GGUFReader(tmp_path / "f16.gguf").fields
    assert fields["tokenizer.ggml.tokens"].contents()[own:] == [f"[PAD{n}]" for n in range(own, 328)]
    assert set(fields["tokenizer.ggml.token_type"].contents()[own:]) == {5}


def test_the_template_of_the_file_renders_byte_for_byte_as_the_folders(tmp_path: Path) -> None:
    folder = build("llama", tmp_path / "base")
    odd = "\n\n  {%- for message in messages %}\n\t{{- message['role'] + ':\u00a0' }}  \n {{ message['content'] }} "
    odd += "{% if true %}\n   {% endif %}\n{{ '<|im_end|>\\n' }}\r\n{% endfor %}\n "
    odd += "{% if add_generation_prompt %}{{ 'bot:  ' }}{% endif %} \n\n"
    settings(folder, "tokenizer_config.json", chat_template=None)
    (folder / "chat_template.jinja").write_bytes(odd.encode())
    turns = [{"role": "user", "content": "  Hello \n"}, {"role": "assistant", "content": "\tHi"}]
    theirs, mine = exported(folder, "f16", tmp_path).render(turns), plainly(folder).render(turns)
    assert theirs.encode() == mine.encode()
    assert theirs.count("\n") > 4 and "bot:  " in theirs


def test_pieces_with_bytes_to_fall_back_on_are_joined_by_rank(tmp_path: Path) -> None:
    """Llama 2's kind of vocabulary: a space before the text, pieces by rank, bytes for what has no piece."""
    folder = build("llama", tmp_path / "base")
    named, joined = (
        ["<unk>", "<s>", "</s>"],
        ["\u2581t", "he", "\u2581the", "in", "ar", "\u2581p", "\u2581par", "ce", "cel"],
    )
    pieces = [*named, *(f"<0x{n:02X}>" for n in range(256)), *"\u2581abcdehilnoprstw", *joined]
    known = {piece: n for n, piece in enumerate(pieces)}
    merges = [
        (piece[:at], piece[at:])
        for piece in joined
        for at in range(1, len(piece))
        if piece[:at] in known and piece[at:] in known
    ]
    tokenizer = Tokenizer(models.BPE(known, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.add_special_tokens(named)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings(folder, "tokenizer_config.json", bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>")
    theirs = exported(folder, "f16", tmp_path)
    for text in ("the parcel", "Perch\u00e9  the the", "win a parcel\n"):
        assert theirs.tokens(text) == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_bert_with_wordpiece_gives_the_same_vector_and_tokens(lowercase: bool, tmp_path: Path) -> None:
    folder = build("bert", tmp_path / "base")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = WordPiece(vocabulary=200).learn(["the parcel has not arrived", "Perché no"] * 4, special, "[UNK]")
    tokenizer.save(str(folder / "tokenizer.json"))
    settings(folder, "tokenizer.json", normalizer={
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
        "lowercase": lowercase,
    })  # fmt: skip
    settings(
        folder, "tokenizer_config.json", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", eos_token="[SEP]"
    )
    settings(folder, "head.json", head="vector", place="mean", labels=[])
    mine, theirs = plainly(folder), exported(folder, "f16", tmp_path, head="vector")
    for text in ("The parcel has not arrived", "Perché no, the PARCEL"):
        assert theirs.tokens(text) == mine.tokens(text)
    tokens = some_tokens(90)
    assert abs(theirs.logits(tokens) - mine.logits(tokens)).max() <= 1e-2


@pytest.mark.parametrize(
    ("config", "head", "why"),
    [
        ({"model_type": "gpt_neox"}, "words", "its architecture gpt_neox cannot be written as GGUF here"),
        ({"model_type": "bert"}, "words", "llama.cpp's BERT has no words"),
        ({"model_type": "llama"}, "labels", "llama.cpp gives no labels of a model of the architecture llama"),
        ({"model_type": "llama", "hidden_act": "relu"}, "words", "computes llama with silu, and this base with relu"),
        ({"model_type": "mistral", "sliding_window": 9, "max_position_embeddings": 99}, "words", "9 tokens alone"),
        ({"model_type": "llama", "rope_scaling": {"type": "dynamic"}}, "words", "scaled by 'dynamic'"),
        ({"model_type": "llama", "rope_scaling": {"type": "yarn", "beta_fast": 8}}, "words", "between other bounds"),
    ],
)  # fmt: skip
def test_what_llama_cpp_cannot_run_is_refused_with_the_reason(config: dict[str, Any], head: str, why: str) -> None:
    assert why in architecture.objection(config, head, "past")


def test_a_tokenizer_that_has_no_name_there_is_refused(family: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(family("llama"), tmp_path / "base")
    settings(Path(folder), "tokenizer.json", pre_tokenizer={"type": "Metaspace", "replacement": "_"})
    with pytest.raises(Refused, match="splits text by Metaspace in a way that has no name there"):
        write.write(merged(Path(folder)), "f16", tmp_path / "m.gguf")


def test_a_file_that_is_no_model_fails_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\0" * 60)
    with pytest.raises(Failed, match=r"llama\.cpp cannot load"):
        LlamaModel(tmp_path / "m.gguf")


def test_llama_3_stretches_slow_frequencies_alone() -> None:
    """Of its published rule: wavelengths beyond 64 / 1 by 8, those below 64 / 4 not at all."""
    factors = architecture.rope_factors({"rope_parameters": LLAMA3, "hidden_size": 32, "num_attention_heads": 4})
    assert factors is not None
    waves = 2 * np.pi * 10000.0 ** (np.arange(0, 8, 2) / 8)
    assert np.all(factors[waves < 16] == 1) and np.all(factors[waves > 64] == 8)


def test_up_to_three_tokens_end_an_answer_in_the_file(tmp_path: Path) -> None:
    folder = build("llama", tmp_path / "base")
    settings(folder, "generation_config.json", eos_token_id=[1, 5, 7])
    model = exported(folder, "f16", tmp_path)
    ends = [n for n in range(20) if llama_cpp.llama_vocab_is_eog(model._vocab, n)]
    assert {1, 5, 7} <= {*ends} and 6 not in ends
