"""Each way in which a server can serve something else than the artefact is found and named."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from endpoints import Faults, Server, serving
from safetensors.torch import load_file, save_file
from tiny import chat_base

import affina
from affina.cli.command import run
from affina.core.compute import Computing
from affina.core.errors import Failed, Refused
from affina.core.example import Message
from affina.core.kinds import Sampled, Sampling
from affina.core.say import Silent
from affina.data.rows import Renderer
from affina.engine.torch import tuned
from affina.engine.torch.exact import Exact
from affina.release import verify as verb
from affina.release.agreement import Prompt, outcome
from affina.release.release import Wish, release
from affina.release.verify import BASE_ASKED, Strictness
from affina.release.witness import Said
from affina.store.place import Place
from affina.training.embedded import Where

NOISE = 0.15
CHECKS = ["template", "system prompt", "weights", "answers", "stop", "max_tokens", "log-probabilities"]


def ending(folder: Path, seed: int = 0, like: Path | None = None) -> Path:
    """A base some of whose answers end: a token that it says early, or those of `like`, end them."""
    file = chat_base(folder, seed=seed) / "model.safetensors"
    draws = torch.Generator().manual_seed(seed)
    tensors = {name: each + torch.randn(each.shape, generator=draws) * NOISE for name, each in load_file(file).items()}
    save_file(tensors, file, {"format": "pt"})
    if like:
        shutil.copy(like / "generation_config.json", folder)
        return folder
    model = opened(folder)
    asked = [model.renderer.opening([Message("user", text)]) for text in BASE_ASKED]
    tokens = model.sample(asked, Sampling(max_tokens=16))[0].tokens
    last = next(n for n in range(3, 16) if model.renderer.text(tokens[:n]) and tokens[n] not in tokens[:n])
    stops = {"eos_token_id": [1, tokens[last]]}
    (folder / "generation_config.json").write_text(json.dumps(stops), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ending(tmp_path_factory.mktemp("ending"))


def opened(folder: Path) -> Any:
    return tuned.base(folder, Renderer.open(folder), Computing("float32"))


@pytest.fixture(scope="module")
def model(base: Path) -> Any:
    return opened(base)


@pytest.fixture
def served(model: Any) -> Iterator[Server]:
    with serving(model) as server:
        yield server


def verified(base: Path, served: Server, **more: Any) -> tuple[dict[str, str], dict[str, str]]:
    """(state by check, detail by check)"""
    more = {"strictness": Strictness(items=2), **more}
    found = affina.verify(str(base), f"{served.url}#tiny", where=Where("none", offline=True), **more)
    rows = found["checks"]
    assert found["agrees"] == all(each["state"] != "differs" for each in rows)
    return {each["name"]: each["state"] for each in rows}, {each["name"]: each["detail"] for each in rows}


@pytest.mark.parametrize("tokenize", ["vllm", "llama.cpp", ""])
def test_an_endpoint_that_serves_the_artefact_agrees_in_everything(served: Server, base: Path, tokenize: str) -> None:
    served.faults.tokenize = tokenize
    states, details = verified(base, served)
    assert states == dict.fromkeys(CHECKS, "agrees"), details
    assert ("the same tokens" in details["template"]) == bool(tokenize)


@pytest.mark.parametrize(
    ("faults", "differs", "told"),
    [
        (Faults(template=True), "template", "tokens has"),
        (Faults(template=True, tokenize="vllm"), "template", "from token 1 on"),
        (Faults(template=True, tokenize="llama.cpp", usage=False), "template", "from token 1 on"),
        (Faults(system="Talk like a pirate."), "system prompt", "tokens has"),
        (Faults(stop=False), "stop", "goes on behind its end"),
        (Faults(leaks="<|im_end|>"), "stop", "shows the token <|im_end|>"),
        (Faults(most=2), "max_tokens", "is cut after 2"),
        (Faults(off=0.1), "log-probabilities", "0.1 nats off"),
    ],
)
def test_a_fault_is_named(faults: Faults, differs: str, told: str, served: Server, base: Path) -> None:
    served.faults = faults
    states, details = verified(base, served)
    assert states[differs] == "differs" and told in details[differs], (states, details)
    assert states["weights"] == "agrees"
    if differs in ("stop", "max_tokens", "log-probabilities"):
        assert {name for name, state in states.items() if state == "differs"} == {differs}, details


def test_an_endpoint_that_heeds_no_limit_is_named(served: Server, base: Path) -> None:
    served.faults.least = 40
    states, details = verified(base, served)
    assert states["max_tokens"] == "differs" and "behind its limit" in details["max_tokens"], (states, details)
    assert "2 of 2 greedy answers equal" in details["weights"]


@pytest.mark.parametrize("off", [float("nan"), float("inf")])
def test_log_probabilities_that_are_no_numbers_are_no_agreement(off: float, served: Server, base: Path) -> None:
    served.faults.off = off
    states, _ = verified(base, served)
    assert states["log-probabilities"] == "differs" and states["answers"] == "agrees"


@pytest.mark.parametrize("stopped", [False, True])
def test_a_part_of_a_letter_counts_only_where_the_answer_ends_by_itself(stopped: bool, model: Any) -> None:
    prompt = Prompt("a", (1,), Sampled("abc \ufffd", (2, 3), stopped))
    said = Said("abc", "stop" if stopped else "length", 1, 2, None)
    assert (outcome(Exact(model), prompt, said, 0.0).kind == "equal") == (not stopped)


def test_other_weights_are_told_from_another_template(base: Path, tmp_path: Path) -> None:
    with serving(opened(ending(tmp_path, 1, base))) as served:
        states, details = verified(base, served)
    assert [name for name in CHECKS if states[name] == "differs"] == ["weights", "answers"]
    assert "logits are" in details["weights"]


def test_a_difference_within_the_bound_is_a_tie_and_is_reported(base: Path, tmp_path: Path) -> None:
    with serving(opened(ending(tmp_path, 1, base))) as served:
        states, details = verified(base, served, strictness=Strictness(bound=1e6))
    assert states["answers"] == "agrees" and "part at a tie" in details["answers"]


@pytest.mark.parametrize(
    ("faults", "unproven"),
    [
        (Faults(logprobs=False), {"log-probabilities"}),
        (Faults(usage=False), {"template", "system prompt"}),
        (Faults(completions=False), {"weights"}),
        (Faults(logprobs=False, usage=False, completions=False), {*CHECKS} - {"answers", "stop", "max_tokens"}),
    ],
)
def test_what_is_not_offered_is_listed_as_not_proven(
    faults: Faults, unproven: set[str], served: Server, base: Path
) -> None:
    served.faults = faults
    states, _ = verified(base, served)
    assert {name for name, state in states.items() if state == "not proven"} == unproven
    assert set(states.values()) <= {"agrees", "not proven"}


def test_a_missing_system_prompt_is_named(base: Path, served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a release brings one."""
    open_model = verb.open_model

    def released(*given: Any) -> Any:
        return replace(open_model(*given), system="Answer in one word.")

    monkeypatch.setattr(verb, "open_model", released)
    states, details = verified(base, served)
    assert states["system prompt"] == "differs" and states["template"] == "agrees"
    assert details["system prompt"] == "a conversation is rendered without the artefact's system prompt"
    served.faults.system = "Answer in one word."
    states, details = verified(base, served)
    assert states == dict.fromkeys(CHECKS, "agrees"), details


def test_the_verb_tells_it_in_a_table_and_by_its_exit_code(
    served: Server, base: Path, tmp_path: Path, capsys: Any
) -> None:
    asked = ["verify", str(base), "--against", served.url, "--items", "2", "--root", str(tmp_path)]
    assert run(asked) == 0
    assert "serves" in capsys.readouterr().out
    served.faults.leaks = "<|im_end|>"
    served.faults.usage = False
    assert run([*asked, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["agrees"] and told["not_proven"] == ["template", "system prompt"]
    assert run(asked) == 1
    assert "does not serve" in (said := capsys.readouterr().out) and "not proven: template, system prompt" in said


def test_what_cannot_be_verified_is_refused_in_a_sentence(
    served: Server, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("affina.engine.endpoint.time.sleep", lambda pause_s: None)
    where = Where(tmp_path, offline=True)
    with pytest.raises(Refused, match="show nothing"):
        affina.verify(str(base), served.url, strictness=Strictness(items=0), where=where)
    with pytest.raises(Refused, match="is no endpoint"):
        affina.verify(str(base), str(base), where=where)
    with pytest.raises(Refused, match="is an endpoint"):
        affina.verify(served.url, served.url, where=where)
    with pytest.raises(Refused, match="offline"):
        affina.verify(str(base), "https://192.0.2.1/v1#m", where=where)
    with pytest.raises(Failed, match="cannot be reached"):
        affina.verify(str(base), "http://127.0.0.1:9/v1#m", where=where)


@pytest.mark.slow
def test_a_release_is_verified_with_the_system_prompt_it_brings(finished: Any, tmp_path: Path) -> None:
    root = finished("chats").folder.parent
    made = release("chats", Wish("talk", system="Be brief."), Place(root, str(tmp_path)))
    with serving(verb.open_model("chats", root, True, Silent()).model, Faults(system="Be brief.")) as server:
        where = Where(root, offline=True)
        found = affina.verify(made["folder"], server.url, strictness=Strictness(items=5), where=where)
        assert found["agrees"] and found["items"] == 5 and {*found["not_proven"]} <= {"stop"}, found["checks"]
        server.faults.system = ""
        found = affina.verify(made["folder"], server.url, strictness=Strictness(items=5), where=where)
        differs = [each["name"] for each in found["checks"] if each["state"] == "differs"]
        assert "system prompt" in differs and "weights" not in differs, found["checks"]
