"""A classifier on data of yours, group by group: who is judged rightly how often, and how far the groups are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from affina.core.errors import Refused, nearest
from affina.core.example import Chat, Example, Labelled
from affina.core.kinds import Asked, Floats, Lexical, Model, Sampling, objectives
from affina.core.recipe import Data
from affina.core.task import Columns, Hall, Statistic, Task, Tested
from affina.data.prepare import read_examples
from affina.evaluation.answer import asker
from affina.evaluation.measure import validate

FEW = 30
"""Rows of a group below which a note says so."""


class Groups(Task):
    """Accuracy by group and, where one label is `positive`, demographic parity and equalised odds (Hardt et al., 2016):
    the largest difference between two groups in how many get the label; in how many get it rightly and, whichever is
    larger, in how many get it wrongly. 0 is ideal. What each group gets is under its name, in the slices.

    A group that has no row to say it of is left out of a difference.
    """

    costs: ClassVar[str] = "scores"

    by: str = "group"
    """The column that names a row's group, kept beside the text: under `data.keep` for a run's own rows."""
    positive: str = ""
    """The label that it is better, or worse, to get. Left out, only accuracy is compared."""
    data: str = ""
    """A file of labelled rows with the column; the run's own rows where it is left out."""
    split: Literal["train", "validation", "test"] = "test"
    """Which of the run's own rows."""

    def statistics(self) -> Mapping[str, Statistic]:
        accuracy = {
            "accuracy_gap": _gap("accuracy"),
            "worst_accuracy": Statistic(lambda columns: float(np.nanmin(_rates(columns, "accuracy"))), unit="share"),
            "accuracy": Statistic.mean("accuracy", unit="share"),
        }
        if not self.positive:
            return accuracy
        odds = Statistic(equalised_odds, higher_is_better=False, ideal=0.0, unit="share")
        gaps = {"parity_gap": _gap("selected"), "tpr_gap": _gap("tpr"), "fpr_gap": _gap("fpr")}
        rates = {name: Statistic.mean(name, name != "fpr", unit="share") for name in ("selected", "tpr", "fpr")}
        return {"equalised_odds_gap": odds, **gaps, **accuracy, **rates}

    def ask(self, model: Model, hall: Hall) -> Tested:
        """Raises Refused for rows without the column, of one group, or without a label."""
        examples = self._examples(hall)
        named = [self._group(each) for each in examples]
        groups = {name: float(number) for number, name in enumerate(sorted(set(named)))}
        if len(groups) < 2:
            raise Refused(
                f"all {len(examples)} rows are of the group '{named[0]}'", instead="name another column under `by`"
            )
        asked, notes = self._put(examples, model, hall)
        found = asker(asked).answers(model, asked, Asked(frozenset({"label"}), Sampling(), hall.progress))
        validate(found)
        assert found.target_N is not None and found.predicted_N is not None, "labels were asked for"
        columns = {"accuracy": (found.target_N == found.predicted_N).astype(np.float64)}
        if self.positive:
            if self.positive not in found.labels:
                raise Refused(
                    f"no label is called '{self.positive}'", instead=nearest(self.positive, list(found.labels))
                )
            code = found.labels.index(self.positive)
            columns |= _selected(found.target_N == code, found.predicted_N == code)
        columns["group"] = np.array([groups[name] for name in named])
        shown = tuple(
            {self.by: name, "text": each.given, "expected": found.labels[target], "said": found.labels[said]}
            for name, each, target, said in zip(named, examples, found.target_N, found.predicted_N, strict=True)
        )
        small = [name for name in groups if named.count(name) < FEW]
        if small:
            told = f"groups: fewer than {FEW} rows are of {', '.join(small)}"
            notes = (*notes, f"{told}: what sets them apart may be chance")
        return Tested(tuple(each.id for each in examples), columns, shown, {self.by: tuple(named)}, notes)

    def _examples(self, hall: Hall) -> Sequence[Example]:
        if self.data:
            read = Data(read=[self.data], keep=[self.by])
            found: Sequence[Example] = read_examples(read, hall.folder).examples["all"]
        else:
            found = hall.splits.get(self.split, ())
        if not found:
            raise Refused(
                "the task groups has no rows",
                why="no file is named, and the model is none of a run with rows of its own" if not self.data else "",
                instead="name a file under `data`",
            )
        return found

    def _group(self, example: Example) -> str:
        name = example.facts.get(self.by, "")
        if not name:
            raise Refused(
                f"the row has no {self.by}",
                why="the column names its group, and must be kept beside the text",
                instead=f"put {self.by} under data.keep, and fill it in every row",
                where=example.id,
            )
        return name

    def _put(self, examples: Sequence[Example], model: Model, hall: Hall) -> tuple[list[Example], tuple[str, ...]]:
        """The rows as this model is asked: by its head of labels, or in words."""
        if all(isinstance(each, Chat) and each.options for each in examples):
            return list(examples), ()
        if not all(isinstance(each, Labelled) for each in examples):
            raise Refused("the rows have no label", instead="give rows of a text and its class")
        words = not hall.labels and (not isinstance(model, Lexical) or model.reads == "past")
        if words:
            notes = ("groups: a model of words is asked as the objective cross_entropy asks by itself",)
            return objectives.build("cross_entropy").expand(examples), notes
        known = [replace(each, labels=hall.labels or each.labels) for each in examples if isinstance(each, Labelled)]
        (first,) = model.score(model.renderer.rows(known[:1]))
        if first.scores_L is None or len(first.scores_L) != len(known[0].labels):
            raise Refused(
                f"this model has no head of the {len(known[0].labels)} labels of the rows",
                instead="choose a run that was trained on these labels, or a model of words",
            )
        return list(known), ()


def equalised_odds(columns: Columns) -> float:
    """The larger one of the differences in true and in false positive rates; what nobody can say of is left out."""
    gaps = [_difference(_rates(columns, name)) for name in ("tpr", "fpr")]
    known = [each for each in gaps if not np.isnan(each)]
    return max(known) if known else float("nan")


def _gap(name: str) -> Statistic:
    def gap(columns: Columns) -> float:
        return _difference(_rates(columns, name))

    return Statistic(gap, higher_is_better=False, ideal=0.0, unit="share")


def _difference(rates_G: Floats) -> float:
    known_G = rates_G[~np.isnan(rates_G)]
    return float(known_G.max() - known_G.min()) if len(known_G) > 1 else float("nan")


def _rates(columns: Columns, name: str) -> Floats:
    """[G] the mean of a column in every group; NaN where no row of it says something."""
    values_N, group_N = columns[name], columns["group"].astype(np.int64)
    said_N = ~np.isnan(values_N)
    counts_G = np.bincount(group_N[said_N])
    rates_G: Floats = np.full(len(counts_G), np.nan)
    np.divide(np.bincount(group_N[said_N], values_N[said_N]), counts_G, out=rates_G, where=counts_G > 0)
    return rates_G


def _selected(truth_N: npt.NDArray[np.bool_], given_N: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """Whether a row gets the label, and the same of the rows that should and that should not."""
    selected_N = given_N.astype(np.float64)
    return {
        "selected": selected_N,
        "tpr": np.where(truth_N, selected_N, np.nan),
        "fpr": np.where(truth_N, np.nan, selected_N),
    }
