"""A run's own model in float32, asked as an exported one is: what parity is measured against."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from affina.core.example import Message
from affina.core.kinds import Row, Sampling
from affina.engine.torch.model import TorchModel, rows_of


class Exact:
    """See `affina.core.export.Served`. Every logit of a row, by this engine's own forward pass."""

    def __init__(self, model: TorchModel) -> None:
        self.model = model
        self.renderer: Any = model.renderer

    @torch.no_grad()
    def logits(
        self, tokens: Sequence[int], source: Sequence[int] = (), types: Sequence[int] = ()
    ) -> npt.NDArray[np.float32]:
        """[T, V], [1, L], [T, L] or [1, D]."""
        network, ids = self.model.network, np.array(tokens, np.int32)
        read = np.array(source, np.int32) if source else None
        parts = np.array(types, np.int32) if types else None
        row = Row("row", ids, np.ones(len(ids), np.float32), label=0, said=ids, source=read, types=parts)
        batch = self.model.layout([row], share=False)
        if network.ending.head != "words":
            found = self.model.forward(batch)
            said = next(each for each in (found.scores_RL, found.scores_SL, found.vectors_RD) if each is not None)
            return _plain(said)
        with network.computing():
            hidden_TD = rows_of(network.hidden(batch), batch)[0][len(network.before) :]
        head, hidden_TD = network.words.unbiased(hidden_TD)
        logits_TV = hidden_TD.float() @ head.weight_VD.float().T * head.scale
        if head.softcap is not None:
            logits_TV = torch.tanh(logits_TV / head.softcap) * head.softcap
        return _plain(logits_TV)

    def greedy(self, tokens: Sequence[int], most: int, stops: frozenset[int]) -> list[int]:
        """As evaluation generates."""
        return self.answers([tokens], most)[0]

    def answers(self, prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        """The same for many at once."""
        return [list(each.tokens) for each in self.model.sample(prompts, Sampling(max_tokens=most))]

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = ()) -> str:
        """As training rendered."""
        given = [
            Message(each["role"], each["content"], {k: v for k, v in each.items() if k not in ("role", "content")})
            for each in messages
        ]
        text: str = self.renderer.template.render(given, tools, opening=True)
        return text

    def tokens(self, text: str) -> list[int]:
        """As training encoded."""
        return list(self.renderer.vocabulary.encode([text])[0].ids)


def _plain(found: torch.Tensor) -> npt.NDArray[np.float32]:
    made: npt.NDArray[np.float32] = found.float().cpu().numpy()
    return made
