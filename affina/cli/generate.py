"""`affina generate MODEL [PROMPT…]`: answers to the prompts given, or to the lines of standard input."""

import argparse
import sys
from collections.abc import Iterable
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen
from affina.core.errors import Refused

NOTHING = "(nothing)"
"""Shown for an empty answer: no label, no passage, no word."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the prompts and how to sample."""
    parser.add_argument("model", metavar="MODEL", help="a run, a folder, an alias, a hub name or an endpoint's URL")
    parser.add_argument("prompts", nargs="*", metavar="PROMPT", help="a text; without one, each line of standard input")
    settings.sampling(parser)
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """{"model", "answers": [{"prompt", "answer", "stopped"}]}. Raises Refused when there is nothing to answer."""
    how = settings.sampled(given)
    prompts = given.prompts or ([] if sys.stdin.isatty() else prompts_of(sys.stdin))
    if not any(prompt.strip() for prompt in prompts):
        raise Refused(
            "there is no prompt",
            instead=f"{settings.typed('generate', given.model, 'a text')}, or a text on each line of standard input",
        )
    answers = affina.generate(given.model, prompts, how=how, root=given.root, offline=given.offline, say=screen.say)
    return {"model": given.model, "answers": answers}


def prompts_of(lines: Iterable[str]) -> list[str]:
    """A prompt per line; a line of white space is none."""
    return [line.rstrip("\r\n") for line in lines if line.strip()]


def show(generated: dict[str, Any], screen: Screen) -> None:
    """A single answer alone; several under their prompts. An answer that was cut ends in an ellipsis."""
    answers = generated["answers"]
    for answer in answers:
        if len(answers) > 1:
            screen.heading(answer["prompt"])
        screen.text((answer["answer"] or NOTHING) + ("" if answer["stopped"] else " …"))
