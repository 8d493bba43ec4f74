"""A run's summary as one self-contained HTML file: no script, nothing fetched, all data escaped."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from affina.core.kinds import objectives
from affina.evaluation import svg
from affina.evaluation.summary import (
    ConfusionSummary,
    Differs,
    LedgerSummary,
    Measured,
    MetricSummary,
    SliceSummary,
    SuiteSlice,
    SuiteSummary,
    Summary,
)

MOST_SAMPLES = 12
MOST_CONFUSIONS = 8
MOST_SLICES = 24
LARGEST_MATRIX = 16
LONGEST_TEXT = 1500
Divided = tuple[Sequence[SuiteSlice], int]
"""Slices to show, those that got worse first, and how many there are in all."""


def report_html(summary: Summary) -> str:
    """The page, in UTF-8; its size hardly grows with the number of steps."""
    events = summary.get("events") or []
    return rendered(
        "report.html.jinja",
        name=summary.get("name", "run"),
        created=summary.get("created", ""),
        verdict=summary.get("verdict"),
        metrics=_rows(summary.get("metrics", {})),
        power=summary.get("power"),
        slices=_divided(of_metric(summary.get("slices") or [])),
        suites=[
            (name, suite, _rows(suite["statistics"]), _divided(of_suite(suite)))
            for name, suite in summary.get("suites", {}).items()
        ],
        calibration=_calibration(summary),
        base_is=summary.get("base_is", ""),
        interval_plot=svg.interval_plot,
        charts=_charts(events, summary.get("best_step"), list(summary.get("metrics", {}))),
        validated=bool(_points(events, "validate", "loss")),
        speed=_speed(events),
        diagnosis=summary.get("diagnosis"),
        proofs=summary.get("proofs") or [],
        ledger=_funnel(summary.get("ledger")),
        samples=(summary.get("samples") or [])[:MOST_SAMPLES],
        words_for_labels=bool(summary.get("confusion")) and _speaks(summary.get("settings") or {}),
        confusion=_confused(summary.get("confusion")),
        settings=list(_flat(summary.get("settings") or {})),
        versions=summary.get("versions") or {},
    )


def _rows(measured: Mapping[str, MetricSummary]) -> list[tuple[str, MetricSummary, str]]:
    """Name, numbers and colour of what a table of differences shows."""
    return [(name, found, _colour(found["difference"])) for name, found in measured.items()]


def of_metric(slices: Sequence[SliceSummary]) -> Divided:
    """Slices of one metric, whose values come without intervals; all may be shown."""
    rows: list[SuiteSlice] = [
        {
            "statistic": "", "by": each["by"], "group": each["group"], "base": _alone(each["a"]),
            "tuned": _alone(each["b"]), "difference": each["difference"], "p_adjusted": each["p_adjusted"],
            "found": each["found"],
        }
        for each in slices
    ]  # fmt: skip
    return rows, len(rows)


def of_suite(suite: SuiteSummary) -> Divided:
    """The slices of a suite's first statistic, and those of others that got worse; and how many there are."""
    slices, first = suite.get("slices") or [], next(iter(suite["statistics"]), "")
    return [each for each in slices if each["found"] == "worse" or each["statistic"] == first], len(slices)


def _alone(value: float | None) -> Measured:
    return {"value": value, "low": None, "high": None}


def _divided(slices: Divided) -> dict[str, Any] | None:
    """Those that got worse, and of the others the first ones; how many there are and are not shown."""
    rows, count = slices
    if not rows:
        return None
    worse = [each for each in rows if each["found"] == "worse"]
    shown = rows[: max(len(worse), MOST_SLICES)]
    colours = {"worse": "bad", "better": "good"}
    coloured = [(each, colours.get(each["found"], "open")) for each in shown]
    return {"rows": coloured, "all": count, "worse": len(worse), "more": count - len(shown)}


def _calibration(summary: Summary) -> list[tuple[str, Markup]]:
    """Whose confidence, and its picture."""
    drawn = []
    for who, bins in (summary.get("calibration") or {}).items():
        spots = []
        for each in bins:
            share, low, high = (each["accuracy"][end] for end in ("value", "low", "high"))
            if share is not None and low is not None and high is not None:
                spots.append(svg.Spot(each["confidence"], share, low, high, each["n"]))
        drawn.append((who, svg.reliability_chart(f"how often {who} is right by how sure it is", spots)))
    return drawn


def rendered(template: str, **values: Any) -> str:
    """A page of this folder: everything printed is escaped, what no page can show is replaced."""
    page = Environment(
        loader=PackageLoader("affina", "evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters |= {"number": number, "excerpt": excerpt}
    return page.get_template(template).render(**values)


def number(value: float | int | None) -> str:
    """About three significant digits, as many decimals as the neighbours in a column; a dash for what is unknown."""
    if value is None or not math.isfinite(value):
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def excerpt(text: str) -> str:
    """The text, or its beginning when it is long."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} … ({len(text):,} characters)"


def _speaks(settings: Mapping[str, Any]) -> bool:
    """Whether the tuned model answers in words, so that its samples are generated; a label head only chooses."""
    objective = settings.get("objective", "cross_entropy")
    return objectives.find(objective["name"] if isinstance(objective, Mapping) else objective).head == "words"


def _shown(value: Any) -> Any:
    """Every printed value: what UTF-8 cannot hold or a page cannot show becomes the replacement character."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return svg.displayable(value)


def _colour(difference: Differs) -> str:
    """`good` or `bad` where the whole interval is on one side of zero, `open` otherwise."""
    value, low, high, better = (difference.get(key) for key in ("value", "low", "high", "better"))
    if not all(isinstance(end, (int, float)) for end in (value, low, high, better)):
        return "open"
    if not low > 0 and not high < 0:  # type: ignore[operator]
        return "open"
    return "good" if better > 0 else "bad" if better else "open"  # type: ignore[operator]


def _points(events: Iterable[Mapping[str, Any]], kind: str, key: str) -> list[svg.Point]:
    chosen = (event for event in events if event["kind"] == kind)
    return [(event["step"], float(event[key])) for event in chosen if isinstance(event.get(key), (int, float))]


def _charts(events: Sequence[Mapping[str, Any]], best: int | None, metrics: list[str]) -> list[tuple[str, Markup]]:
    """Title and picture: the losses with the best step, the validation metrics, the learning rate."""
    learned, validated = _points(events, "learn", "loss"), _points(events, "validate", "loss")
    marked = next(
        (point for point in validated if point[0] == best), min(validated, key=lambda at: at[1], default=None)
    )
    mark = svg.Mark(marked, f"best: step {marked[0]:g}, {number(marked[1])}") if marked else None
    lines = [svg.Line("learned", learned), svg.Line("validated", validated, dots=len(validated) <= 60)]
    charts = [("Loss", svg.line_chart("training and validation loss by step", lines, mark))] if learned else []
    for metric in metrics:
        if metric != "loss" and (points := _points(events, "validate", metric)):
            line = svg.Line("validated", points, dots=len(points) <= 60)
            charts.append((f"Validation {metric}", svg.line_chart(f"validation {metric} by step", [line])))
    if rates := _points(events, "learn", "learning_rate"):
        charts.append(("Learning rate", svg.line_chart("learning rate by step", [svg.Line("rate", rates)])))
    return charts


def _speed(events: Iterable[Mapping[str, Any]]) -> float | None:
    """The median tokens per second of the training steps."""
    rates = sorted(rate for _, rate in _points(events, "learn", "tokens_per_s"))
    return rates[len(rates) // 2] if rates else None


def _funnel(ledger: LedgerSummary | None) -> dict[str, Any] | None:
    """The ledger as bars: (words, count, share of what was read, style)."""
    if not ledger:
        return None
    read = ledger["read"]
    rows = [(f"used for {split}", count, "used") for split, count in ledger["used"].items()]
    for end, left_out in (("dropped", ledger["dropped"]), ("quarantined", ledger["quarantined"])):
        rows += [(f"{end}: {reason}", count, end) for reason, count in left_out["reasons"].items()]
    bars = [("read", read, 100.0, "read")] if read else []
    bars += [(words, count, 100.0 * count / max(read, 1), style) for words, count, style in rows]
    return {"bars": bars, "files": ledger["files"], "cut": ledger["cut"]}


def _confused(confusion: ConfusionSummary | None) -> dict[str, Any] | None:
    """The commonest confusions, every class's precision, recall and F1, and the shaded matrix when it is small."""
    if not confusion or not confusion["labels"]:
        return None
    labels, counts = confusion["labels"], confusion["counts"]
    size = range(len(labels))
    wrong = sorted(((counts[i][j], labels[i], labels[j]) for i in size for j in size if i != j), key=lambda at: -at[0])
    classes = []
    for i in size:
        right, actual, predicted = counts[i][i], sum(counts[i]), sum(row[i] for row in counts)
        if actual:
            f1 = 2 * right / (actual + predicted)
            classes.append((labels[i], actual, right / predicted if predicted else 0.0, right / actual, f1))
    matrix = [(labels[i], [(counts[i][j], counts[i][j] / max(1, sum(counts[i])), i == j) for j in size]) for i in size]
    return {
        "top": [each for each in wrong if each[0]][:MOST_CONFUSIONS],
        "classes": sorted(classes, key=lambda each: each[-1]),
        "matrix": matrix if len(labels) <= LARGEST_MATRIX else [],
    }


def _flat(nested: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, str]]:
    """Nested settings as dotted names and their values."""
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", "–" if value is None else str(value)
