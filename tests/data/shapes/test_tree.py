"""Trees: which conversations and pairs they give, held to counts made another way from the published trees."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from shared_data import shared

from affina.core.example import Chat, Message, Pair
from affina.core.kinds import Record, Unusable, shapes
from affina.data.recognise import shape_for


def said(role: str, text: str, *replies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": role, "text": text, "replies": [*replies], **more}


def given(root: Any, give: str = "best") -> list[Any]:
    shape = shapes.build({"name": "tree", "give": give})
    return list(shape.examples(Record({"prompt": root}, "trees.jsonl", 1)))


TREE = said(
    "prompter",
    "q",
    said("assistant", "second", said("prompter", "more?", said("assistant", "end", rank=0)), rank=1),
    said("assistant", "first", said("prompter", "thanks"), said("prompter", "and?", said("assistant", "so")), rank=0),
    said("assistant", "third", rank=2),
)


def told(examples: list[Any]) -> list[str]:
    return [" > ".join(message.content for message in example.messages) for example in examples]


def test_the_best_replies_are_followed_to_the_last_one_of_the_assistant() -> None:
    assert told(given(TREE)) == ["q > first > and? > so"]


def test_all_replies_give_each_way_to_a_last_one_once() -> None:
    assert told(given(TREE, "all")) == ["q > second > more? > end", "q > first > and? > so", "q > third"]


def test_every_two_ranked_replies_are_a_pair_the_better_one_chosen() -> None:
    pairs = given(TREE, "pairs")
    assert all(type(pair) is Pair and pair.messages == (Message("user", "q"),) for pair in pairs)
    chosen = [(pair.chosen, pair.rejected) for pair in pairs]
    assert chosen == [("first", "second"), ("first", "third"), ("second", "third")]
    assert shapes.build({"name": "tree", "give": "pairs"}).makes is Pair
    assert shapes.build("tree").makes is Chat


def test_a_deleted_message_and_an_empty_one_end_a_branch() -> None:
    gone = said("assistant", "no", rank=0, deleted=True)
    assert told(given(said("prompter", "q", gone, said("assistant", "yes", rank=1)))) == ["q > yes"]
    with pytest.raises(Unusable, match="no reply of the assistant"):
        given(said("prompter", "q", said("assistant", " ")))


def test_a_reply_without_a_rank_is_the_last_and_never_in_a_pair() -> None:
    root = said("prompter", "q", said("assistant", "none", rank=None), said("assistant", "ranked", rank=3))
    assert told(given(root)) == ["q > ranked"]
    with pytest.raises(Unusable, match="no two ranked replies"):
        given(root, "pairs")


def test_a_tree_too_deep_to_follow_is_unusable() -> None:
    root = said("assistant", "leaf")
    for _ in range(50_000):
        root = said("prompter", "q", root)
    with pytest.raises(Unusable, match="nested too deeply"):
        given(root)
    while root["replies"]:  # taken apart level by level: the interpreter frees a deep one recursively
        root = root["replies"].pop()


def test_rows_that_are_roots_are_recognised() -> None:
    rows = [Record({"id": n, **said("user", f"q{n}", said("bot", "a"))}, "roots.jsonl", n) for n in range(1, 5)]
    shape, why = shape_for(rows)
    assert shape.changed() == {"prompt": ""} and why.startswith("tree: rows are messages with 'replies'")
    assert told(list(shape.examples(rows[0]))) == ["q1 > a"]


def test_the_published_trees_give_as_many_as_they_have_last_replies_and_ranked_pairs() -> None:
    lines = shared("data", "oasst_en_100_trees", "en_100_tree.jsonl").read_text(encoding="utf-8").splitlines()
    roots = [json.loads(line)["prompt"] for line in lines]
    last = [node for node in nodes(roots) if node["role"] == "assistant" and not any(answered(node))]
    assert sum(len(given(root, "all")) for root in roots) == len(last)
    ranks = [
        [reply["rank"] for reply in node["replies"] if reply["role"] == "assistant" and reply.get("rank") is not None]
        for node in nodes(roots)
    ]
    # ranks beside one another are all different in these trees: n ranked replies are n(n - 1)/2 pairs
    assert all(len(set(each)) == len(each) for each in ranks)
    pairs = sum(len(list(pairs_of(root))) for root in roots)
    assert pairs == sum(len(each) * (len(each) - 1) // 2 for each in ranks)


def pairs_of(root: Any) -> Iterator[Any]:
    try:
        yield from given(root, "pairs")
    except Unusable:
        return


def nodes(roots: list[Any]) -> Iterator[Any]:
    waiting = [*roots]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node["replies"]


def answered(node: Any) -> Iterator[bool]:
    """For each message after this one, whether the assistant says it."""
    return (each["role"] == "assistant" for each in nodes(node["replies"]))
