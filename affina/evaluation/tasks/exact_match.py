"""Questions with one or several right answers: what the model writes is compared with them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from affina.core.kinds import Model, Record, Unusable
from affina.core.task import Hall, Statistic, Tested
from affina.evaluation.bank import Bank, silent, texts
from affina.evaluation.squad import shared_words, squad_form

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")


class ExactMatch(Bank):
    """An answer is right where it equals a right one, both normalised; `f1` is its best share of words with a right one
    (Rajpurkar et al., 2016)."""

    costs: ClassVar[str] = "answers"

    answer: str = "answer"
    """The column of the right answer, or of a list of right answers."""
    extract: str = ""
    """A regular expression that finds the answer in what is said (its first group, the last place that matches), as
    `#### (.+)`; put to right answers too, where it matches. Without a match there is no answer."""
    normalise: Literal["words", "number", "none"] = "words"
    """`words`: lower case, no punctuation, no a/an/the, single spaces; `number`: the last number, its value compared,
    a comma being one of thousands; `none`: white space at both ends aside."""
    max_tokens: int = Field(64, ge=1)
    """Tokens generated at most."""

    @field_validator("extract")
    @classmethod
    def _compiles(cls, given: str) -> str:
        try:
            re.compile(given)
        except re.error as error:
            raise ValueError(f"'{given}' is no regular expression: {error}") from error
        return given

    def ask(self, model: Model, hall: Hall) -> Tested:
        items, notes = self.items(hall, self._right)
        sampled = self.answers(model, items, self.max_tokens, hall)
        found = [self._extracted(each.text) for each in sampled]
        right = [self._meant(item.right) for item in items]
        columns = {
            "right": [self._is_right(said, meant) for said, meant in zip(found, right, strict=True)],
            "f1": [
                max(shared_words(said or "", each) for each in meant) for said, meant in zip(found, right, strict=True)
            ],
            "found": [said is not None for said in found],
            "stopped": [each.stopped for each in sampled],
        }
        shown = [
            {"given": item.given, "expected": " | ".join(item.right), "said": each.text}
            for item, each in zip(items, sampled, strict=True)
        ]
        return Tested(
            tuple(item.id for item in items),
            {name: np.array(column, dtype=np.float64) for name, column in columns.items()},
            tuple(shown),
            self.slices(items),
            (*notes, *silent([each.text for each in sampled])),
        )

    def statistics(self) -> Mapping[str, Statistic]:
        found = {
            "exact_match": Statistic.mean("right", unit="share"),
            "f1": Statistic.mean("f1", unit="share"),
            "stopped": Statistic.mean("stopped", unit="share"),
        }
        return {**found, "extracted": Statistic.mean("found", unit="share")} if self.extract else found

    def spoken(self, right: tuple[str, ...]) -> str:
        return right[0]

    def _right(self, record: Record) -> tuple[str, ...]:
        """The right answers. Raises Unusable for those of which none could be said."""
        found = texts(record, self.answer, "right answer")
        if not any(self._form(each) is not None for each in self._meant(found)):
            raise Unusable(f"the right answer '{found[0]}' holds no number")
        return found

    def _extracted(self, text: str) -> str | None:
        if not self.extract:
            return text
        matches = list(re.finditer(self.extract, text))
        return matches[-1][1 if matches[-1].re.groups else 0] if matches else None

    def _meant(self, answers: Sequence[str]) -> list[str]:
        """The right answers, each as the expression finds it where it does."""
        found = (self._extracted(each) for each in answers)
        return [each if said is None else said for said, each in zip(found, answers, strict=True)]

    def _is_right(self, said: str | None, meant: Sequence[str]) -> bool:
        form = self._form(said)
        return form is not None and form in [self._form(each) for each in meant]

    def _form(self, text: str | None) -> Any:
        """What is compared; None for no answer."""
        if text is None or self.normalise == "none":
            return None if text is None else text.strip()
        if self.normalise == "words":
            return squad_form(text) or text.strip().lower()
        numbers = NUMBER.findall(text)
        return float(numbers[-1].replace(",", "")) if numbers else None
