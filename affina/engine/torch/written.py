"""The files that a run writes for other tools, read back: a whole model's folder, or an adapter as PEFT loads it."""

import json
from pathlib import Path

from affina.core.compute import Computing
from affina.core.kinds import Ending
from affina.data.rows import Renderer
from affina.engine.torch import tensor_file
from affina.engine.torch.blocks import restage
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel

INJECTED = ("LORA", "IA3")
"""What PEFT puts into a model's own layers, so that the model is asked as before."""


def read_back(folder: Path, base: Path, renderer: Renderer, computing: Computing, ending: Ending) -> TorchModel | None:
    """The model of a `model/` folder, with the head beside it; None for files that only affina or a wrapper runs."""
    whole, adapter = (folder / "config.json").is_file(), folder / "adapter_config.json"
    if not whole:
        held = json.loads(adapter.read_text(encoding="utf-8")) if adapter.is_file() else {}
        if held.get("peft_type") not in INJECTED:
            return None
    network = load(folder if whole else base, computing, ending)
    if not whole:
        from peft import PeftModel

        PeftModel.from_pretrained(network.model, str(folder))
        restage(network)
    if network.head is not None:
        with tensor_file.reading(folder / "head.safetensors") as file:
            network.head.load_state_dict({name: file.read(name) for name in network.head.state_dict()})
    return TorchModel(network.eval(), renderer)
