import subprocess
import sys
from pathlib import Path

import made_files
import pytest

from affina.core.errors import Refused
from affina.core.kinds import readers
from affina.data.library import needing

NEEDED = {
    "pdf": ("pypdf", made_files.pdf(["words"])),
    "docx": ("docx", made_files.docx(("Normal", "words"))),
    "excel": ("python_calamine", made_files.xlsx([["a"], [1]])),
    "epub": ("defusedxml", made_files.epub({"one.xhtml": made_files.xhtml("<p>words</p>")})),
    "html": ("selectolax", b"<p>words</p>"),
    "rst": ("docutils", b"words"),
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_library_is_a_sentence_where_it_is_needed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, content = NEEDED[name]
    path = tmp_path / "file"
    path.write_bytes(content)
    for loaded in [each for each in sys.modules if each.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Refused, match=r"needs .*pip install 'affina\[documents\]'"):
        list(readers.build(name).records(path))


def test_other_errors_are_no_missing_library() -> None:
    with pytest.raises(ZeroDivisionError), needing("dividing", "numbers"):
        raise ZeroDivisionError


def test_knowing_every_ending_loads_no_library_of_a_format() -> None:
    heavy = [library for library, _ in NEEDED.values()]
    script = (
        "import sys\nfrom affina.data.recognise import suffixes\nassert '.pdf' in suffixes()\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
