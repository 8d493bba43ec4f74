"""A verified local folder → a network: transformers' classes with forest attention, ending in words or a new head."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import GenerationConfig

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Batch, Ending, Ints, Row
from affina.data.layout import layout
from affina.data.tokens import first_position
from affina.engine.torch import attention, blocks, dropout, family, native, padded, same, virtual
from affina.engine.torch.bare import Bare
from affina.engine.torch.head import WordHead
from affina.engine.torch.logits import Logits, logits_of
from affina.engine.torch.machine import device
from affina.engine.torch.norms import follow_precision
from affina.engine.torch.reading import WholeModel, reader_of
from affina.engine.torch.steady import Linear
from affina.engine.torch.trunk import Trunk, paths_of

DTYPES = {"bf16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
"""Of frozen weights and products, by precision; float64 is for checking, see `TorchEngine.exactly`."""

SAFELY = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
WORDS = Ending()
UNBIASED = ("margin", "span")


class Network(nn.Module):
    """A base and what it ends in.

    `flat` says whether its attention takes a forest; if not, `together` whether rows of similar length are padded and
    computed together, else they go one at a time.
    """

    def __init__(self, model: Any, computing: Computing, ending: Ending = WORDS) -> None:
        super().__init__()
        self.model: Any = model
        self.how, self.precision = computing, computing.precision
        self.config = model.config
        width = self.config.get_text_config().hidden_size
        self.stages: list[blocks.Stage] = []
        self.trunk = Trunk()
        self.ending = ending
        bias = ending.head not in UNBIASED
        self.head = Linear(width, ending.size, bias, device=device()) if ending.size else None
        self._reader = reader_of(model, ending)
        self.causal = ending.reads == "source" or bool(getattr(self.config, "is_decoder", False)) or _is_causal(model)
        heard = self._heard() if computing.packing and family.packs(model, ending) else None
        self.flat = heard is not None
        if not self.flat and self.config._attn_implementation == attention.NAME:
            model.set_attn_implementation(self._library_name)
        self.causal = self.causal or (not self.flat and self._looks_back_only())
        self.together = not self.flat and self._takes_padding()
        self.logits = Logits()
        if ending.head == "words":
            self.logits, hands_on = logits_of(self)
            if self._reader is None and not hands_on:
                self._reader = WholeModel(model, self._padding)
        if heard is not None:
            self.stages = blocks.stage(self, heard)

    def train(self, mode: bool = True) -> "Network":
        """The library's, without its walk by assignment: 4 ms of every step for a thousand modules."""
        dropout.tell(self, mode)
        return self

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how this base is computed."""
        name, cannot = self.config.model_type, self.flat or not self.model.supports_gradient_checkpointing
        kept = self.how.checkpoint and not self.stages and cannot
        said = (f"{name} cannot compute its blocks once more in backward: all is kept",) if kept else ()
        if self.flat:
            return *self._computed_otherwise, *said
        how = "are padded and computed together" if self.together else "are computed one at a time: padding changes it"
        rows = "rows of similar length" if self.together else "rows"
        lost = "no prefix is shared, no frozen block's output kept"
        why = f"the attention of {name} cannot pack rows" if self.how.packing else "packing is off"
        return (f"{why}: {rows} {how}; {lost}", *said)

    @property
    def _computed_otherwise(self) -> tuple[str, ...]:
        """Where what was settled cannot be done here or with this base."""
        if device().type != "cpu":
            return ()
        if self.how.kernels and native.library() is None:
            return (f"computed without the fused kernels that were settled on: {native.reason()}",)
        without = [stage for stage in self.stages if stage.block() is None]
        if self.how.kernels and without:
            return (f"{len(without)} of {len(self.stages)} blocks have no fused form and are the library's own",)
        return ()

    @property
    def body(self) -> Any:
        """What turns tokens into hidden states."""
        if self.ending != WORDS:
            return self.model
        named, rest = self.model.get_decoder(), (self.model.base_model, getattr(self.model, "model", self.model))
        ends = self.model, self.model.get_output_embeddings()
        return next((each for each in (named, *rest) if all(each is not end for end in ends)), named)

    @property
    def sums_up_last(self) -> bool:
        """Whether a row's last token stands for the whole row: in decoders, and where [CLS] is last (XLNet)."""
        return self.causal or getattr(self.config, "summary_type", "") == "last"

    @property
    def before(self) -> range:
        """The ids of the virtual tokens that stand before every row; none but under tunings that train such."""
        return virtual.before(self.model)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrix products."""
        return DTYPES[self.precision]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Products inside run in the network's precision, whatever dtype a trainable weight is kept in."""
        with torch.autocast(device().type, torch.bfloat16, enabled=self.precision == "bf16"):
            yield

    def hidden(self, batch: Batch, again: bool = False, read: Ints | None = None) -> torch.Tensor:
        """[T, D] hidden states after the final norm. `again`: the same batch will be asked for another time.

        `read`: the places in T that the caller looks at; what stands elsewhere may be anything.
        """
        if not self.flat:
            tokens_T = torch.from_numpy(batch.tokens_T).to(device())
            return padded.hidden(self._over(batch.rows), tokens_T, batch.segments, self._padding, self.together)
        places = None if read is None or not len(read) else torch.from_numpy(np.unique(read)).to(device())
        with self.trunk.lent(self, batch, again):
            return self.forest(batch, places if self.trunk.store is None else None)

    def forest(self, batch: Batch, read: torch.Tensor | None = None) -> torch.Tensor:
        """[T, D] of a flat batch, by one pass of the body; at `read` alone where given."""
        tokens_T = torch.from_numpy(batch.tokens_T).to(device())
        depths_T = torch.from_numpy(batch.depths_T).to(device())
        with attention.computing(batch.segments, self.how.kernels, read):
            return self.at(tokens_T, depths_T, self._typed(batch.types_T))

    def at(self, tokens_T: torch.Tensor, depths_T: torch.Tensor, types_T: torch.Tensor | None = None) -> torch.Tensor:
        """[T, D] hidden states after the final norm of tokens at these depths; who sees whom is the context's."""
        size = self.model.get_input_embeddings().num_embeddings
        with attention.standing(tokens_T - size) if self.before else nullcontext():
            more = {} if types_T is None else {"token_type_ids": types_T[None]}
            return self._run(tokens_T[None], position_ids=(depths_T + self._first_position)[None], **more)[0]

    def _typed(self, types: Ints | None) -> torch.Tensor | None:
        """Token types as the body takes them; None where it tells no texts apart, or there is one."""
        if types is None or not family.tells_texts_apart(self.config):
            return None
        return torch.from_numpy(types).long().to(device())

    def _over(self, rows: Sequence[Row]) -> padded.Run:
        """How groups of these rows are computed, padded on the right."""

        def run(tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, group: Sequence[int]) -> torch.Tensor:
            if self._reader is not None:
                return self._reader.padded(tokens_BL, mask_BL, [rows[r] for r in group])
            more = {} if mask_BL is None else {"attention_mask": mask_BL}
            if (types_BL := self._typed(padded.types([rows[r] for r in group]))) is not None:
                more["token_type_ids"] = types_BL
            return self._run(tokens_BL, **more)

        return run

    def _run(self, tokens_BL: torch.Tensor, **given: torch.Tensor) -> torch.Tensor:
        more = {"use_cache": False} if self.causal else {}
        if self._reader is not None:
            return self._reader.states(input_ids=tokens_BL, **given, **(more if self.ending == WORDS else {}))
        state_BLD: torch.Tensor = self.body(input_ids=tokens_BL, **given, **more).last_hidden_state
        return state_BLD

    @property
    def _padding(self) -> int:
        declared = self.config.pad_token_id
        return 0 if declared is None else int(declared)

    @property
    def _first_position(self) -> int:
        return first_position(self.config.model_type, self.config.pad_token_id)

    @property
    def words(self) -> WordHead:
        """The output embedding with the family's own scale, soft cap and bias."""
        head, made = self.model.get_output_embeddings(), self.logits
        own: torch.Tensor | None = getattr(head, "bias", None)
        bias = own if made.bias_V is None else made.bias_V if own is None else own + made.bias_V
        return WordHead(head.weight, self.dtype, made.scale, made.softcap, bias)

    @torch.no_grad()
    def _heard(self) -> Mapping[nn.Module, Mapping[str, Any]] | None:
        """How each attention layer calls the forest function, where a packed row is computed as the library computes it
        alone; None where it is not. A few small forwards: what a class declares does not tell."""
        rows, layers = same.rows(self.config.pad_token_id), self.config.get_text_config().num_hidden_layers
        batch = layout(rows, share=self.causal)
        tokens_T, depths_T = (torch.from_numpy(each).to(device()) for each in (batch.tokens_T, batch.depths_T))
        with self.computing():
            with attention.computing(batch.segments) as forest:  # without kernels bf16 rounds as the library does
                packed_TD = self.at(tokens_T, depths_T)
            if forest.calls != layers or not same.windows_told(self.config, forest.heard.values()):
                return None
            last = torch.cat([packed_TD[start:stop] for start, stop in paths_of(batch)[-1]])
            other = None if self._library_name == "eager" else lambda: self._alone(rows[-1], self._library_name)
            alike = same.close(last, self._alone(rows[-1], "eager"), self.dtype, other)
        return forest.heard if alike else None

    def _alone(self, row: Row, name: str) -> torch.Tensor:
        """[L, D] the states of a row alone, by an attention of the library's."""
        self.model.set_attn_implementation(name)
        try:
            return self._run(torch.from_numpy(row.tokens).long().to(device())[None])[0]
        finally:
            self.model.set_attn_implementation(attention.NAME)

    def _looks_back_only(self) -> bool:
        """Two small forwards: families with an attention of their own do not say it, but the first token shows it."""
        with torch.no_grad(), self.computing():
            states = [self._run(torch.tensor([[0, last]], device=device()))[0, 0] for last in (0, 1)]
        return torch.equal(*states)

    def _takes_padding(self) -> bool:
        """A few small forwards: padding must change nothing."""
        with self.computing():
            return padded.changes_nothing(self._over(padded.small()), self._padding, device(), self.dtype)

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
        """The library's fused attention; not where a family has none, nor where scores have a soft cap, which it would
        leave out without a word."""
        plain = getattr(self.config, "attn_logit_softcapping", None) or not getattr(self.model, "_supports_sdpa", True)
        return "eager" if plain else "sdpa"


def load(
    folder: Path, computing: Computing, ending: Ending = WORDS, shares: Mapping[str, float | None] | None = None
) -> Network:
    """The network of a model folder, all frozen, in evaluation mode; `shares` of dropout replace its own.
    Raises Refused for what cannot be used."""
    config, kind, name = family.configured(folder, ending, shares or {})
    try:
        with Bare(counted=True):
            loaded: Any = kind.from_pretrained(
                folder, config=config, dtype=DTYPES[computing.precision], attn_implementation=name,
                output_loading_info=True, **SAFELY,
            )  # fmt: skip
    except family.UNREADABLE as error:
        raise family.unusable(folder, error) from error
    model, told = loaded
    if absent := sorted(name for name in told["missing_keys"] if "pooler" not in name):  # no pooler is ever used
        why = f"{len(absent)} weights are not in its files, {absent[0]} among them"
        raise Refused(f"{folder} cannot be loaded as a model", why, "fetch or save the whole model again")
    model.requires_grad_(False)
    follow_precision(model)
    if model.can_generate():  # how to decode is asked for: a penalty the base declares would change "the likeliest"
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None  # the pad token may be the stop token, which must learn; padding is masked
        if isinstance(module, nn.LayerNorm):
            module.float()  # takes bf16 and the float32 that a low-rank sum leaves; bf16 weights would take only bf16
    try:
        network = Network(model.to(device()), computing, ending)
    except (*family.UNREADABLE, IndexError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        what = f"the network of a {config.model_type} cannot be computed here"
        raise Refused(what, str(error).partition("\n")[0], "choose a base of another family") from error
    dropout.before_head(network.head, (shares or {}).get("head"))
    if computing.checkpoint and not network.flat and model.supports_gradient_checkpointing:
        model.activation_checkpointing_enable()  # blocks behind stand-ins see to it themselves
        model.disable_input_require_grads()  # which blocks that are computed again do not need
    return network.eval()


def _is_causal(model: nn.Module) -> bool:
    return any(getattr(module, "is_causal", False) for module in model.modules())
