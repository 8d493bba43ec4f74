"""`affina export MODEL --to FORMAT --out FOLDER`: a run in another program's format, shown to say what the run says."""

import argparse
from typing import Any

import affina
from affina.cli import settings
from affina.cli.console import Screen, amount


def arguments(parser: argparse.ArgumentParser) -> None:
    """The run, the format, where to write, what to show parity on."""
    parser.add_argument("model", metavar="MODEL", help="a run or a release")
    parser.add_argument(
        "--to", required=True, metavar="FORMAT", help="safetensors, peft, gguf …, or '{name: gguf, type: q4_0}'"
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="a folder that is not there yet")
    parser.add_argument("--on", metavar="FILE", help="examples to show parity on (default: the run's own test split)")
    settings.offline(parser)


def call(given: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """The function of the same name."""
    where = affina.Where(given.root, given.offline)
    to = settings.inline(f"--to {given.to}", given.to)
    made: dict[str, Any] = affina.export(given.model, to, given.out, given.on, where, screen.say)
    return made


def show(made: dict[str, Any], screen: Screen) -> None:
    """What was written, and how far it is from the run."""
    screen.text(f"{made['folder']}: {amount(made['bytes'])}B, run by {made['engine']}")
    screen.text(parity(made["parity"]))


def parity(found: dict[str, Any]) -> str:
    """The figures in a sentence."""
    logits, kl, greedy, beside = (found[name] for name in ("logits", "kl", "greedy", "yardstick"))
    said = [
        f"on {found['items']} items, {found['tokens']:,} tokens, beside {found['reference']}: "
        f"largest difference of a logit {logits['largest']:.3g}{_bound(logits)}",
        f"mean KL {kl['mean']:.3g} nats per token of the answers{_bound(kl)}, {kl['everywhere']:.3g} of whole rows",
    ]
    if beside:
        said.append(f"llama.cpp's own 4 bits {beside['everywhere']:.3g}")
    if greedy["answers"]:
        ties = f", {greedy['ties']} parted at a tie" if greedy["ties"] else ""
        said.append(f"{greedy['equal']} of {greedy['answers']} greedy answers equal{ties}")
    said.append(f"{found['prompts']['rendered']} prompts rendered and {found['prompts']['encoded']} encoded alike")
    return " · ".join(said)


def _bound(of: dict[str, Any]) -> str:
    return "" if of["bound"] is None else f" (at most {of['bound']:.3g})"
