"""A verified local folder → a network: transformers' classes with forest attention, ending in words or in labels."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationConfig
from transformers.utils import logging as transformers_logging

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Batch, Segment
from affina.engine.torch import attention
from affina.engine.torch.head import WordHead
from affina.engine.torch.machine import device

SCALES: dict[str, Callable[[float], float]] = {"logits_scaling": lambda value: 1 / value, "logit_scale": float}

SAFELY = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError,
    SafetensorError, StrictDataclassError,
)  # fmt: skip
"""What the library raises for a folder it cannot make a model of."""


class Network(nn.Module):
    """A base and what it ends in. `flat` says whether its attention takes a forest; if not, rows go one at a time."""

    def __init__(self, model: Any, computing: Computing, labels: int = 0) -> None:
        super().__init__()
        self.model: Any = model
        self.how, self.precision = computing, computing.precision
        self.config = model.config
        width = self.config.get_text_config().hidden_size
        self.labels = nn.Linear(width, labels, device=device()) if labels else None
        self.causal = bool(getattr(self.config, "is_decoder", False)) or _is_causal(model)
        self.flat = bool(getattr(model, "_supports_attention_backend", False)) and self._takes_forest()
        if not self.flat and self.config._attn_implementation == attention.NAME:
            model.set_attn_implementation(self._library_name)
        self.causal = self.causal or (not self.flat and self._looks_back_only())

    @property
    def body(self) -> Any:
        """What turns tokens into hidden states."""
        return self.model if self.labels is not None else self.model.get_decoder()

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrix products."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Products inside run in the network's precision, whatever dtype a trainable weight is kept in."""
        with torch.autocast(device().type, torch.bfloat16, enabled=self.precision == "bf16"):
            yield

    def hidden(self, batch: Batch) -> torch.Tensor:
        """[T, D] hidden states after the final norm."""
        tokens_T = torch.from_numpy(batch.tokens_T).to(device())
        depths_T = torch.from_numpy(batch.depths_T).to(device())
        if not self.flat:
            parts = [self._run(tokens_T[s.start : s.stop], None) for s in batch.segments]
            return torch.cat(parts)
        with attention.computing(batch.segments):
            return self._run(tokens_T, depths_T + self._first_position)

    def _run(self, tokens: torch.Tensor, positions: torch.Tensor | None) -> torch.Tensor:
        placed = {} if positions is None else {"position_ids": positions[None]}
        more = {"use_cache": False} if self.causal else {}
        state: torch.Tensor = self.body(input_ids=tokens[None], **placed, **more).last_hidden_state[0]
        return state

    @property
    def _first_position(self) -> int:
        shifted = self.config.model_type in ("roberta", "xlm-roberta", "camembert")
        return int(self.config.pad_token_id) + 1 if shifted else 0

    @property
    def words(self) -> WordHead:
        """The output embedding with the family's own scale and soft cap."""
        scale = 1.0
        for name, turn in SCALES.items():
            if getattr(self.config, name, None):
                scale *= turn(getattr(self.config, name))
        softcap = getattr(self.config, "final_logit_softcapping", None)
        return WordHead(self.model.get_output_embeddings().weight, self.dtype, scale, softcap)

    def _takes_forest(self) -> bool:
        """One small forward: each attention layer must call the forest function exactly once."""
        layers = self.config.get_text_config().num_hidden_layers
        tokens = torch.zeros(2, dtype=torch.long, device=device())
        roots = [Segment(0, 1, -1), Segment(1, 2, -1)]
        with torch.no_grad(), attention.computing(roots) as forest, self.computing():
            self._run(tokens, torch.zeros_like(tokens) + self._first_position)
        return bool(forest.calls == layers)

    def _looks_back_only(self) -> bool:
        """Two small forwards: families with an attention of their own do not say it, but the first token shows it."""
        with torch.no_grad(), self.computing():
            states = [self._run(torch.tensor([0, last], device=device()), None)[0] for last in (0, 1)]
        return torch.equal(*states)

    @contextmanager
    def library_attention(self) -> Iterator[None]:
        """Inside, the library's own attention and masks are used: what its `generate` needs."""
        if not self.flat:
            yield
            return
        self.model.set_attn_implementation(self._library_name)
        try:
            yield
        finally:
            self.model.set_attn_implementation(attention.NAME)

    @property
    def _library_name(self) -> str:
        """The library's fused attention, but where scores have a soft cap, which it would leave out without a word."""
        return "eager" if getattr(self.config, "attn_logit_softcapping", None) else "sdpa"


def load(folder: Path, computing: Computing, labels: int = 0) -> Network:
    """The network of a model folder, everything frozen, in evaluation mode. Raises Refused for what cannot be used."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    kind = AutoModel if labels else AutoModelForCausalLM
    dtype = torch.bfloat16 if computing.precision == "bf16" else torch.float32
    try:
        config = copy.deepcopy(AutoConfig.from_pretrained(folder, trust_remote_code=False))
        if config.is_encoder_decoder:
            raise Refused(f"{folder} is an encoder–decoder", why="no objective here trains one yet")
        name = attention.NAME if _declares_backend(kind, config) else None  # None: the class's own
        loaded: Any = kind.from_pretrained(
            folder, config=config, dtype=dtype, attn_implementation=name, output_loading_info=True, **SAFELY
        )
    except UNREADABLE as error:
        raise Refused(f"{folder} cannot be loaded as a model", why=" ".join(str(error).split("\n")[:2])) from error
    model, told = loaded
    if absent := sorted(name for name in told["missing_keys"] if "pooler" not in name):  # no pooler is ever used
        why = f"{len(absent)} weights are not in its files, {absent[0]} among them"
        raise Refused(f"{folder} cannot be loaded as a model", why, "fetch or save the whole model again")
    model.requires_grad_(False)
    if model.can_generate():  # how to decode is asked for: a penalty the base declares would change "the likeliest"
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None  # the pad token may be the stop token, which must learn; nothing is padded
        if isinstance(module, nn.LayerNorm):
            module.float()  # takes bf16 and the float32 that a low-rank sum leaves; bf16 weights would take only bf16
    return Network(model.to(device()), computing, labels).eval()


def _declares_backend(kind: Any, config: Any) -> bool:
    if type(config) not in kind._model_mapping:
        raise ValueError(f"no {kind.__name__} class for model_type '{config.model_type}'")
    return bool(getattr(kind._model_mapping[type(config)], "_supports_attention_backend", False))


def _is_causal(model: nn.Module) -> bool:
    return any(getattr(module, "is_causal", False) for module in model.modules())
