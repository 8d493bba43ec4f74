"""A module run in a process of its own, so that this one never loads torch; its errors are raised here."""

import json
import os
import sys
from pathlib import Path

from affina.core.errors import AffinaError, Failed, Refused
from affina.engine.fetch import last_line, run_quietly


def run_apart(module: str, failure: str, *arguments: str) -> None:
    """Runs `python -m module`. Raises the AffinaError that it told in its last line; Failed, saying what the `failure`
    is, where it ended otherwise."""
    package = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    done = run_quietly([sys.executable, "-P", "-m", module, *arguments], {"PYTHONPATH": paths, "TQDM_DISABLE": "1"})
    if not done.returncode:
        return
    try:
        plain = json.loads(last_line(done.stdout))
    except ValueError:
        raise Failed(failure, last_line(done.stderr)) from None
    raise (Refused if done.returncode == Refused.exit_code else Failed)(**plain)


def told(error: AffinaError) -> str:
    """An error as the line that `run_apart` reads."""
    return json.dumps({"what": error.what, "why": error.why, "instead": error.instead})
