"""Every verb that takes a model takes an endpoint's address: as what is measured, as a rival, to answer and to talk."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoints import Faults, Server, serving
from tiny import Heard, conversations, tickets

import affina
from affina.cli.command import run
from affina.core.errors import Refused
from affina.core.example import Chat, Message
from affina.core.kinds import Asked, Sampling
from affina.core.say import Silent
from affina.engine.remote import remote
from affina.engine.toy import Toy
from affina.evaluation import turns
from affina.evaluation.open import open_model
from affina.evaluation.reach import reach


@pytest.fixture(scope="module")
def served(chat_model: Path) -> Iterator[Server]:
    with serving(open_model(str(chat_model), Path("none"), offline=True, say=Silent()).model) as server:
        yield server


def test_an_endpoint_with_its_tokenizer_measures_as_the_base_that_it_serves(
    served: Server, chat_model: Path, tmp_path: Path
) -> None:
    on = str(tickets(tmp_path, 6))
    there = f"{served.url}#tiny,tokenizer={chat_model}"
    compared = affina.compare(str(chat_model), there, on=on, root=tmp_path)["metrics"]
    assert compared["accuracy"]["difference"]["value"] == 0 and compared["loss"]["a"] > 0
    assert compared["loss"]["difference"]["value"] == pytest.approx(0, abs=1e-4)


def test_an_endpoint_without_log_probabilities_is_measured_by_what_it_says(served: Server, tmp_path: Path) -> None:
    heard = Heard()
    found = affina.evaluate(f"{served.url}#tiny", on=str(tickets(tmp_path, 6)), root=tmp_path, say=heard)
    assert [*found["metrics"]] == ["accuracy", "f1"] and "by what it generates" in heard.lines[-1]
    (tmp_path / "text.txt").write_text("Some words.\n", encoding="utf-8")
    assert affina.evaluate(served.url, on=str(tmp_path / "text.txt"), root=tmp_path)["metrics"]["loss"]["value"] > 0


def test_a_base_and_an_endpoint_are_compared_by_what_both_can_say(
    served: Server, chat_model: Path, tmp_path: Path
) -> None:
    compared = affina.compare(str(chat_model), f"{served.url}#tiny", on=str(conversations(tmp_path, 4)), root=tmp_path)
    assert compared["metrics"]["exact_match"]["difference"]["value"] == 0


@pytest.mark.parametrize(
    ("said", "named"),
    [("billing", "billing"), ("  Billing.\n", "billing"), ("I say: card lost", "card lost"), ("card or billing", ""),
     ("the card lost, so card", "card lost"), ("nothing", ""), ("billingual", "")],
)  # fmt: skip
def test_an_option_is_taken_at_its_word(said: str, named: str) -> None:
    class Says(Toy):
        def sample(self, prompts: Any, how: Sampling) -> list[Any]:
            from affina.core.kinds import Sampled

            return [Sampled(said, (), stopped=True) for _ in prompts]

        def unscored(self) -> str:
            return "it is asked in words"

    options = ("billing", "card", "card lost")
    asked = Chat(id="a", messages=(Message("user", "q"), Message("assistant", "card")), options=options)
    found = turns.chosen(Says(), [asked], Asked(frozenset({"label"}), Sampling()))
    assert found.predicted_N is not None and found.predicted_N.tolist() == [options.index(named) if named else -1]


def test_a_judge_is_opened_by_its_address(served: Server, tmp_path: Path) -> None:
    judge = reach(tmp_path, True, Silent()).open(served.url)
    assert judge.sample([judge.renderer.opening([Message("user", "which is better?")])], Sampling(4))


def test_generate_and_chat_ask_an_endpoint(
    served: Server, chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    how = Sampling(max_tokens=6)
    want = affina.generate(str(chat_model), ["hello"], how=how, root=tmp_path)
    assert affina.generate(served.url, ["hello"], how=how, root=tmp_path) == want
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\nand again\n"))
    assert run(["chat", served.url, "--max-tokens", "6", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(want[0]["answer"])
    path, body = served.asked[-1]
    assert path.endswith("chat/completions") and body["stream"] and len(body["messages"]) == 3
    assert body["messages"][1] == {"role": "assistant", "content": want[0]["answer"]}


def test_what_leaves_the_machine_is_told_before_it_does(tmp_path: Path, capsys: Any) -> None:
    heard = Heard()
    open_model("https://models.example/v1#m", tmp_path, offline=False, say=heard)
    assert heard.lines == [
        "What the model is asked, texts of the data among it, leaves this machine: it is sent to models.example"
    ]
    with pytest.raises(Refused, match="offline"):
        open_model("https://models.example/v1#m", tmp_path, offline=True, say=heard)
    assert run(["evaluate", "http:///v1#m", "--root", str(tmp_path), "--json"]) == 2
    assert "is no endpoint" in json.loads(capsys.readouterr().out)["error"]["what"]


def test_examples_that_words_do_not_ask_are_refused(tmp_path: Path) -> None:
    from affina.core.example import Rated

    with serving(Toy(), Faults()) as served, pytest.raises(Refused, match="not asked rated"):
        remote(served.url, offline=True).renderer.rows([Rated(id="a", text="b", value=1.0)])
