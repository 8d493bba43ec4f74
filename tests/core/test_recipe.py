"""Recipes: every problem located, changes dotted, dumps short and exact."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affina.core.errors import Refused
from affina.core.gate import Gate, Rule
from affina.core.recipe import Recipe, Train

LEAST = {"name": "least", "model": {"base": "folder"}, "data": {"read": ["a.csv"]}}
SECTIONS_AT_MOST = 10


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tickets.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_least_recipe_is_a_base_and_a_file() -> None:
    recipe = Recipe.build(LEAST)
    assert (recipe.tuning.name, recipe.objective.name, recipe.regime.name) == ("lora", "cross_entropy", "supervised")
    assert [part.name for part in recipe.data.transforms] == ["dedup", "split"]
    assert recipe.evaluate.metrics == []  # chosen by what the answers are
    assert recipe.evaluate.monitor.name == "loss"


def test_the_file_names_the_recipe_and_its_folder(tmp_path: Path) -> None:
    recipe = Recipe.load(written(tmp_path, "model: {base: x}\ndata: {read: [a.csv]}\n"))
    assert (recipe.name, recipe.folder) == ("tickets", tmp_path)


def test_every_problem_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "model: {base: x}\n"
        "data:\n"
        "  read: [a.csv]\n"
        "  transforms:\n"
        "  - dedup\n"
        "  - splt\n"
        "objectiv: cross_entropy\n"
        "train:\n"
        "  bach: 4\n"
        "  schedule: {name: cosine, warmpu: 3}\n",
    )
    with pytest.raises(Refused) as caught:
        Recipe.load(path)
    assert str(caught.value).splitlines() == [
        f"{path}:6: data.transforms.1: no transform is called 'splt'. did you mean 'split'?",
        f"{path}:10: train.schedule.warmpu: unknown setting; did you mean 'warmup'?",
        f"{path}:9: train.bach: unknown setting; did you mean 'batch'?",
        f"{path}:7: objectiv: unknown setting; did you mean 'objective'?",
    ]


@pytest.mark.parametrize(
    ("text", "first", "second", "key"),
    [
        (
            "model: {base: x}\ndata: {read: [a.csv]}\ntrain:\n  epochs: 1\n  batch: 3\n  epochs: 2\n",
            4,
            6,
            "train.epochs",
        ),
        ("model: {base: x}\ndata: {read: [a.csv]}\nmodel: {base: y}\n", 1, 3, "model"),
        ("data:\n  transforms:\n  - {name: split, test: 0.1,\n     test: 0.2}\n", 3, 4, "data.transforms.0.test"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(
    tmp_path: Path, text: str, first: int, second: int, key: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(Refused) as caught:
        Recipe.load(path)
    assert str(caught.value) == (
        f"{path}:{second}: '{key}' stands twice: first on line {first}, again on line {second}. keep one of them"
    )


def test_an_alias_may_stand_twice_and_one_inside_itself_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "model: {base: x}\ndata: {read: [&file a.csv, *file]}\n")
    assert Recipe.load(path).data.read == ["a.csv", "a.csv"]
    with pytest.raises(Refused, match=r"model\.base: must be text"):
        Recipe.load(written(tmp_path, "model: &inside {base: *inside}\ndata: {read: [a.csv]}\n"))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"model": "smol"}, "recipe: model: must be a mapping like `model: {base: smol}`, got 'smol'"),
        ({"data": "a.csv"}, "recipe: data: must be a mapping like `data: {read: a.csv}`, got 'a.csv'"),
        (
            {"tuning": {"name": "lora", "targets": "query"}},
            "recipe: tuning.targets: must be 'all-linear' or a list like [query], got 'query'",
        ),
        (
            {"tuning": {"name": "lora", "targets": ["query", 3]}},
            "recipe: tuning.targets: must be 'all-linear' or a list in which each entry is text, got 3",
        ),
        (
            {"name": "x y"},
            "recipe: name: may hold letters without accents, digits, dots, dashes and underscores, "
            "and begins with a letter or a digit, got 'x y'",
        ),
        ({"name": "x" * 81}, f"recipe: name: has at most 80 letters, got '{'x' * 78}…"),
        ({"train": {"batch": 1.5}}, "recipe: train.batch: must be a whole number, got 1.5"),
        ({"train": {"learning_rate": -1}}, "recipe: train.learning_rate: must be above 0, got -1"),
        ({"train": {"epochs": float("inf")}}, "recipe: train.epochs: must be a finite number, got .inf"),
        ({"train": {"seed": None}}, "recipe: train.seed: must be a whole number, got null"),
        ({"data": {"read": []}}, "recipe: data.read: needs at least one entry"),
        ({"data": {"read": [3]}}, "recipe: data.read.0: must be text, got 3"),
        ({"data": {"read": "a.csv", "max_tokens": 3}}, "recipe: data.max_tokens: must be at least 8, got 3"),
        (
            {"data": {"read": "a.csv", "truncate": "no"}},
            "recipe: data.truncate: must be 'refuse' or 'allow', got 'no'",
        ),
        ({"evaluate": {"metrics": "loss"}}, "recipe: evaluate.metrics: must be a list like [loss], got 'loss'"),
    ],
)
def test_a_wrong_value_is_told_in_words_with_what_to_write(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused) as caught:
        Recipe.build({**LEAST, **given})
    assert str(caught.value) == sentence


def test_a_licence_is_one_for_all_or_by_what_is_read() -> None:
    read = {"read": ["a.csv", "b/*.csv"]}
    spread = Recipe.build({**LEAST, "data": {**read, "licence": " CC-BY-4.0,\n  by us "}})
    assert spread.data.licence == "CC-BY-4.0, by us"
    stated = {"b/*.csv": "MIT"}
    assert Recipe.build({**LEAST, "data": {**read, "licence": stated}}).data.licence == stated
    with pytest.raises(Refused, match=r"data.licence: 'b\.csv' is not read; did you mean 'b/\*\.csv'"):
        Recipe.build({**LEAST, "data": {**read, "licence": {"b.csv": "MIT"}}})


def test_one_file_needs_no_list() -> None:
    assert Recipe.build({**LEAST, "data": {"read": "a.csv"}}).data.read == ["a.csv"]


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "data: {read: [a.csv]}\n")
    with pytest.raises(Refused, match=r"model: is needed and missing"):
        Recipe.load(path)


def test_a_wrong_value_is_shown(tmp_path: Path) -> None:
    path = written(tmp_path, "model: {base: x}\ndata: {read: [a.csv]}\ntrain: {batch: many}\n")
    with pytest.raises(Refused, match=r"tickets.yaml:3: train.batch: must be a whole number, got 'many'"):
        Recipe.load(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model: [", "is not YAML"),
        ("just words", "holds no recipe: it is no mapping of sections"),
        ("", "holds no recipe"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        Recipe.load(written(tmp_path, text))


def test_a_path_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no recipe at .*absent.yaml. `affina new FILE` writes one"):
        Recipe.load(tmp_path / "absent.yaml")
    with pytest.raises(Refused, match=r"cannot be read as a recipe: .*Is a directory"):
        Recipe.load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(Refused, match=r"cannot be read as a recipe"):
        Recipe.load(tmp_path / "binary.yaml")


def test_epochs_or_steps_but_never_both() -> None:
    with pytest.raises(Refused, match=r"train: takes epochs or steps, never both: leave one out"):
        Recipe.build({**LEAST, "train": {"epochs": 2, "steps": 10}})
    # 100 examples in batches of 16 are ceil(6.25) = 7 steps an epoch.
    assert Train(batch=16).total_steps(100) == 21
    assert Train(batch=16, epochs=0.5).total_steps(100) == 4
    assert Train(batch=16, steps=5).total_steps(100) == 5


def test_a_batch_is_not_divided_below_one_example() -> None:
    with pytest.raises(Refused, match=r"accumulate \(8\) divides the batch \(4\)"):
        Recipe.build({**LEAST, "train": {"batch": 4, "accumulate": 8}})


def test_a_gate_is_written_as_a_sentence() -> None:
    gate = Gate.model_validate({"accuracy": "better than base", "margin": 0.1})
    assert (gate.rules, gate.margin) == ({"accuracy": "better than base"}, 0.1)
    assert Gate.model_validate({"rules": {"accuracy": "better than base"}, "margin": 0.1}) == gate


def test_every_rule_of_the_grammar_is_read() -> None:
    for against in ("base", "parent", "live"):
        assert Rule.of("f1", f"better than {against}") == Rule("f1", against, None)
        assert Rule.of("f1", f" not  worse by 2e-2 than {against}") == Rule("f1", against, 0.02)
    gate = Gate.model_validate({"f1": "better than live", "neutral_text.nats": "not worse by .05 than base"})
    assert [rule.metric for rule in gate.judged("accuracy")] == ["f1", "neutral_text.nats"]
    assert Gate().judged("accuracy") == [Rule("accuracy", "base", None)]


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        ({"acuracy": "better than base"}, "no setting of the gate and no metric is called 'acuracy'"),
        ({"accuracy": "best"}, "the rule for accuracy is 'best'; a rule is `better than X` or `not worse by M than X`"),
        ({"accuracy": "better than yesterday"}, "the rule for accuracy is 'better than yesterday'; a rule is"),
        ({"accuracy": "not worse by 0 than base"}, "allows 0: write a number above 0, or `better than`"),
        ({"accuracy": "not worse by 1.2.3 than base"}, "allows '1.2.3', which is no number"),
        ({"accuracy": "not worse than base"}, "a rule is `better than X` or"),
        ({"knowledge.": "better than base"}, "no setting of the gate and no metric is called 'knowledge.'"),
    ],
)
def test_a_gate_that_cannot_be_held_is_refused(gate: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        Recipe.build({**LEAST, "evaluate": {"metrics": ["accuracy"], "gate": gate}})


def test_changes_are_dotted_and_leave_the_rest() -> None:
    recipe = Recipe.build(LEAST)
    changed = recipe.change({"train.batch": 4, "train.schedule.warmup": 0.5, "tuning": "full", "data.read.0": "b.csv"})
    assert (changed.train.batch, changed.tuning.name, changed.data.read) == (4, "full", ["b.csv"])
    assert changed.train.schedule.name == "cosine"
    assert changed.train.schedule.changed() == {"warmup": 0.5}
    assert recipe.train.batch == 16


def test_a_switch_is_written_on_or_off_though_yaml_reads_truth_values(tmp_path: Path) -> None:
    text = "model: {base: a}\ndata: {read: b.csv}\ntrain: {compute: {kernels: off, compile: on, trunk: off}}\n"
    compute = Recipe.load(written(tmp_path, text)).train.compute
    assert (compute.kernels, compute.compile, compute.checkpoint, compute.trunk) == ("off", "on", "auto", "off")
    assert Recipe.load(written(tmp_path, text), {"train.compute.compile": False}).train.compute.compile == "off"


def test_a_change_of_what_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused, match=r"change train.bach=4: unknown setting; did you mean 'batch'"):
        Recipe.build(LEAST).change({"train.bach": 4})
    with pytest.raises(Refused, match=r"'train.batch.size' cannot be set: 'train.batch' is 4"):
        Recipe.build({**LEAST, "train": {"batch": 4}}).change({"train.batch.size": 4})
    with pytest.raises(Refused, match=r"'data.read.x' cannot be set: 'x' is no place in a list of 1"):
        Recipe.build(LEAST).change({"data.read.x": "b.csv"})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train.bach": 4}, "--set train.bach=4: unknown setting; did you mean 'batch'?"),
        ({"tuning.rank": "x"}, "--set tuning.rank=x: must be a whole number, got 'x'"),
        ({"data.transforms.1.test": 2}, "--set data.transforms.1.test=2: must be below 1, got 2"),
        (
            {"train.epochs": 1, "train.steps": 3},
            "--set train.steps=3: train: takes epochs or steps, never both: leave one out",
        ),
        ({"model": {"bse": "x"}}, "--set model={'bse': 'x'}: model.bse: unknown setting; did you mean 'base'?"),
    ],
)
def test_a_problem_of_a_change_is_located_at_the_change(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    path = written(tmp_path, "model: {base: x}\ndata: {read: [a.csv]}\n")
    with pytest.raises(Refused) as caught:
        Recipe.load(path, changes)
    assert str(caught.value).splitlines()[0] == sentence


def test_a_field_of_a_part_that_the_file_leaves_out_can_be_changed(tmp_path: Path) -> None:
    path = written(tmp_path, "model: {base: x}\ndata: {read: [a.csv]}\n")
    recipe = Recipe.load(path, {"tuning.rank": 4, "data.transforms.1.test": 0.3, "data.reader.name": "csv"})
    assert (recipe.tuning.name, recipe.tuning.changed()) == ("lora", {"rank": 4})
    assert (recipe.data.transforms[1].name, recipe.data.transforms[1].changed()) == ("split", {"test": 0.3})
    assert recipe.data.reader is not None and recipe.data.reader.name == "csv"


def test_the_dump_is_as_short_as_what_was_written() -> None:
    assert Recipe.build(LEAST).dump() == "name: least\nmodel:\n  base: folder\ndata:\n  read:\n  - a.csv\n"


words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)  # YAML folds line ends
recipes = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "model": st.fixed_dictionaries({"base": words}),
        "data": st.fixed_dictionaries(
            {"read": st.lists(words, min_size=1, max_size=3)},
            optional={
                "max_tokens": st.integers(8, 4096),
                "truncate": st.sampled_from(["refuse", "allow"]),
                "transforms": st.just(["split"]),
                "reader": st.just("csv"),
            },
        ),
    },
    optional={
        "tuning": st.sampled_from(["full", "lora", {"name": "lora", "rank": 4}]),
        "train": st.fixed_dictionaries(
            {},
            optional={
                "epochs": st.floats(0.01, 100),
                "learning_rate": st.floats(1e-9, 1.0),
                "schedule": st.sampled_from(["linear", {"name": "cosine", "warmup": 0.25}]),
                "seed": st.integers(0, 2**31 - 1),
            },
        ),
        "evaluate": st.fixed_dictionaries(
            {"metrics": st.lists(st.sampled_from(["accuracy", "f1", "loss"]), min_size=1, max_size=3)},
            optional={"gate": st.just({"accuracy": "better than base", "margin": 0.1}), "patience": st.integers(1, 9)},
        ),
    },
)


@settings(max_examples=60, deadline=None)
@given(recipes)
def test_what_is_dumped_loads_as_the_same_recipe(
    tmp_path_factory: pytest.TempPathFactory, plain: dict[str, Any]
) -> None:
    recipe = Recipe.build(plain)
    path = tmp_path_factory.mktemp("dumped") / "recipe.yaml"
    path.write_text(recipe.dump(), encoding="utf-8")
    assert Recipe.load(path).resolved() == recipe.resolved()
    assert Recipe.load(path).dump() == recipe.dump()


def test_the_lock_records_every_default() -> None:
    resolved = Recipe.build(LEAST).resolved()
    assert resolved["train"]["batch"] == 16
    assert resolved["tuning"]["name"] == "lora"
    assert resolved["tuning"]["rank"] == 16
    assert resolved["train"]["schedule"]["name"] == "cosine"
    assert "folder" not in resolved


def test_a_recipe_has_at_most_ten_sections() -> None:
    assert len(Recipe.model_fields) - 1 <= SECTIONS_AT_MOST  # `folder` is where the file stands, no section
