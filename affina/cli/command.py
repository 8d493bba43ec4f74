"""One command line: finds the verb, parses, calls, prints, and turns every outcome into an exit code.

0 done, whatever the verdict · 1 the run failed · 2 the request cannot be met · 130 stopped by the user.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

from affina import __version__
from affina.cli.runtime import prepare
from affina.cli.verbs import VERBS
from affina.core.errors import AffinaError, Refused, nearest


class Parser(argparse.ArgumentParser):
    """argparse that refuses in affina's own words."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{self.prog}: {message}", instead=f"see `{self.prog} --help`")


def run(argv: list[str]) -> int:
    """Runs one command line and returns its exit code. An exception that is a bug is raised, with a note that it is."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter is no reason to stop
    as_json = "--json" in argv
    try:
        code = _answer(argv)
        sys.stdout.flush()
        return code
    except AffinaError as error:
        return _say_error(error, as_json)
    except KeyboardInterrupt:
        return _say_error(_interrupted(), as_json)
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        error.add_note("This is a bug in affina, not in your data or recipe: please report it with the lines above.")
        if as_json:
            _print_json({"error": {"what": f"a bug in affina: {error!r}", "why": "", "instead": "", "where": ""}})
        raise


def usage() -> str:
    """What `affina --help` prints."""
    verbs = "\n".join(f"  {verb:<10}{line}" for verb, (line, _) in VERBS.items())
    return (
        "usage: affina VERB …\n\n"
        "Specialises a pretrained language model on your own data and proves that the result is better.\n\n"
        f"{verbs}\n\n"
        "`affina VERB --help` explains a verb. Every verb takes --json, --quiet and --root.\n"
        "Start with: affina new FILE\n"
    )


def _answer(argv: list[str]) -> int:
    first = next((word for word in argv if word != "--json"), "--help")
    if first in ("-h", "--help"):
        _print(
            usage(), {"usage": usage(), "verbs": {verb: line for verb, (line, _) in VERBS.items()}}, "--json" in argv
        )
        return 0
    if first == "--version":
        _print(f"affina {__version__}\n", {"version": __version__}, "--json" in argv)
        return 0
    if argv[0].startswith("-"):
        raise Refused(f"no verb before '{argv[0]}'", instead="the verb comes first: affina VERB … OPTIONS")
    if argv[0] not in VERBS:
        raise Refused(f"no verb is called '{argv[0]}'", instead=nearest(argv[0], [*VERBS]))
    prepare()
    verb = import_module(VERBS[argv[0]][1])
    given = _parse(argv[0], argv[1:], verb)
    if given.offline:
        from affina.engine.offline import refuse_connections

        refuse_connections()
    from affina.cli.console import Screen

    with Screen(silent=given.quiet or given.json) as screen:
        result = verb.call(given, screen)
    if given.json:
        _print_json(result)
    else:
        verb.show(result, screen)
    return verb.exit_code(result) if hasattr(verb, "exit_code") else 0


def _parse(name: str, argv: list[str], verb: Any) -> argparse.Namespace:
    parser = Parser(prog=f"affina {name}", description=f"{VERBS[name][0].capitalize()}.", allow_abbrev=False)
    parser.set_defaults(offline=False)
    verb.arguments(parser)
    parser.add_argument("--root", default="runs", metavar="FOLDER", help="where runs live (default: ./runs)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    if "--json" in argv and {"-h", "--help"} & {*argv}:
        _print_json({"usage": parser.format_help()})
        parser.exit()
    given, unknown = parser.parse_known_intermixed_args(argv)  # options may stand between the arguments
    if unknown:
        options = [option for action in parser._actions for option in action.option_strings]
        instead = nearest(unknown[0].partition("=")[0], options) if unknown[0].startswith("-") else ""
        raise Refused(
            f"affina {name}: '{unknown[0]}' is not understood", instead=instead or f"see `affina {name} --help`"
        )
    return given


def _interrupted() -> AffinaError:
    from affina.core.errors import Stopped

    return Stopped("stopped", instead="the same command starts again")


def _say_error(error: AffinaError, as_json: bool) -> int:
    if as_json:
        parts = {"what": error.what, "why": error.why, "instead": error.instead, "where": error.where}
        _print_json({"error": parts})
    else:
        print(f"affina: {error}", file=sys.stderr)
    return error.exit_code


def _print(text: str, plain: Any, as_json: bool) -> None:
    if as_json:
        _print_json(plain)
    else:
        sys.stdout.write(text)


def _print_json(plain: Any) -> None:
    print(json.dumps(plain, ensure_ascii=False, allow_nan=False))
