from affina.core.example import Chat, Example, Labelled, Message, MultiLabelled, Pair, Related, Tagged, Text
from affina.core.kinds import Desk, transforms
from affina.data.ledger import Ledger


def kept(examples: list[Example]) -> tuple[list[str], dict[str, int]]:
    ledger = Ledger()
    left = list(transforms.build("dedup").apply(examples, Desk(ledger)))
    return [example.id for example in left], ledger.summary()["dropped"]["reasons"]


def test_the_first_of_equal_rows_is_kept_and_white_space_does_not_count() -> None:
    rows: list[Example] = [
        Labelled(id="a:1", text="Where is my card", label="card"),
        Labelled(id="a:2", text=" Where  is\nmy card ", label="card"),
        Labelled(id="a:3", text="where is my card", label="card"),
    ]
    assert kept(rows) == (["a:1", "a:3"], {"exact duplicate of a:1": 1})


def test_the_same_text_with_another_target_is_kept() -> None:
    rows: list[Example] = [Labelled(id="a:1", text="x", label="card"), Labelled(id="a:2", text="x", label="cash")]
    assert kept(rows) == (["a:1", "a:2"], {})


def test_conversations_differ_by_roles_and_tool_calls() -> None:
    def chat(id: str, *turns: Message) -> Chat:
        return Chat(id=id, messages=turns)

    asked, said = Message("user", "x"), Message("assistant", "y")
    called = Message("assistant", "y", {"tool_calls": [{"function": {"name": "look", "arguments": {}}}]})
    rows: list[Example] = [
        chat("a:1", asked, said),
        chat("a:2", asked, called),
        chat("a:3", said, asked, said),
        chat("a:4", Message("system", "x"), said),
        chat("a:5", asked, said),
    ]
    assert kept(rows)[0] == ["a:1", "a:2", "a:3", "a:4"]


def test_rows_that_differ_in_anything_taught_are_kept() -> None:
    asked = (Message("user", "x"),)
    rows: list[Example] = [
        Pair(id="a:1", messages=asked, chosen="y", rejected="z"),
        Pair(id="a:2", messages=asked, chosen="y", rejected="w"),
        Pair(id="a:3", messages=asked, chosen="y", rejected=" z"),
        Related(id="b:1", anchor="x", positive="y", negatives=("z",)),
        Related(id="b:2", anchor="x", positive="y"),
        MultiLabelled(id="c:1", text="x", right=("a",), labels=("a", "b")),
        MultiLabelled(id="c:2", text="x", right=("a",)),
        MultiLabelled(id="c:3", text="x", right=("a", "b")),
        Tagged(id="d:1", words=("x", "y"), tags=("O", "O")),
        Tagged(id="d:2", words=("x y",), tags=("O",)),
    ]
    assert kept(rows)[0] == ["a:1", "a:2", "b:1", "b:2", "c:1", "c:3", "d:1", "d:2"]


def test_texts_without_a_target_are_compared_by_themselves() -> None:
    assert kept([Text(id="a:1", text="x"), Text(id="a:2", text="x"), Text(id="a:3", text="y")])[0] == ["a:1", "a:3"]
