import pytest

from affina.data.faults import Faults, Problem, of_classes


def met(*texts: str) -> list[Problem]:
    faults = Faults()
    for line, text in enumerate(texts, 1):
        faults.look(text, "rows.csv", line)
    return [*faults.problems(len(texts))]


@pytest.mark.parametrize(
    "text",
    ["perché così è già", "naïve café", "it’s — “so”", "größer", "año €5", "Ÿ Š œuvre", "просто", "ελληνικά"],
)
def test_what_was_decoded_with_the_wrong_table_is_seen_and_what_was_not_is_not(text: str) -> None:
    wrong = text.encode().decode("cp1252", "replace").replace("\N{REPLACEMENT CHARACTER}", "")
    assert met(text) == []
    assert [(problem.kind, problem.line) for problem in met("fine", wrong)] == [("mojibake", 2)]
    assert [problem.kind for problem in met(text.encode().decode("latin-1"))][:1] == ["mojibake"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("lost \N{REPLACEMENT CHARACTER}", "lost letters"),
        ("a\x00b", "control characters"),
        ("\x1b[31mred", "control characters"),
        ("half \ud800", "half characters"),
        ("one<br/>two", "markup"),
        ("<p class='a'>one</p>", "markup"),
        ("one &amp; two", "markup"),
    ],
)
def test_each_fault_is_told_with_its_first_line_and_how_often_it_is(text: str, kind: str) -> None:
    (problem,) = met("fine", text, "fine", text)
    assert (problem.kind, problem.file, problem.line, problem.times) == (kind, "rows.csv", 2, 2)
    assert problem.sentence.startswith("2 of 4 texts hold ")


@pytest.mark.parametrize(
    "text", ["", "plain words\n\ttabs", "a < b and c > d", "AT&T", "SÃO PAULO", "NÃO", "日本語", "🙂"]
)
def test_what_is_no_fault_is_not_told(text: str) -> None:
    assert met(text) == []


def test_classes_that_are_one_rare_common_or_spelt_two_ways_are_told() -> None:
    assert [problem.kind for problem in of_classes({"a": 5})] == ["one class"]
    assert [problem.kind for problem in of_classes({"a": 50, "b": 50})] == []
    (much,) = of_classes({"a": 950, "b": 50})
    assert much.kind == "imbalance" and much.sentence.startswith("95.0 % of the rows are 'a'")
    (rare,) = of_classes({"a": 50, "b": 30, **{f"c{n}": n for n in range(1, 8)}})
    assert (
        rare.sentence.startswith("7 of 9 classes have fewer than 10 rows: 'c1' (1)") and "and 2 more" in rare.sentence
    )
    (spelt,) = of_classes({"Not spam": 50, "not_spam": 50, "spam": 50})
    assert spelt.kind == "spelling" and "'Not spam' and 'not_spam'" in spelt.sentence
    assert [*of_classes({})] == []
