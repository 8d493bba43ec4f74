"""docs/parts.md says what the parts say."""

import runpy

from source_files import ROOT


def test_the_page_of_parts_is_what_the_parts_render() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "parts.py"))
    assert (ROOT / "docs" / "parts.md").read_text(encoding="utf-8") == script["page"](), "run `python docs/parts.py`"
