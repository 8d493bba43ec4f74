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

WIDTH = 14
"""Columns that a verb's name takes in the help."""
FIRST = {"": "new FILE", "data": "data look FILE"}
"""What to begin with; and in a group of verbs."""


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


def usage(group: str = "") -> str:
    """What `affina --help` prints; of a `group` of verbs, what `affina GROUP --help` does."""
    verbs = "\n".join(f"  {verb:<{WIDTH}}{line}" for verb, line in _lines(group).items())
    return (
        f"usage: affina {f'{group} ' if group else ''}VERB …\n\n"
        "Specialises a pretrained language model on your own data and proves that the result is better.\n\n"
        f"{verbs}\n\n"
        "`affina VERB --help` explains a verb. Every verb takes --json, --quiet and --root.\n"
        f"Start with: affina {FIRST[group]}\n"
    )


def _answer(argv: list[str]) -> int:
    as_json = "--json" in argv
    words = [word for word in argv if word != "--json"] or ["--help"]
    group = words[0] if words[0] in _groups() else ""
    if (words[1:] if group else words)[:1] in ([], ["-h"], ["--help"]):
        _print(usage(group), {"usage": usage(group), "verbs": _lines(group)}, as_json)
        return 0
    if words[0] == "--version":
        _print(f"affina {__version__}\n", {"version": __version__}, as_json)
        return 0
    name, rest = _verb(argv)
    prepare()
    verb = import_module(VERBS[name][1])
    given = _parse(name, rest, verb)
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


def _groups() -> set[str]:
    """The first words of verbs of two words."""
    return {verb.partition(" ")[0] for verb in VERBS if " " in verb}


def _lines(group: str) -> dict[str, str]:
    """Verb → what it does; of all, or of one group."""
    return {verb: line for verb, (line, _) in VERBS.items() if not group or verb.startswith(f"{group} ")}


def _verb(argv: list[str]) -> tuple[str, list[str]]:
    """The verb, of one word or of two, and what follows it. Raises Refused for none, and for an unknown one."""
    words = 2 if argv[0] in _groups() else 1
    option = next((word for word in argv[:words] if word.startswith("-")), None)
    if option is not None:
        raise Refused(f"no verb before '{option}'", instead="the verb comes first: affina VERB … OPTIONS")
    name = " ".join(argv[:words])
    if name not in VERBS:
        known = [*_lines(argv[0])] if words == 2 else [*(verb for verb in VERBS if " " not in verb), *_groups()]
        raise Refused(f"no verb is called '{name}'", instead=nearest(name, known))
    return name, argv[words:]


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
