"""What `--on` names: YAML of one task or several, folders, bare names, trusted Python; and what is wrong with each."""

from pathlib import Path

import pytest
from tiny import SUBJECTS, written

import affina
from affina.cli.main import main
from affina.core.errors import Refused
from affina.evaluation.task_file import is_task, tasks_of

ONE = "name: multiple_choice\ndata: bank.jsonl\n"
PYTHON = """
from affina.core.task import Statistic, Task, Tested
import numpy as np

class Ones(Task):
    \"\"\"Every item is right.\"\"\"

    def ask(self, model, hall):
        return Tested(("1", "2"), {"right": np.ones(2)})

    def statistics(self):
        return {"accuracy": Statistic.mean("right")}
"""


def bank(folder: Path) -> Path:
    rows = [
        {
            "question": f"where is {SUBJECTS[k % 12]}?",
            "options": ["here", "at sea"],
            "answer": k % 2,
            "who": "ab"[k % 2],
        }
        for k in range(12)
    ]
    return written(folder, "bank.jsonl", rows)


def test_files_lists_and_folders_name_tasks_with_labels_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE, encoding="utf-8")
    listed = f"- {{name: multiple_choice, data: x}}\n- {{name: multiple_choice, data: y}}\n"  # noqa: F541
    (tmp_path / "two.yml").write_text(listed, encoding="utf-8")
    assert [each.label for each in tasks_of(str(tmp_path / "one.yaml"))] == ["one"]
    found = tasks_of(str(tmp_path))
    assert [each.label for each in found] == ["one", "two/multiple_choice", "two/multiple_choice-2"]
    assert all(each.folder == tmp_path for each in found)
    assert is_task(str(tmp_path)) and is_task("one.yaml") and not is_task("rows.jsonl")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: multiple_chioce\ndata: x\n", r"no task is called 'multiple_chioce'. did you mean 'multiple_choice'"),
        (
            "name: multiple_choice\ndata: x\noptoins: y\n",
            r"task.yaml:3: optoins: unknown setting; did you mean 'options'",
        ),
        ("name: multiple_choice\n", r"task.yaml: data: is needed and missing"),
        ("data: x\n", r"a task is a name, or a mapping with 'name'"),
        ("- 3\n", r"task.yaml, task 1 is no task"),
        ("[]", r"lists no task"),
        ("a: [", r"is not YAML"),
        ("name: generation\ndata: x\nmetrics: [bleau]\n", r"task.yaml:3: metrics.0: no metric is called 'bleau'"),
        ("name: generation\ndata: x\nmetrics: []\n", r"metrics: needs at least one entry"),
    ],
)
def test_what_is_wrong_with_a_tasks_file_is_said_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=complaint):
        tasks_of(str(path))


def test_a_python_file_runs_only_on_trust(tmp_path: Path, chat_model: Path) -> None:
    path = tmp_path / "ones.py"
    path.write_text(PYTHON, encoding="utf-8")
    with pytest.raises(Refused, match=r"ones.py is a program, and reading its task runs it.*add --trust"):
        tasks_of(str(path))
    wanted = affina.Wanted(trust=True)
    found = affina.evaluate(str(chat_model), on=str(path), root=tmp_path, wanted=wanted)["on"]
    assert found["ones"]["metrics"]["accuracy"]["value"] == 1.0 and found["ones"]["task"] == "ones"
    with pytest.raises(Refused, match="the task ones cannot be divided by who"):
        affina.evaluate(str(chat_model), str(path), tmp_path, wanted=affina.Wanted(by=("who",), trust=True))
    for broken, why in (("def (:", "SyntaxError"), ("import nothing_of_that_name", "No module named")):
        path.write_text(broken, encoding="utf-8")
        with pytest.raises(Refused, match=f"ones.py does not run: .*{why}"):
            tasks_of(str(path), trust=True)
    path.write_text(PYTHON.replace("Ones(Task)", "Ones"), encoding="utf-8")
    with pytest.raises(Refused, match="defines 0 tasks"):
        tasks_of(str(path), trust=True)


def test_a_model_is_put_to_several_tasks_and_files(
    tmp_path: Path, chat_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank(tmp_path)
    (tmp_path / "one.yaml").write_text(ONE, encoding="utf-8")
    rows = [{"prompt": f"where is {each}", "completion": "at sea", "who": each[0]} for each in SUBJECTS]
    data = written(tmp_path, "rows.jsonl", rows)
    given = ["--on", str(tmp_path / "one.yaml"), "--on", str(data), "--root", str(tmp_path), "--quiet"]
    given += ["--by", "who"]
    assert main(["evaluate", str(chat_model), *given]) == 0
    shown = capsys.readouterr().out
    assert f"one: {chat_model} on 12 items" in shown and "accuracy by who" in shown and "one item alone" in shown
    both, wanted = [str(tmp_path / "one.yaml"), str(data)], affina.Wanted(by=("who",))
    found = affina.evaluate(str(chat_model), both, tmp_path, wanted=wanted)["on"]
    assert set(found) == {"one", str(data)} and set(found[str(data)]["metrics"]) == {"loss", "perplexity"}
    one = found["one"]
    assert one["items"] == 12 and one["slices"]["who"]["a"]["items"] == 6 and len(one["shown"]) == 5
    assert 0 < found[str(data)]["latency"]["p50_s"] <= found[str(data)]["latency"]["p95_s"]


def test_tasks_of_the_harness_need_a_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="name one with --harness TASK"):
        affina.evaluate("any", root=tmp_path, wanted=affina.Wanted(harness_tasks="folder"))


def test_a_model_that_cannot_be_asked_so_is_refused(tmp_path: Path, family: object) -> None:
    from tiny import words_base

    bank(tmp_path)
    (tmp_path / "one.yaml").write_text(ONE, encoding="utf-8")
    for name, complaint in (("bert", "it fills gaps from both sides"), ("t5", "write `form: source` in the task")):
        base = words_base(tmp_path / name, name)
        with pytest.raises(Refused, match=f"cannot be put to the task one: .*{complaint}"):
            affina.evaluate(str(base), on=str(tmp_path / "one.yaml"), root=tmp_path)
    (tmp_path / "one.yaml").write_text(f"{ONE}form: source\n", encoding="utf-8")
    found = affina.evaluate(str(base), on=str(tmp_path / "one.yaml"), root=tmp_path)["on"]["one"]
    assert found["items"] == 12 and found["metrics"]["nats"]["value"] > 0
