"""A configuration → a model folder with weights as the family's own class draws them, from a seed."""

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from affina.core.errors import Refused


def write(configured: Path, folder: Path, seed: int) -> None:
    """Fills an existing `folder` with float32 weights and the files of `configured`; the caller's own draws go on as if
    nothing had been drawn. Raises Refused where the class takes no such configuration."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(configured, trust_remote_code=False)
        kind: Any = getattr(transformers, config.architectures[0])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = kind(config)
    except (ValueError, TypeError, RuntimeError) as error:
        raise Refused("model.scratch cannot be built", why=" ".join(str(error).split("\n")[:2])) from error
    model.to(torch.float32).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(configured / name, folder / name)
