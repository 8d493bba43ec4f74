"""The options that several verbs share: `--set` where a recipe is read, `--offline` where a model may be fetched."""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from affina.core.errors import Refused


def offline(parser: argparse.ArgumentParser) -> None:
    """Adds `--offline`."""
    parser.add_argument("--offline", action="store_true", help="refuse every outgoing connection")


def recipe(parser: argparse.ArgumentParser) -> None:
    """Adds the recipe and `--set`."""
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's YAML file; `affina new FILE` writes one")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="change a setting, as in --set train.epochs=1"
    )


def sampling(parser: argparse.ArgumentParser) -> None:
    """Adds how answers are generated."""
    parser.add_argument("--max-tokens", type=int, default=128, metavar="N", help="longest answer (default: 128)")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0 takes the likeliest token")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed draws the same answer")


def changes(given: argparse.Namespace) -> dict[str, Any]:
    """The dotted settings of `--set`, values read as YAML. Raises Refused for one that is not `a.b=c`."""
    found = {}
    for each in given.set:
        key, equals, value = each.partition("=")
        if not equals or not key.strip("."):
            raise Refused(f"--set {each} sets nothing", instead="write it as --set train.epochs=1")
        found[key] = inline(f"--set {each}", value)
    return found


def inline(option: str, text: str | None) -> Any:
    """What an option's text is as YAML; None where it is not given. Raises Refused for what is not YAML."""
    import yaml

    try:
        return None if text is None else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"{option} cannot be read", why=" ".join(str(error).split())) from error


def sampled(given: argparse.Namespace) -> Any:
    """The `Sampling` that the options ask for. Raises Refused for values that mean nothing."""
    from affina.core.kinds import Sampling

    if given.max_tokens < 1:
        raise Refused(f"--max-tokens {given.max_tokens} leaves no room for an answer", instead="give 1 or more")
    if given.temperature < 0:
        raise Refused(f"--temperature {given.temperature:g} is below 0", instead="0 takes the likeliest token")
    return Sampling(max_tokens=given.max_tokens, temperature=given.temperature, seed=given.seed)


def typed(*words: str) -> str:
    """A command to type next: this program and its arguments, quoted for the shell where they need it."""
    return shlex.join([command(), *words])


def command() -> str:
    """How this program is called from here: by name where the shell finds it, by its path where it does not."""
    own = Path(sys.argv[0])
    found = shutil.which("affina")
    if own.name != "affina" or (found and Path(found).resolve() == own.resolve()):
        return "affina"
    return os.path.relpath(own)


def where_runs_live(given: argparse.Namespace) -> list[str]:
    """What a command to type next must repeat so that it finds the same runs."""
    return [] if given.root == "runs" else ["--root", given.root]
