"""Askers on real models: their loss is the objective's own, their answers are what the scores say; and what answers
without a model, counted by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affina.core.answers import Answers
from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.example import (
    Example,
    Gapped,
    Message,
    MultiLabelled,
    Pair,
    Parallel,
    Question,
    Rated,
    Related,
    Tagged,
)
from affina.core.kinds import Objective, Sampling, Scored, askers, metrics, objectives
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel
from affina.evaluation.answer import answer
from affina.evaluation.askers.question import LONGEST, best_span
from affina.evaluation.askers.tagged import Tagged as TaggedAsker
from affina.evaluation.sentences import likeliest_sentence, sentences

Folder = Callable[[str], Path]
HOW = Sampling(max_tokens=6)
NAMED = ("cold", "warm", "wet")
TAGS = ("O", "B-PER", "I-PER")
CONTEXT = "The parcel left Turin on Monday. It was scanned in Milan the next day, and the courier lost it in Rome. " * 3
CASES: dict[str, tuple[str, Any, list[Example]]] = {
    "multi_labelled": ("bert", "multi_label", [
        MultiLabelled(id=f"f:{n}", text=f"a text of number {n}", right=NAMED[: n % 4], labels=NAMED) for n in range(5)
    ]),
    "rated": ("bert", "regression", [Rated(id=f"f:{n}", text=f"text {n}", value=n / 3) for n in range(4)]),
    "tagged": ("bert", "tag", [
        Tagged(id="f:0", words=("Ada", "Byron", "sat"), tags=("B-PER", "I-PER", "O"), labels=TAGS),
        Tagged(id="f:1", words=("nevertheless", "Ada"), tags=("O", "B-PER"), labels=TAGS),
    ]),
    "question": ("bert", "span", [
        Question(id="q:0", question="Where was it lost?", context=CONTEXT, answers=(("Rome", CONTEXT.index("Rome")),)),
        Question(id="q:1", question="When?", context="On Monday.", answers=(("Monday", 3), ("On Monday", 0))),
    ]),
    "parallel": ("t5", "seq2seq", [
        Parallel(id="p:0", source="where is it", result="here", references=("it is here",)),
        Parallel(id="p:1", source="who", result="nobody knows"),
    ]),
    "pair": ("llama", "reward", [
        Pair(id=f"f:{n}", messages=(Message("user", "how"),), chosen="so" * (n + 1), rejected="bad") for n in range(3)
    ]),
    "related": ("bert", {"name": "contrastive", "both_ways": False}, [
        Related(id=f"f:{n}", anchor=f"a cat number {n}", positive=f"{n} cats and a {'dog' * n}") for n in range(5)
    ]),
    "gapped": ("bert+words", "masked_lm", [
        Gapped(id=f"g:{n}", text=f"The parcel number {n} has not arrived in Turin yet.", share=0.3) for n in range(3)
    ]),
}  # fmt: skip


def opened(name: str, objective: Objective, folder: Path, most: int = 120) -> TorchModel:
    torch.manual_seed(0)
    model = TorchModel(load(folder, Computing("float32"), objective.ending(len(NAMED))), Renderer.open(folder))
    model.renderer.max_tokens = most
    return model


def case(name: str, family: Folder, most: int = 120) -> tuple[TorchModel, Objective, Sequence[Example]]:
    base, spec, examples = CASES[name]
    objective = objectives.build(spec)
    return opened(name, objective, family(base), most), objective, examples


def every(model: TorchModel, examples: Sequence[Example], name: str) -> Answers:
    return answer(model, examples, askers.find(name).gives, HOW)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("most", [120, 60])
def test_the_loss_of_the_answers_is_the_objectives(name: str, most: int, family: Folder) -> None:
    model, objective, examples = case(name, family, most)
    batch = model.layout(model.renderer.rows(examples))
    with torch.no_grad():
        loss = objective.loss(model.forward(batch), batch)
    found = every(model, examples, name)
    assert metrics.build("loss").value(found) == pytest.approx(float(loss.total) / loss.count, rel=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_every_metric_of_a_kind_of_answers_can_be_computed(name: str, family: Folder) -> None:
    model, _, examples = case(name, family)
    found = every(model, examples, name)
    for each in metrics.names():
        if metrics.find(each).reads in askers.find(name).gives:
            assert np.isfinite(metrics.build(each).value(found)), each
    assert Answers.from_dict(found.as_dict()).as_dict() == found.as_dict()


def test_every_label_has_a_chance_of_its_own(family: Folder) -> None:
    model, _, examples = case("multi_labelled", family)
    found = every(model, examples, "multi_labelled")
    raw = np.stack([each.scores_L for each in model.score(model.renderer.rows(examples)) if each.scores_L is not None])
    assert found.chances_NL == pytest.approx(torch.sigmoid(torch.from_numpy(raw)).numpy())
    assert found.truth_NL is not None and found.truth_NL.sum(axis=1).tolist() == [0, 1, 2, 3, 0]


def test_words_beyond_the_longest_row_are_outside_and_cost_a_guess(family: Folder) -> None:
    model, _, examples = case("tagged", family)
    whole = every(model, examples, "tagged")
    model.renderer.max_tokens = 4
    cut = every(model, examples, "tagged")
    seen = [row.targets for row in model.renderer.rows(examples)]
    assert cut.guessed is not None and seen[0] < 3
    assert [len(each) for each in cut.guessed] == [3, 2] and set(cut.guessed[0][seen[0] :]) == {"O"}
    assert cut.tokens_N.tolist() == whole.tokens_N.tolist() == [3, 2]


@pytest.mark.parametrize("most", [120, 60])
def test_the_passage_of_the_highest_score_over_all_windows_is_said(most: int, family: Folder) -> None:
    model, _, examples = case("question", family, most)
    found = every(model, examples, "question")
    assert found.references == (("Rome",), ("Monday", "On Monday")) and found.said is not None
    for example, said in zip(examples, found.said, strict=True):
        assert isinstance(example, Question)
        best = (-np.inf, "")
        for places, each in zip(
            model.renderer.passages(example), model.score(model.renderer.rows([example])), strict=True
        ):
            assert each.places_SL is not None
            for i in range(1, len(places)):
                for j in range(i, min(i + LONGEST + 1, len(places))):
                    score = each.places_SL[i, 0] + each.places_SL[j, 1]
                    best = max(best, (score, example.context[places[i][0] : places[j][1]].strip()))
        assert said == best[1] and said


def test_no_answer_is_given_only_where_some_question_has_none(family: Folder) -> None:
    model, _, examples = case("question", family)
    nothing = 1e3 * np.r_[1, np.zeros(400)]

    class Silent(TorchModel):
        """The same model, sure that nothing is answered."""

        def score(self, rows: Any) -> list[Scored]:
            return [Scored(np.zeros(0), places_SL=np.stack([nothing[: row.targets]] * 2, axis=1)) for row in rows]

    silent = Silent(model.network, model.renderer)
    assert all(every(silent, examples, "question").said or ())
    unanswerable = [*examples, replace(examples[1], id="q:2", answers=())]  # type: ignore[call-arg]
    found = every(silent, unanswerable, "question")
    assert found.said == ("", "", "") and found.references is not None and found.references[2] == ("",)
    assert metrics.build("squad_exact").value(found) == pytest.approx(1 / 3)


def test_the_end_of_a_passage_is_near_its_start() -> None:
    scores_S2 = np.zeros((60, 2))
    scores_S2[3, 0], scores_S2[3 + LONGEST, 1], scores_S2[4 + LONGEST, 1] = 5.0, 1.0, 9.0
    # 9 alone, from a start of 0 … is 9; with the start of 5 the end of 9 is one too far.
    score, start, stop = best_span(scores_S2)
    assert (score, stop) == (9.0, 4 + LONGEST) and start > 3
    scores_S2[4 + LONGEST, 1] = 0.0
    assert best_span(scores_S2) == (6.0, 3, 3 + LONGEST)
    assert best_span(np.array([[0.0, 9.0], [5.0, 0.0]]))[0] == 9.0  # an end before its start does not count


def test_the_generated_text_stands_beside_all_references(family: Folder) -> None:
    model, _, examples = case("parallel", family)
    found = every(model, examples, "parallel")
    assert found.references == (("here", "it is here"), ("nobody knows",)) and found.expected == (
        "here",
        "nobody knows",
    )
    prompts = [model.renderer.prompt(each) for each in examples if isinstance(each, Parallel)]
    assert found.said == tuple(each.text for each in model.sample(prompts, HOW))
    assert answer(model, examples, frozenset({"nats"}), HOW).said is None


def test_the_margin_is_the_difference_of_both_scores(family: Folder) -> None:
    model, _, examples = case("pair", family)
    found = every(model, examples, "pair")
    raw = [float(each.scores_L[0]) for each in model.score(model.renderer.rows(examples)) if each.scores_L is not None]
    assert found.margin_N == pytest.approx(np.subtract(raw[::2], raw[1::2]))


def test_the_rank_is_the_place_among_all_positives_by_cosine(family: Folder) -> None:
    model, _, examples = case("related", family)
    texts = [(each.anchor, each.positive) for each in examples if isinstance(each, Related)]
    near_ND, far_ND = (model.embed([pair[side] for pair in texts]).astype(np.float64) for side in (0, 1))
    cosines_NN = near_ND @ far_ND.T
    places = [1 + sorted(row, reverse=True).index(row[n]) for n, row in enumerate(cosines_NN.tolist())]
    found = every(model, examples, "related")
    assert found.rank_N is not None and found.rank_N.tolist() == places


def test_equal_vectors_rank_last_and_equal_texts_are_no_rivals(family: Folder) -> None:
    model, _, examples = case("related", family)

    class Flat(TorchModel):
        """A model to which all texts are the same."""

        def score(self, rows: Any) -> list[Scored]:
            return [Scored(np.zeros(0), scores_L=np.ones(4)) for _ in rows]

    twin = replace(examples[0], id="f:9")
    found = every(Flat(model.network, model.renderer), [*examples, twin], "related")
    # Six candidates; two have one text, so their rivals are four.
    assert found.rank_N is not None and found.rank_N.tolist() == [5, 6, 6, 6, 6, 5]
    assert found.nats_N[0] == pytest.approx(np.log(5)) and found.nats_N[1] == pytest.approx(np.log(6))


@pytest.mark.parametrize("name", ["multi_labelled", "tagged"])
def test_a_label_outside_the_known_ones_is_refused_where_it_stands(name: str, family: Folder) -> None:
    model, _, examples = case(name, family)
    odd: dict[str, Any] = {"multi_labelled": {"right": ("hot",)}, "tagged": {"tags": ("B-ORG", "O", "O")}}
    with pytest.raises(Refused, match=r"^f:8: the right answer"):
        every(model, [*examples, replace(examples[0], id="f:8", **odd[name])], name)


def test_the_unigram_tagger_says_a_words_commonest_tag() -> None:
    train = [
        Tagged(id="t:0", words=("Ada", "May", "sat"), tags=("B-PER", "I-PER", "O"), labels=TAGS),
        Tagged(id="t:1", words=("May", "May", "Ada"), tags=("O", "O", "B-PER"), labels=TAGS),
    ]
    test = [Tagged(id="t:2", words=("Ada", "may", "May", "sat"), tags=("B-PER", "O", "I-PER", "O"), labels=TAGS)]
    found = TaggedAsker().trivial(train, test)
    assert found.guessed == (("B-PER", "O", "O", "O"),)
    # Shares with one more of each tag: O 4/9, B-PER 3/9, I-PER 2/9. Ada: (2 + 3/9) / 3, the unseen word 4/9,
    # May as I-PER (1 + 2/9) / 4, sat as O (1 + 4/9) / 2.
    chances = [(2 + 3 / 9) / 3, 4 / 9, (1 + 2 / 9) / 4, (1 + 4 / 9) / 2]
    assert found.nats_N[0] == pytest.approx(-np.log(chances).sum())


def test_what_answers_without_a_model_counted_by_hand() -> None:
    labels = [MultiLabelled(id=f"f:{n}", text="", right=NAMED[:n], labels=NAMED) for n in (1, 2, 1)]
    found = askers.build("multi_labelled").trivial(labels, labels[:1])
    # One row with and one without added: 4/5, 2/5, 1/5
    assert found is not None and found.chances_NL == pytest.approx(np.array([[0.8, 0.4, 0.2]]))
    assert found.nats_N == pytest.approx([-np.log([0.8, 0.6, 0.8]).sum()])
    rated = [Rated(id=f"f:{n}", text="", value=float(n)) for n in (1, 2, 6)]
    numbers = askers.build("rated").trivial(rated, rated)
    assert numbers is not None and numbers.guess_N is not None and numbers.guess_N.tolist() == [3, 3, 3]
    assert metrics.build("r2").value(numbers) == pytest.approx(0)
    pairs = [Pair(id=str(n), messages=(), chosen="x" * size, rejected="xxx") for n, size in enumerate((5, 4, 9, 1, 3))]
    length = askers.build("pair").trivial(pairs, pairs)
    # Three longer and one shorter, with one more each way: the longer wins with 4/6.
    assert length is not None and length.nats_N == pytest.approx(-np.log([4 / 6, 4 / 6, 4 / 6, 2 / 6, 1 / 2]))
    assert metrics.build("pair_accuracy").value(length) == pytest.approx(3.5 / 5)


def test_the_sentence_that_shares_most_words_is_said() -> None:
    assert sentences("It rained. Did Ada sit? Yes!\nSo.") == ["It rained.", "Did Ada sit?", "Yes!", "So."]
    assert (
        likeliest_sentence("Where did Ada sit?", "It rained. Ada sat. Did Ada sit here? Ada did.")
        == "Did Ada sit here?"
    )
    assert likeliest_sentence("?", "") == ""
