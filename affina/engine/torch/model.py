"""The read face over torch: scores, samples and embeddings of rows, laid out as forests of segments."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from affina.core.example import Labelled
from affina.core.kinds import Batch, Forward, Row, Sampled, Sampling, Scored
from affina.data.layout import batches_of, layout
from affina.data.rows import Renderer
from affina.engine.torch.generate import Decoder
from affina.engine.torch.load import Network
from affina.engine.torch.machine import device

SCORE_TOKENS = 8192  # whole tokens of the rows scored at once: bounds memory, changes no number
SAMPLE_ROWS = 8


class TorchModel:
    """A network and the renderer that speaks to it."""

    def __init__(self, network: Network, renderer: Renderer) -> None:
        self.network, self.renderer = network, renderer

    @property
    def shares(self) -> bool:
        """Whether a prefix that rows share can be computed once: where attention is causal and takes a forest."""
        return self.network.causal and self.network.flat

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        """The rows as this network takes them; prefixes stand once where it shares and `share` says so."""
        return layout(rows, share=share and self.shares)

    def forward(self, batch: Batch, again: bool = False) -> Forward:
        """What a batch's objective reads: target log-probabilities, or label scores where there is a label head.

        `again`: the same batch will be asked for another time.
        """
        ends = batch.ends_R if self.network.causal else batch.starts_R
        read = batch.sources_S if self.network.labels is None else ends
        with self.network.computing():
            hidden_TD = self.network.hidden(batch, again, read)
        weights_S, owners_S, labels_R = (
            torch.from_numpy(part).to(device()) for part in (batch.weights_S, batch.owners_S, batch.labels_R)
        )
        if self.network.labels is not None:
            states_RD = hidden_TD[torch.from_numpy(ends).to(device())].to(self.network.labels.weight.dtype)
            scores_RL = self.network.labels(states_RD)
            return Forward(None, weights_S, owners_S, scores_RL, labels_R)
        sources, targets = (torch.from_numpy(part).to(device()) for part in (batch.sources_S, batch.targets_S))
        logprobs_S = self.network.words.logprobs(hidden_TD[sources], targets)
        return Forward(logprobs_S, weights_S, owners_S, None, labels_R)

    @torch.no_grad()
    def score(self, rows: Sequence[Row]) -> list[Scored]:
        """Log-probabilities of every row's targets, in nats, in the order given."""
        found: list[Scored] = []
        with self._resting():
            for group, batch in batches_of(rows, SCORE_TOKENS, self.shares):
                forward = self.forward(batch, again=True)
                if forward.scores_RL is not None:
                    labels_RL = forward.scores_RL.log_softmax(-1).double().cpu().numpy()
                    found += [Scored(np.zeros(0), labels_L) for labels_L in labels_RL]
                    continue
                assert forward.logprobs_S is not None
                logprobs_S = forward.logprobs_S.double().cpu().numpy()
                edges = np.searchsorted(batch.owners_S, np.arange(len(group) + 1))
                found += [Scored(logprobs_S[edges[r] : edges[r + 1]]) for r in range(len(group))]
        return found

    @torch.no_grad()
    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        """Answers to prompts given as tokens, each up to its stop token or `how.max_tokens`."""
        if not self.shares:
            return self._sample_padded(prompts, how)
        decoder = Decoder(self.network, self.renderer.vocabulary.limit, self.renderer.stops, how)
        made: list[list[int]] = [[] for _ in prompts]
        with self._resting():
            for index, token in decoder.stream(prompts):
                made[index].append(token)
        return [self._sampled(tokens) for tokens in made]

    def _sample_padded(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        """For networks whose attention takes no forest: the library's own decoding, group by group."""
        found: dict[int, Sampled] = {}
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        with self._resting(), self.network.library_attention(), self.network.computing():
            for start in range(0, len(order), SAMPLE_ROWS):
                group = order[start : start + SAMPLE_ROWS]
                torch.manual_seed(how.seed + start)
                answers = self._generate([prompts[place] for place in group], how)
                found.update(zip(group, answers, strict=True))
        return [found[place] for place in range(len(prompts))]

    def _generate(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        """The library's own decoding over one padded group."""
        stops = sorted(self.renderer.stops)
        width = max(len(prompt) for prompt in prompts)
        tokens = torch.tensor(
            [[stops[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device()
        )
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device())
        chance = {"do_sample": True, "temperature": how.temperature, "top_p": how.top_p, "top_k": 0}
        made = self.network.model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=how.max_tokens,
            eos_token_id=stops,
            pad_token_id=stops[0],
            **(chance if how.temperature > 0 else {"do_sample": False}),
        )
        return [self._sampled(answer) for answer in made[:, width:].tolist()]

    def _sampled(self, tokens: list[int]) -> Sampled:
        end = next((place for place, token in enumerate(tokens) if token in self.renderer.stops), None)
        return Sampled(self.renderer.text(tokens[:end]), tuple(tokens[:end]), stopped=end is not None)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """[N, D]: the mean of each text's hidden states, of unit length (Sentence-BERT's mean pooling)."""
        rows = self.renderer.rows([Labelled(id=str(place), text=text, label="") for place, text in enumerate(texts)])
        found = []
        with self._resting(), self.network.computing():
            for _, batch in batches_of(rows, SCORE_TOKENS, share=False):
                hidden_TD = self.network.hidden(batch)
                found += [hidden_TD[s.start : s.stop].float().mean(0) for s in batch.segments]
        made: npt.NDArray[np.float32] = torch.nn.functional.normalize(torch.stack(found)).cpu().numpy()
        return made

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """Dropout is off inside."""
        learning = self.network.training
        self.network.eval()
        try:
            yield
        finally:
            self.network.train(learning)
