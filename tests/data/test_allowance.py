import errno
import io
from collections import namedtuple

import pytest

from affina.core.errors import Failed, Refused
from affina.data import allowance
from affina.data.allowance import HARMLESS, RATIO, Allowance, copied, damage

Usage = namedtuple("Usage", "total used free")


def test_what_is_many_times_its_size_is_a_bomb() -> None:
    size = HARMLESS // RATIO + 1000
    spending = Allowance("a.zip", size)
    spending.spend(RATIO * size)
    with pytest.raises(Refused, match=r"a.zip is a bomb"):
        spending.spend(1)


def test_what_is_small_is_no_bomb_and_a_stream_has_no_size() -> None:
    small, stream = Allowance("a.zip", 10), Allowance("stdin")
    small.spend(HARMLESS)
    stream.spend(100 * HARMLESS)
    assert (small.spent, stream.spent) == (HARMLESS, 100 * HARMLESS)


def test_a_disk_that_would_be_full_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance.shutil, "disk_usage", lambda path: Usage(10**9, 0, allowance.SPARE + 1000))
    spending = Allowance("stdin")
    spending.fits(1000)
    with pytest.raises(Refused, match="set AFFINA_CACHE to a folder on a roomier disk"):
        spending.fits(1001)
    monkeypatch.setattr(allowance.shutil, "disk_usage", lambda path: Usage(10**9, 0, allowance.SPARE - 1))
    with pytest.raises(Refused, match="stdin cannot be unpacked"):
        copied(io.BytesIO(b"x"), "x", "x", Allowance("stdin"))


def test_a_full_disk_is_a_failure_and_bad_bytes_are_refused() -> None:
    with pytest.raises(Failed, match="No space left"), damage("a.gz", Allowance("a.gz", 1)):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Refused) as error, damage("a.gz", Allowance("a.gz", 1)):
        raise OSError("bad data")
    assert str(error.value).startswith("a.gz is damaged or cut off: after 0 bytes of what it holds: bad data.")
