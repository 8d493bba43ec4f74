"""The toy engine keeps the contract of an engine: it learns, scores, samples, saves and loads, always the same."""

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Batch, Forward, Loss, Model, Objective, Sampling
from affina.engine.toy import STOP, Bytes, Toy


class Words(Objective):
    """Nothing but the name of a head: the toy computes its own loss."""

    consumes: ClassVar[tuple[type[Example], ...]] = (Chat, Text)

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        raise NotImplementedError


class Labels(Words):
    """The same with a label head."""

    head: ClassVar[str] = "labels"


CHAT = Chat(id="f:1", messages=(Message("user", "perché?"), Message("assistant", "so")))


def taught(steps: int = 3) -> Toy:
    engine = Toy()
    batch = engine.layout(engine.renderer.rows([CHAT]))
    for step in range(1, steps + 1):
        engine.learn([batch], Words(), step)
    return engine


def test_the_toy_is_a_model() -> None:
    model: Model = Toy()
    assert isinstance(model.renderer, Bytes) and model.renderer.stops == {STOP}


def test_only_assistant_turns_and_their_stop_are_targets() -> None:
    (row,) = Bytes().rows([CHAT])
    assert [int(token) for token in row.tokens[row.weights > 0]] == [*b"so", STOP]
    assert Bytes().prompt(CHAT) == [int(token) for token in row.tokens[:-3]]
    assert Bytes().text([int(token) for token in row.tokens]) == "user: perché?assistant: so"


def test_a_row_too_long_is_cut_and_says_what_was_lost() -> None:
    (whole,), (cut,) = Bytes().rows([CHAT]), Bytes(max_tokens=10).rows([CHAT])
    assert len(cut.tokens) == 10 and cut.cut == len(whole.tokens) - 10 and cut.cut_targets == 3


def test_learning_lowers_the_loss_to_what_score_says() -> None:
    engine = Toy()
    rows = engine.renderer.rows([CHAT])
    losses = [engine.learn([engine.layout(rows)], Words(), step)["loss"] for step in range(1, 5)]
    assert losses == sorted(losses, reverse=True) and losses[0] == pytest.approx(np.log(257))
    scored = engine.score(rows)[0].logprobs_S
    assert engine.learn([engine.layout(rows)], Words(), 5)["loss"] == pytest.approx(-scored.mean())


def test_micro_batches_add_up_to_the_whole_batch() -> None:
    other = Chat(id="f:2", messages=(Message("user", "b"), Message("assistant", "a longer answer")))
    one, two = Toy(), Toy()
    rows = one.renderer.rows([CHAT, other])
    whole = one.learn([one.layout(rows)], Words(), 1)
    parts = two.learn([Toy().layout(rows[:1]), Toy().layout(rows[1:])], Words(), 1)
    assert whole == pytest.approx(parts) and np.allclose(one.pairs_VV, two.pairs_VV)


def test_a_label_head_learns_how_often_a_label_occurs() -> None:
    examples = [Labelled(id=f"f:{i}", text="t", label=label, labels=("a", "b")) for i, label in enumerate("abbb")]
    engine = Toy(labels=2)
    rows = engine.renderer.rows(examples)
    first = engine.learn([engine.layout(rows)], Labels(), 1)["loss"]
    labels_L = engine.score(rows)[0].scores_L
    assert first == pytest.approx(np.log(2)) and labels_L is not None
    # 0.1 + 1 and 0.1 + 3 counts of 4.2
    assert np.exp(labels_L) == pytest.approx([1.1 / 4.2, 3.1 / 4.2])


def test_sampling_gives_what_was_learned_and_stops() -> None:
    (sampled,) = taught().sample([Bytes().prompt(CHAT)], Sampling(max_tokens=10))
    assert (sampled.text, sampled.stopped, len(sampled.tokens)) == ("so", True, 2)


def test_sampling_with_a_temperature_is_decided_by_its_seed() -> None:
    engine, prompts = Toy(), [[65], [66]]
    first, again, other = (engine.sample(prompts, Sampling(12, 1.0, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other and not first[0].stopped


def test_a_saved_toy_loads_as_itself(tmp_path: Path) -> None:
    engine, other = taught(), Toy()
    engine.save(tmp_path / "checkpoint")
    other.load(tmp_path / "checkpoint")
    assert np.array_equal(engine.pairs_VV, other.pairs_VV) and np.array_equal(engine.labels_L, other.labels_L)


def test_embeddings_have_unit_length() -> None:
    embedded_ND = Toy().embed(["one", "another text", ""])
    assert embedded_ND.shape == (3, 257) and embedded_ND.dtype == np.float32
    assert np.linalg.norm(embedded_ND, axis=1) == pytest.approx(np.ones(3))


def test_the_toy_imports_no_torch() -> None:
    code = "import sys, affina.engine.toy; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
