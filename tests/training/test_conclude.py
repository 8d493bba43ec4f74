"""The end of a run: the best checkpoint verified, base beside tuned, samples to read, files that other tools load."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny import data, outcome, recipe

import affina
from affina.core.errors import Failed
from affina.core.run import Run


@pytest.mark.parametrize("kind", ["words", "chats", "prose", "labels", "encoder", "full"])
def test_samples_show_what_was_asked_expected_and_said_before_and_after(
    kind: str, finished: Callable[[str], Run]
) -> None:
    samples = finished(kind).read("samples.json")
    asked = set(finished(kind).read("tuned.json")["ids"])
    assert len(samples) == 6
    for sample in samples:
        assert list(sample)[:5] == ["id", "given", "expected", "base", "tuned"]
        assert sample["given"]
        assert sample["id"] in asked or kind == "prose"
        ended = sample.get("stopped", {})
        assert {who: type(one) for who, one in ended.items()} == (
            {} if kind in ("labels", "encoder") else {"base": bool, "tuned": bool}
        )
    if kind in ("labels", "encoder"):
        labels = {"account", "refund", "shipping"}
        assert all({sample["expected"], sample["base"], sample["tuned"]} <= labels for sample in samples)


def test_a_label_heads_samples_are_the_answers_that_were_counted(finished: Callable[[str], Run]) -> None:
    run = finished("labels")
    for who in ("base", "tuned"):
        answers = run.read(f"{who}.json")
        said = {
            name: answers["labels"][code] for name, code in zip(answers["ids"], answers["predicted_N"], strict=True)
        }
        assert all(sample[who] == said[sample["id"]] for sample in run.read("samples.json"))


def test_whole_models_are_written_in_the_bases_own_dtype(finished: Callable[[str], Run], chat_model: Path) -> None:
    written = load_file(finished("full").folder / "model" / "model.safetensors")
    own = load_file(chat_model / "model.safetensors")
    assert {name: each.dtype for name, each in written.items()} == {name: each.dtype for name, each in own.items()}


def test_a_run_killed_at_its_end_concludes_the_same(
    finished: Callable[[str], Run], tmp_path: Path, chat_model: Path
) -> None:
    """Whatever the last step had not yet written is written by the next call; the training is not repeated."""
    path = recipe(data(tmp_path), chat_model)
    run = affina.train(path, root=tmp_path / "runs")
    expected, events = outcome(run), (run.folder / "events.jsonl").read_bytes()
    shutil.rmtree(run.folder / "model")
    for name in ("result.json", "report.html", "samples.json", "tuned.json"):
        (run.folder / name).unlink()
    run.mark("evaluating")
    assert affina.show("tiny", root=tmp_path / "runs")["state"] == "interrupted"
    affina.train(path, root=tmp_path / "runs")
    assert outcome(run) == expected
    assert (run.folder / "events.jsonl").read_bytes() == events
    assert (run.folder / "model" / "adapter_model.safetensors").is_file()


def test_the_bases_answers_and_samples_come_back_as_a_pair(tmp_path: Path, chat_model: Path) -> None:
    """base.json says that both are there; a kill before it measures both again, before anything moves."""
    path = recipe(data(tmp_path), chat_model)
    run = affina.train(path, root=tmp_path / "runs")
    expected, samples = outcome(run), run.read("samples.json")
    (run.folder / "base.json").unlink()
    run.mark("evaluating")
    affina.train(path, root=tmp_path / "runs")
    assert outcome(run) == expected
    assert run.read("samples.json") == samples


def test_a_best_checkpoint_that_is_damaged_is_made_again(tmp_path: Path, chat_model: Path) -> None:
    """Validation gets worse after the best, so the best is not the newest; it alone is damaged."""
    sections = {"train": {"steps": 40, "learning_rate": 0.05, "schedule": "constant", "save_every": 2},
                "evaluate": {"every": 2, "patience": 3}}  # fmt: skip
    path = recipe(data(tmp_path), chat_model, read="chats.jsonl", **sections)
    run = affina.train(path, root=tmp_path / "runs")
    expected = outcome(run)
    best = run.checkpoint(expected["best_step"])
    assert best != run.checkpoints()[-1]
    weights = best / "trained.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Failed, match=r"best checkpoint of run 'tiny' is damaged: trained\.safetensors changed since"):
        affina.evaluate("tiny", root=tmp_path / "runs")
    run.mark("evaluating")
    affina.train(path, root=tmp_path / "runs")
    assert outcome(Run(run.folder)) == expected
    assert weights.read_bytes() == whole
