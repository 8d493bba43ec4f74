"""What a person types to a model of any task is answered as it was trained, or refused in a sentence."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import chat_base, encoder_base, prose, recipe, tickets, words_base, written

import affina
from affina.cli.console import Screen
from affina.cli.generate import show
from affina.core.errors import Refused
from affina.core.kinds import Sampling
from affina.core.run import Run
from affina.core.say import Silent
from affina.evaluation.open import open_model
from affina.evaluation.typed import typed
from affina.training.cells import task_rows

BASES = {"reward": "chat", "masked_lm": "bert", "permutation_lm": "xlnet", "seq2seq": "t5"}
STEPS = {"tag": 80, "seq2seq": 2}
FILES: dict[str, dict[str, Any]] = {
    "masked_lm": {"read": "prose.txt", "data": {"reader": {"name": "text", "by": "paragraph"}}},
    "permutation_lm": {"read": "prose.txt", "data": {"reader": {"name": "text", "by": "paragraph"}}},
    "classify": {"read": "tickets.csv"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs by task, each trained a few steps when first asked for."""
    root = tmp_path_factory.mktemp("typed")

    def run(task: str) -> Run:
        if not (root / "runs" / task).exists():
            folder = root / task
            folder.mkdir()
            base = BASES.get(task, "encoder")
            make = {"chat": chat_base, "encoder": encoder_base}.get(base, lambda place: words_base(place, base))
            if task in FILES:
                prose(folder)
                tickets(folder)
            else:
                written(folder, "rows.jsonl", task_rows(task, 60))
            steps = STEPS.get(task, 1)
            sections: dict[str, Any] = {"read": "rows.jsonl", "objective": task, **FILES.get(task, {})}
            train = {"steps": steps, "batch": 16, "learning_rate": 3e-3}
            path = recipe(
                folder, make(folder / "base"), tuning="full", train=train, evaluate={"every": steps}, **sections
            )
            affina.train(path, run=task, root=root / "runs")
        return Run(root / "runs" / task)

    return run


def said(run: Run, text: str) -> str:
    (found,) = affina.generate(run.name, [text], Sampling(max_tokens=4), root=run.folder.parent)
    assert found["prompt"] == text
    return str(found["answer"])


@pytest.mark.parametrize("task", ["classify", "multi_label", "regression"])
def test_a_head_on_the_whole_text_answers_as_the_kept_samples(task: str, trained: Any) -> None:
    run = trained(task)
    for sample in run.read("samples.json"):
        assert said(run, sample["given"]) == sample["tuned"]


def test_a_tagger_answers_every_word_with_its_tag(trained: Any) -> None:
    run = trained("tag")
    for sample in run.read("samples.json"):
        pairs = [pair.rsplit("/", 1) for pair in said(run, sample["given"]).split(" ")]
        assert " ".join(word for word, _ in pairs) == sample["given"]
        assert " ".join(tag for _, tag in pairs) == sample["tuned"]
    assert any("B-CASE" in sample["tuned"] for sample in run.read("samples.json"))


def test_a_question_is_asked_with_its_text_and_answered_by_a_passage(trained: Any) -> None:
    run = trained("span")
    assert said(run, "which case is it ||| the lamp is case 0042") in "the lamp is case 0042"
    for text in ("which case is it", "||| the lamp", "which case |||"):
        with pytest.raises(Refused, match=r"needs the text that answers it.*QUESTION \|\|\| TEXT"):
            said(run, text)


@pytest.mark.parametrize("task", ["masked_lm", "permutation_lm"])
def test_gaps_are_filled_with_the_likeliest_token_of_the_library_model(task: str, trained: Any) -> None:
    """The library's own logits at the mask, of a text whose other places stay as they are."""
    run = trained(task)
    opened = open_model(run.name, run.folder.parent, offline=True, say=Silent())
    example = opened.ask("where is [MASK] lamp")
    (row,) = opened.model.renderer.rows([example])
    (filled,) = opened.model.fill([row])
    model: Any = opened.model
    library, place = model.network.model, int(row.weights.argmax())
    tokens = torch.from_numpy(row.tokens).long()[None]
    more = {}
    if task == "permutation_lm":
        more = {"perm_mask": torch.zeros(1, len(row.tokens), len(row.tokens))}
        more["perm_mask"][:, :, place] = 1
        more["target_mapping"] = torch.zeros(1, 1, len(row.tokens))
        more["target_mapping"][0, 0, place] = 1
    with torch.no_grad(), model.network.library_attention():
        logits_LV = library(input_ids=tokens, **more).logits[0]
    right = int(logits_LV[place if task == "masked_lm" else 0].argmax())
    assert filled.tolist() == [right]
    whole = row.tokens.copy()
    whole[place] = right
    assert said(run, "where is [MASK] lamp") == opened.model.renderer.text(whole.tolist()).strip()
    with pytest.raises(Refused, match=r"hides no word.*write \[MASK\] where"):
        said(run, "where is the lamp")


def test_a_source_is_put_to_the_encoder_with_the_instruction_of_training(trained: Any) -> None:
    run = trained("seq2seq")
    opened = open_model(run.name, run.folder.parent, offline=True, say=Silent())
    prompt = opened.model.renderer.prompt(opened.ask("where is the lamp"))  # type: ignore[arg-type]
    vocabulary: Any = opened.model.renderer
    assert prompt == vocabulary.vocabulary.encode(["where is the lamp"], special=True)[0].ids
    (own,) = opened.model.sample([prompt], Sampling(max_tokens=4))
    assert said(run, "where is the lamp") == own.text


@pytest.mark.parametrize(("task", "why"), [("reward", "beside each other"), ("contrastive", "places texts")])
def test_what_a_text_does_not_ask_is_refused(task: str, why: str, trained: Any) -> None:
    with pytest.raises(Refused, match=why):
        said(trained(task), "hello")


def test_a_text_beyond_the_model_is_refused_not_cut(trained: Any) -> None:
    for task in ("tag", "classify"):
        with pytest.raises(Refused, match=r"is too long for .* tokens and the model takes 256"):
            said(trained(task), "parcel " * 600)


def test_an_empty_answer_is_shown_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show({"answers": [{"prompt": "hello", "answer": "", "stopped": True}]}, Screen(silent=True))
    assert capsys.readouterr().out == "(nothing)\n"


def test_a_masked_base_is_measured_beside_its_run(trained: Any) -> None:
    """It has words of its own: its loss is that of the run's base answers."""
    run = trained("masked_lm")
    found = affina.compare(str(run.folder.parent.parent / "masked_lm" / "base"), run.name, root=run.folder.parent)
    base = Run(run.folder).show()["metrics"]["loss"]["base"]
    assert found["metrics"]["loss"]["a"] == pytest.approx(base, abs=1e-5)


@pytest.mark.parametrize("task", ["tag", "reward", "contrastive", "regression", "multi_label", "span"])
def test_a_base_asked_what_it_has_no_head_for_is_one_sentence(task: str, chat_model: Path, tmp_path: Path) -> None:
    written(tmp_path, "rows.jsonl", task_rows(task, 12))
    for base in (chat_model, words_base(tmp_path / "t5", "t5")):
        with pytest.raises(Refused, match=r"cannot answer \w+ examples: it is a base and answers"):
            affina.evaluate(str(base), on=str(tmp_path / "rows.jsonl"), root=tmp_path)


def test_every_kind_of_example_is_typed_or_refused() -> None:
    """So that a new kind does not fall through to a conversation."""
    for name in ("labelled", "multilabelled", "rated", "tagged", "parallel", "text", "chat"):
        assert type(typed(name, "a b", ("x",))).__name__.lower() == name
    for name in ("pair", "related"):
        with pytest.raises(Refused):
            typed(name, "a b")
