"""Renders the recipe's settings and every part it can name, from themselves: `python docs/parts.py` rewrites
docs/parts.md.

A test holds the committed page to what this prints.
"""

from pathlib import Path
from typing import Any

from affina.core.kinds import SHELVES
from affina.core.recipe import Compute, Data, Evaluate, Train
from affina.core.section import Section

HERE = Path(__file__).parent
HEAD = """# The parts

Written by `python docs/parts.py` from the parts themselves. A recipe names a part, or a part with settings:
`tuning: lora`, `tuning: {name: lora, rank: 8}`. `affina describe NAME` prints the same.
"""


SECTIONS = {"data": Data, "train": Train, "train.compute": Compute, "evaluate": Evaluate}


def page() -> str:
    """The whole page in Markdown."""
    lines = [HEAD, "## The recipe", ""]
    for section, kind in SECTIONS.items():
        lines += [f"**`{section}`** {' '.join((kind.__doc__ or '').split())}", ""]
        lines += [_setting(field, info) for field, info in kind.model_fields.items()] + [""]
    for title, shelf in SHELVES.items():
        lines += [f"## {title}", ""]
        for name in shelf.names():
            part: Any = shelf.find(name)
            lines += [f"**`{name}`** {' '.join((part.__doc__ or '').split())}", ""]
            lines += [_setting(field, info) for field, info in part.model_fields.items()]
            lines += [""] if part.model_fields else []
    return "\n".join(lines).rstrip() + "\n"


def _setting(field: str, info: Any) -> str:
    given = None if info.is_required() else info.get_default(call_default_factory=True)
    default = "" if info.is_required() or isinstance(given, Section) else f" (`{given!r}`)"
    return f"- `{field}`{default}: {' '.join((info.description or '').split())}"


if __name__ == "__main__":
    (HERE / "parts.md").write_text(page(), encoding="utf-8")
