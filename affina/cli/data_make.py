"""`affina data make MAKER`: rows that a model makes from documents, seed tasks or requests."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The maker, what it makes rows from, the models, and how much is wanted."""
    parser.add_argument(
        "maker", metavar="MAKER", help="questions, self_instruct or self_refine; see `affina list makers`"
    )
    parser.add_argument(
        "--from", dest="files", nargs="+", required=True, metavar="FILE", help="documents, seed tasks or requests"
    )
    parser.add_argument("--model", required=True, metavar="MODEL", help="a run, a folder, an alias or a hub name")
    parser.add_argument("--critic", default="", metavar="MODEL", help="who judges (default: the model itself)")
    parser.add_argument("--out", required=True, metavar="FILE", help="the rows, as JSON lines; never written over")
    parser.add_argument("--n", type=int, default=100, metavar="N", help="rows wanted (default: 100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed makes the same rows")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A=B", help="a setting of the maker, as in --set tries=8"
    )
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    maker = {**settings.changes(given), "name": given.maker}
    making = affina.Making(given.model, given.critic, given.n, given.seed)
    found: dict[str, Any] = affina.data_make(
        maker, given.files, given.out, making, (given.root, given.offline), screen.say
    )
    return found


def show(made: dict[str, Any], screen: Screen) -> None:
    """How many were kept of how many, why the others were not, and where everything is."""
    screen.text(f"{made['kept']:,} rows of {made['tried']:,} tried in {made['out']}; ended: {made['ended']}")
    if made["spans"]["rows"]:
        screen.text(f"answers that stand where they are said to: {made['spans']['right']} of {made['spans']['rows']}")
    screen.table(["rejected because", "times"], [(reason, f"{times:,}") for reason, times in made["rejected"].items()])
    screen.text(f"report: {made['report']}")
