import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.data.strict_json import Decoder

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(rows=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 1]))
def test_elements_are_those_the_standard_library_reads(rows: list[object], indent: int | None) -> None:
    text = json.dumps(rows, indent=indent)
    found = list(Decoder().elements(text, 0))
    assert [decoded.value for _, decoded in found] == json.loads(text)
    assert [json.loads(text[start : decoded.end]) for start, decoded in found] == json.loads(text)


@settings(deadline=None)
@given(members=st.dictionaries(st.text(), VALUES, max_size=6))
def test_members_are_those_the_standard_library_reads(members: dict[str, object]) -> None:
    text = json.dumps(members)
    assert {key: decoded.value for key, _, decoded in Decoder().members(text, 0)} == json.loads(text)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "[1,]", "01", "{} {}", "[" * 100_000])
def test_what_the_standard_does_not_allow_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        Decoder().whole(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' stands twice"), ('["\\udc00"]', "half"), ('["\\ud83d\\ude00"]', "")],
)
def test_what_parses_and_still_is_wrong_is_a_problem(text: str, problem: str) -> None:
    found = Decoder().whole(text).problem
    assert problem in found and bool(found) == bool(problem)
