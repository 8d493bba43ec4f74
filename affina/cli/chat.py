"""`affina chat MODEL`: a conversation on a terminal, or one line at a time from a pipe."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The model and how to sample."""
    parser.add_argument("model", metavar="MODEL", help="a run, a folder, an alias, a hub name or an endpoint's URL")
    settings.sampling(parser)
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """{"model", "turns": [{"said", "answer"}]}; unless --json, each answer is printed as it comes."""
    conversation = affina.chat(
        given.model, how=settings.sampled(given), root=given.root, offline=given.offline, say=screen.say
    )
    turns = []
    for said in _lines(screen):
        answer = ""
        for piece in conversation.pieces(said):
            answer += piece
            if not given.json:
                screen.piece(piece)
        turns.append({"said": said, "answer": answer})
        if not given.json:
            screen.piece("\n")
    return {"model": given.model, "turns": turns}


def show(talked: dict[str, Any], screen: Screen) -> None:
    """Nothing: the answers were printed as they came."""


def _lines(screen: Screen) -> Iterator[str]:
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    import readline  # noqa: F401  (gives input() editing and history)

    screen.say.line("Type a message; Ctrl-D ends the conversation.")
    while True:
        try:
            said = input("you> ").strip()
        except EOFError:
            screen.text()
            return
        if said:
            yield said
