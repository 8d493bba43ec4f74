"""Every task from a recipe: data recognised, all proofs hold, better than without a model, the same when reopened."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import Heard, chat_base, encoder_base, prose, recipe, words_base, written

import affina
from affina.core.answers import Answers
from affina.core.kinds import Sampling
from affina.evaluation import open as opening
from affina.evaluation.answer import answer
from affina.training.cells import task_rows

pytestmark = pytest.mark.slow

TASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "multi_label": ("encoder", "macro_f1", {}),
    "regression": ("encoder", "rmse", {}),
    "tag": ("encoder", "entity_f1", {}),
    "span": ("chat", "squad_f1", {}),
    "reward": ("chat", "pair_accuracy", {}),
    "contrastive": ("encoder", "mrr", {}),
    "masked_lm": ("bert", "loss", {}),
    "permutation_lm": ("xlnet", "loss", {}),
    "seq2seq": ("t5", "loss", {}),
}
CASES = [
    *((task, base) for task, (base, _, _) in TASKS.items()),
    ("seq2seq", "bart"),
    ("tag", "chat"),
]


def base_of(folder: Path, name: str) -> Path:
    if name == "chat":
        return chat_base(folder)
    return encoder_base(folder) if name == "encoder" else words_base(folder, name)


@pytest.mark.parametrize(("task", "base"), CASES, ids=lambda each: str(each))
def test_a_task_is_learnt_from_a_recipe(task: str, base: str, tmp_path: Path) -> None:
    _, metric, more = TASKS[task]
    read, sections = "rows.jsonl", dict(more)
    if task in ("masked_lm", "permutation_lm"):
        prose(tmp_path, 120)
        read, sections["data"] = "prose.txt", {"reader": {"name": "text", "by": "paragraph"}}
    else:
        written(tmp_path, read, task_rows(task))
    path = recipe(
        tmp_path,
        base_of(tmp_path / "base", base),
        read=read,
        objective=task,
        tuning="full",
        train={"steps": 60, "batch": 16, "learning_rate": 3e-3},
        evaluate={"every": 20, "metrics": [metric, *({"loss"} - {metric})]},
        **sections,
    )
    heard = Heard()
    run = affina.train(path, root=tmp_path / "runs", say=heard)
    shown = run.show()
    assert all(proof["passed"] for proof in shown["proofs"]), shown["proofs"]
    found = shown["metrics"][metric]
    assert shown["verdict"]["decision"] == "promote", (found, heard.lines)
    opened = opening.open_model(run.name, tmp_path / "runs", offline=True, say=Heard())
    asked = opened.objective.expand(opening.test_split(opened))
    again = answer(opened.model, asked, frozenset(), Sampling())
    kept = Answers.from_dict(run.read("tuned.json"))
    assert again.ids == kept.ids
    np.testing.assert_allclose(again.nats_N, kept.nats_N, atol=1e-6)
