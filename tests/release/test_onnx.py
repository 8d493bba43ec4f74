"""An ONNX folder run by onnxruntime says what the transformers library says, with past keys and values or at once."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import STOP, build
from safetensors.torch import save_file
from served import merged, plainly, some_tokens

import affina
from affina.core.errors import Failed, Refused
from affina.core.export import HEAD
from affina.core.run import Run
from affina.engine.torch import traced
from affina.release.exports.onnx import Onnx
from affina.release.onnx.rounded import rounded
from affina.release.onnx.session import OnnxModel
from affina.training.embedded import Where

SIZE, GREEDY = 300, 64
STOPS = frozenset({STOP})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A family → its base and the ONNX folder made of it, once."""
    root = tmp_path_factory.mktemp("onnx")

    @cache
    def make(name: str) -> tuple[Path, Path]:
        base, out = build(name, root / name), root / f"{name}-onnx"
        out.mkdir()
        Onnx().write(merged(base), out)
        return base, out

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt2", "mistral"])
def test_a_decoder_says_what_the_library_says(name: str, written: Callable[[str], tuple[Path, Path]]) -> None:
    base, out = written(name)
    library, runtime = plainly(base), Onnx().open(out)
    tokens = some_tokens(SIZE)
    np.testing.assert_allclose(runtime.logits(tokens), library.logits(tokens), atol=2e-5)
    assert runtime.greedy(tokens, GREEDY, STOPS) == library.greedy(tokens, GREEDY, STOPS)
    assert runtime.tokens("Where is it? <|im_end|>") == library.tokens("Where is it? <|im_end|>")
    turns = [{"role": "user", "content": "hi"}]
    assert runtime.render(turns) == library.render(turns)


@pytest.mark.slow
def test_rows_of_unlike_lengths_go_together_with_padding_on_the_left(
    written: Callable[[str], tuple[Path, Path]],
) -> None:
    _, out = written("llama")
    runtime = OnnxModel(out)
    rows = [some_tokens(SIZE, count, seed=count) for count in (3, 9, 1)]
    tokens, mask = (np.zeros((3, 9), np.int64) for _ in range(2))
    for n, row in enumerate(rows):
        tokens[n, 9 - len(row) :], mask[n, 9 - len(row) :] = row, 1
    logits, *past = runtime.run(tokens, mask)
    for n, row in enumerate(rows):
        np.testing.assert_allclose(logits[n, -1], runtime.logits(row)[-1], atol=2e-5)
    following = np.array([[5], [6], [7]], np.int64)
    logits, *_ = runtime.run(following, np.concatenate([mask, np.ones((3, 1), np.int64)], 1), past)
    for n, row in enumerate(rows):
        np.testing.assert_allclose(logits[n, -1], runtime.logits([*row, int(following[n, 0])])[-1], atol=2e-5)


@pytest.mark.slow
def test_eight_bits_stay_near_and_are_smaller(written: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    _, whole = written("llama")
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    rounded(tmp_path / "model.onnx")
    tokens = some_tokens(SIZE)
    off = np.abs(Onnx().open(tmp_path).logits(tokens) - Onnx().open(whole).logits(tokens)).max()
    assert 0 < off < 0.5
    assert (tmp_path / "model.onnx").stat().st_size < (whole / "model.onnx").stat().st_size


@pytest.mark.slow
def test_eight_bits_of_a_graph_too_large_for_one_file_replace_what_is_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base, folders = build("llama", tmp_path / "base", hidden_size=128), [tmp_path / "one", tmp_path / "two"]
    said = []
    for out, largest in zip(folders, (traced.LARGEST, 1000), strict=True):
        out.mkdir()
        monkeypatch.setattr(traced, "LARGEST", largest)
        Onnx().write(merged(base), out)
        names, size = {each.name for each in out.iterdir()}, bytes_of(out)
        rounded(out / "model.onnx")
        assert {each.name for each in out.iterdir()} == names and bytes_of(out) < size * 0.7
        said.append(OnnxModel(out).logits(some_tokens(SIZE)))
    assert "model.onnx.data" in names
    np.testing.assert_array_equal(*said)


def bytes_of(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.glob("model.onnx*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "head", "place", "size"),
    [
        ("bert", "labels", "first", 3),
        ("bert", "tags", "every", 3),
        ("gpt2", "tags", "every", 3),
        ("bert", "span", "every", 2),
        ("bert", "score", "first", 1),
        ("gpt2", "margin", "last", 1),
        ("bert", "vector", "mean", 32),
    ],
)
def test_what_reads_a_row_at_once_is_written_with_its_head(
    name: str, head: str, place: str, size: int, tmp_path: Path
) -> None:
    base, out, shape = build(name, tmp_path / name), tmp_path / "onnx", (24 if place == "every" else 1, size)
    out.mkdir()
    drawn = torch.Generator().manual_seed(0)
    if head != "vector":
        made = {"weight": torch.randn(size, 32, generator=drawn)}
        if head not in ("span", "margin"):
            made["bias"] = torch.randn(size, generator=drawn)
        save_file(made, base / HEAD[0])
        (base / HEAD[1]).write_text(json.dumps({"head": head, "labels": list("abc"), "place": place}), encoding="utf-8")
    Onnx().write(merged(base, head=head, labels=("a", "b", "c")), out)
    tokens, runtime = some_tokens(SIZE), OnnxModel(out)
    found = runtime.logits(tokens)
    assert found.shape == shape
    np.testing.assert_allclose(found, plainly(base).logits(tokens), atol=2e-5)
    padded = np.array([[*tokens, 0, 0], [*tokens[:5], *[0] * 21]], np.int64)
    mask = (np.arange(26)[None] < np.array([[24], [5]])).astype(np.int64)
    both = runtime.run(padded, mask)[0]
    short = runtime.logits(tokens[:5])
    np.testing.assert_allclose(both[1, :5] if place == "every" else both[1:2], short, atol=2e-5)


@pytest.mark.slow
def test_a_run_with_lora_is_exported_merged_and_shown_to_agree(finished: Callable[[str], Run], tmp_path: Path) -> None:
    run = finished("words")
    found = affina.export("words", "onnx", tmp_path / "out", where=Where(run.folder.parent, offline=True))
    assert found["engine"] == "onnxruntime" and (tmp_path / "out" / "model.onnx").is_file()
    assert found["parity"]["logits"]["largest"] < 1e-3, found["parity"]


CONFIGS: dict[str, dict[str, Any]] = {
    "t5": {"model_type": "t5", "is_encoder_decoder": True},
    "bloom": {"model_type": "bloom"},
    "lfm2": {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]},
    "mixtral": {"model_type": "mixtral", "num_local_experts": 8, "num_hidden_layers": 4},
}


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("t5", "no single graph"),
        ("bloom", "no mask from outside"),
        ("lfm2", "layers of conv"),
        ("mixtral", "other experts"),
    ],
)
def test_what_cannot_be_one_graph_is_refused_beforehand(family: str, told: str, tmp_path: Path) -> None:
    assert told in Onnx().objection(CONFIGS[family], merged(tmp_path))


def test_what_can_be_one_graph_is_not_refused(tmp_path: Path) -> None:
    for config in ({"model_type": "llama"}, {"model_type": "deepseek_v3", "n_routed_experts": 8,
                                             "first_k_dense_replace": 2, "num_hidden_layers": 2}):  # fmt: skip
        assert Onnx().objection(config, merged(tmp_path)) == ""


def test_without_its_libraries_it_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("affina.release.exports.onnx.find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"affina\[onnx\]"):
        Onnx().objection({"model_type": "llama"}, merged(tmp_path))


def test_a_folder_that_is_no_graph_is_told(tmp_path: Path) -> None:
    (tmp_path / "onnx.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(Failed, match="onnxruntime cannot load"):
        Onnx().open(tmp_path)
