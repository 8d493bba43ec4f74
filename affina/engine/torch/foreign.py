"""Virtual tokens that PEFT wrote, before their base: its table is all that its file holds, whatever made it."""

import json
from pathlib import Path
from typing import Any

import torch

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, tunings
from affina.data.rows import Renderer
from affina.engine.folder import ADAPTER, ADAPTER_SETTINGS
from affina.engine.torch import tensor_file
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel
from affina.engine.torch.tuned import attach

TABLE = "prompt_embeddings"


def with_virtual_tokens(
    adapter: Path, base: Path, renderer: Renderer, computing: Computing, ending: Ending
) -> TorchModel:
    """The base with the tokens of the adapter's folder before every row. Raises Refused where they do not fit it."""
    said = json.loads((adapter / ADAPTER_SETTINGS).read_text(encoding="utf-8"))
    name = "prefix" if said["peft_type"] == "PREFIX_TUNING" else "prompt"
    tuning: Any = tunings.build({"name": name, "tokens": said.get("num_virtual_tokens")})
    network = load(base, computing, ending)
    attach(network, tuning, seed=0)
    own: torch.Tensor = tuning.encoder(network.model).embedding.weight
    with tensor_file.reading(adapter / ADAPTER) as file:
        table = file.read(TABLE) if TABLE in file.names else torch.zeros(0)
    if table.shape != own.shape:
        what, shapes = f"the adapter in {adapter} does not fit its base", ([*table.shape], [*own.shape])
        raise Refused(what, f"its table is of {shapes[0]} numbers, and the base takes {shapes[1]}")
    own.data.copy_(table)
    network.requires_grad_(False)
    return TorchModel(network.eval(), renderer)
