"""The points of Annex IV of Regulation (EU) 2024/1689 (the AI Act), in short, and what of each affina has measured."""

from collections.abc import Callable
from typing import NamedTuple

from affina.release.facts import Facts


class Point(NamedTuple):
    """One point: its number in Annex IV, a heading, the articles it refers to, and what is known of it."""

    number: str
    heading: str
    articles: str
    filled: Callable[[Facts], list[str]]


def _blank(facts: Facts) -> list[str]:
    return []


def _version(facts: Facts) -> list[str]:
    run = facts.about["run"]
    above = facts.about["parent"]
    parent = [f"made from the {above['kind']} {above['id']}"] if above else []
    return [f"run {run['name']}, step {run['step']}, weights SHA-256 {run['weights_sha256']}", *parent]


def _forms(facts: Facts) -> list[str]:
    whole = "a whole model" if facts.about["stands_alone"] else "an adapter, for the base named under 2(a)"
    return [f"{whole}, as safetensors, with tokenizer, chat template and stop tokens"]


def _design(facts: Facts) -> list[str]:
    return [f"the verdict rests on {facts.result['verdict']['metric']}", *facts.task()]


def _testing(facts: Facts) -> list[str]:
    return [*facts.evaluation(), *facts.suites(unfair=False), *facts.suites(unfair=True), *facts.proofs()]


def _safety(facts: Facts) -> list[str]:
    return ["no pickle is loaded; every file is hashed, and a changed one is refused when the release is opened"]


def _metrics(facts: Facts) -> list[str]:
    return ["measured were " + ", ".join(facts.result["metrics"])]


POINTS = (
    Point("1(a)", "Purpose, provider and version", "", _version),
    Point("1(b)", "Interaction with other hardware and software", "", _blank),
    Point("1(c)", "Versions of software, and what updates need", "", Facts.software),
    Point("1(d)", "Forms in which it is supplied", "", _forms),
    Point("1(e)", "Hardware it is to run on", "", Facts.machine),
    Point("1(f)", "Where it is part of a product: its appearance and layout", "", _blank),
    Point("1(g)", "The deployer's user interface", "", _blank),
    Point("1(h)", "Instructions for use", "Article 13", _blank),
    Point("2(a)", "How it was developed, with what made by others", "", Facts.development),
    Point("2(b)", "Design: logic, choices, what is optimised", "", _design),
    Point("2(c)", "Architecture and computing resources", "", lambda facts: [*facts.machine(), *facts.energy()]),
    Point("2(d)", "Data: provenance, selection, labelling, cleaning", "Article 10", Facts.data),
    Point("2(e)", "Human oversight that is needed", "Articles 13(3)(d) and 14", _blank),
    Point("2(f)", "Changes determined beforehand", "", _blank),
    Point("2(g)", "Validation and testing: data, metrics, logs", "Article 15", _testing),
    Point("2(h)", "Cybersecurity", "Article 15", _safety),
    Point("3", "Monitoring and control: capabilities, limits, risks", "Article 14", Facts.limits),
    Point("4", "Why these metrics are appropriate", "", _metrics),
    Point("5", "Risk management", "Article 9", _blank),
    Point("6", "Changes through the lifecycle", "", _blank),
    Point("7", "Harmonised standards applied", "Article 40", _blank),
    Point("8", "EU declaration of conformity", "Article 47", _blank),
    Point("9", "Monitoring after it is on the market", "Article 72", _blank),
)
INCOMPLETE = ("1(a)", "1(c)", "1(d)", "1(e)", "2(b)", "2(c)", "2(d)", "2(g)", "2(h)", "3", "4")
"""Points that measurements answer in part: a person completes them."""
