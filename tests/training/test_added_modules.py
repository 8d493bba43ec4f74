"""Adapters, (IA)³, deeper networks and gradual unfreezing, against plain torch, PEFT and arithmetic."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from families import SIZES, build, noisy, random_rows
from laws import apart, engine, plain_gradients
from peft import PeftModel
from transformers import AutoModel, AutoModelForCausalLM

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, Sampling, objectives, optimizers, schedules, tunings
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.torch.load import Network, load
from affina.engine.torch.model import TorchModel
from affina.engine.torch.step import Course, TorchEngine
from affina.engine.torch.tuned import attach, trainable

Folder = Callable[[str], Path]
TOKENS = torch.tensor([[5, 6, 200, 31, 4, 77]])
ENCODERS = ("bert", "distilbert", "roberta", "deberta-v2", "mpnet")
KINDS: dict[str, Any] = {
    kind: {"name": "adapter", "kind": kind, "activation": "relu"} for kind in ("sequential", "residual", "parallel")
}
ADDED: dict[str, Any] = {**KINDS, "ia3": "ia3", "block_expansion": "block_expansion"}
PLACES = {  # attention's output, the inner layer's input and output, the norm a post-norm block ends in; per block
    "llama": ("model.layers.{}", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj", None),
    "qwen3": ("model.layers.{}", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj", None),
    "gemma2": ("model.layers.{}", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj", None),
    "mistral": ("model.layers.{}", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj", None),
    "gpt2": ("transformer.h.{}", "attn.c_proj", "mlp.c_fc", "mlp.c_proj", None),
    "bert": (
        "encoder.layer.{}", "attention.output.dense", "intermediate.dense", "output.dense", "output.LayerNorm",
    ),
    "distilbert": ("transformer.layer.{}", "attention.out_lin", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
    "roberta": (
        "encoder.layer.{}", "attention.output.dense", "intermediate.dense", "output.dense", "output.LayerNorm",
    ),
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def opened(folder: Path, spec: Any, computing: Computing | None = None) -> Network:
    """A network whose tuning has been moved away from where it starts."""
    ending = Ending("labels", 2) if folder.name in ENCODERS else Ending()
    network = load(folder, computing or Computing("float32"), ending)
    attach(network, tunings.build(spec), seed=0)
    noisy(torch.nn.ParameterList(trainable(network).values()), seed=3, noise=0.05)
    return network


def library(folder: Path) -> Any:
    auto: Any = AutoModel if folder.name in ENCODERS else AutoModelForCausalLM
    return auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


def said(model: Any) -> torch.Tensor:
    made = model(input_ids=TOKENS)
    found: torch.Tensor = made.logits if hasattr(made, "logits") else made.last_hidden_state
    return found


def hooked(model: Any, kind: str, places: Any, tensors: dict[str, torch.Tensor]) -> None:
    """The papers' formulas as hooks on the library's model, written out from the tensors of the file."""
    block, attention, first, last, norm = places
    scale = 4.0 if kind == "parallel" else 1.0

    def change(name: str, x: torch.Tensor) -> torch.Tensor:
        part = {
            leaf: tensors[f"{name}.adapter.{leaf}"] for leaf in ("down.weight", "down.bias", "up.weight", "up.bias")
        }
        inner = (x @ part["down.weight"].T + part["down.bias"]).clamp_min(0)
        return scale * (inner @ part["up.weight"].T + part["up.bias"])

    def whole(out: Any, added: torch.Tensor) -> Any:
        return (out[0] + added, *out[1:]) if isinstance(out, tuple) else out + added

    for place in range(2):
        at = block.format(place)
        if kind == "sequential":
            for name in (f"{at}.{attention}", f"{at}.{last}"):
                model.get_submodule(name).register_forward_hook(lambda m, x, y, name=name: y + change(name, y))
        elif kind == "parallel":
            given: dict[str, torch.Tensor] = {}
            name = f"{at}.{last}"
            model.get_submodule(f"{at}.{first}").register_forward_hook(lambda m, x, y, g=given: g.update(x=x[0]))
            model.get_submodule(name).register_forward_hook(lambda m, x, y, n=name, g=given: y + change(n, g["x"]))
        elif norm is None:
            model.get_submodule(at).register_forward_hook(
                lambda m, x, y, at=at: whole(y, change(at, y[0] if isinstance(y, tuple) else y))
            )
        else:
            name = f"{at}.{norm}"
            model.get_submodule(name).register_forward_hook(
                lambda m, x, y, n=name: torch.nn.functional.layer_norm(
                    x[0] + change(n, y), y.shape[-1:], m.weight, m.bias, m.eps
                )
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PLACES)
def test_adapters_are_the_papers_formulas_on_the_librarys_model(
    name: str, kind: str, family: Folder, tmp_path: Path
) -> None:
    network = opened(family(name), KINDS[kind])
    part = tunings.build(KINDS[kind])
    part.write(network.model, tmp_path, family(name))
    from safetensors.torch import load_file

    tensors, model = load_file(tmp_path / "adapter.safetensors"), library(family(name))
    assert len(tensors) == 4 * 2 * (2 if kind == "sequential" else 1)
    with torch.no_grad(), network.library_attention():
        before = said(model)
        hooked(model, kind, PLACES[name], tensors)
        expected, found = said(model), said(network.model)
    assert torch.allclose(found, expected, atol=2e-5 * float(expected.abs().max()))
    assert not torch.allclose(found, before, atol=1e-2)
    told = json.loads((tmp_path / "adapter.json").read_text())
    assert told["kind"] == kind and told["scale"] == (4.0 if kind == "parallel" else 1.0)


def test_an_adapter_counts_two_thin_matrices_and_their_biases(family: Folder) -> None:
    """Width 32, bottleneck 8, 2 blocks: 2 · 32 · 8 + 32 + 8 = 552 each; after attention too, twice as many."""
    for kind, expected in (("residual", 2 * 552), ("parallel", 2 * 552), ("sequential", 4 * 552)):
        part = tunings.build({"name": "adapter", "kind": kind, "size": 8})
        network = load(family("gpt2"), Computing("float32"))
        attach(network, part, seed=0)
        assert part.count(network.model) == expected == sum(each.numel() for each in trainable(network).values())
        assert not any("ln" in each or "norm" in each for each in trainable(network))


def test_a_base_of_which_the_sublayers_are_not_known_is_refused(family: Folder) -> None:
    for spec in ("adapter", "ia3"):
        network = load(family("lfm2"), Computing("float32"))
        with pytest.raises(Refused, match=r"2 of the 2 blocks of lfm2"):
            attach(network, tunings.build(spec), seed=0)


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma2", "gpt2", "bert"])
@pytest.mark.parametrize("spec", [*ADDED, "gradual_unfreeze"])
def test_packed_checkpointed_gradients_are_the_librarys_own(spec: str, name: str, family: Folder) -> None:
    if (spec, name) == ("block_expansion", "bert"):
        return
    part = objectives.build("classify" if name in ENCODERS else "cross_entropy")
    rows = [replace(each, label=place % 3) for place, each in enumerate(random_rows(300)) if each.targets]
    made = engine(family(name), part, ADDED.get(spec, spec), Computing("float32", checkpoint=True))
    found = made.gradients([layout(rows, share=made.network.causal)], part)
    gap, where = apart(found, plain_gradients(made, family(name), rows, part, "float32"))
    assert gap < 2e-4, where
    assert {key.removeprefix("model.") for key in found} >= {
        key for key, each in made.network.model.named_parameters() if each.requires_grad and "pooler" not in key
    } - {key for key, _ in made.network.model.named_parameters() if "embed" in key}


@pytest.mark.parametrize("spec", ADDED)
def test_generation_and_fused_kernels_answer_as_the_plain_network(spec: str, tmp_path: Path) -> None:
    """Sizes that fused blocks and the thin decoder take: neither may leave out what was added."""
    folder = build("llama", tmp_path / "llama", **SIZES)
    plain, fused = (opened(folder, ADDED[spec], Computing("float32", kernels=kernels)) for kernels in (False, True))
    batch = layout(random_rows(300), share=True)
    with torch.no_grad():
        states = [net.hidden(batch) for net in (plain, fused)]
    assert torch.allclose(*states, atol=1e-4 * float(states[0].abs().max()))
    prompt, how = [5, 6, 200, 31], Sampling(max_tokens=6)
    tokens = TorchModel(fused, Renderer.open(folder)).sample([prompt], how)[0].tokens
    for place in range(len(tokens)):
        with torch.no_grad(), plain.library_attention():
            logits = plain.model(torch.tensor([[*prompt, *tokens[:place]]])).logits[0, -1]
        assert float(logits.max() - logits[tokens[place]]) < 1e-3


@pytest.mark.parametrize("spec", ADDED)
def test_bf16_products_learn_and_generate(spec: str, family: Folder) -> None:
    network = opened(family("qwen3"), ADDED[spec], Computing("bf16"))
    model = TorchModel(network, Renderer.open(family("qwen3")))
    exact = opened(family("qwen3"), ADDED[spec])
    batch = layout(random_rows(300), share=True)
    with torch.no_grad(), network.computing():
        found, expected = network.hidden(batch).float(), exact.hidden(batch)
    assert float((found - expected).norm() / expected.norm()) < 0.05
    assert model.sample([[5, 6, 7]], Sampling(max_tokens=3))[0].tokens


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma2", "gpt2", "opt", "gpt_neox", "phi3", "bert", "distilbert"])
def test_ia3_is_pefts_in_numbers_gradients_and_file(name: str, family: Folder, tmp_path: Path) -> None:
    network = opened(family(name), "ia3")
    tunings.build("ia3").write(network.model, tmp_path, family(name))
    theirs = PeftModel.from_pretrained(library(family(name)), tmp_path, is_trainable=True).eval()
    with network.library_attention():
        made, expected = said(network.model), said(theirs)
    assert torch.allclose(made, expected, atol=1e-5 * float(expected.detach().abs().max()))
    made.square().sum().backward()
    expected.square().sum().backward()
    own = {key: each for key, each in network.model.named_parameters() if each.requires_grad}
    found = {key: each for key, each in theirs.named_parameters() if each.requires_grad}
    assert len(own) == len(found) and {each.numel() for each in own.values()} == {
        each.numel() for each in found.values()
    }
    for key, each in own.items():
        match = found[f"base_model.model.{key}.default"].grad
        assert each.grad is not None and match is not None
        assert torch.allclose(each.grad, match, atol=1e-4 * float(match.abs().max())), key


def test_ia3_reads_vectors_that_peft_has_learnt(family: Folder, tmp_path: Path) -> None:
    from peft import IA3Config, get_peft_model
    from safetensors.torch import load_file

    config = IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"])
    theirs = get_peft_model(library(family("llama")), config).eval()
    noisy(torch.nn.ParameterList(each for each in theirs.parameters() if each.requires_grad), seed=9)
    theirs.save_pretrained(tmp_path)
    network = load(family("llama"), Computing("float32"))
    attach(network, tunings.build("ia3"), seed=0)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    named = {key.removeprefix("base_model.model."): each for key, each in saved.items()}
    assert named.keys() == {key for key, each in network.model.named_parameters() if each.requires_grad}
    network.model.load_state_dict(named, strict=False)
    with torch.no_grad(), network.library_attention():
        assert torch.allclose(said(network.model), said(theirs), atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "name", ["llama", "mistral", "gemma2", "gemma3_text", "gpt2", "opt", "gpt_neox", "bloom", "mpt"]
)
def test_an_expanded_model_is_loaded_by_transformers_and_answers_alike(
    name: str, groups: int, family: Folder, tmp_path: Path
) -> None:
    part = tunings.build({"name": "block_expansion", "groups": groups, "copies": 2 // groups})
    network = load(family(name), Computing("float32"))
    with torch.no_grad(), network.library_attention():
        before = said(network.model)
        attach(network, part, seed=0)
        assert torch.equal(said(network.model), before)
        noisy(torch.nn.ParameterList(trainable(network).values()), seed=3, noise=0.05)
        part.write(network.model, tmp_path, family(name))
        expected = said(network.model)
        found = said(AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval())
    assert network.config.num_hidden_layers == 4
    assert torch.allclose(found, expected, atol=2e-5 * float(expected.abs().max()))
    assert not torch.allclose(found, before, atol=1e-2)


@pytest.mark.parametrize(("groups", "copies", "expected"), [(2, 1, [1, 3]), (1, 2, [2, 3]), (1, 1, [2])])
def test_copies_stand_after_the_runs_they_are_copied_from(
    groups: int, copies: int, expected: list[int], family: Folder
) -> None:
    network = load(family("gpt2"), Computing("float32"))
    attach(network, tunings.build({"name": "block_expansion", "groups": groups, "copies": copies}), seed=0)
    assert sorted({int(name.split(".")[3]) for name in trainable(network)}) == expected
    assert [stage.place for stage in network.stages] == [*range(len(network.stages))] == [*range(2 + groups * copies)]


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("llama", {"groups": 3}, "3 groups of 1 copies.*2 blocks"),
        ("bert", {}, "end in a norm"),
        ("deepseek_v3", {}, "first_k_dense_replace"),
    ],
)
def test_a_base_that_cannot_be_expanded_is_refused(
    name: str, fields: dict[str, Any], reason: str, family: Folder
) -> None:
    network = load(family(name), Computing("float32"), Ending("labels", 2) if name == "bert" else Ending())
    with pytest.raises(Refused, match=reason):
        attach(network, tunings.build({"name": "block_expansion", **fields}), seed=0)


def learning(folder: Path, spec: Any) -> TorchEngine:
    adamw = optimizers.build({"name": "adamw", "weight_decay": 0.1})
    course = Course(tunings.build(spec), adamw, schedules.build("constant"), 1e-2, 20, seed=0)
    return TorchEngine(load(folder, Computing("float32")), Renderer.open(folder), course)


def moved(made: TorchEngine, steps: range, values: dict[int, float] | None = None) -> list[set[str]]:
    """Of every step, where what changed stands: a block's number, `below` or `above`."""
    rows = [row for row in random_rows(made.network.config.vocab_size) if row.targets]
    batch, objective, found = made.layout(rows), objectives.build("cross_entropy"), []
    for step in steps:
        before = {name: each.detach().clone() for name, each in made.trainable().items()}
        made.learn([batch], objective, step)
        names = [name for name, each in made.trainable().items() if not torch.equal(each, before[name])]
        found.append({_place(name) for name in names})
        if values and step in values:
            made.hear(step, values[step])
    return found


def _place(name: str) -> str:
    steps = name.split(".")
    return steps[3] if "layers" in steps or "h" in steps else "below" if "embed" in name or "w" in steps[2] else "above"


def test_blocks_open_from_the_last_one_down_and_what_is_closed_keeps_every_bit(family: Folder) -> None:
    made = learning(family("llama"), {"name": "gradual_unfreeze", "every": 2})
    places = moved(made, range(1, 7))
    last, both, every = {"above", "1"}, {"above", "1", "0"}, {"above", "1", "0", "below"}
    assert places == [last, last, both, both, every, every]
    steps = {_place(name): int(made.optimizer.state[each]["step"]) for name, each in made.trainable().items()}
    assert steps == {"above": 6, "1": 6, "0": 4, "below": 2}


def test_a_plateau_opens_a_block_only_when_validation_is_no_better_and_enough_steps_have_passed(family: Folder) -> None:
    part = tunings.build({"name": "gradual_unfreeze", "by": "plateau", "every": 2})
    heard = [(1, 3.0), (2, 2.0), (3, 2.5), (4, 2.5), (5, 2.1), (6, 1.0), (7, 1.5)]
    assert [part.opened(step, heard) for step in range(1, 9)] == [1, 1, 1, 2, 2, 3, 3, 4]
    made = learning(family("llama"), {"name": "gradual_unfreeze", "by": "plateau", "every": 1})
    places = moved(made, range(1, 5), {1: 2.0, 2: 2.0, 3: 1.0})
    assert places == [{"above", "1"}, {"above", "1"}, {"above", "1", "0"}, {"above", "1", "0"}]


def test_unfreezing_resumes_to_the_bit(family: Folder, tmp_path: Path) -> None:
    spec, values = {"name": "gradual_unfreeze", "by": "plateau", "every": 1}, {1: 2.0, 2: 2.0, 3: 2.0}
    straight = learning(family("llama"), spec)
    moved(straight, range(1, 6), values)
    first = learning(family("llama"), spec)
    moved(first, range(1, 4), values)
    first.save(tmp_path / "saved")
    again = learning(family("llama"), spec)
    again.load(tmp_path / "saved")
    for step, value in values.items():
        again.hear(step, value)
    moved(again, range(4, 6))
    assert all(torch.equal(each, again.trainable()[name]) for name, each in straight.trainable().items())


def test_rates_fall_by_2_6_from_block_to_block(family: Folder) -> None:
    made = learning(family("llama"), "gradual_unfreeze")
    scales = {
        _place(name): group["scale"]
        for group in made.optimizer.param_groups
        for name, each in made.trainable().items()
        if any(each is held for held in group["params"])
    }
    assert scales == pytest.approx({"above": 1.0, "1": 1 / 2.6, "0": 2.6**-2, "below": 2.6**-3})


@pytest.mark.parametrize("spec", ["adapter", "ia3", "block_expansion", "gradual_unfreeze"])
def test_gradients_flow_and_a_step_can_be_undone(spec: str, family: Folder) -> None:
    from affina.core.kinds import Bench, proofs

    made = learning(family("llama"), spec)
    rows = [row for row in random_rows(made.network.config.vocab_size) if row.targets]
    before = {name: each.detach().clone() for name, each in made.trainable().items()}
    finding = proofs.build("gradient_flow").examine(
        Bench(made, objectives.build("cross_entropy"), [], rows, "allow", 0)
    )
    assert finding.passed, finding.detail
    assert all(torch.equal(each, before[name]) for name, each in made.trainable().items())
