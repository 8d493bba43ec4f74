"""The counts by regular expressions are the readers' own, whatever the text and however it comes in pieces."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.errors import Refused
from affina.core.kinds import Reader, Record
from affina.data import lines
from affina.data.readers.jsonl import Jsonl
from affina.data.readers.text import PlainText
from affina.data.tiles import recount

READERS = (PlainText(by="line", encoding="utf-8"), PlainText(by="paragraph", encoding="utf-8"), Jsonl(encoding="utf-8"))


def outcome(reader: Reader, path: Path, size: int) -> list[Record]:
    """The records of a reader that takes so many characters at once; none where it is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK", size)
        try:
            found = list(reader.records(path))
        except Refused:
            stretches = reader.stretches(path)
            assert stretches is not None and stretches.count([path.read_bytes().decode()]) == 0
            return []
        assert recount(reader, path) == len(found)
    return found


@settings(deadline=None, max_examples=300)
@given(text=st.text('ab{}"\n\n\r \t\x85\u2028\x0c\x1c', min_size=1, max_size=40), size=st.integers(1, 9))
@pytest.mark.parametrize("reader", READERS, ids=["line", "paragraph", "jsonl"])
def test_records_and_their_count_do_not_depend_on_the_pieces(
    reader: Reader, tmp_path_factory: pytest.TempPathFactory, text: str, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.txt"
    path.write_bytes(text.encode())
    assert outcome(reader, path, size) == outcome(reader, path, 1 << 20)
