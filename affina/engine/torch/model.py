"""The read face over torch: scores, samples and embeddings of rows, laid out as forests of segments."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, EncoderDecoderCache

from affina.core.example import Labelled
from affina.core.kinds import Batch, Forward, Ints, Row, Sampled, Sampling, Scored
from affina.data.layout import batches_of, layout
from affina.data.rows import Renderer
from affina.engine.torch.generate import Decoder, need_room
from affina.engine.torch.load import Network
from affina.engine.torch.machine import device
from affina.engine.torch.vocabulary import Vocabulary

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

    @property
    def reads(self) -> str:
        """How it reads words (see `Objective.reads`); empty where it ends in none."""
        return self.network.ending.reads if self.network.ending.head == "words" else ""

    def layout(self, rows: Sequence[Row], share: bool = True) -> Batch:
        """The rows as this network takes them; prefixes stand once where it shares and `share` says so."""
        return layout(rows, share=share and self.shares, before=self.network.before)

    def forward(self, batch: Batch, again: bool = False) -> Forward:
        """What a batch's objective reads: target log-probabilities, or what the network's own head gives.

        `again`: the same batch will be asked for another time.
        """
        network, head = self.network, self.network.ending.head
        ends = batch.ends_R if network.sums_up_last else batch.starts_R
        everywhere = network.how.head == "everywhere" and torch.is_grad_enabled()  # measuring reads larger batches
        sources_S = None if everywhere else batch.sources_S
        read = {"words": sources_S, "tags": batch.sources_S, "span": batch.sources_S, "vector": None}
        with network.computing():
            hidden_TD = network.hidden(batch, again, read.get(head, ends))
        given = Forward(self._lent(batch.weights_S), self._lent(batch.owners_S), self._lent(batch.labels_R))
        if head == "words":
            sources, targets = self._lent(batch.sources_S), self._lent(batch.targets_S)
            words = Vocabulary(*network.words.unbiased(hidden_TD[sources]), targets)
            if everywhere:
                return replace(given, logprobs_S=network.words.everywhere(hidden_TD)[sources, targets], words=words)
            return replace(given, logprobs_S=words.head.logprobs(words.hidden_SD, targets), words=words)
        if head == "vector":
            return replace(given, vectors_RD=self._means(hidden_TD, batch))
        assert network.head is not None, f"an ending in {head} has a head of its own"
        if head in ("tags", "span"):
            states_SD = hidden_TD[self._lent(batch.sources_S)].to(network.head.weight.dtype)
            return replace(given, scores_SL=network.head(states_SD))
        states_RD = hidden_TD[self._lent(ends)].to(network.head.weight.dtype)
        return replace(given, scores_RL=network.head(states_RD))

    @staticmethod
    def _lent(part: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(part).to(device())

    @torch.no_grad()
    def score(self, rows: Sequence[Row]) -> list[Scored]:
        """Log-probabilities of every row's targets, in nats, or what the head gives, in the order given."""
        found: list[Scored] = []
        with self._resting():
            for group, batch in batches_of(rows, SCORE_TOKENS, self.shares, self.network.before):
                forward = self.forward(batch, again=True)
                edges = np.searchsorted(batch.owners_S, np.arange(len(group) + 1))
                found += [_scored(forward, r, slice(edges[r], edges[r + 1])) for r in range(len(group))]
        return found

    @torch.no_grad()
    def fill(self, rows: Sequence[Row]) -> list[Ints]:
        """The likeliest token at each supervised place of every row."""
        return [ranked[:, 0] for ranked in self.likeliest(rows, 1)]

    @torch.no_grad()
    def likeliest(self, rows: Sequence[Row], count: int) -> list[Ints]:
        """[S, count] the likeliest tokens at each supervised place of every row, the likeliest first."""
        found: list[Ints] = []
        with self._resting():
            for group, batch in batches_of(rows, SCORE_TOKENS, self.shares, self.network.before):
                words = self.forward(batch).words
                assert words is not None, "only a head of words says tokens"
                edges = np.searchsorted(batch.owners_S, np.arange(1, len(group)))
                found += np.split(words.likeliest(count).cpu().numpy(), edges)
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
        if self.renderer.vocabulary.decodes_from is None:
            need_room(prompts, self.renderer.vocabulary.limit - len(self.network.before))
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        rooms = {place: min(how.max_tokens, self._room(prompts[place])) for place in order}
        alike = ([*same] for _, same in groupby(order, rooms.__getitem__))  # each ends where its own positions do
        parts = [same[start : start + SAMPLE_ROWS] for same in alike for start in range(0, len(same), SAMPLE_ROWS)]
        with self._resting(), self.network.library_attention(), self.network.computing():
            for number, group in enumerate(parts):
                torch.manual_seed(how.seed + number * SAMPLE_ROWS)
                answers = self._generate([prompts[place] for place in group], how)
                found.update(zip(group, answers, strict=True))
        return [found[place] for place in range(len(prompts))]

    def _room(self, prompt: Sequence[int]) -> int:
        """How many tokens can be generated behind a prompt before the base's positions end."""
        vocabulary = self.renderer.vocabulary
        read = 1 if vocabulary.decodes_from is not None else len(self.network.before) + len(prompt)
        return vocabulary.limit - read

    def _generate(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        """The library's own decoding over one padded group, of as much room each."""
        most = min(how.max_tokens, self._room(prompts[0]))
        prompts = [[*self.network.before, *prompt] for prompt in prompts]
        stops, first = sorted(self.renderer.stops), self.renderer.vocabulary.decodes_from
        rows = [torch.tensor(prompt, device=device()) for prompt in prompts]
        sided = "left" if first is None else "right"  # what an encoder reads begins at its first position
        tokens = pad_sequence(rows, batch_first=True, padding_value=stops[0], padding_side=sided)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side=sided)
        chance = {"do_sample": True, "temperature": how.temperature, "top_p": how.top_p, "top_k": 0}
        made = self.network.model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=most,
            eos_token_id=stops,
            pad_token_id=stops[0],
            **({} if first is None else {"decoder_start_token_id": first, "past_key_values": _cache()}),
            **(chance if how.temperature > 0 else {"do_sample": False}),
        )
        begun = tokens.shape[1] if first is None else 1
        return [self._sampled(answer) for answer in made[:, begun:].tolist()]

    def _sampled(self, tokens: list[int]) -> Sampled:
        end = next((place for place, token in enumerate(tokens) if token in self.renderer.stops), None)
        return Sampled(self.renderer.text(tokens[:end]), tuple(tokens[:end]), stopped=end is not None)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """[N, D]: the mean of each text's hidden states, of unit length (Sentence-BERT's mean pooling)."""
        rows = self.renderer.rows([Labelled(id=str(place), text=text, label="") for place, text in enumerate(texts)])
        found = []
        with self._resting(), self.network.computing():
            for _, batch in batches_of(rows, SCORE_TOKENS, share=False, before=self.network.before):
                found.append(self._means(self.network.hidden(batch), batch))
        made: npt.NDArray[np.float32] = torch.nn.functional.normalize(torch.cat(found)).cpu().numpy()
        return made

    def _means(self, hidden_TD: torch.Tensor, batch: Batch) -> torch.Tensor:
        """[R, D], float32 at least: the mean of each row's states, those of virtual tokens left out."""
        wide = torch.promote_types(hidden_TD.dtype, torch.float32)
        own = [each[len(self.network.before) :] for each in rows_of(hidden_TD, batch)]
        return torch.stack([each.to(wide).mean(0) for each in own])

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """Dropout is off inside."""
        learning = self.network.training
        self.network.eval()
        try:
            yield
        finally:
            self.network.train(learning)


def _cache() -> EncoderDecoderCache:
    """As deep as the decoder turns out to be: the library makes one as deep as T5's encoder."""
    return EncoderDecoderCache(DynamicCache(), DynamicCache())


def rows_of(hidden_TD: torch.Tensor, batch: Batch) -> list[torch.Tensor]:
    """[L, D] of each row, its ancestors' states before its own; of rows that share nothing, each a view."""
    runs: dict[int, list[tuple[int, int]]] = {}
    for number, segment in enumerate(batch.segments):
        runs[number] = [*runs.get(segment.parent, []), (segment.start, segment.stop)]
    whole = {path[-1][1] - 1: path for path in runs.values()}
    paths = [whole[end] for end in batch.ends_R.tolist()]
    return [torch.cat([hidden_TD[start:stop] for start, stop in path]) for path in paths]


def _scored(forward: Forward, row: int, places: slice) -> Scored:
    if forward.logprobs_S is not None:
        return Scored(_wide(forward.logprobs_S[places]))
    if forward.scores_SL is not None:
        return Scored(np.zeros(0), places_SL=_wide(forward.scores_SL[places]))
    whole = forward.scores_RL if forward.scores_RL is not None else forward.vectors_RD
    assert whole is not None, "a forward pass gives something"
    return Scored(np.zeros(0), scores_L=_wide(whole[row]))


def _wide(part: torch.Tensor) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = part.double().cpu().numpy()
    return found
