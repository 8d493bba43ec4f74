"""Dates in the usual ways of writing become seconds, and what can be read in two ways is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from affina.core.errors import Refused
from affina.data.moments import moments


@pytest.mark.parametrize(
    "written",
    [
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%d %H:%M:%S +0000", "%a, %d %b %Y %H:%M:%S +0000",
        "%a %b %d %H:%M:%S +0000 %Y", "%d/%m/%Y %H:%M", "%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%d %B %Y",
    ],
)  # fmt: skip
def test_dates_are_ordered_however_they_are_written(written: str) -> None:
    times = [datetime(2019, 11, 28, 13, 5, tzinfo=UTC) + timedelta(days=37 * day) for day in range(12)]
    found = moments([time.strftime(written) for time in times], "when")
    assert (found[1:] > found[:-1]).all()
    if written != "%Y%m%d":
        assert all(abs(one - time.timestamp()) <= 86_400 for one, time in zip(found, times, strict=True))


def test_numbers_are_themselves() -> None:
    assert moments(["3", " 1.5 ", "-2e3"], "when").tolist() == [3.0, 1.5, -2000.0]


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["2020-01-01", "soon"], "'soon' is no date"),
        (["2020-01-01", "3 May 2020"], "written in different ways"),
        (["01/02/2020", "05/04/2020"], "day/month and as month/day"),
        (["nan", "1"], "'nan' is no date"),
    ],
)
def test_what_is_no_date_or_two_is_refused(texts: list[str], why: str) -> None:
    with pytest.raises(Refused, match=why):
        moments(texts, "when")


def test_a_date_that_settles_the_order_of_day_and_month_does_so_for_all() -> None:
    found = moments(["01/02/2020", "25/01/2020"], "when")
    assert found[0] - found[1] == 7 * 86_400
