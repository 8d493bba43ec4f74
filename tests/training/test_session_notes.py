"""A session says how its base is computed, where that is not the usual way."""

from collections.abc import Callable
from pathlib import Path

from tiny import Heard, session


def test_a_base_whose_attention_cannot_pack_is_named_before_training(
    tmp_path: Path, family: Callable[[str], Path], chat_model: Path
) -> None:
    heard = {name: Heard() for name in ("bloom", "usual")}
    for name, base in (("bloom", family("bloom")), ("usual", chat_model)):
        session(tmp_path / name, base).begin(heard[name])
    (said,) = [line for line in heard["bloom"].lines if "cannot pack rows" in line]
    assert "bloom" in said and "padded and computed together" in said and "no prefix is shared" in said
    assert not any("cannot pack" in line for line in heard["usual"].lines)
