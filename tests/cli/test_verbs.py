"""What each verb prints of its function's plain result, and what it passes on."""

import io
from typing import Any

import pytest

from affina.cli import compare, evaluate, generate, settings, train
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


def test_evaluate_prints_a_row_per_metric(screen: Screen, capsys: Any) -> None:
    metrics = {
        "accuracy": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100},
        "f1": {"value": 0.25, "low": None, "high": None, "n": 100},
    }
    evaluate.show({"model": "first", "items": 100, "metrics": metrics}, screen)
    assert lines(capsys) == [
        "first on 100 items",
        "metric    value [95 % interval]  items",
        "accuracy  0.500 [0.400, 0.600]   100",
        "f1        0.250 [–, –]           100",
    ]


def test_compare_prints_differences_with_their_p_and_the_verdict(screen: Screen, capsys: Any) -> None:
    difference = {"value": 0.25, "low": 0.1, "high": 0.4, "p": 0.00123}
    metrics = {"accuracy": {"a": 0.5, "b": 0.75, "difference": difference}}
    compare.show({"a": "old", "b": "new", "items": 100, "metrics": metrics, "verdict": VERDICT}, screen)
    assert lines(capsys) == [
        "old and new on the same 100 items",
        "metric    old    new    difference [95 % interval]  p",
        "accuracy  0.500  0.750  +0.250 [+0.100, +0.400]     0.0012",
        "",
        "verdict: not enough data (n needed: 1,234)",
        "  the interval straddles 0",
    ]


def test_where_the_difference_is_unknown_there_is_no_p(screen: Screen, capsys: Any) -> None:
    difference = {"value": None, "low": None, "high": None, "p": 1.0}
    metrics = {"accuracy": {"a": None, "b": 0.75, "difference": difference}}
    compare.show({"a": "old", "b": "new", "items": 100, "metrics": metrics, "verdict": VERDICT}, screen)
    assert lines(capsys)[2].split()[-1] == "–"


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
