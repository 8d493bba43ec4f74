import io
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.errors import Refused
from affina.data import lines
from affina.data.lines import batches, chunks, physical_lines


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK", 3)


@pytest.mark.usefixtures("small")
@settings(deadline=None)
@given(text=st.text("ab\n\r\x85\u2028\x0c", max_size=40))
def test_batches_and_chunks_are_the_text_and_break_where_a_line_ends(text: str) -> None:
    found = list(batches(io.StringIO(text, newline=""), "f"))
    assert [line for batch in found for line in batch] == physical_lines(text)
    pieces = list(chunks(io.StringIO(text, newline="")))
    assert "".join(pieces) == text
    assert not any(one.endswith("\r") and two.startswith("\n") for one, two in pairwise(pieces))


def test_a_line_without_end_is_refused_where_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lines, "CHUNK", 4)
    monkeypatch.setattr(lines, "LONGEST", 20)
    with pytest.raises(Refused, match=r"^f:3: f has a line of more than"):
        list(batches(io.StringIO("one\ntwo\n" + "x" * 40, newline=""), "f"))
