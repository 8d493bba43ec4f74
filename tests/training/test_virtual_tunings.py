"""Virtual tokens stand before every row wherever rows are computed, are counted nowhere, and are PEFT's in numbers."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import SIZES, build, random_rows
from laws import LABELS, apart, engine
from peft import PeftModel, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from tiny import data, recipe
from transformers import AutoModelForCausalLM

import affina
from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.example import Labelled
from affina.core.kinds import Row, Sampling, objectives, tunings
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.data.tokens import Vocabulary
from affina.engine.torch import tuned
from affina.engine.torch.frozen import probed
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel
from affina.engine.torch.step import TorchEngine

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
Folder = Callable[[str], Path]
WORDS, CLASSES = objectives.build("cross_entropy"), objectives.build("classify")
TEXT = "Please send me a new card because the old one is broken."
KINDS: dict[str, dict[str, Any]] = {
    "prompt": {"name": "prompt", "tokens": 12},
    "mlp": {"name": "p_tuning", "tokens": 5, "hidden": 24},
    "lstm": {"name": "p_tuning", "tokens": 5, "encoder_type": "lstm", "layers": 2},
    "prefix": {"name": "prefix", "tokens": 9},
    "projected": {"name": "prefix", "tokens": 9, "projection": 7},
}
THEIRS: dict[str, Any] = {
    "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=12),
    "mlp": PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=24),
    "lstm": PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=5, encoder_hidden_size=32, encoder_reparameterization_type="LSTM"
    ),
    "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=9),
    "projected": PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=9, prefix_projection=True, encoder_hidden_size=7
    ),
}
ROWS = random_rows(300)
TARGETS = [row for row in ROWS if row.targets]
each_kind = pytest.mark.parametrize("kind", KINDS)


def ahead(made: TorchModel) -> int:
    return len(made.network.before)


def theirs(model: Any, rows: list[Row], cut: int) -> torch.Tensor:
    """Log-probabilities of the rows' targets, one row at a time, `cut` answers of virtual tokens left out."""
    found = []
    for row in rows:
        at = np.flatnonzero(row.weights)
        logprobs = model(input_ids=torch.from_numpy(row.tokens).long()[None]).logits[0, cut:].log_softmax(-1)
        found.append(logprobs[at - 1, row.tokens[at].astype(int)])
    return torch.cat(found)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral"])
@each_kind
def test_rows_behind_virtual_tokens_have_the_numbers_that_peft_reads_from_the_files(
    kind: str, name: str, family: Folder, tmp_path: Path
) -> None:
    made = engine(family(name), WORDS, KINDS[kind], nudge=0.1)
    made.course.tuning.write(made.network.model, tmp_path, family(name))
    base = AutoModelForCausalLM.from_pretrained(family(name), attn_implementation="eager", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, tmp_path).eval()
    with torch.no_grad():
        expected = theirs(model, TARGETS, 0 if kind in ("prefix", "projected") else ahead(made))
    found = np.concatenate([each.logprobs_S for each in made.score(TARGETS)])
    assert np.abs(found - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@each_kind
def test_pefts_own_tensors_have_its_numbers_and_its_gradients_here(kind: str, name: str, family: Folder) -> None:
    torch.manual_seed(4)
    base = AutoModelForCausalLM.from_pretrained(family(name), attn_implementation="eager", dtype=torch.float32)
    model: Any = get_peft_model(base, copy.deepcopy(THEIRS[kind])).eval()
    made = engine(family(name), WORDS, KINDS[kind])
    encoder = made.network.model.get_input_embeddings().encoder
    encoder.load_state_dict(model.prompt_encoder["default"].state_dict())
    forward = made.forward(made.layout(TARGETS))
    expected = theirs(model, TARGETS, 0 if kind in ("prefix", "projected") else ahead(made))
    assert forward.logprobs_S is not None and torch.allclose(forward.logprobs_S, expected, rtol=0, atol=1e-5)
    for numbers in (forward.logprobs_S, expected):
        numbers.sum().backward()
    own = {key: each.grad for key, each in encoder.named_parameters()}
    other = {key: each.grad for key, each in model.prompt_encoder["default"].named_parameters()}
    assert own.keys() == other.keys()
    for key, gradient in other.items():
        assert float((own[key] - gradient).abs().max()) <= 2e-5 * float(gradient.abs().max()), key


@pytest.mark.parametrize("name", ["prompt", "prefix"])
@pytest.mark.parametrize("base", ["llama", "gpt2", "gemma2"])
def test_a_fresh_one_that_says_a_text_is_the_base_behind_that_text(name: str, base: str, family: Folder) -> None:
    said = Vocabulary(family(base)).encode([TEXT], special=True)[0].ids
    made = engine(family(base), WORDS, {"name": name, "tokens": len(said) + 3, "text": TEXT}, nudge=0)
    said = [*said, *said[:3]]
    plain = TorchModel(load(family(base), Computing("float32")), made.renderer)
    longer = [
        replace(row, tokens=np.array([*said, *row.tokens], np.int32), weights=np.pad(row.weights, (len(said), 0)))
        for row in TARGETS
    ]
    for one, other in zip(made.score(TARGETS), plain.score(longer), strict=True):
        assert np.abs(one.logprobs_S - other.logprobs_S).max() < 2e-5


@each_kind
def test_virtual_tokens_stand_once_in_a_batch_and_are_counted_nowhere(kind: str, family: Folder) -> None:
    made = engine(family("llama"), WORDS, {**KINDS[kind], "tokens": 9})
    batch = made.layout(TARGETS)
    size = made.network.before.start
    assert batch.tokens == sum(len(row.tokens) for row in TARGETS) == made.learn([batch], WORDS, 1)["tokens"]
    assert int((batch.tokens_T >= size).sum()) == 9 and (batch.tokens_T[:9] == np.arange(size, size + 9)).all()
    assert (batch.tokens_T[batch.starts_R] == [row.tokens[0] for row in TARGETS]).all()


@each_kind
def test_shared_and_alone_whole_and_again_give_one_gradient(kind: str, family: Folder) -> None:
    found = []
    for again in (False, True):
        made = engine(family("qwen2"), WORDS, KINDS[kind], Computing("float32", checkpoint=again))
        with made.exactly("float64"):
            found += [made.gradients([made.layout(TARGETS, share=share)], WORDS) for share in (True, False)]
    size = max(float(each.abs().max()) for each in found[0].values())
    for other in found[1:]:
        assert found[0].keys() == other.keys()
        assert max(float((found[0][key] - other[key]).abs().max()) for key in other) <= 1e-9 * size


@each_kind
def test_in_bf16_the_gradient_is_off_by_rounding_alone(kind: str, family: Folder) -> None:
    """Within the 6 % of the gradient's norm that other tunings are held to."""
    made = engine(family("llama"), WORDS, KINDS[kind], Computing("bf16"))
    found = [made.gradients([made.layout(TARGETS)], WORDS)]
    with made.exactly():
        found.append(made.gradients([made.layout(TARGETS)], WORDS))
    rounded, exact = (torch.cat([way[name].flatten() for name in sorted(way)]) for way in found)
    assert float((rounded - exact).norm() / exact.norm()) <= 0.06


@pytest.mark.parametrize("name", ["prompt", "mlp"])
def test_fused_blocks_carry_the_gradient_to_the_prompt(name: str, tmp_path: Path) -> None:
    folder = build("llama", tmp_path / "llama", **SIZES)
    found = []
    for kernels in (True, False):
        made = engine(folder, WORDS, KINDS[name], Computing("float32", kernels=kernels))
        found.append(made.gradients([made.layout(TARGETS)], WORDS))
    named = [{"both": torch.cat([each.flatten() for each in way.values()]), **way} for way in found]
    worst, where = apart(named[0], named[1])
    assert worst <= 1e-5, where


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("kernels", [True, False])
@each_kind
def test_generation_reads_virtual_tokens_first_and_goes_on_as_scoring_says(
    kind: str, kernels: bool, merge: bool, tmp_path: Path
) -> None:
    folder = build("llama", tmp_path / "llama", **SIZES)
    made = engine(folder, WORDS, {**KINDS[kind], "tokens": 40}, Computing("float32", kernels=kernels), nudge=0.1)
    prompts = [row.tokens[:9].tolist() for row in TARGETS[:3]]
    many = 20 if merge else 4
    for prompt, answer in zip(prompts, made.sample(prompts, Sampling(max_tokens=many)), strict=True):
        tokens = [*prompt]
        for token in answer.tokens:
            assert greedy(made, tokens) == token
            tokens.append(token)


@torch.no_grad()
def greedy(made: TorchModel, tokens: list[int]) -> int:
    """The likeliest next token by a whole forward pass."""
    row = Row("asked", np.array(tokens, np.int32), np.zeros(len(tokens), np.float32))
    batch, network = made.layout([row]), made.network
    return int((network.hidden(batch)[-1] @ network.words.weight_VD.T).argmax())


@pytest.mark.parametrize("name", ["bloom", "mpt", "lfm2"])
@pytest.mark.parametrize("kind", ["prompt", "mlp", "lstm"])
def test_bases_that_pad_rows_take_a_prompt_and_generate_behind_it(kind: str, name: str, family: Folder) -> None:
    made = engine(family(name), WORDS, KINDS[kind], nudge=0.1)
    base = AutoModelForCausalLM.from_pretrained(family(name), dtype=torch.float32).eval()
    before = made.network.model.get_input_embeddings().encoder().detach()
    words = base.get_input_embeddings()
    for row, scored in zip(TARGETS, made.score(TARGETS), strict=True):
        at = np.flatnonzero(row.weights)
        given = torch.cat([before, words(torch.from_numpy(row.tokens).long())])[None]
        with torch.no_grad():
            logprobs = base(inputs_embeds=given).logits[0, len(before) :].log_softmax(-1)
        assert np.abs(logprobs[at - 1, row.tokens[at].astype(int)].numpy() - scored.logprobs_S).max() < 1e-4
    prompt = TARGETS[0].tokens[:7].tolist()
    answer = made.sample([prompt], Sampling(max_tokens=3))[0]
    first = greedy(made, prompt)
    assert (answer.tokens[0] == first) if answer.tokens else (answer.stopped and first in made.renderer.stops)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "deberta", "t5", "xlnet"])
def test_an_encoder_scores_a_label_at_its_first_word_and_not_at_a_virtual_token(name: str, family: Folder) -> None:
    made = engine(family(name), CLASSES, KINDS["prompt"])
    rows = [replace(row, label=n % LABELS) for n, row in enumerate(ROWS)]
    batch = made.layout(rows)
    assert (batch.tokens_T[batch.starts_R] == [row.tokens[0] for row in rows]).all()
    assert int((batch.tokens_T >= made.network.before.start).sum()) == 12 * len(rows)
    together = made.score(rows)
    for row, scored in zip(rows, together, strict=True):
        alone = made.score([row])[0]
        assert scored.scores_L is not None and np.abs(scored.scores_L - alone.scores_L).max() < 1e-4
    found = made.gradients([batch], CLASSES)
    assert all(each.abs().max() > 0 for each in found.values())


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_an_embedding_is_the_mean_of_a_texts_own_states(name: str, family: Folder) -> None:
    made = engine(family(name), CLASSES, KINDS["prompt"])
    (found,) = made.embed([TEXT])
    (row,) = made.renderer.rows([labelled()])
    with torch.no_grad():
        mean = made.network.hidden(made.layout([row]))[12:].mean(0)
    assert np.abs(found - torch.nn.functional.normalize(mean, dim=0).numpy()).max() < 1e-6


def labelled() -> Labelled:
    return Labelled(id="0", text=TEXT, label="")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bert", "no key cache"), ("t5", "its own"), ("bloom", "its own"), ("deepseek_v3", "one size")],
)
def test_a_base_without_a_place_for_a_prefix_is_refused_with_what_takes_its_place(
    name: str, reason: str, family: Folder
) -> None:
    with pytest.raises(Refused, match=reason) as error:
        engine(family(name), CLASSES if name in ("bert", "t5") else WORDS, KINDS["prefix"])
    assert "the tuning prompt" in str(error.value)


@each_kind
def test_what_does_not_fit_the_positions_of_the_base_is_refused(kind: str, family: Folder) -> None:
    part, folder = tunings.build({**KINDS[kind], "tokens": 20}), family("gpt2")
    for most, fits in ((4076, True), (4077, False)):
        network = load(folder, Computing("float32"))
        course = replace(engine(folder, WORDS, "lora").course, tuning=part)
        if fits:
            TorchEngine(network, Renderer.open(folder, max_tokens=most), course)
            continue
        with pytest.raises(Refused, match=r"max_tokens to 4076"):
            TorchEngine(network, Renderer.open(folder, max_tokens=most), course)


def test_an_empty_prompt_and_one_that_leaves_no_position_are_refused_with_the_room_there_is(family: Folder) -> None:
    made = engine(family("gpt2"), WORDS, KINDS["prompt"])
    for prompt in ([], [5] * 4084):
        with pytest.raises(Refused, match="1 to 4084"):
            made.sample([prompt], Sampling(max_tokens=2))


@each_kind
def test_no_block_is_taken_for_frozen_and_nothing_is_merged(kind: str, family: Folder) -> None:
    made = engine(family("llama"), WORDS, KINDS[kind])
    assert probed(made.network) == (0, False)
    with pytest.raises(Refused, match="inputs, not weights"):
        made.course.tuning.merge(made.network.model)


def test_settings_that_nothing_would_read_are_refused(family: Folder) -> None:
    for settings, reason in (
        ({"name": "p_tuning", "layers": 3}, "lstm"),
        ({"name": "prefix", "text": TEXT, "projection": 8}, "leave one"),
    ):
        with pytest.raises(Refused, match=reason):
            engine(family("llama"), WORDS, settings)


@pytest.mark.parametrize("kind", ["prompt", "projected"])
def test_a_run_proves_trains_and_is_opened_again(kind: str, chat_model: Path, tmp_path: Path) -> None:
    path = recipe(data(tmp_path), chat_model, tuning=KINDS[kind])
    path.write_text(path.read_text().replace("steps: 12", "steps: 4"))
    run = affina.train(path, root=tmp_path / "runs")
    assert run.state == "finished" and (run.folder / "model" / "adapter_config.json").is_file()
    config = json.loads((run.folder / "model" / "adapter_config.json").read_text())
    assert config["num_virtual_tokens"] == KINDS[kind]["tokens"]
    (answer,) = affina.generate("tiny", ["where is the parcel"], Sampling(max_tokens=4), root=tmp_path / "runs")
    assert "answer" in answer


def test_a_base_is_opened_without_what_a_run_put_before_it(family: Folder) -> None:
    plain = tuned.base(family("llama"), Renderer.open(family("llama")), Computing("float32"))
    assert not plain.network.before and layout(TARGETS).tokens_T.max() < 300


def test_a_prefix_begins_with_the_words_keys_in_bf16_too(family: Folder) -> None:
    """Fused blocks have the residual stream widened to float32 at the embedding, where products stay in bf16."""
    tables = []
    for precision in ("float32", "bf16"):
        network = load(family("llama"), Computing(precision, kernels=True))
        tuned.attach(network, tunings.build({"name": "prefix", "tokens": 3, "text": "The parcel"}), seed=0)
        tables.append(network.model.get_input_embeddings().encoder().detach())
    assert float((tables[0] - tables[1]).abs().max()) < 0.03 * float(tables[0].abs().max())
