import pytest
from reconciled import applied

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Parallel, Question, Tagged, Text
from affina.data.transforms.counterfactual import language_of


def row(text: str, id: str = "a:1", split: str = "train") -> Example:
    return Labelled(id=id, split=split, text=text, label="he")


def test_the_other_row_stands_behind_its_own_with_its_lineage() -> None:
    given = [row("He is the king of the hill."), row("The hill is high.", "a:2"), row("They gave her flowers.", "a:3")]
    left, reasons, notes = applied("counterfactual", given)
    assert [each.given for each in left] == [
        "He is the king of the hill.", "She is the queen of the hill.", "The hill is high.", "They gave her flowers.",
    ]  # fmt: skip
    copy = left[1]
    assert (copy.id, copy.made, copy.target) == (
        "a:1+counterfactual.1",
        "counterfactual: men and women exchanged",
        "he",
    )
    assert reasons == {} and notes == [
        "counterfactual: men and women exchanged in rows added to 1 of 3 training rows; "
        "1 are left because it cannot be told what agrees with whom"
    ]
    replaced, _, _ = applied("counterfactual", given, mode="replace")
    assert replaced[0].given == "She is the queen of the hill." and len(replaced) == 3
    assert not replaced[0].made and replaced[0].id == "a:1"


def test_only_training_rows_are_touched() -> None:
    given = [row("He is here.", split="test"), row("He is there.", "a:2")]
    assert [each.split for each in applied("counterfactual", given)[0]] == ["test", "train", "train"]
    with pytest.raises(Refused, match="put `split` before `counterfactual`"):
        applied("counterfactual", [row("He is here.", split="")])


def test_each_text_is_read_in_its_language_and_a_translation_changes_as_a_whole() -> None:
    given: list[Example] = [
        Parallel(id="a:1", split="train", source="He is the king.", result="Lui è il re."),
        Parallel(id="a:2", split="train", source="She is tired.", result="È stanca."),
    ]
    left, _, _ = applied("counterfactual", given)
    assert [(each.given, each.target) for each in left] == [
        ("He is the king.", "Lui è il re."), ("She is the queen.", "Lei è la regina."), ("She is tired.", "È stanca."),
    ]  # fmt: skip
    assert (language_of("la casa di Anna"), language_of("the house"), language_of("Tom 12")) == ("it", "en", None)


def test_words_keep_their_tags_and_answers_what_they_quote() -> None:
    words = ("L'", "attrice", "Maria", "Rossi", "è", "nata", "a", "Roma")
    tags = ("O", "O", "B-PER", "I-PER", "O", "O", "O", "B-LOC")
    context = "The actress gave a talk. His brother met her there."
    answers = (("The actress", 0), ("her", context.index("her there")))
    given: list[Example] = [
        Tagged(id="a:1", split="train", words=words, tags=tags),
        Question(id="a:2", split="train", question="Who met her?", context=context, answers=answers),
        Chat(
            id="a:3", split="train", options=("my father", "nobody"),
            messages=(Message("user", "Who is it?"), Message("assistant", "my father")),
        ),
    ]  # fmt: skip
    left, _, _ = applied("counterfactual", given, mode="replace")
    tagged, question, chat = left
    assert isinstance(tagged, Tagged) and tagged.tags == tags
    assert tagged.words == ("L'", "attore", "Marco", "Rossi", "è", "nato", "a", "Roma")
    assert isinstance(question, Question) and question.question == "Who met him?"
    assert question.context == "The actor gave a talk. Her sister met him there."
    assert [text for text, _ in question.answers] == ["The actor", "him"]
    assert all(question.context[start:].startswith(text) for text, start in question.answers)
    assert isinstance(chat, Chat) and chat.target == "my mother" and chat.options == ("my mother", "nobody")


def test_further_pairs_are_exchanged_as_they_are() -> None:
    left, _, _ = applied("counterfactual", [row("The Muslim asked a CHRISTIAN.")], pairs={"Muslim": "Christian"})
    assert left[1].given == "The Christian asked a MUSLIM."


def test_a_share_is_drawn_by_content() -> None:
    given: list[Example] = [Text(id=f"a:{n}", split="train", text=f"He is number {n}.") for n in range(200)]
    once = [each.given for each in applied("counterfactual", given, rate=0.3)[0] if each.made]
    again = [each.given for each in applied("counterfactual", given[::-1], rate=0.3)[0] if each.made]
    # 200 draws at 0.3: 60 ± 4 · 6.5
    assert sorted(once) == sorted(again) and 34 <= len(once) <= 86
