"""`new` says what the files are and writes a recipe that loads, fits and is never written over another."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared_data import shared

import affina
from affina.core.errors import Refused
from affina.core.example import Message, Pair, Related
from affina.core.recipe import Recipe
from affina.data.new import MARKUP, _tokens, _tokens_of

SENTENCES = [
    "the kettle boils over when nobody watches",
    "my parcel never came to the door",
    "il treno per Bari parte in ritardo",
    "could you send the invoice again please",
    "nobody answers the phone since Monday",
    "la caldaia fa un rumore strano di notte",
    "the app closes itself on start",
    "I was charged twice for one ticket",
    "vorrei disdire il contratto della luce",
    "the garden hose leaks at the valve",
    "where can I change my address",
    "the new lamp flickers every evening",
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def labelled() -> str:
    rows = [f"{sentence},{('fault', 'request')[number % 2]}" for number, sentence in enumerate(SENTENCES)]
    return write("tickets.csv", "\n".join(["text,label", *rows]))


def chats() -> str:
    turns = [
        {"messages": [{"role": "user", "content": one}, {"role": "assistant", "content": f"Answer: {one[::-1]}"}]}
        for one in SENTENCES
    ]
    return write("chats.jsonl", "\n".join(json.dumps(each) for each in turns))


def test_labelled_texts_become_a_classification_by_words() -> None:
    made = affina.new([labelled()])
    assert (made["path"], made["format"], made["shape"], made["task"]) == (
        "tickets.yaml",
        "csv",
        "labelled",
        "classification",
    )
    assert all(made["why"][key] for key in ("format", "shape", "task"))
    recipe = Recipe.load("tickets.yaml")
    assert recipe.objective.name == "cross_entropy"
    assert [metric.name for metric in recipe.evaluate.metrics] == ["accuracy", "f1", "loss"]
    assert recipe.evaluate.gate.rules == {"accuracy": "better than base"}
    assert recipe.model.base == "smollm2-135m-instruct"


def test_conversations_are_measured_by_loss_and_perplexity() -> None:
    made = affina.new([chats()])
    assert (made["format"], made["shape"], made["task"]) == ("jsonl", "messages", "answers")
    assert [metric.name for metric in Recipe.load("chats.yaml").evaluate.metrics] == ["loss", "perplexity"]


@pytest.mark.parametrize(("joint", "by"), [("\n\n", "paragraph"), ("\n", "line")])
def test_one_text_is_divided_so_that_three_splits_have_rows(joint: str, by: str) -> None:
    made = affina.new([write("book.txt", joint.join(SENTENCES))])
    assert (made["shape"], made["task"]) == ("raw", "continued text")
    assert f"one record per {by}" in made["why"]["format"]
    reader = Recipe.load("book.yaml").data.reader
    assert reader is not None and reader.model_dump()["by"] == by


def test_many_documents_stay_whole() -> None:
    for number, sentence in enumerate(SENTENCES):
        write(f"note{number}.txt", f"{sentence}\n\n{sentence[::-1]}")
    affina.new([f"note{number}.txt" for number in range(len(SENTENCES))], out="notes.yaml")
    assert Recipe.load("notes.yaml").data.reader is None


@pytest.mark.parametrize("kind", [labelled, chats])
def test_every_line_of_the_recipe_is_explained(kind: Any) -> None:
    text = affina.new([kind()])["recipe"]
    bare = [line for line in text.splitlines() if "#" not in line and not line.endswith(":")]
    assert [line.partition(":")[0] for line in bare] == ["name"]
    assert yaml.safe_load(text)["data"]["transforms"] == ["dedup", "split"]


def test_the_recipe_written_is_complete_and_checks_clean(byte_base: Path) -> None:
    for file in (labelled(), chats()):
        made = affina.new([file])
        seen = affina.check(Recipe.load(made["path"], {"model.base": str(byte_base), "data.max_tokens": 1024}))
        assert seen["problems"] == []


def test_a_file_in_which_every_row_stands_three_times_keeps_its_classes() -> None:
    once = Path(labelled()).read_text(encoding="utf-8").splitlines()
    made = affina.new([write("thrice.csv", "\n".join([once[0], *once[1:] * 3]))])
    assert (made["shape"], made["task"]) == ("labelled", "classification")
    assert made["ledger"]["dropped"]["total"] == 24


@pytest.mark.parametrize("name", ["2024.csv", "true.csv", "null.csv", "1.5.csv", "0x10.csv"])
def test_a_file_called_like_a_number_gives_a_recipe_that_loads(name: str) -> None:
    Path(labelled()).rename(name)
    made = affina.new([name])
    assert Recipe.load(made["path"]).name == Path(name).stem


def test_a_very_long_row_is_told_instead_of_written_as_the_limit() -> None:
    rows = [f"{sentence},{('fault', 'request')[number % 2]}" for number, sentence in enumerate(SENTENCES)]
    write("long.csv", "\n".join(["text,label", *rows, f"{'word by word ' * 5000},fault"]))
    made = affina.new(["long.csv"])
    assert Recipe.load("long.yaml").data.max_tokens == 8192
    # three words of 4, 2 and 4 letters are 5 tokens by the estimate: 5,000 times are 25,000
    line = next(line for line in made["recipe"].splitlines() if "max_tokens" in line)
    assert "the longest row may need 25" in line and "truncate: allow" in line


def test_guesses_and_rows_left_out_are_told() -> None:
    rows = [f"{sentence} perché,{('fault', 'request')[number % 2]}" for number, sentence in enumerate(SENTENCES)]
    text = "\n".join(["text,label", *rows, rows[0], "no label here,"])
    Path("old.csv").write_bytes(text.encode("cp1252"))
    made = affina.new(["old.csv"])
    assert len(made["notes"]) == 1 and "was read as cp1252" in made["notes"][0]
    assert made["ledger"]["dropped"]["reasons"] == {"exact duplicate of old.csv:2": 1}
    assert made["ledger"]["quarantined"]["reasons"] == {"the label is empty (column 'label')": 1}
    assert affina.new([labelled()])["notes"] == []


def test_paths_are_relative_to_the_recipes_folder() -> None:
    Path("recipes").mkdir()
    affina.new([labelled()], out="recipes/tickets.yaml")
    assert Recipe.load("recipes/tickets.yaml").data.read == ["../tickets.csv"]


def test_columns_with_difficult_names_survive_yaml() -> None:
    rows = [f"{sentence},{('fault', 'request')[number % 2]}" for number, sentence in enumerate(SENTENCES)]
    write("odd.csv", "\n".join(["the text: [all] of it #1,label", *rows]))
    affina.new(["odd.csv"])
    shape = Recipe.load("odd.yaml").data.shape
    assert shape is not None and shape.model_dump()["text"] == "the text: [all] of it #1"


def test_an_odd_file_name_gives_a_usable_run_name() -> None:
    Path(labelled()).rename("  Ticket's (2026)!.csv")
    made = affina.new(["  Ticket's (2026)!.csv"])
    assert made["path"] == "Ticket-s-2026.yaml"
    assert Recipe.load(made["path"]).name == "Ticket-s-2026"


def test_a_recipe_is_never_overwritten() -> None:
    affina.new([labelled()])
    before = Path("tickets.yaml").read_text(encoding="utf-8")
    with pytest.raises(Refused, match=r"tickets.yaml exists: a recipe is never overwritten"):
        affina.new(["tickets.csv"])
    assert Path("tickets.yaml").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "bad.csv is empty"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00\x01\x02\xff" * 100, "bad.csv"),
        (b"text,label\n" + b"one text more,same\nanother one here,same\nthird of them all,same\n", "only one class"),
        (b"a,b\n1,2\n3,4\n5,6\n", "shape is not recognised"),
    ],
    ids=["empty", "binary", "one class", "numbers"],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(content: bytes, sentence: str) -> None:
    Path("bad.csv").write_bytes(content)
    with pytest.raises(Refused, match=sentence):
        affina.new(["bad.csv"])
    assert sorted(path.name for path in Path().iterdir() if path.suffix) == ["bad.csv"]


def test_a_missing_file_is_refused_under_the_name_that_was_typed() -> None:
    labelled()
    with pytest.raises(Refused, match=r"there is no file tickts.csv. did you mean 'tickets.csv'"):
        affina.new(["tickts.csv"], out="elsewhere.yaml")


NEW_TASKS: list[tuple[str, Any, str]] = [
    ("multi_label", lambda n, text: {"text": text, "tags": [["a"], ["a", "b"], ["b"]][n % 3]}, "multi_label"),
    ("rated", lambda n, text: {"text": text, "rating": n % 5 + 0.5}, "regression"),
    ("tagged", lambda n, text: {"tokens": text.split(), "tags": ["OX"[n % 2]] * len(text.split())}, "tag"),
    (
        "squad",
        lambda n, text: {"context": text, "question": "?", "answers": {"text": [text[:3]], "answer_start": [0]}},
        "span",
    ),
    ("parallel", lambda n, text: {"en": text, "it": text[::-1]}, "cross_entropy"),
    ("preference", lambda n, text: {"prompt": text, "chosen": text[::-1], "rejected": "no"}, "reward"),
    ("related", lambda n, text: {"query": text, "positive": text[::-1], "negative": "no"}, "contrastive"),
    ("record", lambda n, text: {"a": len(text), "b": text[:3], "c": f"{n}.5", "esito": "sn"[n % 2]}, "cross_entropy"),
]


@pytest.mark.parametrize(("shape", "row", "objective"), NEW_TASKS, ids=[each[0] for each in NEW_TASKS])
def test_a_recipe_names_the_objective_of_its_examples(shape: str, row: Any, objective: str) -> None:
    rows = [json.dumps(row(number, sentence)) for number, sentence in enumerate(SENTENCES)]
    made = affina.new([write("rows.jsonl", "\n".join(rows))])
    recipe = Recipe.load("rows.yaml")
    assert (made["shape"], recipe.objective.name) == (shape, objective)
    assert recipe.data.max_tokens >= 64
    bare = [line for line in made["recipe"].splitlines() if "#" not in line and not line.endswith(":")]
    assert [line.partition(":")[0] for line in bare] == ["name"]


@pytest.mark.parametrize("shape", [shape for shape, _, _ in NEW_TASKS if shape != "parallel"])
def test_recipes_of_every_objective_check_clean(shape: str, byte_base: Path) -> None:
    row = next(row for name, row, _ in NEW_TASKS if name == shape)
    rows = [json.dumps(row(number, sentence)) for number, sentence in enumerate(SENTENCES)]
    made = affina.new([write("rows.jsonl", "\n".join(rows))])
    seen = affina.check(Recipe.load(made["path"], {"model.base": str(byte_base), "data.max_tokens": 1024}))
    assert seen["problems"] == []


def test_a_parallel_text_of_two_files_names_both() -> None:
    files = [write("x.en", "\n".join(SENTENCES)), write("x.it", "\n".join(line[::-1] for line in SENTENCES))]
    made = affina.new(files)
    assert (made["format"], made["shape"], made["task"]) == ("parallel_lines", "parallel", "texts from texts")
    assert Recipe.load("x.yaml").data.read == files
    assert "`seq2seq` for an encoder-decoder base" in made["recipe"]


def test_a_preference_needs_the_longer_answer() -> None:
    turns = (Message("user", "abc"),)
    pair = Pair(id="a:1", messages=turns, chosen="abc " * 20, rejected="abc " * 50)
    assert _tokens_of(pair) == 1 + 50 + 2 * MARKUP
    related = Related(id="a:1", anchor="abc", positive="abc " * 5, negatives=("abc " * 9,))
    assert _tokens_of(related) == 9 + MARKUP


def test_the_estimate_of_tokens_is_not_below_what_a_tokenizer_of_bytes_merged_in_threes_needs() -> None:
    assert _tokens("abc def") == 2
    assert _tokens("12345") == 5  # this base's tokenizer reads digits one by one
    assert _tokens("è") == 2  # two bytes of UTF-8


@pytest.mark.parametrize(
    ("file", "shape", "task"),
    [
        ("banking77/test.csv", "labelled", "classification"),
        ("sms_spam/sms.tsv", "labelled", "classification"),
        ("alpaca_en_demo/alpaca_en_demo.json", "alpaca", "answers"),
        ("dolly_6400/dolly_6400.jsonl", "prompt_completion", "answers"),
        ("fastchat_dummy_conversation/dummy_conversation.json", "sharegpt", "answers"),
        ("tiny_shakespeare/input.txt", "raw", "continued text"),
        ("wnut17/emerging.dev.conll", "tagged", "tagging"),
        ("dpo_kto_en_demo/dpo_en_demo.json", "preference", "preferences"),
        ("squad_sample_jack_format/train.json", "squad", "questions about a text"),
        ("arxiv_paper_multilabel/train_data.csv", "multi_label", "sets of classes"),
        ("dialogsum_dev_test/dialogsum.dev.jsonl", "parallel", "texts from texts"),
        ("bank_marketing/bank_marketing_test_data.csv", "record", "classification"),
    ],
)
def test_published_datasets_are_recognised(file: str, shape: str, task: str, tmp_path: Path) -> None:
    made = affina.new([str(shared("data", *file.split("/")))], out=str(tmp_path / "made.yaml"))
    assert (made["shape"], made["task"]) == (shape, task)
    Recipe.load(tmp_path / "made.yaml")
