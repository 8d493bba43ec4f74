"""What was learnt alone, as PEFT loads it beside its base."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from affina.core.export import Bounds, Export, Exportable, Served

ADAPTER = "adapter_config.json"


class Peft(Export):
    """An adapter in PEFT's format with tokenizer, chat template and a new head beside it; the base stays."""

    engine: ClassVar[str] = "peft"
    merges: ClassVar[bool] = False

    @property
    def bounds(self) -> Bounds:
        return Bounds(logits=1e-3, greedy=True)

    def objection(self, config: Mapping[str, Any], source: Exportable) -> str:
        path = source.tuned / ADAPTER
        if not path.is_file():
            return "its tuning moves the base's own weights: there is no adapter; safetensors holds the whole model"
        if "peft_type" not in json.loads(path.read_text(encoding="utf-8")):
            return "PEFT knows no tuning of this kind; safetensors or affina's own files hold it"
        return ""

    def write(self, source: Exportable, folder: Path) -> None:
        for file in source.tuned.iterdir():
            shutil.copy(file, folder / file.name)

    def open(self, folder: Path) -> Served:
        from affina.engine.torch import library

        return library.adapted(folder)
