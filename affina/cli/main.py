"""The `affina` command's first file. It imports nothing that takes time, so that Ctrl-C is heard from the start."""

import sys
from collections.abc import Sequence

from affina.cli.verbs import VERBS

__all__ = ["VERBS", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code. An exception that is a bug is raised, with a note that it is."""
    try:
        from affina.cli.command import run

        return run(sys.argv[1:] if argv is None else [*argv])
    except KeyboardInterrupt:  # before `run` could begin, or after it had ended
        print("affina: stopped. the same command starts again", file=sys.stderr)
        return 130


if __name__ == "__main__":
    code = main()
    # Under `python -m` a Ctrl-C inside a string that is executed (dataclasses execute theirs) is remembered though it
    # was answered, and the process would end by the signal instead of with its code; executing another forgets it.
    exec("")
    sys.exit(code)
