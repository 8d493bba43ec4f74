"""`affina verify MODEL --against URL`: whether a running endpoint serves exactly this run or release."""

import argparse
from typing import Any

from affina.cli import settings
from affina.cli.console import Screen


def arguments(parser: argparse.ArgumentParser) -> None:
    """The artefact, the endpoint, and how much is asked."""
    parser.add_argument("model", metavar="MODEL", help="a run or a release: what should be served")
    parser.add_argument("--against", required=True, metavar="URL", help="http://host:port/v1#model,key=VARIABLE")
    parser.add_argument("--on", metavar="FILE", help="prompts to ask (default: the run's own test items)")
    parser.add_argument("--items", type=int, default=20, metavar="N", help="how many prompts (default: 20)")
    parser.add_argument(
        "--within", type=float, default=0.05, metavar="X", help="how far a log-probability may be off (default: 0.05)"
    )
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    import affina
    from affina.release.verify import Strictness
    from affina.training.embedded import Where

    strictness = Strictness(given.items, given.within)
    where = Where(root=given.root, offline=given.offline)
    found: dict[str, Any] = affina.verify(given.model, given.against, given.on, strictness, where, screen.say)
    return found


def show(found: dict[str, Any], screen: Screen) -> None:
    """A row per check, then the sentence."""
    rows = [(each["name"], each["state"], each["detail"]) for each in found["checks"]]
    screen.table(["check", "state", "what was seen"], rows)
    differs = [each["name"] for each in found["checks"] if each["state"] == "differs"]
    if differs:
        screen.text(f"{found['against']} does not serve {found['model']}: {', '.join(differs)} differ")
    else:
        screen.text(f"{found['against']} serves {found['model']}, as far as {found['items']} prompts show")
    if found["not_proven"]:
        screen.text(f"not proven: {', '.join(found['not_proven'])}")


def exit_code(found: dict[str, Any]) -> int:
    """1 where something differs."""
    return 0 if found["agrees"] else 1
