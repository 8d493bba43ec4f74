"""Asks a model everything the chosen metrics read about a list of examples, and returns the answers as columns."""

from collections.abc import Sequence

from affina.core import kinds
from affina.core.answers import Answers
from affina.core.errors import Refused
from affina.core.example import Chat, Example
from affina.core.kinds import Asked, Asker, Metric, Model, Progress, Sampling, askers


def asker(examples: Sequence[Example]) -> Asker:
    """Who asks these examples. Raises Refused when they are of kinds that nobody asks together."""
    for name in askers.names():
        if askers.find(name).fits(examples):
            return askers.build(name)
    kinds_found = sorted({type(each).__name__ for each in examples})
    raise Refused(
        f"{' and '.join(kinds_found)} examples cannot be asked together",
        why="a model is asked one kind of question at a time",
        instead="divide the data",
    )


def offered(examples: Sequence[Example]) -> frozenset[str]:
    """The columns that metrics may read of these examples: see `Metric.reads`."""
    return asker(examples).gives


def usual(examples: Sequence[Example]) -> tuple[str, ...]:
    """What is measured when nobody says, of what can be computed with these labels: the first decides."""
    labels = _labels(examples)
    return tuple(name for name in asker(examples).usual if not kinds.metrics.build(name).objection(labels))


def require(metrics: Sequence[Metric], examples: Sequence[Example]) -> None:
    """Raises Refused for the first metric that this task cannot compute, naming those that it can."""
    asking = asker(examples)
    for metric in metrics:
        if metric.reads not in asking.gives:
            shelf = kinds.metrics
            fit = [name for name in shelf.names() if shelf.find(name).reads in asking.gives]
            raise Refused(
                f"metric {metric.name} reads {metric.reads}, but {asking.why}",
                instead=f"use {', '.join(fit[:-1])} or {fit[-1]}",
            )
        if objection := metric.objection(_labels(examples)):
            raise Refused(f"metric {metric.name} cannot be computed", why=objection)


def _labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """The known labels, or the options of all conversations."""
    own: tuple[str, ...] = getattr(examples[0], "labels", ()) if examples else ()
    return own or tuple(sorted({option for each in examples if isinstance(each, Chat) for option in each.options}))


def answer(
    model: Model,
    examples: Sequence[Example],
    columns: frozenset[str],
    how: Sampling,
    progress: Progress | None = None,
) -> Answers:
    """The answers to every example as the objective expands them, in order, with the asked columns.

    Raises Refused, naming the example, when its right answer cannot be given.
    """
    if not examples:
        raise Refused(
            "there is nothing to answer", why="the split has no rows", instead="make it larger in data.transforms"
        )
    return asker(examples).answers(model, examples, Asked(columns, how, progress))
