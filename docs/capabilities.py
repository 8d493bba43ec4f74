"""Renders docs/capabilities.yaml as the README's capability table: `python docs/capabilities.py` rewrites it in place.

A row's state is computed, never written: no test, not yet; tests and something missing, partly; else, works.
"""

from pathlib import Path

import yaml

HERE = Path(__file__).parent
START = "<!-- capabilities: written by docs/capabilities.py -->"
END = "<!-- /capabilities -->"


def table() -> str:
    """The table in Markdown."""
    lines = ["| area | capability | state | what there is | what is missing |", "|---|---|---|---|---|"]
    areas = yaml.safe_load((HERE / "capabilities.yaml").read_text(encoding="utf-8"))
    for area, rows in areas.items():
        for name, row in rows.items():
            row = row or {}
            state = "not yet" if not row.get("tests") else "partly" if row.get("missing") else "**works**"
            lines.append(f"| {area} | {name} | {state} | {row.get('has', '')} | {row.get('missing', '')} |")
    return "\n".join(lines)


def written(readme: str) -> str:
    """The README's text with the table between its marks."""
    before, rest = readme.split(START)
    return f"{before}{START}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    path = HERE.parent / "README.md"
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
