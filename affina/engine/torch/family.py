"""Which of the library's classes a model folder is, by its configuration alone: no weight is read."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForTextEncoding,
)
from transformers.utils import logging as transformers_logging

from affina.core.errors import Refused
from affina.core.kinds import Ending
from affina.engine.torch import attention, dropout

CLASSES: dict[str, Any] = {
    "past": AutoModelForCausalLM,
    "both": AutoModelForMaskedLM,
    "order": AutoModelForCausalLM,
    "source": AutoModelForSeq2SeqLM,
}
"""Which of the library's classes end in words, by how they read."""
UNDECLARED = ("StableLm",)
"""Families whose attention calls whatever function is chosen, though their classes do not say so."""
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError,
    SafetensorError, StrictDataclassError,
)  # fmt: skip
"""What the library raises for a folder it cannot make a model of."""


def configured(folder: Path, ending: Ending, shares: Mapping[str, float | None]) -> tuple[Any, Any, str | None]:
    """The configuration with these `shares` of dropout, the library's class, and the attention to ask it for (None: the
    class's own). Raises Refused for what cannot be used."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = copy.deepcopy(AutoConfig.from_pretrained(folder, trust_remote_code=False))
        if getattr(config, "quantization_config", None):
            why = "its weights are kept in few bits already, and what is trained here begins from whole ones"
            raise Refused(f"{folder} is quantised", why, "give the unquantised base; tuning: qlora quantises it")
        dropout.override(config, shares)
        kind = CLASSES[ending.reads] if ending.head == "words" else _headless(config)
        return config, kind, attention.NAME if _declares_backend(kind, config) else None
    except UNREADABLE as error:
        raise unusable(folder, error) from error


def unusable(folder: Path, error: Exception) -> Refused:
    """The library's own sentence."""
    return Refused(f"{folder} cannot be loaded as a model", why=" ".join(str(error).split("\n")[:2]))


def packs(model: Any, ending: Ending) -> bool:
    """Whether its attention can be replaced, and it reads rows that can be laid out flat."""
    return replaceable(type(model)) and ending.reads not in ("source", "order")


def tells_texts_apart(config: Any) -> bool:
    """Whether it adds to a token which of two texts it is of: BERT and its kin."""
    kinds = getattr(config, "type_vocab_size", 0)
    return isinstance(kinds, int) and kinds > 1


def _headless(config: Any) -> Any:
    """The library's class of a base without its words. Raises Refused where an encoder does not come without one."""
    if not config.is_encoder_decoder:
        return AutoModel
    if type(config) not in MODEL_FOR_TEXT_ENCODING_MAPPING:
        what, why = f"a new head on {config.model_type}", "the library loads its encoder only with its decoder"
        raise Refused(what, why, "choose an encoder such as bert, or the objective seq2seq")
    return AutoModelForTextEncoding


def _declares_backend(kind: Any, config: Any) -> bool:
    if type(config) not in kind._model_mapping:
        raise ValueError(f"no {kind.__name__} class for model_type '{config.model_type}'")
    return replaceable(kind._model_mapping[type(config)])


def replaceable(kind: Any) -> bool:
    """Whether a class of models lets its attention be replaced."""
    return bool(getattr(kind, "_supports_attention_backend", False)) or kind.__name__.startswith(UNDECLARED)
