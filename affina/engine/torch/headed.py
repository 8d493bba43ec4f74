"""A merged folder in another precision, and its new head in the library's own form where that computes the same.

The library's classifiers of whole texts put a layer and a function between the state and the labels. A tanh is a
straight line near 0 (to float32's last bit below `SMALL`), and a ReLU beyond a bound that a norm gives, so a multiple
of the identity there leaves a linear head what it was. That it does is shown on a few tokens, not taken for granted.
"""

import copy
import json
import math
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModel

from affina.core.export import HEAD
from affina.engine.torch import tensor_file
from affina.engine.torch.library import LibraryModel, quietly
from affina.engine.torch.load import SAFELY

WEIGHTS = "model.safetensors"
SMALL = 2.0**-16
"""What states are multiplied by below a tanh: 15 · 2⁻¹⁶ is bent by less than a float32's last bit, and the product of
two powers of two is exact."""
CLOSE = 1e-4
"""Of the largest logit: how far both forms may be apart by rounding."""
SUFFIXES = {
    "labels": "ForSequenceClassification", "score": "ForSequenceClassification", "tags": "ForTokenClassification",
    "span": "ForQuestionAnswering",
}  # fmt: skip


def write(merged: Path, folder: Path, dtype: str) -> None:
    """Into an existing folder. Raises OSError where the disk refuses."""
    kind: torch.dtype = getattr(torch, dtype)
    quietly()
    for file in merged.iterdir():
        if file.name not in (WEIGHTS, "config.json", *HEAD):
            shutil.copy(file, folder / file.name)
    config = json.loads((merged / "config.json").read_text(encoding="utf-8"))
    made = _in_library_form(merged) if (merged / HEAD[0]).is_file() else None
    if made is not None:
        made.config.dtype, made.config.architectures = dtype, [type(made).__name__]
        made.config.save_pretrained(folder)
        _rounded(dict(made.named_parameters()), folder / WEIGHTS, kind)
        return
    (folder / "config.json").write_text(json.dumps({**config, "dtype": dtype}, indent=1), encoding="utf-8")
    for name in (WEIGHTS, HEAD[0]):
        if (merged / name).is_file():
            with tensor_file.reading(merged / name) as held:
                _rounded({each: held.read(each) for each in held.names}, folder / name, kind)
    if (merged / HEAD[1]).is_file():
        shutil.copy(merged / HEAD[1], folder / HEAD[1])


def _rounded(tensors: dict[str, Any], path: Path, kind: torch.dtype) -> None:
    held = {name: each.detach().to(kind) if each.is_floating_point() else each for name, each in tensors.items()}
    tensor_file.write(held, path, {"format": "pt"})


def _in_library_form(merged: Path) -> Any:
    """The library's class of such a head, with this one in it; None where it has none that computes the same."""
    told = json.loads((merged / HEAD[1]).read_text(encoding="utf-8"))
    body: Any = AutoModel.from_pretrained(merged, dtype=torch.float32, **SAFELY).eval()
    kind: Any = getattr(transformers, type(body).__name__.removesuffix("Model") + SUFFIXES.get(told["head"], "?"), None)
    if (
        kind is None or told["place"] == "last"
    ):  # a decoder's classifier looks before the padding, which may be the stop
        return None
    own = LibraryModel(body, merged)
    assert own.head is not None, "it was found beside the model"
    weight, bias = own.head
    config = copy.deepcopy(body.config)
    labels = told["labels"] or [f"LABEL_{n}" for n in range(len(weight))]
    config.id2label, config.label2id = dict(enumerate(labels)), {each: n for n, each in enumerate(labels)}
    model = kind(config).eval()
    inner = getattr(model, model.base_model_prefix)
    inner.load_state_dict(body.state_dict(), strict=False)
    with torch.no_grad():
        placed = _placed(model, inner, weight, torch.zeros(len(weight)) if bias is None else bias)
    return model if placed and _same(own, model) else None


def _placed(model: Any, inner: Any, weight: Tensor, bias: Tensor) -> bool:
    """Puts the head where the class has its own; whether there is such a place."""
    last: Any = next(
        (getattr(model, name) for name in ("classifier", "score", "qa_outputs") if hasattr(model, name)), None
    )
    bent = getattr(getattr(inner, "pooler", None), "dense", None)
    if hasattr(last, "out_proj"):  # RoBERTa's
        last, bent = last.out_proj, last.dense
    if not isinstance(last, nn.Linear) or last.bias is None or last.weight.shape != weight.shape:
        return False
    if hasattr(model, "pre_classifier"):  # DistilBERT's, behind a ReLU
        norm = inner.transformer.layer[-1].output_layer_norm
        above = norm.weight.abs() * math.sqrt(len(norm.weight)) + norm.bias.abs()
        nn.init.eye_(model.pre_classifier.weight)
        model.pre_classifier.bias.copy_(above)
        bias = bias - weight @ above
    elif bent is not None:
        bent.weight.copy_(torch.eye(len(bent.weight)) * SMALL)
        bent.bias.zero_()
        weight = weight / SMALL
    last.weight.copy_(weight)
    last.bias.copy_(bias)
    return True


def _same(own: LibraryModel, model: Any) -> bool:
    """Whether both forms give the same logits for a few tokens."""
    tokens = [n * 7 % 97 % own.config.vocab_size for n in range(12)]
    right, other = (each.logits(tokens) for each in (own, LibraryModel(model, own.folder, own.tokenizer)))
    return right.shape == other.shape and bool(abs(right - other).max() <= CLOSE * abs(right).max())
