"""A run's summary as one Markdown file: the numbers of the HTML page, for a review or a repository."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from affina.evaluation.report import MOST_SAMPLES, MOST_SLICES, Divided, excerpt, number, of_metric, of_suite
from affina.evaluation.summary import Differs, Measured, MetricSummary, SampleSummary, Summary

SPECIAL = re.compile(r"([\\`*_\[\]|~$@]|:(?=//)|(?<=www)\.|^[#+=-])")
"""What could begin markup, a link or, at the beginning, a block; `<`, `>` and `&` are written as HTML has them."""
NUMBERED = re.compile(r"^(\d{1,9})([.)])")
"""The beginning of a list."""
HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LONGEST_FENCE = re.compile(r"`+")


def report_markdown(summary: Summary) -> str:
    """CommonMark with tables. Whatever the data or a model say stands as text: nothing of it is markup."""
    lines = [f"# {escaped(summary.get('name', 'run'))}", ""]
    if verdict := summary.get("verdict"):
        lines += [f"**{escaped(verdict['decision']).capitalize()}**", ""]
        lines += [f"- {escaped(reason)}." for reason in verdict["reasons"]] + [""]
    if metrics := summary.get("metrics"):
        lines += ["## Metrics on the test split", "", *_differences("metric", metrics)]
        if base := summary.get("base_is"):
            lines += [f"base: {escaped(base)}", ""]
    if slices := summary.get("slices"):
        lines += ["## By slices", "", *_slices(of_metric(slices))]
    for name, suite in (summary.get("suites") or {}).items():
        lines += [f"## Suite {escaped(name)}", "", f"{escaped(suite['about'])} {suite['items']:,} items.", ""]
        lines += _differences("statistic", suite["statistics"])
        lines += _slices(of_suite(suite))
        lines += [f"- {escaped(note)}" for note in suite["notes"]] + [""] * bool(suite["notes"])
    for who, bins in (summary.get("calibration") or {}).items():
        rows = ((f"{each['n']:,}", number(each["confidence"]), _spread(each["accuracy"])) for each in bins)
        lines += [f"## Confidence of the {escaped(who)} model", "", *_table(("items", "confidence", "right"), rows)]
    if diagnosis := summary.get("diagnosis"):
        lines += ["## Training", "", escaped(diagnosis["sentence"]), ""]
    return "\n".join([*lines, *_books(summary), *_samples(summary.get("samples") or [])]).rstrip() + "\n"


def escaped(text: str) -> str:
    """One line of plain text: no character of it means anything in Markdown or HTML."""
    shown = HIDDEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    return html.escape(NUMBERED.sub(r"\1\\\2", SPECIAL.sub(r"\\\1", shown)), quote=False)


def _differences(what: str, measured: Mapping[str, MetricSummary]) -> list[str]:
    rows = []
    for name, found in measured.items():
        difference = found["difference"]
        known = difference["value"] is not None
        both = (_spread(found["base"]), _spread(found["tuned"]))
        chances = (difference["p"], found.get("p_adjusted")) if known else (None, None)
        shown = number(difference.get("detectable"))
        rows.append((escaped(name), *both, _spread(difference), *map(number, chances), shown))
    return _table((what, "base", "tuned", "difference", "p", "p (Holm)", "detectable"), rows)


def _slices(divided: Divided) -> list[str]:
    slices, count = divided
    if not slices:
        return []
    worse = sum(each["found"] == "worse" for each in slices)
    shown = slices[: max(worse, MOST_SLICES)]
    rows = [
        (
            escaped(" ".join((f"{each['by']} = {each['group']}", *filter(None, [each["statistic"]])))),
            number(each["difference"].get("n")), _spread(each["base"]), _spread(each["tuned"]),
            _spread(each["difference"]), number(each["p_adjusted"]), escaped(each["found"]),
        )
        for each in shown
    ]  # fmt: skip
    head = ("slice", "items", "base", "tuned", "difference", "p (Holm)", "")
    more = [f"{count - len(shown)} more are in report.json.", ""] if count > len(shown) else []
    return [f"{worse} of {count} slices are shown to be worse.", "", *_table(head, rows), *more]


def _books(summary: Summary) -> list[str]:
    lines = []
    if ledger := summary.get("ledger"):
        rows = [("read", ledger["read"])] + [(f"used for {split}", count) for split, count in ledger["used"].items()]
        for end, left in (("dropped", ledger["dropped"]), ("quarantined", ledger["quarantined"])):
            rows += [(f"{end}: {reason}", count) for reason, count in left["reasons"].items()]
        lines += ["## Data", "", *_table(("rows", ""), ((escaped(words), f"{count:,}") for words, count in rows))]
    if proofs := summary.get("proofs"):
        told = [(each["name"], "passed" if each["passed"] else "FAILED", each["detail"]) for each in proofs]
        head = ("proof", "outcome", "what was looked at")
        lines += ["## Proofs before the first step", "", *_table(head, (tuple(map(escaped, row)) for row in told))]
    return lines


def _samples(samples: Sequence[SampleSummary]) -> list[str]:
    lines = ["## Answers before and after", ""] if samples else []
    for sample in samples[:MOST_SAMPLES]:
        lines += [f"### {escaped(sample['id'])}", ""]
        for who, text in (("given", sample["given"]), ("expected", sample["expected"]), ("base", sample["base"]),
                          ("tuned", sample["tuned"])):  # fmt: skip
            lines += [f"{who}:", "", *_fenced(excerpt(text)), ""]
    return lines


def _fenced(text: str) -> list[str]:
    """A block of code that no text can close."""
    shown = HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))
    fence = "`" * (1 + max([2, *map(len, LONGEST_FENCE.findall(shown))]))
    return [f"{fence}text", *shown.split("\n"), fence]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*(f"| {' | '.join(row)} |" for row in lines), ""]


def _spread(found: Measured | Differs) -> str:
    low, value, high = number(found["low"]), number(found["value"]), number(found["high"])
    return value if "–" in (low, high) else f"{value} ({low} … {high})"
