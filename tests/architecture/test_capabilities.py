"""The capability table says what the tests exercise, row by row of the specification."""

import re
import runpy
from typing import Any

import yaml
from shared_data import shared
from source_files import ROOT

AREAS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "capabilities.yaml").read_text(encoding="utf-8"))


def test_the_readme_holds_the_table_that_the_rows_render() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "capabilities.py"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert script["written"](readme) == readme, "run `python docs/capabilities.py`"


def test_a_row_that_claims_something_names_tests_that_exist() -> None:
    for rows in AREAS.values():
        for name, row in rows.items():
            assert not row or row.get("tests"), f"{name} claims something without a test"
            for test in (row or {}).get("tests", []):
                text = (ROOT / test).read_text(encoding="utf-8")
                assert re.search(r"^(async )?def test_", text, re.MULTILINE), f"{name}: {test} tests nothing"


def test_every_capability_of_the_specification_has_a_row() -> None:
    bold = re.findall(r"\*\*(.+?)\*\*", shared("SPEC.md").read_text(encoding="utf-8"), re.DOTALL)
    asked = {" ".join(each.split()).lower() for each in bold}
    assert asked == {name.lower() for rows in AREAS.values() for name in rows}
