"""Whatever is wrong with a request is one sentence that says where and what to do; exit 2, and nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from tiny import CHATML, affina_process, chat_base, data, recipe

from affina.cli.main import main

Prepare = Callable[[Path, Path], Path]
CASES: dict[str, tuple[Prepare, str]] = {}


def case(said: str) -> Callable[[Prepare], Prepare]:
    """Registers what makes a bad request (folder, base) → recipe, and what the sentence must match."""

    def register(prepare: Prepare) -> Prepare:
        CASES[prepare.__name__] = (prepare, said)
        return prepare

    return register


def csv(folder: Path, *lines: str) -> None:
    (folder / "tickets.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@case(r"there is no file .*/tickes\.csv\. did you mean 'tickets\.csv'\?")
def wrong_path(folder: Path, base: Path) -> Path:
    return recipe(folder, base, read="tickes.csv", data={"read": ["tickes.csv"]})


@case(r"/tickets\.csv is empty")
def empty_file(folder: Path, base: Path) -> Path:
    (folder / "tickets.csv").write_bytes(b"")
    return recipe(folder, base)


@case(r"/tickets\.csv is .*(binary|not text)")
def binary_file(folder: Path, base: Path) -> Path:
    (folder / "tickets.csv").write_bytes(bytes(range(256)) * 40)
    return recipe(folder, base)


@case(r"/tickets\.csv is binary")
def file_of_nuls(folder: Path, base: Path) -> Path:
    (folder / "tickets.csv").write_bytes(b"\0" * 4096)
    return recipe(folder, base)


@case(r"/tickets\.csv is damaged or cut off")
def picture_named_csv(folder: Path, base: Path) -> Path:
    (folder / "tickets.csv").write_bytes(b"PK\x03\x04" + b"x" * 2000)
    return recipe(folder, base)


@case(r"recipe\.yaml:\d+: .*learning_rat.* did you mean 'learning_rate'")
def unknown_field(folder: Path, base: Path) -> Path:
    return recipe(folder, base, train={"learning_rat": 0.1})


@case(r"recipe\.yaml:\d+: .*no metric is called 'acuracy'.*did you mean 'accuracy'")
def metric_name_typo(folder: Path, base: Path) -> Path:
    return recipe(folder, base, evaluate={"metrics": ["acuracy"]})


@case(
    r"tickets\.csv: no column is called 'message': the columns are text, label\. .*name the columns under `data.shape`"
)
def missing_column(folder: Path, base: Path) -> Path:
    return recipe(folder, base, data={"shape": {"name": "labelled", "text": "message"}})


@case(r"there is only one class to learn: every usable row is 'refund'\. add rows of others")
def one_class(folder: Path, base: Path) -> Path:
    csv(folder, "text,label", *(f"money back for case {n * 7919 % 9973} please,refund" for n in range(40)))
    return recipe(folder, base, data={"shape": "labelled"})


@case(r"the (test|validation) split is empty: .* add rows")
def empty_test_split(folder: Path, base: Path) -> Path:
    csv(folder, "text,label", "give me my money back,refund", "where is the parcel from Turin,shipping")
    return recipe(folder, base, data={"shape": "labelled"})


@case(r"only one class|split is empty|nothing tells|recognise|no shape")
def one_row(folder: Path, base: Path) -> Path:
    csv(folder, "text,label", "give me my money back,refund")
    return recipe(folder, base)


@case(r"no usable row is left")
def no_row_has_a_label(folder: Path, base: Path) -> Path:
    csv(folder, "text,label", *(f"money back for case {n}," for n in range(30)))
    return recipe(folder, base, data={"shape": "labelled"})


@case(r"metric accuracy reads label, but free answers have no fixed set of labels\. use .*loss")
def metric_the_task_cannot_compute(folder: Path, base: Path) -> Path:
    return recipe(folder, base, read="chats.jsonl", evaluate={"metrics": ["accuracy"]})


@case(r"metric perplexity reads words, but one class gives one label")
def perplexity_of_a_label_head(folder: Path, base: Path) -> Path:
    return recipe(folder, base, objective="classify", evaluate={"metrics": ["accuracy", "perplexity"]})


@case(r"loss cannot decide about a label head: .* put accuracy first")
def loss_first_with_a_label_head(folder: Path, base: Path) -> Path:
    return recipe(folder, base, objective="classify", evaluate={"metrics": ["loss", "accuracy"]})


@case(r"the tokenizer has 384 tokens and the model's vocabulary 300: they do not belong together\. put the tokenizer")
def vocabulary_mismatch(folder: Path, base: Path) -> Path:
    other = chat_base(folder / "other")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "vocab_size": 300}), encoding="utf-8")
    weights = load_file(other / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:300].clone()
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    return recipe(folder, other)


@case(
    r"rows are longer than data\.max_tokens \(32\), the longest is tickets\.csv:\d+ with \d+: set data\.max_tokens to"
)
def rows_too_long(folder: Path, base: Path) -> Path:
    return recipe(folder, base, data={"max_tokens": 32})


@case(r"no run and no base is called 'smollm2-135m-instrukt'.* did you mean 'smollm2-135m-instruct'")
def unknown_base(folder: Path, base: Path) -> Path:
    return recipe(folder, "smollm2-135m-instrukt")


@case(r"the chat template ends an answer without a stop token.* set data\.template: plain")
def template_without_stop(folder: Path, base: Path) -> Path:
    return recipe(folder, chat_base(folder / "other", template=CHATML.replace("<|im_end|>", "")))


@case(r"tuning\.targets.*nothing.* names no layer of this base\. it has down_proj")
def tuning_targets_nothing(folder: Path, base: Path) -> Path:
    return recipe(folder, base, tuning={"name": "lora", "rank": 4, "targets": ["nothing"]})


@case(r"takes epochs or steps, never both")
def both_epochs_and_steps(folder: Path, base: Path) -> Path:
    return recipe(folder, base, train={"epochs": 1, "steps": 5})


@case(r"evaluate\.gate asks for f1, which is not measured")
def gate_on_what_is_not_measured(folder: Path, base: Path) -> Path:
    return recipe(folder, base, evaluate={"metrics": ["accuracy"], "gate": {"f1": "better than base"}})


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_sentence_and_nothing_is_left(
    name: str, tmp_path: Path, chat_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    import re

    prepare, said = CASES[name]
    path = prepare(data(tmp_path), chat_model)
    monkeypatch.chdir(tmp_path)
    code = main(["train", str(path), "--quiet"])
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("affina: ")
    assert err.count("\n") == 1, err
    assert re.search(said, err), err
    assert not [*(tmp_path / "runs").glob("*")]


def test_check_refuses_what_train_refuses(
    tmp_path: Path, chat_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for prepare, _ in CASES.values():
        if prepare is tuning_targets_nothing:  # needs the network itself, which `check` does not load
            continue
        for left in tmp_path.iterdir():
            if left.is_file():
                left.unlink()
        assert main(["check", str(prepare(data(tmp_path), chat_model)), "--quiet"]) == 2, prepare.__name__
        capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian", "a.yaml"], r"no verb is called 'trian'\. did you mean 'train'"),
        (["train", "absent.yaml"], r"no recipe at absent\.yaml\. `affina new FILE` writes one"),
        (["train", "recipe.yaml", "--run", "../out"], r"a run cannot be called '\.\./out'"),
        (["train", "recipe.yaml", "--sett", "a=b"], r"did you mean '--set'"),
        (["evaluate", "absent"], r"no run and no base is called 'absent'"),
        (["show", "absent"], r"no run is called 'absent' under"),
    ],
)
def test_a_wrong_command_is_one_sentence(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    chat_model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: Any,
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    recipe(data(tmp_path), chat_model)
    assert main(arguments) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert re.search(said, err), err
    assert not [*(tmp_path / "runs").glob("*")]


@pytest.mark.slow
def test_a_real_process_prints_the_sentence_and_no_traceback(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(data(tmp_path), chat_model, data={"max_tokens": 32})
    done = affina_process("train", path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("affina: ")
    assert "Traceback" not in done.stderr
    as_json = affina_process("train", path, "--json", cwd=tmp_path)
    assert as_json.returncode == 2
    assert set(json.loads(as_json.stdout)["error"]) == {"what", "why", "instead", "where"}
    assert not (tmp_path / "runs").exists()
