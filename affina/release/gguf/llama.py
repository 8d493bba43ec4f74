"""A GGUF file in llama.cpp: its logits, its greedy answers, its tokenizer and template, and its own quantiser."""

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import finalize

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from affina.core.errors import Failed
from affina.data.abreast import cores

LONGEST = 8192
"""Tokens of context, at most: bounds memory."""
F32 = 0  # ggml_type
NO_FLASH = 0  # llama_flash_attn_type
RANK = 4  # llama_pooling_type
FTYPES = {"q4_0": 2, "q8_0": 7}  # llama_ftype


class LlamaModel:
    """See `affina.core.export.Served`. Keys and values are kept in float32, so that what differs is the weights."""

    def __init__(self, file: Path) -> None:
        _quiet()
        given = llama_cpp.llama_model_default_params()
        given.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(file), given)
        if self._model is None:
            raise Failed(f"llama.cpp cannot load {file}", why="it says no more than that the file is not one it knows")
        finalize(self, llama_cpp.llama_model_free, self._model)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._size = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self._width = int(llama_cpp.llama_model_n_embd(self._model))
        self._encodes = self._meta("general.architecture") == "bert"
        self._context: Any = None
        self._freed: Any = None
        self._room = 0

    def logits(
        self, tokens: Sequence[int], source: Sequence[int] = (), types: Sequence[int] = ()
    ) -> npt.NDArray[np.float32]:
        """[T, V]; of an encoder [1, L] or [1, D], the mean of its states."""
        self._make_room(len(tokens))
        if self._encodes:
            return self._encoded(tokens)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        return self._decode(tokens, 0, every=True)

    def greedy(self, tokens: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
        """The likeliest token, again and again."""
        self._make_room(len(tokens) + most)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        given, at, made = list(tokens), 0, list[int]()
        while len(made) < most:
            token = int(self._decode(given, at, every=False)[-1].argmax())
            if token in stops:
                break
            made.append(token)
            given, at = [token], at + len(given)
        return made

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> str:
        """By the file's own template, as llama-cpp-python renders it."""
        named = {role: self._text(int(self._meta(f"tokenizer.ggml.{role}_token_id") or -1)) for role in ("bos", "eos")}
        source = self._meta("tokenizer.chat_template")
        formatter = Jinja2ChatFormatter(source, eos_token=named["eos"], bos_token=named["bos"])
        given: Any = [dict(each) for each in messages]
        more: Any = {"tools": list(tools) or None}
        return str(formatter(messages=given, **more).prompt)

    def tokens(self, text: str) -> list[int]:
        """By the file's own tokenizer."""
        plain = text.encode("utf-8")
        room = (llama_cpp.llama_token * (len(plain) + 8))()
        count = llama_cpp.llama_tokenize(self._vocab, plain, len(plain), room, len(room), False, True)
        return list(room[:count])

    def _decode(self, tokens: Sequence[int], at: int, every: bool) -> npt.NDArray[np.float32]:
        """[T, V] of tokens from position `at` on, or of the last alone [1, V]."""
        self._run(tokens, at, every, llama_cpp.llama_decode)
        count = len(tokens) if every else 1
        found = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(found, shape=(count * self._size,)).reshape(count, self._size).copy()

    def _encoded(self, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
        self._run(tokens, 0, True, llama_cpp.llama_encode)
        ranks = llama_cpp.llama_pooling_type(self._context) == RANK
        size = int(llama_cpp.llama_model_n_cls_out(self._model)) if ranks else self._width
        found = llama_cpp.llama_get_embeddings_seq(self._context, 0)
        return np.ctypeslib.as_array(found, shape=(size,)).reshape(1, size).copy()

    def _run(self, tokens: Sequence[int], at: int, every: bool, call: Any) -> None:
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            for place, token in enumerate(tokens):
                batch.token[place], batch.pos[place] = token, at + place
                batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
                batch.logits[place] = every or place + 1 == len(tokens)
            if code := call(self._context, batch):
                raise Failed("llama.cpp could not compute a row", why=f"it gave the code {code}")
        finally:
            llama_cpp.llama_batch_free(batch)

    def _make_room(self, tokens: int) -> None:
        """A context of at least so many tokens."""
        if tokens <= self._room:
            return
        if self._freed is not None:
            self._freed()
        self._room = min(LONGEST, max(256, 1 << (tokens - 1).bit_length()))
        given = llama_cpp.llama_context_default_params()
        given.n_ctx = given.n_batch = given.n_ubatch = self._room
        given.n_seq_max = 1
        given.n_threads = given.n_threads_batch = cores()
        given.type_k = given.type_v = F32
        given.flash_attn_type = NO_FLASH
        given.embeddings = self._encodes
        self._context = llama_cpp.llama_init_from_model(self._model, given)
        if self._context is None:
            raise Failed("llama.cpp made no context", why=f"{self._room} tokens do not fit its memory")
        self._freed = finalize(self, llama_cpp.llama_free, self._context)

    def _meta(self, key: str) -> str:
        """A setting of the file as text; empty where it has none."""
        room = ctypes.create_string_buffer(1 << 20)
        size = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), room, len(room))
        return room.value.decode("utf-8") if size >= 0 else ""

    def _text(self, token: int) -> str:
        found = llama_cpp.llama_vocab_get_text(self._vocab, token) if token >= 0 else b""
        return found.decode("utf-8") if found else ""


def quantise(source: Path, target: Path, type_: str) -> None:
    """llama.cpp's own quantiser, as it is when nothing is asked of it. Raises Failed when it does not succeed."""
    _quiet()
    given = llama_cpp.llama_model_quantize_default_params()
    given.ftype = FTYPES[type_]
    if code := llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(given)):
        raise Failed(f"llama.cpp could not quantise {source}", why=f"it gave the code {code}")


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _nothing(level: int, text: bytes, user_data: Any) -> None:
    """What llama.cpp says while it works."""


def _quiet() -> None:
    llama_cpp.llama_log_set(_nothing, ctypes.c_void_p(0))
