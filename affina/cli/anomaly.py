"""`affina anomaly MODEL FILE`: a detector learnt from normal rows alone, with a calibrated rate of false alarms."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, interval, number
from affina.cli.features import metrics
from affina.cli.show import verdict


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the file, what is normal in it, and how often a normal row may be flagged."""
    parser.add_argument("model", metavar="MODEL", help="a run, a folder, an alias or a hub name")
    parser.add_argument(
        "file", metavar="FILE", help="normal rows, others among them where rows have a class; or a recipe"
    )
    parser.add_argument("--out", default="detector", metavar="FOLDER", help="default: detector")
    parser.add_argument("--normal", default="", metavar="CLASS", help="the class of normal rows, where rows have one")
    parser.add_argument(
        "--novelty", default="neighbour", metavar="NAME", help="neighbour (default), mahalanobis or perplexity"
    )
    parser.add_argument(
        "--alarm", type=float, default=0.05, metavar="SHARE", help="of normal rows that may be flagged (default: 0.05)"
    )
    parser.add_argument("--on", metavar="FILE", help="rows with a class to measure on (default: the test split)")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    how = affina.Watch(given.normal, given.novelty, given.alarm, given.on)
    where = affina.Where(given.root, given.offline)
    found: dict[str, Any] = affina.anomaly(given.model, given.file, given.out, how, where, screen.say)
    return {**found, "next": [settings.typed("apply", given.out, "a text", *settings.where_runs_live(given))]}


def show(found: dict[str, Any], screen: Screen) -> None:
    """What was learnt, what it finds, and what to type next."""
    rows = found["rows"]
    learnt = f"learnt from {rows['learnt']:,} normal rows, " if rows["learnt"] else ""
    screen.text(f"{found['novelty']}: {learnt}calibrated on {rows['calibrated']:,}")
    low, high = (f"{100 * each:.2g}" for each in found["spread"])
    screen.text(
        f"above {number(found['threshold'])} is an anomaly: {100 * found['alarm']:g} % of normal rows at most on "
        f"average, {low} to {high} % with the rows of one calibration"
    )
    if found["measured"]:
        measured = found["measured"]
        screen.heading(f"on {rows['test']:,} test rows")
        metrics(measured, "all alike", found["novelty"], screen)
        screen.text(f"anomalies found: {interval(measured['recall'])} of {measured['recall']['n']:,}")
        alarms = measured["false_alarms"]
        screen.text(f"false alarms: {interval(alarms)} of {alarms['n']:,} normal rows")
        verdict(measured, screen)
    else:
        screen.text("not measured: no row has a class; give some that do with --on FILE and --normal CLASS")
    for command in found["next"]:
        screen.text(f"next: {command}")
