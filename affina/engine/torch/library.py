"""A written model folder or adapter as the transformers and PEFT libraries run it: their classes and their attention,
their tokenizer and chat template, nothing of this engine's."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from affina.core.errors import Refused
from affina.core.export import HEAD
from affina.engine.folder import ADAPTER, ADAPTER_SETTINGS
from affina.engine.torch import tensor_file
from affina.engine.torch.family import UNREADABLE, tells_texts_apart
from affina.engine.torch.load import SAFELY
from affina.engine.torch.quantised import Quantised
from affina.engine.torch.whole import WEIGHTS, buffers_of

QUANTISED = "quantised.json"
"""Beside an adapter: in how few bits its base was kept while it was trained."""


class LibraryModel:
    """A model of the library's, and the head beside it where its class has none. Gives float32."""

    def __init__(self, model: Any, folder: Path, tokenizer: Any = None) -> None:
        self.model, self.folder = model.eval(), folder
        self.config = model.config
        self.head, self.place = _head(folder)
        self.tokenizer: Any = tokenizer or AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def logits(
        self, tokens: Sequence[int], source: Sequence[int] = (), types: Sequence[int] = ()
    ) -> npt.NDArray[np.float32]:
        """[T, V], [1, L], [T, L] or [1, D]: see `Served.logits`."""
        row = torch.tensor([list(tokens)])
        given = {"input_ids": torch.tensor([list(source)]), "decoder_input_ids": row} if source else {"input_ids": row}
        if types and tells_texts_apart(self.config):
            given["token_type_ids"] = torch.tensor([list(types)])
        said = self.model(**given)
        if hasattr(said, "start_logits"):
            found = torch.stack([said.start_logits[0], said.end_logits[0]], -1)
        elif hasattr(said, "logits"):
            found = said.logits[0] if said.logits.ndim > 2 else said.logits
        else:
            found = self._headed(said.last_hidden_state[0].float())
        if found.shape[0] > len(tokens):
            found = found[-len(tokens) :]  # virtual tokens stand before the row's own
        made: npt.NDArray[np.float32] = found.float().numpy()
        return made

    def _headed(self, states_TD: torch.Tensor) -> torch.Tensor:
        if self.head is None:
            return states_TD.mean(0, keepdim=True)
        if self.place == "every":
            return nn.functional.linear(states_TD, *self.head)
        at = -1 if self.place == "last" else 0
        return nn.functional.linear(states_TD[at], *self.head)[None]

    @torch.no_grad()
    def greedy(self, tokens: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
        """The library's own decoding."""
        row = torch.tensor([list(tokens)])
        made = self.model.generate(
            input_ids=row,
            attention_mask=torch.ones_like(row),
            max_new_tokens=most,
            do_sample=False,
            eos_token_id=sorted(stops),
            pad_token_id=min(stops),
        )
        begun = 1 if self.config.is_encoder_decoder else len(tokens)
        answer: list[int] = made[0, begun:].tolist()
        end = next((place for place, token in enumerate(answer) if token in stops), len(answer))
        return answer[:end]

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> str:
        """By the folder's own template."""
        given = [dict(each) for each in messages]
        more = {"add_generation_prompt": True, "tokenize": False}
        return str(self.tokenizer.apply_chat_template(given, tools=list(tools) or None, **more))

    def tokens(self, text: str) -> list[int]:
        """By the folder's own tokenizer."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def whole(folder: Path) -> LibraryModel:
    """A model folder, by the class that its config names. Raises Refused for what the library cannot load."""
    quietly()
    return LibraryModel(_loaded(folder, folder), folder)


def adapted(folder: Path) -> LibraryModel:
    """A base with the adapter in `folder`, as PEFT loads it. Raises Refused where the base is gone."""
    getLogger("bitsandbytes.backends.cpu.ops").setLevel(ERROR)  # it misses kernels that it would download
    from peft import PeftModel

    quietly()
    said = json.loads((folder / ADAPTER_SETTINGS).read_text(encoding="utf-8"))
    base = Path(said["base_model_name_or_path"])
    if not (base / "config.json").is_file():
        raise Refused(
            f"the adapter in {folder} has no base",
            why=f"it was trained on {base}, which is gone",
            instead="put the base back, or set base_model_name_or_path in adapter_config.json to where it is",
        )
    if not (folder / ADAPTER).is_file():
        raise Refused(
            f"the adapter in {folder} has no {ADAPTER}", why="a pickle beside it can run any code when loaded"
        )
    model = _loaded(base, folder)
    if (folder / QUANTISED).is_file():
        _rounded(model, json.loads((folder / QUANTISED).read_text(encoding="utf-8")))
    return LibraryModel(PeftModel.from_pretrained(model, str(folder)), folder)


def edited(merged: Path, folder: Path, change: Callable[[Any], None]) -> None:
    """A merged folder's model, changed, into an existing folder. Raises Refused where its class makes another model of
    the changed config, OSError where the disk refuses."""
    quietly()
    model = _loaded(merged, merged)
    change(model)
    _made_again(model)
    for file in merged.iterdir():
        if file.name not in (WEIGHTS, "config.json"):
            shutil.copy(file, folder / file.name)
    model.config.save_pretrained(folder)
    tensor_file.write({**dict(model.named_parameters()), **buffers_of(model)}, folder / WEIGHTS, {"format": "pt"})


def _made_again(model: Any) -> None:
    """Raises Refused where model and config are no longer of the same sizes."""
    config, what = model.config, f"{model.config.model_type} cannot be made smaller so"
    try:
        with torch.device("meta"):
            again: Any = type(model)(type(config).from_dict(config.to_dict()))
    except UNREADABLE as error:
        raise Refused(what, why=str(error).strip().splitlines()[-1].strip()) from error
    sizes, others = ({name: each.shape for name, each in one.named_parameters()} for one in (model, again))
    if differing := sorted(name for name in sizes.keys() | others.keys() if sizes.get(name) != others.get(name)):
        raise Refused(what, f"its config has no word for the size of {differing[0]}")


def _loaded(weights: Path, folder: Path) -> Any:
    """In float32, a folder of bf16 in bf16; without words where the folder has a head of its own or names no class."""
    try:
        config = AutoConfig.from_pretrained(weights, trust_remote_code=False)
        name = next(iter(config.architectures or ()), "")
        headed = any((folder / each).exists() for each in HEAD)
        kind: Any = AutoModel if headed or not name else getattr(transformers, name)
        narrow = weights == folder and config.dtype == torch.bfloat16
        return kind.from_pretrained(weights, dtype=torch.bfloat16 if narrow else torch.float32, **SAFELY)
    except UNREADABLE as error:
        raise Refused(f"{folder} cannot be loaded as a model", why=str(error).splitlines()[0]) from error


def _rounded(model: Any, how: Mapping[str, Any]) -> None:
    """Gives every linear layer but the output head the numbers that a base in few bits has, as bitsandbytes rounds."""
    for layer in (each for each in model.modules() if isinstance(each, nn.Linear)):
        if layer is not model.get_output_embeddings():
            layer.weight.data = Quantised(layer, how["quant"], how["double"]).weight


def _head(folder: Path) -> tuple[tuple[torch.Tensor, torch.Tensor | None] | None, str]:
    """Weight and bias of the head beside a model, and where it looks; nothing where there is none."""
    weights, told = (folder / name for name in HEAD)
    if not weights.is_file():
        return None, ""
    with tensor_file.reading(weights) as file:
        held = {name: file.read(name).float() for name in file.names}
    place: str = json.loads(told.read_text(encoding="utf-8"))["place"]
    return (held["weight"], held.get("bias")), place


def quietly() -> None:
    """The library says nothing while it loads."""
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
