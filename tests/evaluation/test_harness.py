"""The evaluation harness's tasks on an affina model: offline, local data, the numbers of the same bank of our own."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny import SUBJECTS, affina_process, written

from affina.core.errors import Refused

pytest.importorskip("lm_eval")
pytestmark = pytest.mark.slow

CHOICE = """
task: parcels
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{options}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - {{metric: acc}}
  - {{metric: acc_norm}}
"""
WRITTEN = """
task: told
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{options[answer]}}}}"
generation_kwargs: {{until: ["\\n", "e"], max_gen_toks: 8}}
metric_list:
  - {{metric: exact_match}}
"""
ROLLING = """
task: rolled
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list:
  - {{metric: word_perplexity}}
"""


def bank(folder: Path, n: int = 24) -> Path:
    options = ["the courier has it", "on the roof", "it was lost at sea and nobody knows"]
    rows = [
        {"question": f"where is {SUBJECTS[k % 12]}, case {k}?", "options": options, "answer": k % 3} for k in range(n)
    ]
    path = written(folder, "bank.jsonl", rows)
    for name, form in (("parcels", CHOICE), ("told", WRITTEN), ("rolled", ROLLING)):
        (folder / f"{name}.yaml").write_text(form.format(data=path), encoding="utf-8")
    return path


def test_a_local_task_of_the_harness_gives_our_own_numbers(tmp_path: Path, chat_model: Path) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "own.yaml").write_text(
        "name: multiple_choice\ndata: harness/bank.jsonl\nform: text\n", encoding="utf-8"
    )
    bank(tmp_path / "harness")
    asked = ["--on", "own.yaml", "--harness", "parcels", "--harness", "told", "--harness", "rolled"]
    done = affina_process(
        "evaluate", chat_model, *asked, "--tasks-path", "harness", "--offline", "--json",
        cwd=tmp_path, HF_HOME=str(tmp_path / "cache"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)["on"]
    own, theirs = found["own"]["metrics"], found["parcels"]["metrics"]
    assert 0 < own["accuracy"]["value"] < 1
    assert theirs["acc"] == own["accuracy"] and theirs["acc_norm"] == own["accuracy_per_character"]
    assert found["told"]["items"] == 24 and found["told"]["metrics"]["exact_match"]["value"] == 0
    assert found["rolled"]["metrics"]["word_perplexity"]["value"] > 1


def test_rolling_windows_predict_each_token_once(tmp_path: Path, chat_model: Path) -> None:
    from affina.core.say import Silent
    from affina.evaluation.continuation import continuation
    from affina.evaluation.harness import Language
    from affina.evaluation.open import open_model

    model: Any = open_model(str(chat_model), tmp_path, True, Silent()).model
    text = " ".join(SUBJECTS)
    whole = model.score([continuation(model.renderer, "x", "", text)])[0].logprobs_S
    (found,) = Language(model).loglikelihood_rolling([SimpleNamespace(args=(text,))])
    assert found == pytest.approx(whole.sum(), rel=1e-4)
    model.renderer.max_tokens = 9
    rows = Language(model)._windows("x", text)
    assert sum(row.targets for row in rows) == len(whole) and max(len(row.tokens) for row in rows) == 9
    assert np.concatenate([row.tokens[row.weights > 0] for row in rows]).tolist() == model.renderer.continued(text)
    model.renderer.max_tokens = 512


def test_unknown_tasks_and_programs_nobody_trusts_are_refused(tmp_path: Path) -> None:
    from affina.engine.toy import Toy
    from affina.evaluation.harness import Tasks, by_harness

    with pytest.raises(Refused, match=r"the harness has no task 'hellaswagg'. did you mean 'hellaswag'"):
        by_harness(Toy(), Tasks(("hellaswagg",)), 0.05, 0)
    (tmp_path / "tools.py").write_text("raise AssertionError('it ran')", encoding="utf-8")
    with pytest.raises(Refused, match="is a program, and the tasks beside it may run it"):
        by_harness(Toy(), Tasks(("x",), str(tmp_path)), 0.05, 0)
    with pytest.raises(Refused, match="is no folder of tasks"):
        by_harness(Toy(), Tasks(("x",), str(tmp_path / "absent")), 0.05, 0)
