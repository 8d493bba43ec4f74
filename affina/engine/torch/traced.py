"""A written model folder as one ONNX graph, by torch's exporter: a decoder with past keys and values, or an encoder.

Batch, length and past are free. Which keys a query sees stands in the graph itself, from the mask of what is padding.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim
from transformers.cache_utils import DynamicCache

from affina.core.errors import Refused
from affina.engine.torch import library
from affina.engine.torch.family import UNREADABLE, tells_texts_apart

LARGEST = 1_500_000_000
"""Bytes of weights inside the graph's own file; beyond, beside it: one file holds 2 GB."""
PROBE = (2, 3, 5)
"""Rows, tokens and past tokens that the exporter sees: unlike one another, none 1, so that none is taken as fixed."""


class Decoder(nn.Module):
    """Tokens behind what is cached → logits, and the cache with them in it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.config = model.config.get_text_config()

    def forward(self, tokens: Tensor, mask: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        """tokens [B, T], mask [B, past + T] with 0 for padding on the left, past [B, heads, past, width], key and value
        of each layer in turn."""
        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        places = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        said = self.model(
            input_ids=tokens,
            attention_mask=self._bias(tokens, mask, past[0].shape[2]),
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
        )
        layers: list[Any] = [*cache.layers]
        return (said.logits.float(), *(each for layer in layers for each in (layer.keys, layer.values)))

    def _bias(self, tokens: Tensor, mask: Tensor, past: int) -> Any:
        """[B, 1, T, past + T], added to scores; by the kind of layer where there are several."""
        queries = (torch.arange(tokens.shape[1]) + past)[:, None]
        keys = torch.arange(mask.shape[1])[None, :]
        seen = (keys <= queries)[None] & (mask[:, None, :] > 0)
        window = getattr(self.config, "sliding_window", None)
        near = seen & (keys > queries - window)[None] if window else seen
        kinds = getattr(self.config, "layer_types", None)
        if kinds:
            return {kind: _added(near if kind == "sliding_attention" else seen) for kind in set(kinds)}
        return _added(near)


class Encoder(nn.Module):
    """Tokens → what the head gives: of words, of the whole row, of every token, or the mean of the states."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, loaded: library.LibraryModel, causal: bool) -> None:
        super().__init__()
        self.model, self.place, self.causal = loaded.model, loaded.place if loaded.head else "", causal
        weight, bias = loaded.head or (None, None)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, tokens: Tensor, mask: Tensor, types: Tensor | None = None) -> Tensor:
        """tokens [B, T], mask [B, T] with 0 for padding on the right, types [B, T] where it tells two texts apart
        → [B, T, V], [B, L], [B, T, L] or [B, D]."""
        seen = (mask[:, None, :] > 0).expand(-1, tokens.shape[1], -1)
        if self.causal:
            seen = seen & torch.ones_like(seen[0]).tril()[None]
        more = {} if types is None else {"token_type_ids": types}
        said = self.model(input_ids=tokens, attention_mask=_added(seen), **more)
        if self.weight is None and hasattr(said, "logits"):
            logits_BTV: Tensor = said.logits
            return logits_BTV.float()
        states_BTD: Tensor = said.last_hidden_state.float()
        if self.weight is None:
            kept = mask[:, :, None].float()
            return (states_BTD * kept).sum(1) / kept.sum(1)
        if self.place == "every":
            return nn.functional.linear(states_BTD, self.weight, self.bias)
        ends = mask.sum(1) - 1 if self.place == "last" else torch.zeros_like(mask[:, 0])
        row_BD = states_BTD.gather(1, ends[:, None, None].expand(-1, 1, states_BTD.shape[2]))[:, 0]
        return nn.functional.linear(row_BD, self.weight, self.bias)


def write(folder: Path, file: Path, decodes: bool, pairs: bool = False) -> tuple[list[tuple[int, int, int]], bool]:
    """The model in `folder` as `file`; of a decoder the shape [heads, width] of each cached tensor, with its layer, and
    whether it is to be told which of two texts a token is of, as `pairs` of texts are where the model minds.

    Raises Refused for a model that the exporter cannot follow.
    """
    loaded = library.whole(folder)
    rows, length, before = PROBE
    tokens = torch.arange(rows * length).reshape(rows, length) % loaded.config.get_text_config().vocab_size
    try:
        loaded.model.set_attn_implementation("eager")
        with _quiet(), torch.no_grad():
            if not decodes:
                names = ["tokens", "mask", *(["types"] if pairs and tells_texts_apart(loaded.config) else [])]
                taken = (tokens, torch.ones_like(tokens), tokens % 2)[: len(names)]
                encoder = Encoder(loaded, _causal(loaded.model, tokens))
                _export(encoder, taken, [[0, 1]] * len(names), file, (names, ["said"]))
                return [], "types" in names
            shapes = _cached(loaded.model, tokens)
            past = [torch.zeros(rows, heads, before, width) for _, heads, width in shapes]
            mask = torch.ones(rows, before + length, dtype=torch.int64)
            given = ["tokens", "mask", *(f"past_{n}" for n in range(len(past)))]
            said = ["logits", *(f"present_{n}" for n in range(len(past)))]
            free = [[0, 1], [0, 1], [[0, 2]] * len(past)]
            _export(Decoder(loaded.model), (tokens, mask, past), free, file, (given, said))
            return shapes, False
    except (*UNREADABLE, IndexError, torch.onnx.OnnxExporterError) as error:
        why = f"torch's exporter does not follow its classes: {str(error).strip().splitlines()[0]}"
        raise Refused(f"{folder.name} cannot be written as ONNX", why) from error


def _export(
    model: nn.Module, given: tuple[Any, ...], free: Sequence[Any], file: Path, names: tuple[list[str], list[str]]
) -> None:
    """`free` are the dimensions of each argument that may be of any size, `names` those of what goes in and out."""
    dynamic = [
        [dict.fromkeys(each, Dim.DYNAMIC) for each in dims] if dims and isinstance(dims[0], list) else
        dict.fromkeys(dims, Dim.DYNAMIC)
        for dims in free
    ]  # fmt: skip
    inputs, outputs = names
    program = torch.onnx.export(
        model.eval(), given, dynamo=True, dynamic_shapes=tuple(dynamic), input_names=inputs, output_names=outputs,
        verbose=False,
    )  # fmt: skip
    assert program is not None, "the exporter returns a program"
    size = sum(each.numel() * each.element_size() for each in model.parameters())
    program.save(str(file), external_data=size > LARGEST)


def _causal(model: Any, tokens: Tensor) -> bool:
    """Whether a first token is what it is whatever comes behind it."""
    others = tokens.clone()
    others[:, -1] = tokens[:, 0]
    first, again = (model(input_ids=each)[0][:, 0] for each in (tokens, others))
    return bool(torch.equal(first, again))


def _cached(model: Any, tokens: Tensor) -> list[tuple[int, int, int]]:
    """(layer, heads, width) of each key and value. Raises Refused for a cache of another kind."""
    cache = DynamicCache()
    model(input_ids=tokens, past_key_values=cache, use_cache=True)
    found = []
    for number, layer in enumerate(cache.layers):
        for each in (getattr(layer, "keys", None), getattr(layer, "values", None)):
            if each is None or each.ndim != 4:
                raise Refused(
                    f"layer {number} of {type(model).__name__} cannot be written as ONNX",
                    why="what it keeps of the past is no keys and values",
                    instead="export gguf or safetensors",
                )
            found.append((number, int(each.shape[1]), int(each.shape[3])))
    return found


def _added(seen_BTS: Tensor) -> Tensor:
    """0 where a key is seen, the least number where it is not."""
    return torch.where(seen_BTS[:, None], 0.0, torch.finfo(torch.float32).min)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own remarks are no matter for a user."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
