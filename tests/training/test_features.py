"""Embeddings as Parquet, heads judged on unseen rows, and what is kept of them answering the same later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file
from tiny import SENTENCES, Heard, data, encoder_base, recipe, written
from tokenizers import Tokenizer
from transformers import AutoModel

import affina
from affina.core.atomic import MANIFEST
from affina.core.errors import Failed, Refused
from affina.core.run import Run
from affina.training import saved
from affina.training.cells import task_rows

ALL = ("linear", "knn", "forest")


def embedded(path: Path) -> Any:
    table = pq.read_table(path)
    return np.stack(table["embedding"].to_numpy()), table


def test_an_encoder_without_words_gives_the_mean_of_its_states(tmp_path: Path, encoder_model: Path) -> None:
    """Held to transformers: mean over a text's own states, of unit length; bf16 or float32, as the machine settles."""
    found = affina.features(str(encoder_model), str(data(tmp_path) / "tickets.csv"), tmp_path / "out.parquet")
    rows_ND, table = embedded(tmp_path / "out.parquet")
    assert table.column_names == ["id", "label", "embedding"]
    assert table.schema.field("embedding").type.list_size == found["width"] == 64
    assert (found["rows"], found["heads"]) == (90, {}) and table["id"][0].as_py() == "tickets.csv:2"
    ids = Tokenizer.from_file(str(encoder_model / "tokenizer.json"))
    model = AutoModel.from_pretrained(encoder_model)
    text = (tmp_path / "tickets.csv").read_text(encoding="utf-8").splitlines()[1].rpartition(",")[0].strip('"')
    with torch.no_grad():
        states = model.eval()(input_ids=torch.tensor([ids.encode(text).ids])).last_hidden_state[0].mean(0)
    expected = torch.nn.functional.normalize(states, dim=0).numpy()
    assert expected @ rows_ND[0] > 0.999
    np.testing.assert_allclose(np.linalg.norm(rows_ND, axis=1), 1, atol=1e-5)


def test_heads_learn_from_training_rows_and_are_judged_beside_the_majority(tmp_path: Path, encoder_model: Path) -> None:
    file = data(tmp_path) / "tickets.csv"
    found = affina.features(str(encoder_model), str(file), tmp_path / "out.parquet", ALL)
    _, table = embedded(tmp_path / "out.parquet")
    splits = table["split"].to_pylist()
    assert {*splits} == {"train", "validation", "test"} and found["items"] == splits.count("test")
    assert found["without"] == "the majority class" and {*found["heads"]} == {*ALL}
    for head in found["heads"].values():
        accuracy = head["metrics"]["accuracy"]
        assert accuracy["base"]["value"] == pytest.approx(1 / 3) and accuracy["tuned"]["n"] == found["items"]
        assert accuracy["tuned"]["low"] <= accuracy["tuned"]["value"] <= accuracy["tuned"]["high"]
        assert head["verdict"]["metric"] == "accuracy"
    assert found["heads"]["linear"]["metrics"]["accuracy"]["tuned"]["value"] > 0.8
    assert found["heads"]["linear"]["verdict"]["decision"] == "promote"


@pytest.mark.parametrize("head", ALL)
def test_a_kept_head_answers_as_it_was_judged_and_holds_no_pickle(
    head: str, tmp_path: Path, encoder_model: Path
) -> None:
    file = data(tmp_path) / "tickets.csv"
    found = affina.features(str(encoder_model), str(file), tmp_path / "out.parquet", [head])
    folder = Path(found["heads"][head]["folder"])
    assert {each.name for each in folder.iterdir()} == {"about.json", "learnt.safetensors", MANIFEST}
    _, table = embedded(tmp_path / "out.parquet")
    lines = file.read_text(encoding="utf-8").splitlines()
    asked = [
        (lines[int(id.rpartition(":")[2]) - 1].rpartition(",")[0].strip('"'), label)
        for id, split, label in zip(*(table[name].to_pylist() for name in ("id", "split", "label")), strict=True)
        if split == "test"
    ]
    answers = affina.apply(folder, [text for text, _ in asked])
    right = np.mean([each["answer"] == label for each, (_, label) in zip(answers, asked, strict=True)])
    assert right == pytest.approx(found["heads"][head]["metrics"]["accuracy"]["tuned"]["value"])
    assert all(1 / 3 <= each["chance"] <= 1 + 1e-9 for each in answers)


def test_a_number_is_learnt_too(tmp_path: Path, encoder_model: Path) -> None:
    file = written(tmp_path, "scores.jsonl", task_rows("regression"))
    found = affina.features(str(encoder_model), str(file), tmp_path / "out.parquet", ALL)
    assert found["without"] == "the training rows' mean"
    assert found["heads"]["linear"]["verdict"]["decision"] == "promote"
    for head in found["heads"].values():
        assert {*head["metrics"]} == {"rmse", "spearman", "loss"}
    answer = affina.apply(found["heads"]["knn"]["folder"], ["when does my order arrive"])[0]
    assert isinstance(answer["answer"], float) and answer["chance"] is None
    assert "value" in pq.read_table(tmp_path / "out.parquet").column_names


def test_a_run_gives_its_own_embeddings_and_its_own_split(tmp_path: Path, finished: Callable[[str], Run]) -> None:
    run = finished("encoder")
    file, where = run.folder.parent.parent / "tickets.csv", affina.Where(run.folder.parent)
    affina.features("encoder", str(file), tmp_path / "tuned.parquet", ["linear"], where)
    base = run.read("lock.json")["base"]["reference"]
    affina.features(base, str(file), tmp_path / "base.parquet", ["linear"])
    tuned_ND, table = embedded(tmp_path / "tuned.parquet")
    base_ND, _ = embedded(tmp_path / "base.parquet")
    assert not np.allclose(tuned_ND, base_ND, atol=1e-2)
    tested = {
        id for id, split in zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True) if split == "test"
    }
    assert tested == {*run.read("tuned.json")["ids"]}


def test_a_recipe_says_how_a_file_is_split(tmp_path: Path, encoder_model: Path) -> None:
    split = {"name": "split", "test": 0.4, "validation": 0.1}
    path = recipe(data(tmp_path), encoder_model, data={"transforms": ["dedup", split]})
    found = affina.features(str(encoder_model), str(path), tmp_path / "out.parquet", ["knn"])
    assert found["items"] == 36  # 0.4 of 90


def test_texts_that_are_cut_are_counted(tmp_path: Path) -> None:
    base = encoder_base(tmp_path / "base")
    file = written(tmp_path, "long.jsonl", [{"text": "the courier " * 900}, {"text": "short"}])
    heard = Heard()
    affina.features(str(base), str(file), tmp_path / "out.parquet", say=heard)
    assert any("1 texts are longer than the 512 tokens that are read" in line for line in heard.lines)


@pytest.mark.parametrize(
    ("out", "heads", "said"),
    [
        ("out.csv", (), r"out\.csv is no name for Parquet\. write --out .*out\.parquet"),
        ("out.parquet", ("linaer",), r"no head is called 'linaer'\. did you mean 'linear'\?"),
        ("out.parquet", ("linear",), r"a head cannot learn from text examples: it says one class or one number\. give"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    out: str, heads: tuple[str, ...], said: str, tmp_path: Path, encoder_model: Path
) -> None:
    file = written(tmp_path, "texts.jsonl", [{"text": text} for text in SENTENCES])
    with pytest.raises(Refused, match=said):
        affina.features(str(encoder_model), str(file), tmp_path / out, heads)
    assert not (tmp_path / out).exists()


def test_a_head_refuses_another_model_a_damaged_file_and_no_folder(tmp_path: Path) -> None:
    base, file = encoder_base(tmp_path / "base"), data(tmp_path) / "tickets.csv"
    folder = affina.features(str(base), str(file), tmp_path / "out.parquet", ["linear"])["heads"]["linear"]["folder"]
    encoder_base(tmp_path / "base", seed=1)
    with pytest.raises(Refused, match=r"out\.linear was learnt on another model than .*base is now"):
        affina.apply(folder, ["a text"])
    assert saved.PROBE in load_file(Path(folder) / "learnt.safetensors")
    (Path(folder) / "about.json").write_text("{}", encoding="utf-8")
    with pytest.raises(Failed, match=r"out.linear is damaged: about.json changed since written"):
        affina.apply(folder, ["a text"])
    with pytest.raises(Refused, match="holds no head and no detector"):
        affina.apply(tmp_path, ["a text"])
