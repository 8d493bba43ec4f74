"""Proofs run before step 1, once for the same recipe, data and code, and leave every tensor as it was."""

from pathlib import Path
from typing import Any

import pytest
from tiny import Heard, data, recipe, session, tensors

import affina
from affina.core.errors import Failed
from affina.core.kinds import proofs
from affina.core.say import Silent
from affina.training.prove import prove

NEVER = '''
"""A proof that never holds."""

from affina.core.kinds import Finding, Proof


class Never(Proof):
    def examine(self, bench):
        return Finding(False, f"seen {len(bench.rows)} rows; mend the data")
'''


@pytest.mark.parametrize(
    "sections", [{}, {"tuning": "full"}, {"objective": "classify"}, {"train": {"compute": {"precision": "bf16"}}}]
)
def test_all_proofs_together_leave_every_tensor_as_it_was(
    sections: dict[str, Any], tmp_path: Path, chat_model: Path
) -> None:
    opened = session(tmp_path, chat_model, **sections)
    before = tensors(opened)
    prove(opened, Silent())
    assert tensors(opened) == before
    assert [each["name"] for each in opened.run.read("proofs.json")["findings"]][:4] == [
        "supervised_spans", "stop_token", "truncation", "template_parity",
    ]  # fmt: skip


def test_proofs_are_not_run_again_for_the_same_recipe(tmp_path: Path, chat_model: Path) -> None:
    opened, heard = session(tmp_path, chat_model), Heard()
    prove(opened, heard)
    written = (opened.run.folder / "proofs.json").stat().st_mtime_ns
    prove(session(tmp_path, chat_model), heard)
    assert heard.lines == ["proofs: shown before, in run 'tiny', for this recipe, data, base, code and versions"]
    assert (opened.run.folder / "proofs.json").stat().st_mtime_ns == written


def test_nor_in_a_run_beside_one_that_showed_them(tmp_path: Path, chat_model: Path) -> None:
    path, heard = recipe(data(tmp_path), chat_model, train={"steps": 2}), Heard()
    first = affina.train(path, run="first", root=tmp_path / "runs")
    second = affina.train(path, run="second", root=tmp_path / "runs", say=heard)
    assert any(line.startswith("proofs: shown before, in run 'first'") for line in heard.lines)
    assert second.show()["proofs"] == first.show()["proofs"]


@pytest.mark.parametrize("sections", [{"tuning": {"name": "lora", "rank": 8}}, {"train": {"seed": 1}}])
def test_proofs_run_again_when_the_recipe_changes(sections: dict[str, Any], tmp_path: Path, chat_model: Path) -> None:
    first = session(tmp_path, chat_model)
    prove(first, Silent())
    other, heard = session(tmp_path, chat_model, **sections), Heard()
    prove(other, heard)
    assert heard.lines == []


def test_a_new_proof_is_one_file_and_fails_the_run_with_its_sentence(
    tmp_path: Path, chat_model: Path, add_part: Any
) -> None:
    add_part(proofs, "never", NEVER)
    path = recipe(data(tmp_path), chat_model)
    with pytest.raises(Failed, match=r"^proof never failed: seen \d+ rows; mend the data$"):
        affina.train(path, root=tmp_path / "runs")
    shown = affina.show("tiny", root=tmp_path / "runs")
    assert shown["state"] == "failed"
    assert shown["error"].startswith("proof never failed")
    assert {proof["name"] for proof in shown["proofs"] if not proof["passed"]} == {"never"}
    assert shown["step"] == 0


def test_a_run_whose_proof_failed_proves_again_and_goes_on_once_it_holds(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    prove(opened, Silent())
    stored = opened.run.read("proofs.json")
    opened.run.write("proofs.json", {"key": "", "findings": [{**stored["findings"][0], "passed": False}]})
    heard = Heard()
    prove(session(tmp_path, chat_model), heard)
    assert heard.lines == []
    assert all(each["passed"] for each in opened.run.read("proofs.json")["findings"])
