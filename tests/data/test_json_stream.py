"""A document that comes in pieces of any size is read, refused and counted as it is when it comes whole."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.errors import Refused
from affina.core.kinds import Record
from affina.data import json_places, json_stream, lines
from affina.data.readers.json import Json
from affina.data.tiles import recount

SIGNS = 'ab"\\[]{},:\n\u2028é'
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(SIGNS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\[0'), inner, max_size=3),
    max_leaves=12,
)
ROWS = st.dictionaries(st.text("ab"), VALUES, max_size=2)
DOCUMENTS = st.one_of(
    VALUES,
    st.lists(VALUES, max_size=5),
    st.dictionaries(st.text("abc0"), st.lists(ROWS, max_size=3), max_size=3),
    st.dictionaries(st.text("ab"), st.lists(st.integers(), min_size=2, max_size=2), max_size=3),
    st.dictionaries(st.text("abc"), ROWS, max_size=3),
)
FAULTS = st.sampled_from(["'", '"', ",", "}", "]", "x", "\\", "NaN", ":", "1"])


def outcome(path: Path, size: int, **fields: Any) -> list[Record] | str:
    """What a reader that takes so many characters at once makes of the file."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (lines, json_stream, json_places):
            patch.setattr(module, "CHUNK", size)
        reader = Json(**fields)
        try:
            found = list(reader.records(path))
        except Refused as error:
            if "holds no records" in str(error):
                assert reader.count(path) == 0
            else:
                with pytest.raises(Refused):
                    recount(reader, path)
            return str(error)
        assert reader.count(path) == recount(reader, path) == len(found)
        return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "a.json"


@settings(deadline=None, max_examples=150)
@given(
    document=DOCUMENTS, indent=st.sampled_from([None, 1]), size=st.integers(1, 40), end=st.sampled_from(["\n", "\r\n"])
)
def test_pieces_of_any_size_give_the_same_records_and_counts(
    path: Path, document: Any, indent: int | None, size: int, end: str
) -> None:
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=False), encoding="utf-8", newline=end)
    assert outcome(path, size) == outcome(path, 1 << 20)


@settings(deadline=None, max_examples=150)
@given(document=DOCUMENTS, size=st.integers(1, 40), fault=FAULTS, data=st.data())
def test_a_fault_is_found_where_the_standard_library_finds_it(
    path: Path, document: Any, size: int, fault: str, data: st.DataObject
) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False)
    at = data.draw(st.integers(0, len(text) - 1))
    path.write_text(text := text[:at] + fault + text[at + 1 :], encoding="utf-8", newline="")
    found = outcome(path, size)
    try:
        json.loads(text, parse_constant=lambda name: pytest.fail("NaN is tried below"))
    except json.JSONDecodeError as error:
        assert isinstance(found, str) and "not JSON" in found
        if not error.msg.startswith(("Extra data", "Illegal trailing")):
            assert f"a.json:{error.lineno}:{error.colno}: " in found
    except pytest.fail.Exception:
        assert isinstance(found, str) and "NaN is not JSON" in found
    else:
        assert not isinstance(found, str) or "holds no records" in found or "stands twice" in found


PLAIN = st.sampled_from([1, "x [", 'y"}', None])
INNER = PLAIN | st.dictionaries(st.sampled_from(["b", "c\\", "p"]), PLAIN, max_size=2)
MIDDLE = PLAIN | st.dictionaries(st.sampled_from("qzp"), PLAIN | st.lists(INNER, max_size=3), max_size=3)
OUTER = PLAIN | st.dictionaries(st.sampled_from("pz"), PLAIN | st.lists(MIDDLE, max_size=3), max_size=3)


@settings(deadline=None, max_examples=150)
@given(
    document=OUTER | st.lists(OUTER, max_size=3),
    each=st.sampled_from(["p[].q[]", "[].p[].q[]", "[].p[]", "p[]", "z[].q[]"]),
    size=st.integers(1, 30),
    twice=st.booleans(),
)
def test_lists_in_lists_are_counted_as_they_are_read(
    path: Path, document: Any, each: str, size: int, twice: bool
) -> None:
    text = json.dumps(document)
    path.write_text(text.replace('"z"', '"q"') if twice else text, encoding="utf-8")
    assert outcome(path, size, each=each) == outcome(path, 1 << 20, each=each)
