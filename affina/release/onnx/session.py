"""An ONNX folder in onnxruntime: logits, greedy answers with past keys and values, tokenizer and template."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from affina.core.errors import Failed, Refused
from affina.core.example import Message
from affina.data.template import Template
from affina.data.tokens import Vocabulary

GRAPH, ABOUT = "model.onnx", "onnx.json"
UNLOADABLE = (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile, state.NotImplemented)
CAUTIOUS = 3  # the runtime's own level for errors


class OnnxModel:
    """See `affina.core.export.Served`. One row at a time; the graph itself takes many."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = CAUTIOUS
        try:
            self._about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            providers = ["CPUExecutionProvider"]
            self._session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=providers)
        except (OSError, ValueError, *UNLOADABLE) as error:
            raise Failed(f"onnxruntime cannot load {folder}", why=str(error).splitlines()[0]) from error
        self.vocabulary = Vocabulary(folder)
        self._template = Template.find(folder, self.vocabulary.named)

    def logits(
        self, tokens: Sequence[int], source: Sequence[int] = (), types: Sequence[int] = ()
    ) -> npt.NDArray[np.float32]:
        """[T, V], [1, L], [T, L] or [1, D]."""
        given = np.array([list(tokens)], np.int64)
        found = self.run(given, np.ones_like(given), types=np.array([list(types)], np.int64) if types else None)[0]
        return found[0] if found.ndim == 3 else found

    def greedy(self, tokens: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
        """The likeliest token, again and again, each behind the cached ones."""
        given, past, made = np.array([list(tokens)], np.int64), self.empty(1), list[int]()
        seen = np.ones((1, 0), np.int64)
        while len(made) < most:
            seen = np.concatenate([seen, np.ones_like(given)], 1)
            logits, *past = self.run(given, seen, past)
            token = int(logits[0, -1].argmax())
            if token in stops:
                break
            made.append(token)
            given = np.array([[token]], np.int64)
        return made

    def run(
        self,
        tokens: npt.NDArray[np.int64],
        mask: npt.NDArray[np.int64],
        past: Sequence[Any] | None = None,
        types: npt.NDArray[np.int64] | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """The graph as it is: [B, T], [B, past + T], keys and values, and [B, T] which of two texts each token is of
        where it tells them apart → what the head gives, keys and values."""
        held = self.empty(len(tokens)) if past is None else past
        given = {"tokens": tokens, "mask": mask, **{f"past_{n}": each for n, each in enumerate(held)}}
        if self._about.get("types"):
            given["types"] = np.zeros_like(tokens) if types is None else types
        found: list[npt.NDArray[np.float32]] = self._session.run(None, given)
        return found

    def empty(self, rows: int) -> list[npt.NDArray[np.float32]]:
        """A cache with nothing in it."""
        return [np.zeros((rows, heads, 0, width), np.float32) for _, heads, width in self._about["past"]]

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> str:
        """By the folder's own template. Raises Refused where there is none."""
        if self._template is None:
            raise Refused("the export has no chat template")
        given = [
            Message(each["role"], each["content"], {k: v for k, v in each.items() if k not in ("role", "content")})
            for each in messages
        ]
        return self._template.render(given, tools, opening=True)

    def tokens(self, text: str) -> list[int]:
        """By the folder's own tokenizer."""
        return list(self.vocabulary.encode([text])[0].ids)
