"""What the verbs on embeddings print, and that they run from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import data

from affina.cli import anomaly, apply, features
from affina.cli.console import Screen
from affina.cli.main import main

ONE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 20}
JUDGED = {
    "metrics": {"accuracy": {"base": ONE, "tuned": ONE, "difference": {"value": 0.0, "low": -0.1, "high": 0.1}}},
    "verdict": {"decision": "reject", "reasons": ["it did not move"], "n_needed": None},
}
TABLE = [
    "metric    {}  {}  difference [95 % interval]",
    "accuracy  0.500 [0.400, 0.600]  0.500 [0.400, 0.600]  +0.000 [-0.100, +0.100]",
]


@pytest.fixture
def screen() -> Screen:
    return Screen(silent=True)


def test_features_shows_the_file_and_each_head(screen: Screen, capsys: Any) -> None:
    head = {"folder": "a.linear", **JUDGED}
    found = {"rows": 1200, "width": 384, "file": "a.parquet", "items": 20, "without": "the majority class"}
    features.show({**found, "heads": {"linear": head}}, screen)
    assert capsys.readouterr().out.splitlines() == [
        "1,200 rows of 384 numbers in a.parquet",
        "",
        "linear on 20 test rows, kept in a.linear",
        TABLE[0].format("the majority class  ", "linear              "),
        TABLE[1],
        "",
        "verdict: reject",
        "  it did not move",
    ]


def test_anomaly_shows_the_threshold_what_it_finds_and_what_to_type(screen: Screen, capsys: Any) -> None:
    rows = {"learnt": 1000, "calibrated": 100, "test": 20}
    found = {"novelty": "neighbour", "rows": rows, "threshold": 1.5, "alarm": 0.05, "spread": [0.016, 0.1]}
    measured = {**JUDGED, "recall": ONE, "false_alarms": ONE}
    anomaly.show({**found, "measured": measured, "next": ["affina apply d 'a text'"]}, screen)
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == [
        "neighbour: learnt from 1,000 normal rows, calibrated on 100",
        "above 1.500 is an anomaly: 5 % of normal rows at most on average, 1.6 to 10 % with the rows of one "
        "calibration",
    ]
    assert shown[-6:] == [
        "anomalies found: 0.500 [0.400, 0.600] of 20",
        "false alarms: 0.500 [0.400, 0.600] of 20 normal rows",
        "",
        "verdict: reject",
        "  it did not move",
        "next: affina apply d 'a text'",
    ]
    anomaly.show({**found, "measured": None, "next": []}, screen)
    assert capsys.readouterr().out.splitlines()[-1].startswith("not measured: no row has a class")


def test_apply_shows_a_row_per_text(screen: Screen, capsys: Any) -> None:
    apply.show({"answers": [{"text": "so", "score": 2.0, "p": 0.0123, "verdict": "anomaly"}]}, screen)
    apply.show({"answers": [{"text": "so", "answer": "yes", "chance": 0.75}]}, screen)
    apply.show({"answers": [{"text": "so", "answer": 2.5, "chance": None}]}, screen)
    assert capsys.readouterr().out.splitlines() == [
        "verdict  score  p      text",
        "anomaly  2.000  0.012  so",
        "answer  chance  text",
        "yes     0.750   so",
        "answer  chance  text",
        "2.5     –       so",
    ]


def test_the_verbs_follow_one_another(tmp_path: Path, encoder_model: Path, capsys: Any, monkeypatch: Any) -> None:
    data(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["features", str(encoder_model), "tickets.csv", "--head", "linear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["heads"]["linear"]["folder"] == "features.linear"
    assert main(["apply", "features.linear", "where is my parcel", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["answer"] in ("refund", "shipping", "account")
    asked = ["anomaly", str(encoder_model), "tickets.csv", "--normal", "refund", "--alarm", "0.5", "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["next"] == ["affina apply detector 'a text'"]
    assert main(["apply", "detector", "where is my parcel", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["verdict"] in ("normal", "anomaly")
    assert main(["apply", "detector", " "]) == 2
