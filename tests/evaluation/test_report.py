"""The report: complete, escaped whatever the data say, self-contained, and small however long the run."""

import json
import math
import re
from html.parser import HTMLParser
from typing import Any, cast

import pytest

from affina.core.example import Text
from affina.core.kinds import Record
from affina.data.ledger import Ledger
from affina.evaluation.report import excerpt, number, report_html
from affina.evaluation.report_markdown import escaped, report_markdown
from affina.evaluation.summary import LedgerSummary, Summary

HOSTILE = (
    "</title></style><script>alert(1)</script><img src=http://x.test onerror='a()'>\" ' {{ 7*7 }} \x00\ud800 &amp;"
)


def events(steps: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        loss = 0.2 + 3 * math.exp(-5 * step / steps)
        made.append({"step": step, "kind": "learn", "loss": loss, "learning_rate": 1e-4, "tokens_per_s": 900.0})
        if step % max(1, steps // 10) == 0:
            made.append({"step": step, "kind": "validate", "loss": loss + 0.1, "accuracy": 1 - loss / 4})
    return made


def summary(text: str = "plain", steps: int = 40) -> Summary:
    measured = {"value": 0.5, "low": 0.4, "high": 0.6}
    difference = {
        "value": 0.3, "low": 0.2, "high": 0.4, "p": 0.001, "better": 0.3, "detectable": 0.14, "n": 40, "method": text,
    }  # fmt: skip
    fell = {**difference, "value": -0.3, "low": -0.4, "high": -0.2, "better": -0.3}
    statistic = {"base": measured, "tuned": measured, "difference": fell, "p_adjusted": 0.004, "unit": text}
    return cast(
        Summary,
        {
            "name": text,
            "created": "2026-11-20",
            "verdict": {"decision": "promote", "reasons": [text, text], "metric": "accuracy",
                        "difference": 0.3, "low": 0.2, "high": 0.4, "n_needed": None},
            "power": 0.8,
            "slices": [
                {"by": text, "group": text, "a": 0.9, "b": 0.6, "difference": fell, "p_adjusted": 0.01,
                 "found": "worse"},
                {"by": "class", "group": "b", "a": 0.5, "b": 0.8, "difference": difference, "p_adjusted": 0.02,
                 "found": "better"},
                {"by": "class", "group": "c", "a": None, "b": None,
                 "difference": {"value": None, "low": None, "high": None, "p": 1.0, "n": 3}, "p_adjusted": None,
                 "found": "no value"},
            ],
            "suites": {text: {"about": text, "items": 40, "notes": [text], "statistics": {text: statistic}, "slices": [
                {"statistic": text, "by": text, "group": text, "base": measured, "tuned": measured, "difference": fell,
                 "p_adjusted": 0.01, "found": "worse"},
                {"statistic": "second", "by": "kind", "group": "quiet", "base": measured, "tuned": measured,
                 "difference": difference, "p_adjusted": 0.2, "found": "no difference shown"},
                {"statistic": "second", "by": "kind", "group": "loud", "base": measured, "tuned": measured,
                 "difference": fell, "p_adjusted": 0.02, "found": "worse"},
            ]}},
            "calibration": {who: [
                {"low": 0.4, "high": 0.5, "n": 4, "confidence": 0.45,
                 "accuracy": {"value": 0.5, "low": 0.1, "high": 0.9}},
                {"low": 0.9, "high": 1, "n": 36, "confidence": 0.97, "accuracy": {"value": 0.9, "low": 0.8, "high": 1}},
            ] for who in ("base", text)},
            "metrics": {"accuracy": {"base": measured, "tuned": measured, "difference": difference,
                                     "p_adjusted": 0.002},
                        text: {"base": measured, "tuned": measured,
                               "difference": {"value": None, "low": None, "high": None, "p": 1.0}}},
            "proofs": [{"name": text, "passed": True, "seconds": 0.25, "detail": text}],
            "events": events(steps),
            "ledger": {"files": {text: 10}, "read": 10, "used": {"train": 6, text: 1},
                       "dropped": {"total": 2, "reasons": {text: 2}},
                       "quarantined": {"total": 1, "reasons": {text: 1}},
                       "cut": {"rows": 1, "tokens": 30, "targets": 0}},
            "samples": [{"id": text, "given": text, "expected": text, "base": text, "tuned": text}],
            "confusion": {"labels": ["a", text], "counts": [[3, 1], [0, 4]]},
            "diagnosis": {"verdict": "fine", "sentence": text},
            "settings": {"train": {"batch": 16, text: text}},
            "versions": {text: text},
        },
    )  # fmt: skip


class Tags(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.open, self.text = list[str](), list[tuple[str, str]](), list[str](), ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_text_adds_no_tag_and_no_attribute() -> None:
    plain, hostile = Tags(report_html(summary())), Tags(report_html(summary(HOSTILE)))
    assert hostile.tags == plain.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]
    assert not hostile.open, "every element is closed"


def test_hostile_text_is_shown_as_it_is_but_for_what_no_page_can_hold() -> None:
    page = report_html(summary(HOSTILE))
    assert "{{ 7*7 }}" in page and "49" not in Tags(page).text
    assert HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\ufffd") in Tags(page).text
    page.encode("utf-8")


def test_nothing_is_fetched_and_nothing_runs() -> None:
    page = Tags(report_html(summary()))
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(page.tags)
    assert not {"src", "href", "xlink:href"} & {name for name, _ in page.attributes}
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "url(" not in report_html(summary()) and "@import" not in report_html(summary())
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_every_section_is_there() -> None:
    text = Tags(report_html(summary())).text
    for heading in (
        "Promote", "Metrics on the test split", "accuracy by slices", "What else moved", "How far it can be believed",
        "Smallest differences that so many items show with power 0.800: accuracy 0.140",
        "1 of 3 slices got worse", "Answers before and after", "Training", "Validation accuracy",
        "Learning rate", "Where the tuned model errs", "Confusion matrix", "Data", "Proofs", "Settings and versions",
    ):  # fmt: skip
        assert heading in text, heading
    assert "train.batch" in text and "1 rows, 30 tokens, 0 targets" in text and "900 tokens per second" in text


def test_the_best_step_is_the_one_said_or_the_lowest_validation_loss() -> None:
    assert "best: step 40" in report_html(summary())
    assert "best: step 12" in report_html({**summary(), "best_step": 12})


def test_classes_and_confusions_are_counted_by_hand() -> None:
    # a: 4 items, 3 right, predicted 3 times; b: 4 items, all right, predicted 5 times
    page = report_html({"name": "x", "confusion": {"labels": ["a", "b"], "counts": [[3, 1], [0, 4]]}})
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    assert ["a", "b", "1"] in rows
    assert ["a", "4", "1.000", "0.750", "0.857"] in rows  # f1 = 6/7
    assert ["b", "4", "0.800", "1.000", "0.889"] in rows  # f1 = 8/9


def test_the_books_as_the_ledger_writes_them_are_shown() -> None:
    ledger = Ledger()
    for line in range(4):
        ledger.read("tickets.csv", f"tickets.csv:{line}")
    ledger.quarantine(Record({}, "tickets.csv", 3), "the label is empty")
    examples = [Text(id=f"tickets.csv:{line}", text="a") for line in (1, 2, 4)]
    ledger.drop(examples[2], "exact duplicate of another row")
    ledger.use("train", examples[:1])
    ledger.use("test", examples[1:2])
    text = Tags(report_html({"name": "x", "ledger": cast(LedgerSummary, ledger.summary())})).text
    for words in (
        "used for train",
        "dropped: exact duplicate",
        "quarantined: the label is empty",
        "tickets.csv4 records",
    ):
        assert words in text, words
    assert "Cut at" not in text


def test_a_summary_with_nothing_but_a_name_is_a_page() -> None:
    page = Tags(report_html({"name": "empty"}))
    assert "section" not in page.tags and "empty" in page.text


def test_broken_numbers_are_left_out_of_the_curves() -> None:
    made = [*events(10), {"step": 11, "kind": "learn", "loss": None}, {"step": 12, "kind": "learn", "loss": math.nan}]
    page = report_html({"name": "x", "events": made})
    assert "polyline" in page and "nan" not in page


@pytest.mark.parametrize("steps", [1, 2, 1000, 20_000])
def test_the_file_stays_small_however_long_the_run(steps: int) -> None:
    given = summary(steps=steps)
    json.dumps(given)
    assert len(report_html(given).encode()) < 60_000


def test_long_texts_and_many_samples_are_cut_and_say_so() -> None:
    given = summary()
    given["samples"] = given["samples"][:1] * 500
    given["samples"][0]["given"] = "word " * 100_000
    page = report_html(given)
    assert len(page) < 120_000 and "(500,000 characters)" in page
    assert excerpt("short") == "short"


def test_many_labels_get_no_matrix_but_keep_the_table() -> None:
    labels = [f"label {i}" for i in range(77)]
    counts = [[10 if i == j else 0 for j in range(77)] for i in range(77)]
    text = Tags(report_html({"name": "x", "confusion": {"labels": labels, "counts": counts}})).text
    assert "Confusion matrix" not in text and "label 76" in text and "every item was answered with its label" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (math.nan, "–"), (0.5, "0.500"), (0.0, "0.000"), (1.2e-9, "1.2e-09"), (3.0, "3.00"), (42, "42"),
     (123.45, "123.5"), (12345, "12,345"), (-0.06, "-0.060"), (2345.6, "2,346")],
)  # fmt: skip
def test_numbers_are_shown_with_about_three_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_an_answer_that_was_cut_off_ends_in_an_ellipsis() -> None:
    sample = {"id": "a.csv:2", "given": "why", "expected": "so", "base": "because the", "tuned": "so"}
    shown = cast(Summary, {"name": "x", "samples": [{**sample, "stopped": {"base": False, "tuned": True}}]})
    text = Tags(report_html(shown)).text
    assert "because the …" in text and "so …" not in text
    assert "…" not in Tags(report_html(cast(Summary, {"name": "x", "samples": [sample]}))).text


@pytest.mark.parametrize(
    ("settings", "told"), [({}, True), ({"objective": {"name": "classify"}}, False), ({"objective": "classify"}, False)]
)
def test_labels_said_in_words_are_told_from_what_the_metrics_take(settings: dict[str, Any], told: bool) -> None:
    given = cast(Summary, {**summary(), "settings": settings})
    sentence = "the answers below are generated freely; the metrics take the likeliest label"
    assert (sentence in Tags(report_html(given)).text) is told
    assert sentence not in Tags(report_html({**given, "confusion": None})).text


def test_what_stands_in_for_the_base_is_said_beside_the_table() -> None:
    assert "base: the majority class" in Tags(report_html({**summary(), "base_is": "the majority class"})).text
    assert "base:" not in Tags(report_html(summary())).text


def test_a_difference_that_is_unknown_has_no_p() -> None:
    page = report_html(summary())
    # `plain` has no difference and p = 1, `accuracy` has p = 0.001
    assert re.findall(r'data-is="p">([^<]*)<', page) == ["0.001", "–", "0.001"]
    # Of two metrics, three slices, a suite's statistic and its two slices that got worse; no value, no p.
    assert re.findall(r'data-is="p \(Holm\)">([^<]*)<', page) == [
        "0.002", "–", "0.010", "0.020", "–", "0.004", "0.010", "0.020",
    ]  # fmt: skip


def test_many_slices_are_cut_but_for_those_that_got_worse() -> None:
    given = summary()
    worse, better, _ = given["slices"]
    given["slices"] = [worse] * 40 + [better] * 60
    page = Tags(report_html(given))
    assert page.text.count("worse") >= 40 and "40 of 100 slices got worse" in page.text
    assert "60 more are in report.json" in page.text
    assert (
        "24 more" not in page.text and "76 more are in" in Tags(report_html({**given, "slices": [better] * 100})).text
    )


def test_a_suites_slices_are_those_of_what_decides_and_the_others_that_got_worse() -> None:
    page, text = report_html(summary()), report_markdown(summary())
    assert "2 of 3 slices got worse" in page and "1 more are in report.json" in page
    assert "2 of 3 slices are shown to be worse" in text and "1 more are in report.json" in text
    assert "| kind = loud second | 40 | 0.500 (0.400 … 0.600) | 0.500 (0.400 … 0.600) | -0.300" in text
    assert "loud" in page and "quiet" not in page and "quiet" not in text


def test_markdown_says_what_the_page_says_and_nothing_in_it_is_markup() -> None:
    plain, hostile = report_markdown(summary()), report_markdown(summary(HOSTILE))
    for words in (
        "**Promote**", "## By slices", "1 of 3 slices are shown to be worse", "| read | 10 |", "## Suite plain",
        "| accuracy | 0.500 (0.400 … 0.600) |", "| 0.001 | 0.002 | 0.140 |", "## Data", "## Proofs",
    ):  # fmt: skip
        assert words in plain, words
    outside = re.sub(r"(?ms)^(`{3,})text$.*?^\1$", "", hostile)
    assert "<" not in outside and "```" not in outside
    assert [line.split(" ")[0] for line in plain.splitlines() if line.startswith("#")] == [
        line.split(" ")[0] for line in hostile.splitlines() if line.startswith("#")
    ]
    assert plain.count("\n") == hostile.count("\n")
    hostile.encode("utf-8")


def test_no_text_closes_a_block_or_a_cell_of_the_markdown() -> None:
    sample = {
        "id": "a|b\n# c",
        "given": "```\n<b>\n````` x",
        "expected": "\x00\ud800\r\n- a",
        "base": "",
        "tuned": "~~~",
    }
    text = report_markdown(cast(Summary, {"name": "1. x", "samples": [sample], "base_is": "", "diagnosis": None}))
    assert "# 1\\. x\n" in text and "### a\\|b # c\n" in text
    assert text.count("``````text\n```\n<b>\n````` x\n``````") == 1
    assert "```text\n\ufffd\ufffd\n- a\n```" in text
    rows = report_markdown(summary("a | b \\| c"))
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows.splitlines() if line.startswith("| read")} == {3}


def test_a_summary_read_back_from_its_file_gives_the_same_pages() -> None:
    given = summary()
    read = cast(Summary, json.loads(json.dumps(given, allow_nan=False)))
    assert report_html(read) == report_html(given) and report_markdown(read) == report_markdown(given)


@pytest.mark.parametrize(
    ("text", "plain"), [("12. x", r"12\. x"), ("2026) x", r"2026\) x"), ("1.5 x", r"1\.5 x"), ("v1. x", "v1. x")]
)
def test_a_number_at_the_beginning_begins_no_list(text: str, plain: str) -> None:
    assert escaped(text) == plain
