"""Italian: nouns of people, first names and pronouns, with the determiners, adjectives and participles that agree.

Only what can be told is changed: a text in which something may agree with a person and is not known to is left.
"""

from affina.data.swaps.italian_people import People, Unknown
from affina.data.swaps.italian_verbs import (
    ADVERBS,
    BEING,
    CLITICS,
    ENCLITIC,
    HAVING,
    IMPERFECT,
    NEUTRAL,
    RELATIVE,
    SHORTENED,
    VERBAL,
    VERBS,
)
from affina.data.swaps.italian_words import (
    ALL_OF,
    ARTICLES,
    ENDINGS,
    EPICENE,
    FEMININE_ONLY,
    FORMS,
    IMPURE,
    INVARIANT,
    ONE_OF,
    OWN,
    VOWELS,
    agreeing,
    determiners,
)
from affina.data.swaps.tokens import cased
from affina.data.texts import Edit


def swapped(text: str, names: bool) -> list[Edit] | None:
    """The edits that exchange men and women in a text; none where it has neither, None where it cannot be told how.

    `names`: first names are exchanged too, each for one of about equal use.
    """
    try:
        return _Swap(text, names).edits()
    except Unknown:
        return None


class _Swap(People):
    """Which words of a text become which."""

    def __init__(self, text: str, names: bool) -> None:
        super().__init__(text, names)
        self.new: dict[int, str] = {}
        """The word, by its place, that stands there afterwards."""
        self.reached: set[int] = set()
        """Words that agree with a person and are accounted for."""

    def edits(self) -> list[Edit]:
        found = self.people()
        for at, gender, number, other in found:
            self.new[at] = other
            self.reached.add(at)
            self._before(at, gender, number)
            self._after(at, gender, number)
        for gender, number in {(each.gender, each.number) for each in found}:
            self._left_over(gender, number)
        singular = [each.gender for each in found if each.number == "s"]
        if len(singular) > 1 and len(set(singular)) == 1:
            self._left_over(singular[0], "p")  # Anna e Maria sono stanche
        if found:
            self._clitics()
        return self._written()

    def _before(self, at: int, gender: str, number: str) -> None:
        """Determiners and adjectives that stand before."""
        new, place = "f" if gender == "m" else "m", at - 1
        while place >= 0 and self.beside(place):
            word = self.held[place].plain
            known = [(family, g, n) for family, g, n in determiners(word) if n == number]
            if known:
                family = next((family for family, g, _ in known if g == gender), None)
                if family is None:
                    raise Unknown
                self.new[place] = family.said(new, number, self._said(place + 1))
                self.reached.add(place)
                if not self.new[place]:
                    raise Unknown
                if number == "p" and word.startswith("de") and self.beside(place - 1):
                    self._one_of(place - 1, at, gender)
                before = self.held[place - 1].plain if self.beside(place - 1) else ""
                if word not in OWN and before not in ALL_OF and not self._was(word, place - 1, (gender, number)):
                    return
            elif (other := agreeing(word, gender, number)) and word not in ADVERBS:
                if self._had(place) or (word == "secondo" and not determiners(self.held[place - 1].plain)):
                    return
                self.new[place] = other
                self.reached.add(place)
            elif word not in INVARIANT:
                if word in SHORTENED or self._between(place, gender, number):
                    raise Unknown
                return
            place -= 1

    def _was(self, article: str, place: int, key: tuple[str, str]) -> bool:
        """Whether what stands before an article is said of its noun: *è arrivata una ragazza*."""
        if article not in ARTICLES or not self.beside(place):
            return False
        while place >= 0 and self.beside(place):
            if self.held[place].plain in BEING:
                return True
            if not agreeing(self.held[place].plain, *key):
                return False
            place -= 1
        return False

    def _had(self, place: int) -> bool:
        """Whether a participle stands after *avere*, where it agrees with nobody: *ha visto Maria*."""
        place -= 1
        while place >= 0 and self.held[place].plain in ADVERBS:
            place -= 1
        return place >= 0 and self.held[place].plain in HAVING

    def _one_of(self, place: int, at: int, gender: str) -> None:
        """*una delle amiche è partita*: the one agrees, and with it what follows."""
        word = self.held[place].plain
        if word in ONE_OF:
            self.new[place] = ONE_OF[word]
            self.reached.add(place)
            if word[-1] in "oa":
                self._after(at, gender, "s")

    def _between(self, place: int, gender: str, number: str) -> bool:
        """Whether an unknown word before the noun may agree with it, by its end or a determiner before it."""
        word = self.held[place].plain
        if (
            word in NEUTRAL
            or word in BEING
            or word in FORMS
            or word in EPICENE
            or IMPERFECT.fullmatch(word)
            or self.held[place].text[0].isupper()
        ):
            return False
        said = {(g, n) for _, g, n in determiners(self.held[place - 1].plain)} if self.beside(place - 1) else set()
        return word.endswith(ENDINGS[gender, number]) or (gender, number) in said

    def _after(self, at: int, gender: str, number: str) -> None:
        """Adjectives that follow, then the predicate."""
        place = self._agree(at + 1, gender, number)
        while place < len(self.held) and self.held[place].plain in CLITICS | ADVERBS | {"che", "chi"}:
            place += 1
        if place < len(self.held) and self.held[place].plain in BEING:
            self._predicate(place + 1, gender, number)

    def _agree(self, place: int, gender: str, number: str) -> int:
        """Changes the adjectives from a place on; where they end. A word that may be one and is unknown is refused."""
        while place < len(self.held) and self.beside(place - 1):
            token = self.held[place]
            word = token.plain
            if other := agreeing(word, gender, number):
                if word not in ADVERBS:
                    self.new[place] = other
                    self.reached.add(place)
            elif word in ("e", "ed", "o") and place + 1 < len(self.held):
                if not agreeing(self.held[place + 1].plain, gender, number):
                    self._joined(place + 1)
                    return place
            elif not (token.text[:1].isupper() or word in ("molto", "più", "meno", "così")):
                if self._may_agree(place, gender, number):
                    raise Unknown
                return place
            place += 1
        return place

    def _joined(self, place: int) -> None:
        """Refuses a further noun of the same person: *il pittore e droghiere Hans*."""
        token, word = self.held[place], self.held[place].plain
        known = NEUTRAL | BEING | {*FORMS} | EPICENE | INVARIANT
        if not (token.text[0].isupper() or word in known or determiners(word) or VERBAL.fullmatch(word)):
            raise Unknown

    def _predicate(self, place: int, gender: str, number: str) -> None:
        """What follows a form of *essere* or its like."""
        while place < len(self.held) and (self.held[place].plain in ADVERBS or self.held[place].plain in BEING):
            word = self.held[place].plain
            if (other := agreeing(word, gender, number)) and word not in ADVERBS:
                self.new[place] = other
                self.reached.add(place)
            place += 1
        if place == len(self.held):
            return
        word = self.held[place].plain
        if word in ARTICLES and place + 1 < len(self.held):
            following = [self.held[each].plain for each in range(place + 1, min(place + 3, len(self.held)))]
            if not any(each in FORMS or each in EPICENE or each in FEMININE_ONLY for each in following):
                raise Unknown
            return
        self._agree(place, gender, number)

    def _may_agree(self, place: int, gender: str, number: str) -> bool:
        """Whether an unknown word ends as one that agrees does."""
        word = self.held[place].plain
        if not self.held[place].is_word or word in NEUTRAL or word in BEING or word in FORMS or word in EPICENE:
            return False
        return word.endswith(ENDINGS[gender, number]) and not IMPERFECT.fullmatch(word)

    def _left_over(self, gender: str, number: str) -> None:
        """Refuses a text in which a word may still agree with the person from afar."""
        end = ENDINGS[gender, number]
        for at, token in enumerate(self.held):
            word = token.plain
            if word in BEING and self._unknown_predicate(at + 1, gender, number):
                raise Unknown
            if at in self.reached or not agreeing(word, gender, number) or word in ADVERBS:
                continue
            before = self.held[at - 1] if at and self.beside(at - 1) else None
            if before is None or before.plain in BEING:
                raise Unknown
            said = {(g, n) for _, g, n in determiners(before.plain)}
            beside_noun = (
                before.plain.endswith(end) and before.plain not in NEUTRAL and not IMPERFECT.fullmatch(before.plain)
            )
            if not (said or beside_noun or before.plain in HAVING or self._before_noun(at, end)):
                raise Unknown

    def _unknown_predicate(self, place: int, gender: str, number: str) -> bool:
        while place < len(self.held) and (self.held[place].plain in ADVERBS or self.held[place].plain in BEING):
            place += 1
        return place < len(self.held) and place not in self.reached and self._may_agree(place, gender, number)

    def _before_noun(self, at: int, end: str) -> bool:
        """Whether an adjective stands before a word that it may belong to."""
        return at + 1 < len(self.held) and self.beside(at) and self.held[at + 1].plain.endswith(end)

    def _clitics(self) -> None:
        """Refuses a pronoun that may stand for the person: *la vede*, *l'ha vista*, *dirgli*."""
        for at, token in enumerate(self.held):
            after = self.held[at + 1].plain if at + 1 < len(self.held) else ""
            article = {"lo": IMPURE.match(after), "gli": IMPURE.match(after) or after[:1] in VOWELS, "li": None}
            if token.plain in article and after and not article[token.plain] and at not in self.reached:
                raise Unknown
            verb = after in HAVING | BEING | VERBS or VERBAL.fullmatch(after) is not None
            known = after in FORMS or after in EPICENE or at in self.reached
            if token.plain in ("lo", "la", "l'", "gli", "le", "li") and verb and not known:
                raise Unknown
            if ENCLITIC.fullmatch(token.plain) or (token.plain in RELATIVE and at not in self.reached):
                raise Unknown
            if token.plain == "da" and after in ("solo", "sola", "soli", "sole"):
                raise Unknown

    def _written(self) -> list[Edit]:
        """Edits, with determiners elided or not as the words after them now begin."""
        found = []
        for at in sorted(self.new):
            token, new = self.held[at], cased(self.new[at], self.held[at].text)
            stop = token.stop
            following = self.held[at + 1].start if at + 1 < len(self.held) else stop
            if determiners(token.plain) and at + 1 < len(self.held) and not self.text[stop:following].strip():
                if new.endswith("'") and stop < following and token.text[-1] not in "'’":
                    stop = following
                elif token.text[-1] in "'’" and not new.endswith("'") and stop == following:
                    new += " "
            if self.text[token.start : stop] != new:
                found.append(Edit(token.start, stop, new))
        return found

    def _said(self, at: int) -> str:
        """The word that stands at a place afterwards."""
        return self.new.get(at, self.held[at].plain).casefold() if at < len(self.held) else ""
