"""What is seen of examples while they pass: held to counts made over all of them at once."""

from affina.core.example import Chat, Example, Labelled, Message, MultiLabelled, Parallel, Rated, Tagged
from affina.data.sight import SAMPLED, Sight


def seen(*examples: Example) -> Sight:
    sight = Sight()
    for line, example in enumerate(examples, 1):
        sight.add(example, "rows.csv", line)
    return sight


def labelled(text: str, label: str) -> Labelled:
    return Labelled(id=text, text=text, label=label)


def kinds(sight: Sight) -> list[str]:
    return [problem.kind for problem in sight.problems()]


def test_lengths_are_of_what_is_shown_and_of_what_is_answered() -> None:
    chat = Chat(id="1", messages=(Message("user", "two words"), Message("assistant", "and three more")))
    lengths = seen(chat).lengths
    assert {name: each.at(1.0) for name, each in lengths.items()} == {
        "text, characters": 9,
        "text, words": 2,
        "answer, characters": 14,
        "answer, words": 3,
    }
    assert [*seen(labelled("two words", "a")).lengths] == ["text, characters", "text, words"]


def test_classes_are_counted_whatever_kind_of_example_has_them() -> None:
    assert seen(labelled("a", "x"), labelled("b", "x"), labelled("c", "y")).classes == {"x": 2, "y": 1}
    several = MultiLabelled(id="1", text="a", right=("x", "y"))
    assert seen(several, MultiLabelled(id="2", text="b", right=("y",))).classes == {"x": 1, "y": 2}
    assert seen(Tagged(id="1", words=("a", "b"), tags=("O", "B-X"))).classes == {"O": 1, "B-X": 1}
    numbers = seen(*(Rated(id=str(n), text=str(n), value=n / 2) for n in (1, 2, 6))).numbers()
    assert numbers == {"least": 0.5, "half": 1.0, "most": 3.0, "mean": 1.5}
    assert seen(labelled("a", "x")).numbers() is None


def test_repetitions_are_counted_exactly_and_near_ones_where_all_are_held() -> None:
    one = "a sentence that is long enough to be nearly repeated by another"
    rows = [labelled(one, "x"), labelled(one, "x"), labelled(one + "!", "x"), labelled("something else entirely", "y")]
    found = seen(*rows).duplicates()
    assert found == {"exact": 1, "near": 2, "compared": 4}
    many = seen(*(labelled(f"text {n}", "x") for n in range(SAMPLED + 1)))
    assert many.duplicates() == {"exact": 0, "near": None, "compared": SAMPLED + 1}


def test_one_text_under_two_labels_is_a_contradiction_and_two_translations_are_none() -> None:
    assert "contradictions" in kinds(seen(labelled("a", "x"), labelled("a", "y")))
    two = (Parallel(id="1", source="a", result="x"), Parallel(id="2", source="a", result="y"))
    assert kinds(seen(*two)) == []


def test_a_giant_among_texts_is_told_with_its_line() -> None:
    rows = [labelled(f"text number {n}", "xy"[n % 2]) for n in range(30)]
    giant = [*rows[:7], labelled("x" * 100_000, "x"), *rows[7:]]
    (problem,) = [each for each in seen(*giant).problems() if each.kind == "a giant"]
    assert (problem.line, "100,000 characters" in problem.sentence) == (8, True)
    assert "a giant" not in kinds(seen(*rows))


def test_the_sample_is_bounded_and_the_first_example_is_held() -> None:
    sight = seen(*(labelled(f"text {n}", "x") for n in range(SAMPLED + 500)))
    assert len(sight.sample.kept) == SAMPLED and sight.sample.met == SAMPLED + 500
    assert sight.first is not None and sight.first.id == "text 0"
