"""Questions with options: each option's log-probability after the question, which all options share."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

import numpy as np

from affina.core.kinds import Floats, Model, Record, Unusable
from affina.core.task import Hall, Statistic, Tested
from affina.data import columns
from affina.evaluation.bank import Bank, texts
from affina.evaluation.going_on import scored

Options = tuple[tuple[str, ...], int]


class MultipleChoice(Bank):
    """The option of the highest log-probability is the answer. `accuracy` compares sums; `accuracy_per_token` and
    `accuracy_per_character` take from long options what their length costs them; `probability` is what the right
    option has of all (Brown et al., 2020)."""

    options: str | tuple[str, ...] = "options"
    """The column that holds the list of options, or the columns of one option each."""
    answer: str = "answer"
    """The column of the right option: its text, its place counted from 0, or its letter from A."""
    between: str = " "
    """What stands between a raw text and an option."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        items, notes = self.items(hall, self._right)
        by_item = [self.options_of(model.renderer, item, item.right[0], self.between) for item in items]
        nats = iter(scored(model, [row for rows in by_item for row in rows], self.name, hall.progress))
        found: dict[str, list[float]] = {name: [] for name in COLUMNS}
        shown = []
        for item, rows in zip(items, by_item, strict=True):
            said, place = item.right
            nats_O = np.array([-next(nats).logprobs_S.sum() for _ in rows])
            tokens_O = np.array([row.targets for row in rows])
            letters_O = np.array([len(each) for each in said])
            chosen = int(nats_O.argmin())
            found["right"].append(chosen == place)
            found["right_per_token"].append((nats_O / tokens_O).argmin() == place)
            found["right_per_character"].append((nats_O / letters_O).argmin() == place)
            found["probability"].append(_shares(-nats_O)[place])
            found["nats"].append(nats_O[place])
            shown.append({"given": item.given, "expected": said[place], "said": said[chosen]})
        return Tested(
            tuple(item.id for item in items),
            {name: np.array(column, dtype=np.float64) for name, column in found.items()},
            tuple(shown),
            self.slices(items),
            notes,
        )

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "accuracy": Statistic.mean("right", unit="share"),
            "accuracy_per_token": Statistic.mean("right_per_token", unit="share"),
            "accuracy_per_character": Statistic.mean("right_per_character", unit="share"),
            "probability": Statistic.mean("probability", unit="share"),
            "nats": Statistic.mean("nats", higher_is_better=False, unit="nats per right option"),
        }

    def spoken(self, right: Options) -> str:
        said, place = right
        return said[place]

    def joint(self) -> str:
        return self.between

    def _right(self, record: Record) -> Options:
        if isinstance(self.options, str):
            said = texts(record, self.options, "list of options")
        else:
            said = tuple(columns.text(record, name, "option") for name in self.options)
        if len(said) < 2:
            raise Unusable(f"a choice needs two options, and there {'is' if said else 'are'} {len(said)}")
        return said, _place(columns.value(record, self.answer), said)


COLUMNS = ("right", "right_per_token", "right_per_character", "probability", "nats")


def _place(answer: Any, said: tuple[str, ...]) -> int:
    """Where the right option stands. Raises Unusable for an answer that is none of them."""
    written = str(answer).strip()
    if not isinstance(answer, int) and written in said:
        return said.index(written)
    letter = ascii_uppercase.find(written) if len(written) == 1 else -1
    place = int(written) if written.isdecimal() else letter
    if not 0 <= place < len(said):
        raise Unusable(f"the right answer '{written}' is none of the {len(said)} options")
    return place


def _shares(logprobs_O: Floats) -> Floats:
    weights_O = np.exp(logprobs_O - logprobs_O.max())
    return np.asarray(weights_O / weights_O.sum())
