"""`generate` and `chat` ask a model as it was trained to be asked."""

from collections.abc import Callable
from pathlib import Path

from tiny import session

import affina
from affina.core.example import Chat, Labelled, Message
from affina.core.kinds import Sampling
from affina.core.run import Run
from affina.core.say import Silent
from affina.evaluation.open import open_model


def test_generated_answers_are_the_ones_kept_during_training(finished: Callable[[str], Run]) -> None:
    """The text of a test item, asked anew, gets the answer that samples.json kept when the run ended."""
    for kind in ("words", "full"):
        run = finished(kind)
        samples = run.read("samples.json")
        how = Sampling(max_tokens=64)
        answers = affina.generate(kind, [one["given"] for one in samples], how=how, root=run.folder.parent)
        assert [one["answer"] for one in answers] == [one["tuned"] for one in samples]


def test_a_label_head_answers_with_a_label(finished: Callable[[str], Run]) -> None:
    for kind in ("labels", "encoder"):
        run = finished(kind)
        samples = run.read("samples.json")
        answers = affina.generate(kind, [one["given"] for one in samples], root=run.folder.parent)
        assert [one["answer"] for one in answers] == [one["tuned"] for one in samples]
        assert all(one["stopped"] for one in answers)


def test_raw_text_is_gone_on_with(finished: Callable[[str], Run]) -> None:
    run = finished("prose")
    how = Sampling(max_tokens=5)
    opened = open_model("prose", run.folder.parent, offline=True, say=Silent())
    said = opened.model.sample([opened.model.renderer.continued("Case 12")], how)[0]
    answered = affina.generate("prose", ["Case 12"], how=how, root=run.folder.parent)[0]
    assert (answered["answer"], answered["stopped"]) == (said.text, said.stopped)
    assert len(said.tokens) == 5 or said.stopped


def test_a_chat_keeps_what_was_said(finished: Callable[[str], Run]) -> None:
    run = finished("chats")
    how = Sampling(max_tokens=12)
    talk = affina.chat("chats", how=how, root=run.folder.parent)
    first, second = talk.answer("where is a box of tea"), talk.answer("and when does it arrive")
    assert talk.messages == (
        Message("user", "where is a box of tea"),
        Message("assistant", first),
        Message("user", "and when does it arrive"),
        Message("assistant", second),
    )
    opened = open_model("chats", run.folder.parent, offline=True, say=Silent())
    whole = opened.model.renderer.prompt(Chat(id="x", messages=talk.messages))
    assert opened.model.sample([whole], how)[0].text == second


def test_prompts_are_answered_in_order_and_alone(finished: Callable[[str], Run]) -> None:
    run = finished("chats")
    prompts = ["where is a box of tea", "and", "where is this blue lamp, case 0001, please tell me now"]
    how = Sampling(max_tokens=8)
    together = affina.generate("chats", prompts, how=how, root=run.folder.parent)
    alone = [affina.generate("chats", [prompt], how=how, root=run.folder.parent)[0] for prompt in prompts]
    assert together == alone
    assert [one["prompt"] for one in together] == prompts


def test_a_base_is_asked_by_its_own_template(chat_model: Path, tmp_path: Path) -> None:
    answered = affina.generate(str(chat_model), ["hello"], how=Sampling(max_tokens=3), root=tmp_path)
    opened = session(tmp_path, chat_model)
    prompt = opened.material.renderer.opening([Message("user", "hello")])
    assert answered[0]["answer"] == opened.engine.sample([prompt], Sampling(max_tokens=3))[0].text
    assert not isinstance(opened.expanded("test")[0], Labelled)
