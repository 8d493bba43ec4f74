"""Renders every part a recipe can name, from the parts themselves: `python docs/parts.py` rewrites docs/parts.md.

A test holds the committed page to what this prints.
"""

from pathlib import Path
from typing import Any

from affina.core.kinds import SHELVES

HERE = Path(__file__).parent
HEAD = """# The parts

Written by `python docs/parts.py` from the parts themselves. A recipe names a part, or a part with settings:
`tuning: lora`, `tuning: {name: lora, rank: 8}`. `affina describe NAME` prints the same.
"""


def page() -> str:
    """The whole page in Markdown."""
    lines = [HEAD]
    for title, shelf in SHELVES.items():
        lines += [f"## {title}", ""]
        for name in shelf.names():
            part: Any = shelf.find(name)
            lines += [f"**`{name}`** {' '.join((part.__doc__ or '').split())}", ""]
            lines += [_setting(field, info) for field, info in part.model_fields.items()]
            lines += [""] if part.model_fields else []
    return "\n".join(lines).rstrip() + "\n"


def _setting(field: str, info: Any) -> str:
    default = "" if info.is_required() else f" (`{info.get_default(call_default_factory=True)!r}`)"
    return f"- `{field}`{default}: {' '.join((info.description or '').split())}"


if __name__ == "__main__":
    (HERE / "parts.md").write_text(page(), encoding="utf-8")
