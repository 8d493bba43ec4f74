"""Where an Italian text can be said with a synonym, gender, number, articles and joined prepositions agreeing.

A noun is exchanged where an article or another determiner shows that it is one and how it agrees; an adjective beside
its noun or after a copula; an adverb in -mente. Where a form can be something else, or usage wavers, it is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from affina.data.lexicon import italian_phrases
from affina.data.lexicon.italian_forms import FUNCTION_WORDS, Forms
from affina.data.lexicon.italian_phrases import Phrase
from affina.data.lexicon.synonyms import Synonyms
from affina.data.lexicon.words import Choice, Edit, Slot, Word, beside, listed, words

IN_PHRASES = listed(
    """
    base canto capo caso cielo confronto conto fatto fondo giro grado luogo maniera mezzo modo momento parte passo
    petto piede posto proposito punto ragione resto riguardo senso tempo termine titolo tratto uso verso via vista
    volta volte corso mano mani fine forza fin furia furie gamba gambe genere cosa cose tale sera ora ore mattina
    signore signora signori don padre madre possibile impossibile prossimo seguente scorso ultimo
    """
)
"""Words that mostly stand in set phrases (*a un tratto*, *per conto di*, *per quanto possibile*), before a name, or in
an order of things that has no more and less: never exchanged."""
NEVER = FUNCTION_WORDS | IN_PHRASES
COPULAS = listed(
    """
    è era erano sono fu furono sia fosse fossero sarà sembra sembrava pareva più meno molto così assai
    """
)
GOVERNED = listed(
    """
    a ad di d' da con per in che
    """
)
"""What an adjective can govern; its synonym may ask for another."""
SOUNDING = frozenset({"ad", "ed", "od"})


@dataclass(frozen=True)
class Italian:
    """The lexicon of one language, as the transform asks it."""

    forms: Forms
    synonyms: Synonyms
    kinds: Collection[str] = ("noun", "adjective", "adverb")

    def slots(self, text: str) -> list[Slot]:
        """Every place that can be said otherwise, in order."""
        held = words(text)
        found = []
        for at, word in enumerate(held):
            if word.text.islower() and len(word.text) > 2 and word.text not in NEVER:
                choices = tuple(self._choices(text, held, at))
                if choices:
                    found.append(Slot(choices))
        return found

    def _choices(self, text: str, held: list[Word], at: int) -> Iterator[Choice]:
        if "noun" in self.kinds:
            phrase = italian_phrases.around(text, held, at, self.forms)
            if phrase is not None and phrase.lemma not in IN_PHRASES:
                yield from self._nouns(text, held, phrase)
                return
        if "adjective" in self.kinds:
            yield from self._adjectives(text, held, at)
        if "adverb" in self.kinds:
            yield from self._adverbs(held, at)

    def _nouns(self, text: str, held: list[Word], phrase: Phrase) -> Iterator[Choice]:
        for other, sure in self.synonyms.of(phrase.lemma, "noun"):
            inflected = self.forms.noun(other, phrase.agreement.number)
            if inflected is None or not self.synonyms.usual(inflected[0]):
                continue
            form, gender = inflected
            agreement = phrase.agreement._replace(gender=gender)
            if agreement != phrase.agreement and not italian_phrases.alone(held, phrase, self.forms):
                continue
            edits = italian_phrases.rewritten(text, held, phrase, (form, agreement), self.forms)
            if edits is not None:
                yield Choice(edits, sure)

    def _adjectives(self, text: str, held: list[Word], at: int) -> Iterator[Choice]:
        """An adjective after its noun or a copula, which governs nothing and stands before no noun."""
        word, readings = held[at], self.forms.readings(held[at].text)
        lemmas = {each.lemma for each in readings}
        if {each.kind for each in readings} != {"adjective"} or len(lemmas) != 1 or lemmas & NEVER:
            return
        if not self._placed(text, held, at):
            return
        agreements = {each.agreement for each in readings if each.agreement}
        noun = {each.agreement for each in self.forms.readings(held[at - 1].lower) if each.kind == "noun"}
        agreements = agreements & noun or agreements
        for other, sure in self.synonyms.of(lemmas.pop(), "adjective"):
            said_as = {self.forms.adjective(other, each) for each in agreements}
            form = said_as.pop()
            if form is not None and not said_as and self.synonyms.usual(form):
                yield Choice((Edit(word.start, word.stop, form),), sure)

    def _placed(self, text: str, held: list[Word], at: int) -> bool:
        if at == 0 or not beside(text, held[at - 1], held[at]):
            return False
        before = held[at - 1].lower
        agreements = {each.agreement for each in self.forms.readings(held[at].text)}
        after_noun = any(
            each.kind == "noun" and each.agreement in agreements
            for each in self.forms.readings(before)
            if before not in FUNCTION_WORDS
        )
        if not (after_noun or before in COPULAS):
            return False
        return at + 1 == len(held) or not self._bound(text, held[at], held[at + 1])

    def _bound(self, text: str, word: Word, after: Word) -> bool:
        """Whether the next word is governed by the adjective, or is the noun it stands before."""
        if not after.is_word:
            return False
        if after.lower in GOVERNED or italian_phrases.joined(after.lower):
            return True
        readings = self.forms.readings(after.lower)
        infinitive = any(each.kind == "verb" and each.lemma == after.lower for each in readings)
        return infinitive or any(each.kind == "noun" for each in readings) or not after.text.islower()

    def _adverbs(self, held: list[Word], at: int) -> Iterator[Choice]:
        word = held[at]
        before = held[at - 1].lower if at else ""
        if (
            not word.text.endswith("mente")
            or self.forms.readings(word.text)
            or before in SOUNDING
            or before[-1:] == "'"
        ):
            return
        for other, sure in self.synonyms.of(word.text, "adverb"):
            if not self.forms.readings(other):
                yield Choice((Edit(word.start, word.stop, other),), sure)
