"""`python -m affina.engine.torch.adapted ADAPTER BASE OUT`: an adapter in PEFT's format, folded into its base by PEFT
itself, so that whatever it can merge is merged: rank patterns, saved modules, trained biases. Opens no connection."""

import json
import shutil
import sys
from itertools import accumulate
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig

from affina.core.errors import Refused
from affina.engine.folder import ADAPTER, ADAPTER_SETTINGS
from affina.engine.torch import convert, tensor_file
from affina.engine.torch.family import UNREADABLE
from affina.engine.torch.library import quietly
from affina.engine.torch.load import SAFELY
from affina.engine.torch.whole import KEPT, write_folder


def write(adapter: Path, base: Path, out: Path) -> None:
    """Into an existing folder, in float32: rounded to the base's bf16 a low-rank change would be another one. Tokenizer
    and template are the adapter's own where it brings any.

    Raises Refused for what PEFT cannot load, or of which it would leave a tensor out.
    """
    quietly()
    getLogger("bitsandbytes.backends.cpu.ops").setLevel(ERROR)  # it misses kernels that it would download
    model = _whole(base)
    tied = _tied(model)
    _fold(model, adapter)
    write_folder(model, out, base, wide=True)
    for pattern in KEPT:
        for file in adapter.glob(pattern):
            shutil.copy(file, out / file.name)
    (out / ADAPTER_SETTINGS).unlink(missing_ok=True)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    more = {"dtype": "float32"} | ({"tie_word_embeddings": False} if tied and not _tied(model) else {})
    config = {name: value for name, value in config.items() if name != "torch_dtype"} | more
    (out / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _whole(base: Path) -> Any:
    try:
        config = AutoConfig.from_pretrained(base, trust_remote_code=False)
        kind: Any = getattr(transformers, next(iter(config.architectures or ()), ""), transformers.AutoModel)
        return kind.from_pretrained(base, dtype=torch.float32, **SAFELY)
    except UNREADABLE as error:
        raise Refused(f"{base} cannot be loaded as a model", why=str(error).splitlines()[0]) from error


def _fold(model: Any, adapter: Path) -> None:
    """Into the model's own modules. An adapter may have been trained on its body alone, without what ends in words."""
    from peft import PeftConfig, get_peft_model

    what, instead = f"the adapter in {adapter} does not fit its base", "give the base it was trained on"
    with tensor_file.reading(adapter / ADAPTER) as file:
        held = {name.removeprefix("base_model.model.") for name in file.names}
    part = next((each for each in (model, model.base_model) if not _homeless(each, held)), None)
    if part is None:
        homeless = _homeless(model, held)
        raise Refused(
            what, f"{len(homeless)} of its tensors are of no module there, {min(homeless)} among them", instead
        )
    try:
        config = PeftConfig.from_pretrained(str(adapter))
        config.base_model_name_or_path = part.name_or_path  # the same model in another folder is no reason to warn
        wrapped: Any = get_peft_model(part, config)
        told = wrapped.load_adapter(str(adapter), "default")
    except (*UNREADABLE, LookupError) as error:
        raise Refused(what, str(error).splitlines()[0], instead) from error
    if strange := [*told.missing_keys, *told.unexpected_keys]:
        raise Refused(what, f"PEFT does not place {len(strange)} tensors, {min(strange)} among them", instead)
    wrapped.merge_and_unload()


def _homeless(model: Any, held: set[str]) -> set[str]:
    """Those of an adapter's tensors that are of no module of this model."""
    leaves = {name for name, each in model.named_modules() if not [*each.children()]}
    return {name for name in held if not {*accumulate(name.split("."), _below)} & leaves}


def _below(above: str, name: str) -> str:
    return f"{above}.{name}"


def _tied(model: Any) -> bool:
    words = model.get_output_embeddings()
    return words is not None and words.weight is model.get_input_embeddings().weight


if __name__ == "__main__":
    adapter, base, out = map(Path, sys.argv[1:])
    sys.exit(convert.main(adapter, out, lambda adapter, out: write(adapter, base, out)))
