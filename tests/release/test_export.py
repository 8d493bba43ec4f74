"""A run written in another format is that run, opened by the libraries themselves; what cannot be is a sentence."""

import json
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from tiny import CHATML, chat_base, command, data, environment, recipe
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

import affina
from affina.core.atomic import damage
from affina.core.errors import Failed, Refused
from affina.core.kinds import exports
from affina.core.run import Run

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

Finished = Callable[[str], Run]
ROWS = 4


def few(run: Run, tmp_path: Path) -> str:
    """A file of the run's first rows."""
    lines = (run.folder.parents[1] / "tickets.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.csv").write_text("\n".join(lines[: ROWS + 1]) + "\n", encoding="utf-8")
    return str(tmp_path / "few.csv")


def exported(run: Run, to: Any, tmp_path: Path) -> dict[str, Any]:
    where = affina.Where(run.folder.parent)
    made: dict[str, Any] = affina.export(run.name, to, tmp_path / "out", few(run, tmp_path), where)
    return made


SOON = [("words", {"name": "gguf", "type": "f16"}), ("encoder", "safetensors")]
FORMATS = ["safetensors", "peft", "int8", "int4", "gguf", {"name": "gguf", "type": "f16"}]
LATER = [
    pytest.param(kind, to, marks=pytest.mark.slow)
    for kind in ("words", "encoder")
    for to in FORMATS
    if (kind, to) not in SOON
]


@pytest.mark.parametrize(("kind", "to"), [*SOON, *LATER])
def test_every_format_holds_its_bounds_and_is_whole(kind: str, to: Any, finished: Finished, tmp_path: Path) -> None:
    if "gguf" in str(to):
        pytest.importorskip("llama_cpp")
    made = exported(finished(kind), to, tmp_path)
    assert damage(tmp_path / "out") == ""
    kept = json.loads((tmp_path / "out" / "parity.json").read_text(encoding="utf-8"))
    assert kept == {name: each for name, each in made.items() if name != "folder"}
    found = made["parity"]
    assert found["items"] == found["likeliest"]["same"] == found["prompts"]["encoded"] == ROWS
    assert found["greedy"]["answers"] == found["prompts"]["rendered"] == (ROWS if kind == "words" else 0)
    assert found["logits"]["largest"] <= (found["logits"]["bound"] or 1) and found["kl"]["mean"] <= 1e-3
    assert sorted(each.name for each in tmp_path.iterdir()) == ["few.csv", "out"]


@pytest.mark.slow
def test_transformers_and_peft_load_the_same_model(finished: Finished, chat_model: Path, tmp_path: Path) -> None:
    run = finished("words")
    exported(run, "safetensors", tmp_path)
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    exported(run, "peft", tmp_path)
    beside = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(chat_model), tmp_path / "out")
    row = torch.arange(2, 60)[None]
    with torch.no_grad():
        assert torch.allclose(whole(row).logits, beside(row).logits, atol=1e-5)
        bare = AutoModelForCausalLM.from_pretrained(chat_model)
        assert not torch.allclose(whole(row).logits, bare(row).logits, atol=1e-2)


def test_an_encoders_labels_are_a_classifier_of_the_librarys(finished: Finished, tmp_path: Path) -> None:
    run = finished("encoder")
    exported(run, "safetensors", tmp_path)
    model: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert type(model).__name__ == "BertForSequenceClassification"
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "money back please number 1234 is wrong"
    with torch.no_grad():
        said = model(**tokenizer(text, return_tensors="pt")).logits[0]
    expected = affina.generate(run.name, [text], root=run.folder.parent)[0]["answer"]
    assert model.config.id2label[int(said.argmax())] == expected


@pytest.mark.slow
def test_a_whole_trained_model_has_no_adapter(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="its tuning moves the base's own weights: there is no adapter; safetensors"):
        exported(finished("full"), "peft", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_a_quantised_base_is_not_merged_and_its_adapter_is_shown_beside_it(quant: str, tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    given = recipe(data(tmp_path), base, tuning={"name": "qlora", "rank": 4, "quant": quant}, train={"steps": 2})
    run = affina.train(given, root=tmp_path / "runs")
    where, on = affina.Where(tmp_path / "runs"), str(tmp_path / "tickets.csv")
    with pytest.raises(Refused, match=rf"needs a merged model: merging the tuning qlora into its base in {quant}"):
        affina.export(run.name, "safetensors", tmp_path / "out", on, where)
    affina.export(run.name, "peft", tmp_path / "out", few_of(tmp_path), where)
    assert json.loads((tmp_path / "out" / "quantised.json").read_text()) == {"quant": quant, "double": quant == "nf4"}
    (base / "model.safetensors").write_bytes(b"no weights: nobody looks at them")
    with pytest.raises(Refused, match=r"needs a merged model: .* merge into the unquantised base.* choose --to peft"):
        affina.export(run.name, "gguf", tmp_path / "merged", on, where)
    with pytest.raises(Refused, match=r"cannot be compressed: merging the tuning qlora"):
        affina.compress(run.name, where=where)
    again = recipe(tmp_path, str(run.folder))
    with pytest.raises(Refused, match=r"^merging the tuning qlora into its base in"):
        affina.train(again, run="again", root=tmp_path / "runs")


def few_of(folder: Path) -> str:
    lines = (folder / "tickets.csv").read_text(encoding="utf-8").splitlines()
    (folder / "few.csv").write_text("\n".join(lines[: ROWS + 1]) + "\n", encoding="utf-8")
    return str(folder / "few.csv")


PARTING = """
from affina.release.exports.safetensors import Safetensors

class Parting(Safetensors):
    '''A merged model of which one number is lost.'''

    def write(self, source, folder):
        from affina.engine.torch import tensor_file
        super().write(source, folder)
        path = folder / "model.safetensors"
        with tensor_file.reading(path) as file:
            held = {name: file.read(name) for name in file.names}
        held["model.norm.weight"][5] = 0
        tensor_file.write(held, path, {"format": "pt"})
"""


def test_what_parts_from_the_run_is_not_kept(
    add_part: Callable[[Any, str, str], None], finished: Finished, tmp_path: Path
) -> None:
    add_part(exports, "parting", PARTING)
    out = tmp_path / "to"
    run = finished("words")
    with pytest.raises(Failed, match=r"the export parts from the run: a logit of few.csv:\d, token \d+, is .* off"):
        affina.export(run.name, "parting", out / "out", few(run, tmp_path), affina.Where(run.folder.parent))
    assert [*out.iterdir()] == []


def test_what_stands_there_is_not_replaced(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    with pytest.raises(Refused, match="is there already: an export replaces nothing"):
        exported(finished("words"), "safetensors", tmp_path)
    assert (tmp_path / "out" / "mine.txt").read_text() == "kept"


def test_unknown_formats_settings_and_bases_are_sentences(finished: Finished, chat_model: Path, tmp_path: Path) -> None:
    run = finished("words")
    with pytest.raises(Refused, match=r"no export is called 'gguff'. did you mean 'gguf'"):
        exported(run, "gguff", tmp_path)
    with pytest.raises(Refused, match="unknown setting; did you mean 'type'"):
        exported(run, {"name": "gguf", "typ": "f16"}, tmp_path)
    with pytest.raises(Refused, match="is a base: there is nothing of a run in it"):
        affina.export(str(chat_model), "safetensors", tmp_path / "out", few(run, tmp_path))


@pytest.mark.slow
def test_a_base_that_is_gone_or_a_pickle_is_a_sentence(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    run = affina.train(recipe(data(tmp_path), base, train={"steps": 2}), root=tmp_path / "runs")
    where = affina.Where(tmp_path / "runs")
    made = tmp_path / "made"
    affina.export(run.name, "peft", made, few_of(tmp_path), where)
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(Refused, match="is a pickle: loading it can run any code"):
        affina.export(run.name, "safetensors", tmp_path / "out", few_of(tmp_path), where)
    shutil.rmtree(base)
    with pytest.raises(Refused, match="no model"):
        affina.export(run.name, "safetensors", tmp_path / "out", few_of(tmp_path), where)
    with pytest.raises(Refused, match=r"has no base: it was trained on .*base, which is gone. put the base back"):
        exports.build("peft").open(made)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("template", ["own", "plain"])
def test_odd_white_space_in_a_template_is_served_as_it_was_trained(template: str, tmp_path: Path) -> None:
    """Rendered by transformers and by llama.cpp from what was written; parity compares every byte."""
    odd = "{{ '\t ' }}\n" + CHATML.replace("message['role'] + '\n'", "message['role'] + ' \t\n\n'")
    odd = odd.replace("assistant\n", "assistant \t\n\n")
    base = chat_base(tmp_path / "base", odd)
    given = recipe(data(tmp_path), base, train={"steps": 2}, data={"template": template})
    run = affina.train(given, root=tmp_path / "runs")
    for to in ("safetensors", {"name": "gguf", "type": "f16"}):
        if to != "safetensors":
            pytest.importorskip("llama_cpp")
        out = tmp_path / f"out-{len(str(to))}"
        made = affina.export(run.name, to, out, few_of(tmp_path), affina.Where(tmp_path / "runs"))
        assert made["parity"]["prompts"] == {"rendered": ROWS, "encoded": ROWS}


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_leaves_nothing(finished: Finished, tmp_path: Path) -> None:
    run, out = finished("words"), tmp_path / "to" / "out"
    limit = (200_000, 200_000)
    where = ("--out", out, "--root", run.folder.parent, "--on", few(run, tmp_path))
    done = subprocess.run(
        command("export", run.name, "--to", "safetensors", *where),
        capture_output=True, text=True, timeout=300, env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "could not be written: File too large" in done.stderr and "Traceback" not in done.stderr
    assert [*out.parent.iterdir()] == []
