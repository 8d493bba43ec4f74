"""The length limit: what is cut is counted, what has nothing left goes out, and the books still add up."""

from pathlib import Path

import pytest

from affina.core.errors import Refused
from affina.core.kinds import objectives
from affina.core.recipe import Data
from affina.data.fit import fit, too_long
from affina.data.prepare import Prepared, read_examples
from affina.data.rows import Renderer


def read(folder: Path, *prompts: str) -> Prepared:
    lines = ["prompt,completion", *(f"{prompt},yes please" for prompt in prompts)]
    (folder / "asks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_examples(Data(read=["asks.csv"], shape="prompt_completion"), folder)


def test_a_row_is_cut_counted_or_withdrawn(tmp_path: Path, byte_base: Path) -> None:
    """A token per byte: 42 tokens and the prompt's length; the answer of 10 and its stop token are the last 11."""
    prepared = read(tmp_path, "a" * 10, "b" * 15, "c" * 40)
    objective = objectives.build("cross_entropy")
    whole = Renderer.open(byte_base, None, 512).rows(prepared.examples["all"])
    assert whole[0].targets == 11
    limit = len(whole[0].tokens)
    kept, rows = fit(prepared, objective, Renderer.open(byte_base, None, limit), "allow")
    assert [row.id for row in rows["all"]] == [each.id for each in kept.examples["all"]] == ["asks.csv:2", "asks.csv:3"]
    assert (rows["all"][1].cut, rows["all"][1].cut_targets, rows["all"][1].targets) == (5, 5, 6)
    summary = kept.ledger.summary()
    assert summary["used"] == {"all": 2}
    assert summary["cut"] == {"rows": 1, "tokens": 5, "targets": 5}
    assert summary["dropped"]["reasons"] == {"nothing to learn is left of it within data.max_tokens": 1}
    kept.ledger.reconcile()


def test_where_cutting_is_not_allowed_nothing_goes_out_and_the_sentence_says_what_to_set(
    tmp_path: Path, byte_base: Path
) -> None:
    prepared = read(tmp_path, "a" * 10, "c" * 40)
    renderer = Renderer.open(byte_base, None, 64)
    kept, rows = fit(prepared, objectives.build("cross_entropy"), renderer, "refuse")
    assert kept is prepared
    size = len(Renderer.open(byte_base, None, 512).rows(prepared.examples["all"])[1].tokens)
    assert too_long(rows, 64).endswith(
        f"the longest is asks.csv:3 with {size}: set data.max_tokens to {size}, or data.truncate to allow"
    )
    assert too_long({"all": []}, 64) == ""


def test_a_row_longer_than_the_base_takes_is_not_answered_with_a_higher_max_tokens(
    tmp_path: Path, byte_base: Path
) -> None:
    prepared = read(tmp_path, "a" * 10, "c" * 5000)
    unbounded = Renderer.open(byte_base, None, 64)
    base_limit = unbounded.vocabulary.limit
    assert base_limit < 5000
    remedy = "divide the long texts, set data.truncate to allow, or choose a base with a longer context"
    for limit in (64, 10**6):
        renderer = Renderer.open(byte_base, None, limit)
        _, rows = fit(prepared, objectives.build("cross_entropy"), renderer, "refuse")
        sentence = too_long(rows, renderer.max_tokens)
        assert sentence.endswith(remedy) and "set data.max_tokens" not in sentence
        assert f"{base_limit}" in sentence


def test_a_split_left_without_rows_is_refused(tmp_path: Path, byte_base: Path) -> None:
    with pytest.raises(Refused, match=r"cut to 16 tokens, no row of the all split has anything left to learn\. raise"):
        fit(read(tmp_path, "a" * 30), objectives.build("cross_entropy"), Renderer.open(byte_base, None, 16), "allow")
