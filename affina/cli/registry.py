"""The options that verbs about releases share: where the registry is, who acts, and the MLflow server."""

import argparse
from typing import Any

import affina


def options(parser: argparse.ArgumentParser) -> None:
    """Adds `--registry` and `--by`."""
    parser.add_argument(
        "--registry", default="", metavar="WHERE",
        help="a folder, or a database's address with ${NAME} for secrets (default: AFFINA_REGISTRY or ROOT/releases)",
    )  # fmt: skip
    by = (
        "who acts (default: the system's user); taken at its word, which proves nobody's identity: the audit log keeps "
    )
    parser.add_argument("--by", default="", metavar="NAME", help=f"{by}the system's user and the machine beside it")


def mirror(parser: argparse.ArgumentParser) -> None:
    """Adds `--mlflow`."""
    parser.add_argument("--mlflow", default="", metavar="URL", help="copy it to this MLflow server (or AFFINA_MLFLOW)")


def place(given: argparse.Namespace) -> Any:
    """The `Place` that the options name."""
    return affina.Place(given.root, given.registry, given.by)


def again(given: argparse.Namespace) -> list[str]:
    """What a command to type next must repeat so that it finds the same registry."""
    where = ["--registry", given.registry] if given.registry else []
    return [*(["--root", given.root] if given.root != "runs" else []), *where]
