import datetime
import math
from decimal import Decimal
from ipaddress import IPv6Interface
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.data.plain import chosen, plain, record, refuse_unnamed

HOUR = datetime.timezone(datetime.timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**63, 2**63),
        ("caffè \U0001f375", "caffè \U0001f375"),
        (float("nan"), None),
        (math.inf, math.inf),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("NaN"), None),
        (datetime.datetime(2024, 5, 1, 9, 30, tzinfo=HOUR), "2024-05-01 09:30:00+02:00"),
        (datetime.datetime(1, 1, 1), "0001-01-01 00:00:00"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (datetime.time(9, 30, 0, 5), "09:30:00.000005"),
        (datetime.timedelta(days=1, seconds=3), "1 day, 0:00:03"),
        (IPv6Interface("::1/64"), "::1/64"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("è".encode(), "è"),
        (memoryview(b"ab"), "ab"),
        ([1, (Decimal("2.0"), {"a": b"x"})], [1, ["2.0", {"a": "x"}]]),
        ({datetime.date(2024, 5, 1): [None]}, {"2024-05-01": [None]}),
        ({1: 2}, {"1": 2}),
        (np.float16(1.5), 1.5),
        (np.int64(3), 3),
        (np.float32("nan"), None),
    ],
)
def test_a_value_becomes_plain(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("value", [b"\xff\xfe", [b"\x89PNG"], {"bytes": b"\x80"}, object(), 1j])
def test_what_is_no_data_is_a_problem_of_its_row(value: object) -> None:
    with pytest.raises(ValueError, match="holds"):
        plain(value)
    found = record(["text", "image"], ["words", value], "a.parquet", 7)
    assert found.values == {"text": "words", "image": None} and found.line == 7
    assert found.problem.startswith("column 'image' holds ")


def test_columns_without_a_name_of_their_own_are_refused() -> None:
    refuse_unnamed(["a", "b"], "x", "mend it")
    with pytest.raises(Refused, match="two columns called 'a'"):
        refuse_unnamed(["a", "b", "a"], "x", "mend it")
    for nothing in ("", " "):
        with pytest.raises(Refused, match="without a name: it is number 2"):
            refuse_unnamed(["a", nothing], "x", "mend it")


def test_columns_are_chosen_in_the_files_own_order() -> None:
    assert chosen(["a", "b", "c"], (), Path("x")) == ["a", "b", "c"]
    assert chosen(["a", "b", "c"], ("c", "a"), Path("x")) == ["a", "c"]
    with pytest.raises(Refused, match=r"no column 'texto'\. did you mean 'text'"):
        chosen(["text", "label"], ("texto",), Path("x"))
