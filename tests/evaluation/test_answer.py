"""Asking a model: which columns a task has, which option is chosen, and what is refused."""

from collections.abc import Sequence

import numpy as np
import pytest

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Row, Sampling, Scored, metrics
from affina.engine.toy import Bytes, Toy
from affina.evaluation import asking as module
from affina.evaluation.answer import answer, offered, require
from affina.evaluation.turns import with_answer

HOW = Sampling(max_tokens=20)
OPTIONS = ("yes", "no", "maybe")


def chat(id: str, question: str, right: str, options: tuple[str, ...] = OPTIONS) -> Chat:
    return Chat(id=id, messages=(Message("user", question), Message("assistant", right)), options=options)


CHOICES = [chat("f:1", "warm?", "yes"), chat("f:2", "cold?", "no"), chat("f:3", "dry?", "maybe")]
FREE = [chat(one.id, one.given, one.target, ()) for one in CHOICES]
LABELLED = [
    Labelled(id=f"f:{i}", text=f"text {i}", label=label, labels=("low", "mid", "high"))
    for i, label in enumerate(["mid", "high", "mid", "low"])
]
TEXTS = [Text(id="f:1", text="abcdefghij"), Text(id="f:2", text="xy")]


class Fond(Toy):
    """A toy that gives every token of one word a log-probability of -0.1 and every other -1."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word, self.calls = word, list[int]()

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        self.calls.append(len(rows))
        texts = [self.renderer.text([int(token) for token in row.tokens]) for row in rows]
        return [
            Scored(np.full(row.targets, -0.1 if text.endswith(self.word) else -1.0))
            for row, text in zip(rows, texts, strict=True)
        ]


@pytest.mark.parametrize(
    ("examples", "columns"),
    [
        (CHOICES, {"nats", "words", "label", "chances", "text"}),
        (FREE, {"nats", "words", "text"}),
        ([*CHOICES, *FREE], {"nats", "words", "text"}),
        (LABELLED, {"nats", "label", "chances"}),
        (TEXTS, {"nats", "words"}),
        ([*TEXTS, *FREE], {"nats", "words"}),
    ],
)
def test_a_task_offers_the_columns_all_its_examples_have(examples: list[Example], columns: set[str]) -> None:
    assert offered(examples) == columns


@pytest.mark.parametrize(
    ("name", "examples", "sentence"),
    [
        ("exact_match", LABELLED, "exact_match reads text, but one class gives one label. use accuracy,"),
        ("perplexity", LABELLED, "perplexity reads words, but one class gives one label"),
        ("accuracy", FREE, "accuracy reads label, but free answers have no fixed set of labels. use bleu"),
        ("exact_match", TEXTS, "exact_match reads text, but raw text has neither"),
    ],
)  # fmt: skip
def test_a_metric_the_task_cannot_compute_is_refused_with_those_it_can(
    name: str, examples: list[Example], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        require([metrics.build("loss"), metrics.build(name)], examples)


def test_metrics_the_task_can_compute_are_not_refused() -> None:
    reading = {"nats", "words", "label", "chances", "text"}
    every = [metrics.build(name) for name in metrics.names()]
    require([each for each in every if each.reads in reading and each.name != "cost"], CHOICES)
    require([metrics.build(name) for name in ("loss", "accuracy", "f1")], LABELLED)


def test_what_a_metric_objects_to_in_the_labels_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(
        Refused, match="metric cost cannot be computed: a threshold divides two classes, and there are 3"
    ):
        require([metrics.build("cost")], LABELLED)
    with pytest.raises(Refused, match="the positive label 'hi' is none of low, mid, high"):
        require([metrics.build({"name": "pr_auc", "positive": "hi"})], LABELLED)
    two = [chat("f:1", "warm?", "yes", ("yes", "no"))]
    require([metrics.build({"name": name, "positive": "yes"}) for name in ("cost", "pr_auc")], two)


def test_options_are_scored_where_only_their_chances_are_asked_for() -> None:
    found = answer(Fond("maybe"), CHOICES, frozenset({"chances"}), HOW)
    assert found.chances_NL is not None and found.chances_NL.sum(axis=1) == pytest.approx([1, 1, 1])


def test_the_likeliest_option_is_the_answer_whatever_its_length() -> None:
    found = answer(Fond("maybe"), CHOICES, frozenset({"nats", "label"}), HOW)
    assert found.labels == ("maybe", "no", "yes") and found.ids == ("f:1", "f:2", "f:3")
    assert found.target_N is not None and found.target_N.tolist() == [2, 1, 0]
    # "maybe" and its stop: 6 · -0.1 = -0.6, against "no": 3 · -1 and "yes": 4 · -1
    assert found.predicted_N is not None and found.predicted_N.tolist() == [0, 0, 0]
    assert found.nats_N.tolist() == pytest.approx([4.0, 3.0, 0.6]) and found.tokens_N.tolist() == [4, 3, 6]


def test_a_long_option_loses_by_the_sum_of_its_tokens() -> None:
    # "yes" -1·4, "no" -1·3, "maybe" -1·6: without a favourite the shortest has the highest probability.
    found = answer(Fond("nothing"), CHOICES, frozenset({"label"}), HOW)
    assert found.predicted_N is not None and found.predicted_N.tolist() == [1, 1, 1]


def test_options_may_differ_from_example_to_example() -> None:
    mixed = [chat("f:1", "a?", "x", ("x", "y")), chat("f:2", "b?", "zz", ("zz", "x", "q"))]
    found = answer(Fond("q"), mixed, frozenset({"label"}), HOW)
    assert found.labels == ("q", "x", "y", "zz")
    assert found.predicted_N is not None and found.predicted_N.tolist() == [1, 0]


def test_without_labels_only_the_right_option_is_scored() -> None:
    model = Fond("maybe")
    found = answer(model, CHOICES, frozenset({"nats"}), HOW)
    assert model.calls == [3] and found.predicted_N is None
    full = answer(Fond("maybe"), CHOICES, frozenset({"label"}), HOW)
    assert np.array_equal(found.nats_N, full.nats_N) and np.array_equal(found.tokens_N, full.tokens_N)


def test_calls_hold_whole_examples_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answer(Fond("no"), CHOICES, frozenset({"label"}), HOW)
    monkeypatch.setattr(module, "ROWS_PER_CALL", 7)
    model, told = Fond("no"), list[tuple[str, int, int]]()
    pieces = answer(model, CHOICES, frozenset({"label"}), HOW, lambda *done: told.append(done))
    assert model.calls == [6, 3] and told == [("evaluating", 6, 9), ("evaluating", 9, 9)]
    assert np.array_equal(pieces.nats_N, whole.nats_N) and pieces.ids == whole.ids


def test_only_the_last_answer_is_exchanged() -> None:
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "no"))
    changed = with_answer(Chat(id="f:1", messages=turns, options=OPTIONS), "yes", "f:1?0")
    assert changed.messages[:3] == turns[:3] and changed.messages[3] == Message("assistant", "yes")
    assert changed.id == "f:1?0"


def test_earlier_turns_do_not_change_which_option_wins() -> None:
    early = (Message("user", "a"), Message("assistant", "some earlier words"))
    long = [Chat(id=one.id, messages=(*early, *one.messages), options=one.options) for one in CHOICES]
    short, with_more = (answer(Toy(), each, frozenset({"label"}), HOW) for each in (CHOICES, long))
    assert short.predicted_N is not None and with_more.predicted_N is not None
    assert short.predicted_N.tolist() == with_more.predicted_N.tolist()


def test_a_label_head_answers_its_likeliest_label_at_one_token_each() -> None:
    model = Toy(labels=3)
    model.labels_L = np.array([1.0, 2.0, 7.0])
    found = answer(model, LABELLED, frozenset({"label", "nats"}), HOW)
    assert found.labels == ("low", "mid", "high") and found.tokens_N.tolist() == [1, 1, 1, 1]
    assert found.nats_N.tolist() == pytest.approx(-np.log([0.2, 0.7, 0.2, 0.1]))
    assert found.predicted_N is not None and found.predicted_N.tolist() == [2, 2, 2, 2]
    assert found.target_N is not None and found.target_N.tolist() == [1, 2, 1, 0]


def test_the_items_of_raw_text_are_its_rows() -> None:
    found = answer(Toy(max_tokens=4), TEXTS, frozenset({"words"}), HOW)
    # Eleven and three tokens with the stop, in rows of four; the first token of a row is no target.
    assert found.ids == ("f:1#0", "f:1#1", "f:1#2", "f:2#0")
    assert found.tokens_N.tolist() == [3, 3, 2, 2]
    # An untaught toy gives every byte 1/257.
    assert found.nats_N.tolist() == pytest.approx(np.log(257) * found.tokens_N)


def test_generated_text_is_compared_with_the_last_answer() -> None:
    model = Toy()
    for row in Bytes().rows([chat("f", "x", "no", ())] * 20):
        np.add.at(model.pairs_VV, (row.tokens[:-1], row.tokens[1:]), 1.0)
    found = answer(model, FREE, frozenset({"text", "nats"}), HOW)
    assert found.expected == ("yes", "no", "maybe")
    assert found.said is not None and len(found.said) == 3 and len(set(found.said)) == 1


@pytest.mark.parametrize(
    "examples", [[chat("f:9", "a?", "never")], [LABELLED[0], Labelled(id="f:9", text="a", label="?")]]
)
def test_a_right_answer_outside_the_known_ones_is_refused_where_it_stands(examples: list[Example]) -> None:
    with pytest.raises(Refused, match=r"^f:9: the right answer"):
        answer(Toy(labels=3), examples, frozenset({"label"}), HOW)


def test_no_examples_and_no_answer_are_refused() -> None:
    with pytest.raises(Refused, match="nothing to answer"):
        answer(Toy(), [], frozenset({"nats"}), HOW)
    with pytest.raises(Refused, match=r"^f:4: a conversation has no answer"):
        answer(Toy(), [Chat(id="f:4", messages=(Message("user", "a"),), options=OPTIONS)], frozenset({"label"}), HOW)
