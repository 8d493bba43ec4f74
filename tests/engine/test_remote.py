"""A model behind an endpoint gives what the same model gives here, or says what is not offered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from endpoints import Faults, Server, serving

from affina.core.errors import Failed, Refused
from affina.core.example import Chat, Labelled, Message, Parallel, Text
from affina.core.kinds import Limited, Row, Sampling, Streaming
from affina.core.say import Silent
from affina.engine.remote import Remote, remote
from affina.engine.spoken import Spoken
from affina.evaluation.open import open_model
from affina.release.witness import Witness

HOW = Sampling(max_tokens=12)
CHATS = [
    Chat(id="one", messages=(Message("user", "where is my parcel?"), Message("assistant", "it is here"))),
    Chat(
        id="two",
        messages=(
            Message("system", "be brief"), Message("user", "Perché?  "), Message("assistant", "sì"),
            Message("user", "when"), Message("assistant", "on day two"),
        ),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def local(chat_model: Path) -> Any:
    return open_model(str(chat_model), Path("none"), offline=True, say=Silent()).model


@pytest.fixture
def served(local: Any) -> Iterator[Server]:
    with serving(local) as server:
        yield server


def both(served: Server, tokenizer: Path) -> list[Remote]:
    """The endpoint asked in messages, and asked in tokens."""
    named = open_model(f"{served.url}#tiny,tokenizer={tokenizer}", Path("none"), offline=True, say=Silent()).model
    assert isinstance(named, Remote)
    return [remote(f"{served.url}#tiny", offline=True), named]


def test_conversations_are_answered_as_here_whoever_renders(served: Server, local: Any, chat_model: Path) -> None:
    want = [each.text for each in local.sample([local.renderer.prompt(chat) for chat in CHATS], HOW)]
    for model in both(served, chat_model):
        found = model.sample([model.renderer.prompt(chat) for chat in CHATS], HOW)
        assert [each.text for each in found] == want
    assert [path for path, _ in served.asked] == ["/v1/chat/completions"] * 2 + ["/v1/completions"] * 2
    body = next(body for _, body in served.asked if body["messages"][0]["role"] == "system")
    assert body["messages"] == [message.as_dict() for message in CHATS[1].messages[:-1]]
    assert body["model"] == "tiny" and body["max_tokens"] == 12 and body["temperature"] == 0


def test_what_the_endpoint_draws_by_is_the_seed_and_the_place(served: Server) -> None:
    model = remote(f"{served.url}#tiny", offline=True)
    prompts = [model.renderer.continued("one")] * 3
    first, second = (model.sample(prompts, Sampling(8, temperature=1.0, top_p=0.9, seed=4)) for _ in range(2))
    assert first == second
    assert {(body["seed"], body["top_p"]) for _, body in served.asked} == {(4, 0.9), (5, 0.9), (6, 0.9)}


def test_an_answer_says_whether_it_stopped_by_itself(served: Server, local: Any) -> None:
    model = remote(f"{served.url}#tiny", offline=True)
    (found,) = model.sample([model.renderer.opening(CHATS[0].messages[:1])], Sampling(max_tokens=1))
    (want,) = local.sample([local.renderer.opening(CHATS[0].messages[:1])], Sampling(max_tokens=1))
    assert found.stopped == want.stopped and found.text == want.text


def test_with_a_tokenizer_rows_are_scored_as_here(served: Server, local: Any, chat_model: Path) -> None:
    model = both(served, chat_model)[1]
    rows = local.renderer.rows([*CHATS, Text(id="text", text="some words\nand more")])
    for found, want in zip(model.score(rows), local.score(rows), strict=True):
        np.testing.assert_allclose(found.logprobs_S, want.logprobs_S, atol=2e-5)
    assert isinstance(model, Limited) and model.unscored() == ""
    assert isinstance(model, Streaming)


def test_a_text_has_the_same_log_probability_in_bytes_as_in_tokens(served: Server, local: Any) -> None:
    model = remote(f"{served.url}#tiny", offline=True)
    text = Text(id="text", text="Where is the parcel? Città e perché.")
    tokens = np.array(local.renderer.continued(text.text), np.int32)
    row = model.renderer.rows([text])[0]
    assert len(row.tokens) == len(text.text.encode())
    want = local.score([Row("text", tokens, (np.arange(len(tokens)) > 0).astype(np.float32))])[0]
    np.testing.assert_allclose(model.score([row])[0].logprobs_S.sum(), want.logprobs_S.sum(), atol=1e-4)


def test_vectors_are_of_unit_length_and_in_the_order_asked(served: Server, local: Any) -> None:
    texts = ["one", "two words", "three of them"]
    found = remote(served.url, offline=True).embed(texts)
    np.testing.assert_allclose(found, local.embed(texts), atol=1e-6)


def test_an_answer_is_read_while_it_comes(served: Server) -> None:
    model = remote(f"{served.url}#tiny", offline=True)
    prompt = model.renderer.prompt(CHATS[1])
    assert "".join(model.stream(prompt, HOW)) == model.sample([prompt], HOW)[0].text


def test_a_single_served_model_needs_no_name(served: Server) -> None:
    assert remote(served.url, offline=True).name == "tiny"


@pytest.mark.parametrize(
    ("faults", "told"),
    [(Faults(echo=False), "no echo here"), (Faults(completions=False), "404")],
)
def test_what_is_not_offered_is_refused_in_a_sentence(
    faults: Faults, told: str, served: Server, chat_model: Path
) -> None:
    served.faults = faults
    plain, tokens = both(served, chat_model)
    with pytest.raises(Refused, match=told):
        tokens.score(tokens.renderer.rows(CHATS))
    assert told in tokens.unscored()
    with pytest.raises(Refused, match="tokenizer=BASE"):
        plain.score(plain.renderer.rows(CHATS))
    with pytest.raises(Refused, match="no request for hidden words"):
        plain.fill([])


def test_another_tokenizer_than_the_served_ones_is_refused(served: Server, local: Any, chat_model: Path) -> None:
    class Longer(Server):
        def _echo(self, tokens: list[int]) -> dict[str, Any]:
            return super()._echo([*tokens, 5, 5])

    served.__class__ = Longer
    model = both(served, chat_model)[1]
    with pytest.raises(Refused, match="another tokenizer"):
        model.score(local.renderer.rows([Text(id="text", text="some words")]))


def test_an_endpoint_that_takes_no_tokens_is_sent_their_text(local: Any, chat_model: Path) -> None:
    class Worded(Server):
        def answer(self, path: str, body: Any) -> tuple[int, Any]:
            if isinstance(body.get("prompt"), list):
                return 422, {"detail": [{"msg": "a string, please"}]}
            return super().answer(path, body)

    with serving(local) as served:
        served.__class__ = Worded
        model = both(served, chat_model)[1]
        prompts = [local.renderer.prompt(chat) for chat in CHATS]
        assert [each.text for each in model.sample(prompts, HOW)] == [each.text for each in local.sample(prompts, HOW)]


def test_an_endpoint_that_names_its_limit_anew_is_asked_so(local: Any) -> None:
    class Renamed(Server):
        def answer(self, path: str, body: Any) -> tuple[int, Any]:
            if "max_tokens" in body:
                return 400, {"error": {"message": "Use 'max_completion_tokens' instead."}}
            return super().answer(path, {**body, "max_tokens": body["max_completion_tokens"]})

    with serving(local) as served:
        served.__class__ = Renamed
        model = remote(f"{served.url}#tiny", offline=True)
        assert model.sample([model.renderer.prompt(CHATS[0])], HOW)[0].text


@pytest.mark.parametrize("plain", [{"choices": []}, [], {}, {"choices": "text"}, None])
def test_an_answer_that_is_none_is_told(plain: Any, served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "answer", lambda self, path, body: (200, plain))
    model = remote(f"{served.url}#tiny", offline=True)
    with pytest.raises(Failed, match="there are no choices in it"):
        model.sample([model.renderer.continued("a")], HOW)
    with pytest.raises(Failed, match="there are no choices in it"):
        model.score(model.renderer.rows([Text(id="a", text="a b")]))
    with pytest.raises(Failed, match="there are no data in it"):
        model.embed(["a"])
    with pytest.raises(Failed, match="there are no data in it"):
        assert remote(served.url, offline=True).name


@pytest.mark.parametrize("told", [{}, None, {"tokens": ["a"]}, {"tokens": ["a", "b"], "token_logprobs": [None]}])
def test_log_probabilities_that_are_not_whole_are_refused(
    told: Any, served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"choices": [{"text": "a", "logprobs": told}], "usage": {"prompt_tokens": 1}}
    monkeypatch.setattr(Server, "answer", lambda self, path, body: (200, plain))
    model = remote(f"{served.url}#tiny", offline=True)
    with pytest.raises(Refused, match="no log-probabilities"):
        model.score(model.renderer.rows([Text(id="a", text="a b")]))


def test_an_answer_that_breaks_off_is_told(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    model = remote(f"{served.url}#tiny", offline=True)
    monkeypatch.setattr(model.endpoint, "stream", lambda path, body: iter([{"error": {"message": "out of memory"}}]))
    with pytest.raises(Failed, match="out of memory"):
        list(model.stream(model.renderer.continued("a"), HOW))


def test_conversations_are_read_back_as_they_were() -> None:
    renderer = Spoken()
    tools = ({"type": "function", "function": {"name": "f"}},)
    asked = renderer.asked(renderer.opening(CHATS[1].messages, tools))
    assert asked.messages == tuple(message.as_dict() for message in CHATS[1].messages) and asked.tools == tools
    assert renderer.asked(renderer.continued("<tool> é")).text == "<tool> é"
    with pytest.raises(Refused, match="not asked labelled"):
        renderer.rows([Labelled(id="a", text="b", label="c")])
    with pytest.raises(Refused, match="encoder–decoder"):
        renderer.prompt(Parallel(id="a", source="b", result="c"))


def test_nothing_is_sent_of_nothing() -> None:
    model = remote("http://127.0.0.1:9/v1#m", offline=True)
    assert model.sample([], HOW) == [] and model.score([]) == [] and model.embed([]).shape[0] == 0


PART_ECHO = {"tokens": ["a", "b"], "token_logprobs": [None, -1.0], "text_offset": [0]}


@pytest.mark.parametrize(
    "form",
    [
        {"choices": [0], "data": [0]},
        {"choices": ["x"], "data": ["x"]},
        {"choices": [{"message": "x", "delta": "x", "logprobs": "x"}], "data": [{"index": 0}]},
        {"choices": [{"text": ["a"], "logprobs": PART_ECHO}], "usage": {"prompt_tokens": 2}, "data": [{"id": None}]},
        {"choices": [{"text": 1, "logprobs": [1]}], "data": [{"embedding": ["a"]}]},
        {"choices": {"0": 1}, "data": [{"embedding": [0.0, 0.0]}]},
        {"choices": 1, "data": [{"embedding": [None, 1.0]}]},
    ],
)
def test_an_answer_of_another_form_is_one_sentence(served: Server, form: Any) -> None:
    served.faults.form = form
    model = remote(f"{served.url}#tiny", offline=True)
    prompt = model.renderer.prompt(CHATS[0])
    for ask in (
        lambda: model.sample([prompt], HOW),
        lambda: list(model.stream(prompt, HOW)),
        lambda: model.score(model.renderer.rows([Text(id="a", text="ab")])),
        lambda: model.embed(["a"]),
        lambda: Witness(model).chat([{"role": "user", "content": "a"}], 3),
    ):
        with pytest.raises(Failed, match=r"none|nowhere"):
            ask()


def test_half_a_surrogate_pair_in_an_answer_can_be_written(served: Server) -> None:
    served.faults.form = {"choices": [{"message": {"content": "a\ud800é"}, "delta": {"content": "\ude00"}}]}
    model = remote(f"{served.url}#tiny", offline=True)
    prompt = model.renderer.prompt(CHATS[0])
    assert model.sample([prompt], HOW)[0].text == "a?é" and [*model.stream(prompt, HOW)] == ["?"]
    assert Witness(model).chat([{"role": "user", "content": "a"}], 3).text == "a?é"


def test_a_models_list_of_another_form_is_one_sentence(served: Server) -> None:
    served.faults.form = {"data": [{"name": "tiny"}]}
    with pytest.raises(Failed, match="is none"):
        _ = remote(served.url, offline=True).name
