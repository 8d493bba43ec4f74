"""`affina show RUN`: state, diagnosis, proofs, metrics with intervals, verdict, weights and report of one run."""

import argparse
from typing import Any

import affina
from affina.cli.console import Screen, interval


def arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    parser.add_argument("run", metavar="RUN", help="a run's name under --root, or its folder")


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    found: dict[str, Any] = affina.show(given.run, root=given.root)
    return found


def show(run: dict[str, Any], screen: Screen) -> None:
    """A page about the run."""
    steps = f" of {run['steps']}" if run["steps"] else ""
    best = f", best at {run['best_step']}" if run["best_step"] is not None else ""
    screen.text(f"{run['name']}: {run['state']}, step {run['step']}{steps}{best}")
    if run["error"]:
        screen.text(f"error: {run['error']}")
    if run["diagnosis"]:
        screen.text(f"diagnosis: {run['diagnosis']['sentence']}")
    if run["proofs"]:
        screen.heading("proofs")
        rows = [
            (proof["name"], "passed" if proof["passed"] else "FAILED", f"{proof['seconds']:.2f} s", proof["detail"])
            for proof in run["proofs"]
        ]
        screen.table(["proof", "", "took", "what was seen"], rows)
    metrics(run, screen)
    suites(run, screen)
    verdict(run, screen)
    if run["weights_sha256"]:
        screen.text(f"weights: sha256 {run['weights_sha256']}")
    if run["report"]:
        screen.text(f"report: {run['report']}")


def metrics(run: dict[str, Any], screen: Screen) -> None:
    """Base, tuned and their paired difference, each with its 95 % interval, a row per metric."""
    if run["metrics"]:
        screen.heading("metrics")
        rows = [
            (name, _alone(one, "base"), _alone(one, "tuned"), interval(one["difference"], signed=True))
            for name, one in run["metrics"].items()
        ]
        screen.table(["metric", "base", "tuned", "difference"], rows)


def suites(run: dict[str, Any], screen: Screen) -> None:
    """What else moved: every suite's statistics before, after, and their paired difference; slices that got worse."""
    for name, suite in run.get("suites", {}).items():
        screen.heading(f"suite {name}: {suite['items']} items")
        rows = [
            (statistic, *(interval(one[who]) for who in ("base", "tuned")), interval(one["difference"], signed=True))
            for statistic, one in suite["statistics"].items()
        ]
        screen.table(["statistic", "base", "tuned", "difference"], rows)
        for each in suite.get("slices", []):
            if each["found"] == "worse":
                where = f"{each['by']} = {each['group']} ({each['statistic']})"
                screen.text(f"got worse in the slice {where}: {interval(each['difference'], signed=True)}")
        for note in suite["notes"]:
            screen.text(note)
    worse = [each for each in run.get("slices", []) if each["found"] == "worse"]
    for each in worse:
        where = f"{each['by']} = {each['group']}"
        screen.text(f"got worse in the slice {where}: {interval(each['difference'], signed=True)}")


def _alone(one: dict[str, Any], who: str) -> str:
    low, high = one[f"{who}_interval"]
    return interval({"value": one[who], "low": low, "high": high})


def verdict(run: dict[str, Any], screen: Screen) -> None:
    """The decision, the items it would take, and each reason on a line."""
    found = run["verdict"]
    if found:
        needed = f" (n needed: {found['n_needed']:,})" if found.get("n_needed") else ""
        screen.heading(f"verdict: {found['decision']}{needed}")
        for reason in found["reasons"]:
            screen.text(f"  {reason}")
