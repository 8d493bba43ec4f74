"""Prompts whose answers another model judges: beside the answer of the row, in both orders, or alone in points."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Floats, Model, Record, Sampling
from affina.core.task import Hall, Statistic, Tested
from affina.data import columns
from affina.data.prompt import prompt
from affina.evaluation.bank import Bank, Item, silent
from affina.evaluation.continuation import fits
from affina.evaluation.judging import Asked, points, preferred

VERDICT_TOKENS = 512


class Judged(Bank):
    """Each pair is asked in both orders, and a preference counts only where it survives the swap; otherwise it is a tie
    (Zheng et al., 2023). `first_place` is how often the judge prefers what stands first: without a bias, half."""

    costs: ClassVar[str] = "answers"

    judge: str
    """The model that judges, by reference: a run, a folder, a base."""
    asks: Literal["pair", "points"] = "pair"
    """`pair`: which of two answers is better; `points`: how good the model's answer is, from 1 to 10."""
    answer: str = "answer"
    """The column of the answer that the model's is compared with; not read for points."""
    max_tokens: int = Field(256, ge=1)
    """Tokens generated at most for an answer; a judge has 512."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        items, notes = self.items(hall, self._other)
        said = [each.text for each in self.answers(model, items, self.max_tokens, hall)]
        judge = hall.open(self.judge)
        find = self._pairs if self.asks == "pair" else self._points
        found, verdicts = find(judge, items, said, hall)
        unread = int(found["unread"].sum())
        told = (f"{unread} of {len(items)} verdicts of the judge could not be read",) if unread else ()
        shown = [
            {"given": item.given, "expected": item.right, "said": text, "verdict": verdict}
            for item, text, verdict in zip(items, said, verdicts, strict=True)
        ]
        ids = tuple(item.id for item in items)
        return Tested(ids, found, tuple(shown), self.slices(items), (*notes, *silent(said), *told))

    def spoken(self, right: str) -> str:
        if self.asks == "points":
            raise Refused("what is judged in points has no right answers", instead="write the prompt without `shots`")
        return right

    def statistics(self) -> Mapping[str, Statistic]:
        unread = Statistic.mean("unread", higher_is_better=False, unit="share")
        if self.asks == "points":
            return {"points": Statistic.mean("points", unit="points of 10"), "unread": unread}
        return {
            "preference": Statistic.mean("preference", unit="share, a tie being half"),
            "won": Statistic.mean("won", unit="share"),
            "lost": Statistic.mean("lost", higher_is_better=False, unit="share"),
            "swayed": Statistic.mean("swayed", higher_is_better=False, unit="share"),
            "first_place": Statistic.mean("first_place", ideal=0.5, unit="share"),
            "unread": unread,
        }

    def _other(self, record: Record) -> str:
        return columns.text(record, self.answer, "other answer") if self.asks == "pair" else ""

    def _pairs(
        self, judge: Model, items: Sequence[Item[str]], said: Sequence[str], hall: Hall
    ) -> tuple[dict[str, Floats], list[str]]:
        """The columns of pairs and what the judge said; all pairs in both orders in one call."""
        filled = []
        for item, own in zip(items, said, strict=True):
            for first, second in ((own, item.right), (item.right, own)):
                filled.append({"question": item.given, "first": first, "second": second})
        spoken = self._spoken(judge, "judge_pair", filled, hall)
        pairs = [Asked(preferred(one), preferred(two)) for one, two in zip(spoken[::2], spoken[1::2], strict=True)]
        nan = float("nan")
        found = {
            "preference": [0.5 + (each.won - each.lost) / 2 if each.readable else nan for each in pairs],
            "won": [float(each.won) if each.readable else nan for each in pairs],
            "lost": [float(each.lost) if each.readable else nan for each in pairs],
            "swayed": [float(each.swayed) if each.readable else nan for each in pairs],
            "first_place": [each.first_place for each in pairs],
            "unread": [float(not each.readable) for each in pairs],
        }
        verdicts = [f"{one}\n---\n{two}" for one, two in zip(spoken[::2], spoken[1::2], strict=True)]
        return {name: np.array(column, dtype=np.float64) for name, column in found.items()}, verdicts

    def _points(
        self, judge: Model, items: Sequence[Item[str]], said: Sequence[str], hall: Hall
    ) -> tuple[dict[str, Floats], list[str]]:
        filled = [{"question": item.given, "answer": own} for item, own in zip(items, said, strict=True)]
        spoken = self._spoken(judge, "judge_points", filled, hall)
        given = [points(each) for each in spoken]
        column_N = np.array([float("nan") if each is None else each for each in given], dtype=np.float64)
        return {"points": column_N, "unread": np.isnan(column_N).astype(np.float64)}, spoken

    def _spoken(self, judge: Model, name: str, filled: Sequence[Mapping[str, str]], hall: Hall) -> list[str]:
        """What the judge says to each. Raises Refused for a question that it would not see whole."""
        form, renderer = prompt(name), judge.renderer
        prompts = [renderer.opening(form.filled(each)) for each in filled]
        for each, given in zip(filled, prompts, strict=True):
            fits(len(given) + 1, renderer.max_tokens, f"judging {each['question'][:40]!r}")
        if hall.progress:
            hall.progress("judging", 0, len(filled))
        spoken = judge.sample(prompts, Sampling(max_tokens=VERDICT_TOKENS, seed=hall.seed))
        return [each.text for each in spoken]
