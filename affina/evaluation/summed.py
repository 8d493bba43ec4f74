"""Metrics of texts as a task's columns and statistics: what each item adds to a sum, and the metric of the sums."""

from collections.abc import Mapping, Sequence

from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.kinds import Floats, Metric
from affina.core.task import Statistic
from affina.evaluation.weighted import Counted


def columns_of(metrics: Sequence[Metric], answers: Answers) -> dict[str, Floats]:
    """By name what each item adds: its own value, or the metric's counts as `bleu.0`, `bleu.1` …

    Raises Refused for a metric that cannot be computed here.
    """
    found: dict[str, Floats] = {}
    for metric in metrics:
        if objection := metric.objection(()):
            raise Refused(f"metric {metric.name} cannot be computed", why=objection)
        each_N = metric.each(answers)
        if each_N is not None:
            found[metric.name] = each_N
        elif isinstance(metric, Counted):
            counts_NC = metric.counts(answers)
            found.update({f"{metric.name}.{place}": counts_N for place, counts_N in enumerate(counts_NC.T)})
    return found


def statistics_of(metrics: Sequence[Metric]) -> Mapping[str, Statistic]:
    """The metrics by name, from the columns of `columns_of`."""
    return {metric.name: _statistic(metric) for metric in metrics}


def summable(metric: Metric) -> bool:
    """Whether it is a mean of items, or a number from sums over them."""
    return isinstance(metric, Counted) or type(metric).each is not Metric.each


def _statistic(metric: Metric) -> Statistic:
    if isinstance(metric, Counted):
        return Statistic.summed(metric.name, metric.total, metric.higher_is_better)
    return Statistic.mean(metric.name, metric.higher_is_better)
