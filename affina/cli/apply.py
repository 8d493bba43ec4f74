"""`affina apply FOLDER [TEXT…]`: what a saved head answers, or a saved detector thinks of texts."""

import argparse
import sys
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, number
from affina.cli.generate import prompts_of
from affina.core.errors import Refused


def arguments(parser: argparse.ArgumentParser) -> None:
    """The folder and the texts."""
    parser.add_argument("folder", metavar="FOLDER", help="what `affina features --head` or `affina anomaly` wrote")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="without one, each line of standard input")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """{"folder", "answers"}. Raises Refused when there is no text."""
    texts = given.texts or ([] if sys.stdin.isatty() else prompts_of(sys.stdin))
    if not any(text.strip() for text in texts):
        command = settings.typed("apply", given.folder, "a text")
        raise Refused("there is no text", instead=f"{command}, or a text on each line of standard input")
    where = affina.Where(given.root, given.offline)
    return {"folder": given.folder, "answers": affina.apply(given.folder, texts, where, screen.say)}


def show(applied: dict[str, Any], screen: Screen) -> None:
    """A row per text."""
    answers = applied["answers"]
    if "verdict" in answers[0]:
        rows = [(each["verdict"], number(each["score"]), f"{each['p']:.2g}", each["text"]) for each in answers]
        screen.table(["verdict", "score", "p", "text"], rows)
        return
    said = [(_said(each["answer"]), number(each["chance"]), each["text"]) for each in answers]
    screen.table(["answer", "chance", "text"], said)


def _said(answer: str | float) -> str:
    return answer if isinstance(answer, str) else f"{answer:.4g}"
