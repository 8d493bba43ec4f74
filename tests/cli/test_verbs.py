"""What each verb prints of its function's plain result, and what it passes on."""

import io
from typing import Any

import pytest

from affina.cli import compare, evaluate, generate, settings, show, train
from affina.cli.command import Parser
from affina.cli.console import Screen
from affina.core.errors import Refused
from affina.core.kinds import Sampling

VERDICT = {"decision": "not enough data", "reasons": ["the interval straddles 0"], "n_needed": 1234}


@pytest.fixture
def screen() -> Screen:
    return Screen(silent=True)


def lines(capsys: Any) -> list[str]:
    shown: str = capsys.readouterr().out
    return shown.splitlines()


def test_train_ends_with_the_numbers_two_answers_the_report_and_what_to_type_next(screen: Screen, capsys: Any) -> None:
    interval = {"value": 0.25, "low": 0.1, "high": 0.4}
    metric = {
        "base": 0.5,
        "base_interval": [0.4, 0.6],
        "tuned": 0.75,
        "tuned_interval": [0.6, 0.9],
        "difference": interval,
    }
    answers = [
        {"id": f"a.csv:{n}", "given": f"question\n{n}", "expected": "yes", "base": "no", "tuned": "yes"}
        for n in range(3)
    ]
    trained = {
        "metrics": {"accuracy": metric},
        "verdict": VERDICT,
        "diagnosis": {"verdict": "fine", "sentence": "fine: nothing to move"},
        "samples": answers,
        "report": "runs/first/report.html",
        "next": ["affina show first"],
    }
    train.show(trained, screen)
    assert lines(capsys) == [
        "",
        "metrics",
        "metric    base                  tuned                 difference",
        "accuracy  0.500 [0.400, 0.600]  0.750 [0.600, 0.900]  +0.250 [+0.100, +0.400]",
        "",
        "verdict: not enough data (n needed: 1,234)",
        "  the interval straddles 0",
        "diagnosis: fine: nothing to move",
        "",
        "question 0",
        "          answer",
        "expected  yes",
        "base      no",
        "tuned     yes",
        "",
        "question 1",
        "          answer",
        "expected  yes",
        "base      no",
        "tuned     yes",
        "",
        "report: runs/first/report.html",
        "next:",
        "  affina show first",
    ]


def test_suites_are_printed_before_and_after_with_the_slices_that_got_worse(screen: Screen, capsys: Any) -> None:
    one = {"value": 0.5, "low": 0.4, "high": 0.6}
    nats = {"base": one, "tuned": one, "difference": {"value": 0.25, "low": 0.1, "high": 0.4}}
    suite = {"items": 40, "statistics": {"nats_per_byte": nats}, "notes": ["few items"]}
    fell = {"by": "region", "group": "north", "difference": {"value": -0.25, "low": -0.4, "high": -0.1}}
    slices = [{**fell, "found": "worse"}, {**fell, "group": "south", "found": "better"}]
    show.suites({"suites": {"neutral_text": suite}, "slices": slices}, screen)
    assert lines(capsys) == [
        "",
        "suite neutral_text: 40 items",
        "statistic      base                  tuned                 difference",
        "nats_per_byte  0.500 [0.400, 0.600]  0.500 [0.400, 0.600]  +0.250 [+0.100, +0.400]",
        "few items",
        "got worse in the slice region = north: -0.250 [-0.400, -0.100]",
    ]
    show.suites({}, screen)
    assert lines(capsys) == []


def test_evaluate_prints_a_row_per_metric(screen: Screen, capsys: Any) -> None:
    accuracy, f1 = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100}, {"value": 0.25, "low": None, "high": None, "n": 9}
    evaluate.show({"model": "first", "items": 100, "metrics": {"accuracy": accuracy, "f1": f1}}, screen)
    assert lines(capsys) == [
        "first on 100 items",
        "metric    value [95 % interval]  items",
        "accuracy  0.500 [0.400, 0.600]   100",
        "f1        0.250 [–, –]           9",
    ]


def compared(difference: dict[str, Any], slices: list[dict[str, Any]]) -> dict[str, Any]:
    metrics = {"accuracy": {"a": 0.5, "b": 0.75, "difference": difference, "p_adjusted": 0.00246}}
    return {
        "a": "old", "b": "new", "items": 100, "power": 0.8, "metrics": metrics, "slices": slices, "verdict": VERDICT,
        "suites": {}, "not_compared": ["suite told is not compared: new kept no answers to it"],
    }  # fmt: skip


def test_compare_prints_differences_with_their_p_slices_and_the_verdict(screen: Screen, capsys: Any) -> None:
    difference = {"value": 0.25, "low": 0.1, "high": 0.4, "p": 0.00123, "detectable": 0.12, "n": 50}
    fell = {**difference, "value": -0.25, "low": -0.4, "high": -0.1}
    slices = [
        {"by": "class", "group": "refund", "a": 0.9, "b": 0.65, "difference": fell, "p_adjusted": 0.0123,
         "found": "worse"},
        *({"by": "class", "group": f"c{n}", "a": 0.5, "b": 0.75, "difference": difference, "p_adjusted": None,
           "found": "too few items"} for n in range(14)),
    ]  # fmt: skip
    compare.show(compared(difference, slices), screen)
    said = lines(capsys)
    assert said[:6] == [
        "old and new on the same 100 items",
        "metric    old    new    difference [95 % interval]  p       p (Holm)  detectable (power 0.8)",
        "accuracy  0.500  0.750  +0.250 [+0.100, +0.400]     0.0012  0.0025    0.120",
        "",
        "accuracy in 15 slices, 1 of them shown to be worse",
        "slice           items  old    new    difference [95 % interval]  p (Holm)",
    ]
    assert said[6] == "class = refund  50     0.900  0.650  -0.250 [-0.400, -0.100]     0.012     worse"
    assert said[-6:] == [
        "class = c11     50     0.500  0.750  +0.250 [+0.100, +0.400]     –         too few items",
        "2 more are in --json",
        "",
        "verdict: not enough data (n needed: 1,234)",
        "  the interval straddles 0",
        "suite told is not compared: new kept no answers to it",
    ]


def test_where_the_difference_is_unknown_there_is_no_p(screen: Screen, capsys: Any) -> None:
    compare.show(compared({"value": None, "low": None, "high": None, "p": 1.0, "detectable": None}, []), screen)
    assert lines(capsys)[2].split()[-3:] == ["–", "–", "–"]


def test_an_answer_that_was_cut_off_says_so_after_training(screen: Screen, capsys: Any) -> None:
    sample = {"id": "a.csv:2", "given": "why", "expected": "so", "base": "because the", "tuned": "so"}
    trained = {"metrics": {}, "verdict": None, "diagnosis": None, "report": "", "next": []}
    train.show({**trained, "samples": [{**sample, "stopped": {"base": False, "tuned": True}}]}, screen)
    assert {"base      because the …", "tuned     so"} <= {*lines(capsys)}


def test_lines_of_white_space_are_no_prompts() -> None:
    assert generate.prompts_of(io.StringIO(" one \n \t \n\ntwo")) == [" one ", "two"]


def test_a_single_answer_stands_alone_and_one_that_was_cut_says_so(screen: Screen, capsys: Any) -> None:
    said = {"prompt": "one?", "answer": "two", "stopped": True}
    generate.show({"answers": [said]}, screen)
    assert lines(capsys) == ["two"]
    generate.show({"answers": [said, {**said, "prompt": "three?", "stopped": False}]}, screen)
    assert lines(capsys) == ["", "one?", "two", "", "three?", "two …"]


def test_settings_are_read_as_yaml() -> None:
    parser = Parser(prog="affina train")
    settings.recipe(parser)
    given = parser.parse_args(
        [
            "a.yaml",
            "--set",
            "train.epochs=1.5",
            "--set",
            "data.read=[a.csv, b.csv]",
            "--set",
            "name=x=y",
            "--set",
            "a.b=",
        ]
    )
    assert settings.changes(given) == {"train.epochs": 1.5, "data.read": ["a.csv", "b.csv"], "name": "x=y", "a.b": None}


@pytest.mark.parametrize("wrong", ["x", "=3", ".=3", "a.b=[1"])
def test_a_setting_that_sets_nothing_is_refused(wrong: str) -> None:
    parser = Parser(prog="affina train")
    settings.recipe(parser)
    with pytest.raises(Refused, match="--set"):
        settings.changes(parser.parse_args(["a.yaml", "--set", wrong]))


def test_sampling_is_what_the_options_say() -> None:
    parser = Parser(prog="affina generate")
    settings.sampling(parser)
    assert settings.sampled(parser.parse_args([])) == Sampling()
    given = parser.parse_args(["--max-tokens", "5", "--temperature", "0.5", "--seed", "7"])
    assert settings.sampled(given) == Sampling(max_tokens=5, temperature=0.5, seed=7)
    with pytest.raises(Refused, match="--max-tokens 0 leaves no room"):
        settings.sampled(parser.parse_args(["--max-tokens", "0"]))
