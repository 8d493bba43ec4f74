"""A plan leaves nothing open, and its lock says what a resumed run must find again."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tiny import data, recipe, written

from affina.core.errors import Refused
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Silent
from affina.data.abreast import cores
from affina.data.prefixes import of_all
from affina.training.material import Material
from affina.training.plan import Plan, _work, plan, proof_key


def planned(folder: Path, base: Path, run: Run | None = None, **sections: Any) -> Plan:
    asked = Recipe.load(recipe(data(folder), base, **sections))
    material = Material.gather(asked, offline=True, say=Silent())
    return plan(asked, material.prepared, material.source, material.rows, run)


def test_what_a_recipe_leaves_open_is_settled(tmp_path: Path, chat_model: Path) -> None:
    made = planned(
        tmp_path, chat_model, train={"steps": None, "epochs": 2, "learning_rate": None}, evaluate={"every": None}
    )
    rows = 90 - 18 - 9  # the test split is a fifth, validation a tenth, class by class
    assert made.steps == 2 * -(-rows // 8)
    assert made.recipe.evaluate.every == -(-rows // 8)  # once an epoch
    assert made.learning_rate == 5e-4  # LoRA's own
    assert made.lock["recipe"]["train"]["learning_rate"] == 5e-4


def test_the_lock_names_data_base_versions_and_machine(tmp_path: Path, chat_model: Path) -> None:
    lock = planned(tmp_path, chat_model).lock
    assert lock["data"] == {"tickets.csv": hashlib.sha256((tmp_path / "tickets.csv").read_bytes()).hexdigest()}
    assert set(lock["versions"]) == {"affina", "python", "torch", "transformers", "tokenizers", "safetensors", "numpy"}
    assert lock["machine"]["threads"] == cores()
    assert lock["machine"]["compute"]["precision"] == "float32"
    assert lock["labels"] == ["account", "refund", "shipping"]
    assert lock["recipe"]["tuning"] == {
        "name": "lora",
        "rank": 4,
        "alpha": 32.0,
        "rslora": False,
        "lora_plus": 1.0,
        "dora": False,
        "dropout": 0.0,
        "targets": "all-linear",
    }


def test_a_run_begun_on_another_device_is_not_continued_here_without_a_word(tmp_path: Path, chat_model: Path) -> None:
    run = Run.create(tmp_path / "runs", "tiny")
    lock = planned(tmp_path, chat_model).lock
    run.write("lock.json", {**lock, "machine": {**lock["machine"], "device": "npu"}})
    with pytest.raises(Refused, match=r"run 'tiny' was begun on npu: on .* its numbers would be others"):
        planned(tmp_path, chat_model, run)
    run.mark("finished")  # there is nothing to compute
    assert planned(tmp_path, chat_model, run).lock["machine"]["device"] == "npu"


def test_a_run_begun_keeps_its_threads_and_precision(tmp_path: Path, chat_model: Path) -> None:
    auto: dict[str, Any] = {"train": {"compute": {"precision": "auto"}}}
    run = Run.create(tmp_path / "runs", "tiny")
    lock = planned(tmp_path, chat_model, **auto).lock
    run.write("lock.json", {**lock, "machine": {**lock["machine"], "threads": 7, "compute": {"precision": "bf16"}}})
    made = planned(tmp_path, chat_model, run, **auto)
    assert (made.threads, made.computing.precision) == (7, "bf16")


def test_a_run_begun_before_a_setting_was_goes_on(tmp_path: Path, chat_model: Path) -> None:
    run, lock = Run.create(tmp_path / "runs", "tiny"), planned(tmp_path, chat_model).lock
    settings, computed = lock["recipe"]["train"]["compute"], lock["machine"]["compute"]
    for name in ("packing", "head"):
        del settings[name], computed[name]
    del settings["ahead"]
    run.write("lock.json", lock)
    made = planned(tmp_path, chat_model, run)
    assert (made.computing.packing, made.computing.head) == (True, "targets")
    with pytest.raises(Refused, match=r"train\.compute\.ahead was 4 and is 2"):
        planned(tmp_path, chat_model, run, train={"compute": {"precision": "float32", "ahead": 2}})


@pytest.mark.parametrize(
    ("sections", "same"),
    [({}, True), ({"train": {"steps": 13}}, False), ({"tuning": {"name": "lora", "rank": 5}}, False)],
)
def test_proofs_are_keyed_by_recipe_data_base_code_and_versions(
    sections: dict[str, Any], same: bool, tmp_path: Path, chat_model: Path
) -> None:
    first = proof_key(planned(tmp_path, chat_model).lock)
    assert (proof_key(planned(tmp_path, chat_model, **sections).lock) == first) is same


def test_where_the_recipe_lies_is_no_part_of_the_key(tmp_path: Path, chat_model: Path) -> None:
    here, there = (planned(tmp_path / name, chat_model).lock for name in ("here", "there"))
    assert here["machine"]["folder"] != there["machine"]["folder"]
    assert proof_key(here) == proof_key(there)


def test_what_is_computed_once_is_counted_once(tmp_path: Path, chat_model: Path) -> None:
    """Every row begins with the same long instructions: memory and time are planned for one copy a micro-batch."""
    told = {"role": "system", "content": "Answer with the name of one team. " * 6}
    answer = {"role": "assistant", "content": "a"}
    said = [{"messages": [told, {"role": "user", "content": f"{n} {'please ' * (n % 5)}"}, answer]} for n in range(60)]
    written(tmp_path, "rows.jsonl", said)
    train = {"batch": 12, "accumulate": 3}

    def work(**more: Any) -> tuple[int, int, int, list[int]]:
        asked = Recipe.load(recipe(tmp_path, chat_model, read="rows.jsonl", train=train, **more))
        material = Material.gather(asked, offline=True, say=Silent())
        rows = material.rows
        made = _work(asked, rows, 10, material.source)
        return made.tokens, made.largest, of_all(rows), [len(row.tokens) for row in rows]

    tokens, largest, once, lengths = work()
    assert once > 60
    assert largest == sum(sorted(lengths)[-4:]) - 3 * once
    assert tokens == round(10 * (12 * (sum(lengths) / len(lengths) - once) + 3 * once))
    tokens, largest, once, lengths = work(regime={"name": "supervised", "share": False})
    assert largest == sum(sorted(lengths)[-4:]) and tokens == round(10 * 12 * sum(lengths) / len(lengths))
