import pytest

from affina.core.example import Message
from affina.core.kinds import Unusable
from affina.data.turns import call, conversation, described_tools


def test_only_the_last_turns_without_an_answer_are_left_out() -> None:
    user, assistant = Message("user", "a"), Message("assistant", "b")
    for turns, kept in [
        ([user, assistant, user, user], 2),
        ([assistant, user, assistant], 3),
        ([user, user, assistant, assistant], 4),
    ]:
        assert conversation("rows:1", turns).messages == tuple(turns[:kept])


def test_tools_are_a_list_its_json_or_nothing() -> None:
    assert described_tools('[{"name": "look"}]') == described_tools([{"name": "look"}]) == ({"name": "look"},)
    assert described_tools(None) == described_tools("") == described_tools([]) == ()
    with pytest.raises(Unusable, match="list of objects"):
        described_tools({"name": "look"})


def test_a_call_without_arguments_has_none() -> None:
    assert call("look", "") == {"type": "function", "function": {"name": "look", "arguments": {}}}
