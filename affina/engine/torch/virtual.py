"""Virtual tokens: ids from the vocabulary's end on, which stand before every row and are no words but what trains.

n virtual tokens, W numbers each: a state of the residual stream, or the keys and values of every layer.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from affina.core.errors import Refused
from affina.core.kinds import Segment
from affina.data.tokens import Vocabulary
from affina.engine.torch import attention


class Table(nn.Module):
    """[n, W] numbers as they are (Lester et al., 2021)."""

    def __init__(self, start_NW: Tensor) -> None:
        super().__init__()
        self.embedding = nn.Embedding(start_NW.shape[0], start_NW.shape[1], _weight=start_NW.float())

    def forward(self, first: int = 0, last: int | None = None) -> Tensor:
        """Columns [first, last)."""
        found: Tensor = self.embedding.weight[:, first:last]
        return found


class Recurrent(nn.Module):
    """A two-way LSTM and two layers over a table, in and out of one width (P-tuning, Liu et al., 2021)."""

    stays_wide = True  # its layers are computed in one dtype, their table's

    def __init__(self, count: int, width: int, inner: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, width)
        self.lstm_head = nn.LSTM(width, inner, layers, dropout=dropout, bidirectional=True, batch_first=True)
        self.mlp_head = nn.Sequential(nn.Linear(2 * inner, 2 * inner), nn.ReLU(), nn.Linear(2 * inner, width))

    def forward(self) -> Tensor:
        with torch.autocast(self.embedding.weight.device.type, enabled=False):
            made: Tensor = self.mlp_head(self.lstm_head(self.embedding.weight[None])[0])[0]
        return made


class Layered(nn.Module):
    """Three layers over a table, in and out of one width: P-tuning as PEFT recommends it."""

    stays_wide = True  # its layers are computed in one dtype, their table's

    def __init__(self, count: int, width: int, inner: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, width)
        sizes = [nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, inner), nn.ReLU(), nn.Linear(inner, width)]
        self.mlp_head = nn.Sequential(*sizes)

    def forward(self) -> Tensor:
        with torch.autocast(self.embedding.weight.device.type, enabled=False):
            made: Tensor = self.mlp_head(self.embedding.weight)
        return made


class Projected(nn.Module):
    """A small table through two layers with a tanh between: Li & Liang's reparametrisation (2021, §4.3)."""

    stays_wide = True  # its layers are computed in one dtype, their table's

    def __init__(self, count: int, width: int, inner: int, out: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, width)
        self.transform = nn.Sequential(nn.Linear(width, inner), nn.Tanh(), nn.Linear(inner, out))

    def forward(self, first: int = 0, last: int | None = None) -> Tensor:
        """Columns [first, last) of what the table becomes."""
        end: Any = self.transform[2]
        with torch.autocast(self.embedding.weight.device.type, enabled=False):
            inner = self.transform[1](self.transform[0](self.embedding.weight))
            return nn.functional.linear(inner, end.weight[first:last], end.bias[first:last])


class Virtual(nn.Module):
    """In the place of the input embedding: ids of words as ever, virtual ones as word 0, whose state nobody reads."""

    def __init__(self, words: Any, encoder: Any) -> None:
        super().__init__()
        self.words, self.encoder = words, encoder
        self.num_embeddings, self.embedding_dim = words.num_embeddings, words.embedding_dim
        self.count = int(encoder.embedding.num_embeddings)

    @property
    def weight(self) -> Tensor:
        """The words' own: families read its dtype."""
        own: Tensor = self.words.weight
        return own

    def forward(self, ids: Tensor) -> Tensor:
        made: Tensor = self.words(torch.where(ids < self.num_embeddings, ids, 0))
        return made


class Prompted(Virtual):
    """In the place of the input embedding: virtual ids are looked up in what the encoder gives."""

    def forward(self, ids: Tensor) -> Tensor:
        states, virtual = super().forward(ids), ids >= self.num_embeddings
        if not bool(virtual.any()):
            return states
        given: Tensor = self.encoder()[ids[virtual] - self.num_embeddings]
        return states.index_put((virtual,), given.to(states.dtype))


class Prefix:
    """The keys and values of one layer at virtual tokens: the columns of that layer in what the encoder gives.

    The columns are PEFT's: layer by layer, keys before values, head by head.
    """

    def __init__(self, encoder: Table | Projected, layer: int, heads: int) -> None:
        self.encoder, self.layer, self.heads = encoder, layer, heads

    def __call__(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """[1, G, T, D] each, with the virtual tokens' own put in."""
        if (standing := attention.virtual.get()) is None:
            return key, value
        places, which = standing
        width = self.heads * key.shape[-1]
        columns = self.encoder(2 * self.layer * width, 2 * (self.layer + 1) * width)[which]
        keys, values = columns.view(len(places), 2, self.heads, -1).permute(1, 2, 0, 3).unsqueeze(1)
        return key.index_copy(2, places, keys.to(key.dtype)), value.index_copy(2, places, values.to(value.dtype))


class _Heard:
    """Keeps what an attention layer is called with."""

    pair: tuple[Tensor, Tensor] | None = None

    def __call__(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        self.pair = key[0], value[0]
        return key, value


def before(model: Any) -> range:
    """The ids of the tokens that stand before every row of this model."""
    found = model.get_input_embeddings()
    return range(found.num_embeddings, found.num_embeddings + found.count) if isinstance(found, Virtual) else range(0)


def prompt(model: Any, encoder: nn.Module) -> None:
    """Puts what the encoder gives before every row, as states of the residual stream. Raises Refused for a family whose
    blocks read the words themselves too: other tools have no words for virtual tokens, and answer otherwise."""
    if getattr(model.config.get_text_config(), "hidden_size_per_layer_input", 0):
        what, why = (
            f"virtual tokens before {model.config.model_type}",
            "every block of it reads the words themselves too",
        )
        raise Refused(what, why, "choose the tuning prefix or lora")
    words = model.get_input_embeddings()
    model.set_input_embeddings(Prompted(words, encoder.to(words.weight.device)))


def prefix(model: Any, encoder: Table | Projected, heads: int) -> None:
    """Puts what the encoder gives before every row, as keys and values of every layer."""
    words = model.get_input_embeddings()
    encoder.to(words.weight.device)
    for place, layer in enumerate(attending(model)):
        vars(layer)[attention.PREFIX] = Prefix(encoder, place, heads)
    model.set_input_embeddings(Virtual(words, encoder))


def ids(model: Any, text: str, count: int) -> list[int]:
    """The first `count` tokens of a text, said again where it is shorter; without a text, words drawn at random."""
    if not text:
        return [int(each) for each in torch.randint(0, model.get_input_embeddings().num_embeddings, (count,))]
    found = [int(each) for each in Vocabulary(Path(model.name_or_path)).encode([text], special=True)[0].ids]
    return (found * -(-count // len(found)))[:count]


@torch.no_grad()
def states(model: Any, tokens: Sequence[int]) -> Tensor:
    """[n, D]: what the blocks are given for these tokens."""
    words = model.get_input_embeddings()
    found: Tensor = words(torch.tensor([*tokens], device=words.weight.device))
    return found


def attending(model: nn.Module) -> list[nn.Module]:
    """The layers that call the attention function, first to last."""
    return [each for each in model.modules() if hasattr(each, "layer_idx") and hasattr(each, "is_causal")]


@torch.no_grad()
def keys_and_values(model: Any, tokens: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Per layer the keys and values [G, n, D] of these tokens at the beginning of a row. Raises Refused where a prefix
    cannot be written so."""
    layers, states_ND = attending(model), states(model, tokens)
    heard = [_Heard() for _ in layers]
    body = model if model.get_output_embeddings() is None else model.base_model
    for layer, each in zip(layers, heard, strict=True):
        vars(layer)[attention.PREFIX] = each
    half = model.get_input_embeddings().weight.dtype == torch.bfloat16  # fused blocks have their states widened
    places_T = torch.arange(len(tokens), device=states_ND.device)
    rounded = torch.autocast(states_ND.device.type, torch.bfloat16) if half else nullcontext()
    try:
        with attention.computing([Segment(0, len(tokens), -1)]), rounded:
            body(inputs_embeds=states_ND[None], position_ids=places_T[None], use_cache=False)
    finally:
        for layer in layers:
            del vars(layer)[attention.PREFIX]
    found = [each.pair for each in heard if each.pair is not None]
    alike = {each.shape for pair in found for each in pair}
    if len(found) < len(layers) or len(found) != model.config.get_text_config().num_hidden_layers or len(alike) != 1:
        why = "keys and values are not of one size in every layer, and PEFT's file has no other form"
        raise Refused(f"a prefix before {model.config.model_type}", why, "choose the tuning prompt")
    return found
