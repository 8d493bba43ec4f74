"""What is shown of a run, before and after, are items that the base can answer."""

from pathlib import Path

from tiny import session

from affina.training.samples import SAMPLES, spoken


def test_conversations_that_leave_no_position_for_an_answer_are_not_shown(tmp_path: Path, chat_model: Path) -> None:
    """Rows may be cut to what a base takes; the prompt of an item is the whole conversation."""
    opened = session(tmp_path, chat_model, read="chats.jsonl")
    renderer = opened.material.renderer
    lengths = sorted(len(renderer.prompt(each)) for each in opened.expanded("test"))
    renderer.vocabulary.limit = lengths[len(lengths) // 2]
    fitting = sum(length < renderer.vocabulary.limit for length in lengths)
    assert 0 < fitting < len(lengths)
    assert len(spoken(opened, opened.engine)) == min(fitting, SAMPLES)
