"""When a tuned model is good enough: rules in a closed grammar, and how sure they have to be."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from affina.core.kinds import metrics
from affina.core.section import Section

Against = Literal["base", "parent", "live"]
GRAMMAR = "`better than X` or `not worse by M than X`, where X is base, parent or live and M a number above 0"
PATTERN = r"^(better than|not worse by [0-9.]+(e-?[0-9]+)? than) (base|parent|live)$"
SUITE = re.compile(r"\w+\.\w+")


@dataclass(frozen=True, slots=True)
class Rule:
    """What one metric must be, beside one other model."""

    metric: str
    """A metric's name, or a suite's statistic: `suite.statistic`."""
    against: Against
    tolerance: float | None
    """By how much it may be worse, in the metric's own units; None where it must be better."""

    @classmethod
    def of(cls, metric: str, text: str) -> Rule:
        """Raises ValueError, with the grammar, for what is no rule."""
        words = " ".join(text.split())
        if not re.match(PATTERN, words):
            raise ValueError(f"the rule for {metric} is '{text}'; a rule is {GRAMMAR}")
        kind, _, against = words.rpartition(" ")
        tolerance = None if kind == "better than" else _number(kind.split()[3], metric)
        return cls(metric, cast(Against, against), tolerance)


def _number(text: str, metric: str) -> float:
    try:
        found = float(text)
    except ValueError as error:
        raise ValueError(f"the rule for {metric} allows '{text}', which is no number") from error
    if not 0 < found < math.inf:
        raise ValueError(f"the rule for {metric} allows {text}: write a number above 0, or `better than`")
    return found


class Gate(Section):
    """When a tuned model is good enough: {METRIC: RULE, …, margin: …}. All rules must hold."""

    rules: dict[str, str] = Field(default={})
    """Metric, or `suite.statistic` → `better than X` or `not worse by M than X`, X one of base, parent (the run that
    `model.base` names) and live (the release in use). When empty, the first of `evaluate.metrics` must be better than
    the base."""
    margin: float = Field(0.05, gt=0)
    """The smallest gain worth having, in the own units of each metric that must be better."""
    alpha: float = Field(0.05, gt=0, lt=0.5)
    """Two-sided probability of finding a difference where there is none."""
    power: float = Field(0.8, gt=0.5, lt=1)
    """Probability of finding a difference that equals `margin`, or of showing none where there is none."""

    @model_validator(mode="before")
    @classmethod
    def _gather_rules(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        settings = {key: value for key, value in given.items() if key in cls.model_fields}
        rules = {key: value for key, value in given.items() if key not in cls.model_fields}
        return {**settings, "rules": {**settings.get("rules", {}), **rules}} if rules else settings

    @field_validator("rules")
    @classmethod
    def _known_rules(cls, rules: dict[str, str]) -> dict[str, str]:
        for name, text in rules.items():
            if name not in metrics.names() and not SUITE.fullmatch(name):
                raise ValueError(f"no setting of the gate and no metric is called '{name}'")
            Rule.of(name, text)
        return rules

    def judged(self, first: str) -> list[Rule]:
        """The rules in order; where there are none, that `first` is better than the base."""
        return [Rule.of(name, text) for name, text in self.rules.items()] or [Rule(first, "base", None)]
