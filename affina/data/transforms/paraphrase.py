"""Texts said in other words by a model of conversations; what says the same again, or too much, is not kept."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pydantic import Field, field_validator

from affina.core.errors import Refused
from affina.core.kinds import Desk, Model, Sampling
from affina.data.augmentation import Augmentation, Variation
from affina.data.rewriting import Tally, answers, length_ratio, rewritable, seeded, similarity
from affina.data.variants import Edits, Piece

PROMPT = (
    "Rewrite this text in other words and in the same language. Keep its meaning, names and numbers. "
    "Answer with the rewritten text alone.\n\n{text}"
)


class Paraphrase(Augmentation):
    """Adds variants that a model was asked to write in other words.

    Kept is what differs in more than case and punctuation, has a length in proportion and, where `alike` names a model
    of vectors, is near enough in meaning. Texts with answers or tags in them are left. How many were kept is noted.
    """

    rate: float = Field(1.0, gt=0, le=1)
    """The share of texts that are written anew."""
    model: str = ""
    """The model that is asked: a run, a base of conversations."""
    prompt: str = PROMPT
    """What is asked; `{text}` stands for the text."""
    temperature: float = Field(0.8, ge=0)
    """How freely it writes; at 0 all variants of a text are one."""
    longest: float = Field(2.0, gt=1)
    """How many times longer or shorter a text may become."""
    alike: str = ""
    """A model of vectors that says how near two texts are; none where empty."""
    least: float = Field(0.7, ge=-1, le=1)
    """The cosine from which two texts say the same to it."""

    @field_validator("prompt")
    @classmethod
    def _asks_for_a_text(cls, prompt: str) -> str:
        if "{text}" not in prompt:
            raise ValueError("`prompt` has no {text} where the text is to stand")
        return prompt

    def asks(self) -> tuple[str, ...]:
        """The model that writes and the one that compares."""
        return tuple(filter(None, (self.model, self.alike)))

    def opened(self, desk: Desk) -> Variation:
        if not self.model:
            raise Refused("`paraphrase` has no model", instead="set `model` to a run or a base of conversations")
        return _Rewording(self, desk.open(self.model), desk.open(self.alike) if self.alike else None)


class _Rewording:
    def __init__(self, part: Paraphrase, model: Model, alike: Model | None) -> None:
        self._part, self._model, self._alike, self._tally = part, model, alike, Tally()

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        places = rewritable(texts, draws, self._part.rate)
        asked = [self._part.prompt.replace("{text}", texts[place].text) for place in places]
        longest = max((len(texts[place].text) for place in places), default=0)
        how = Sampling(
            max_tokens=16 + int(longest * self._part.longest),  # a token is a character at least
            temperature=self._part.temperature,
            seed=seeded([draws[place] for place in places]),
        )
        found: list[Edits] = [() for _ in texts]
        for place, said in zip(places, answers(self._model, asked, how) if asked else [], strict=True):
            found[place] = self._tally.edits(texts[place], said, self._judged)
        return found

    def told(self) -> str:
        return self._tally.told()

    def _judged(self, before: str, after: str) -> str:
        if reason := length_ratio(before, after, self._part.longest):
            return reason
        if self._alike is not None and similarity(self._alike, before, after) < self._part.least:
            return "another meaning"
        return ""
