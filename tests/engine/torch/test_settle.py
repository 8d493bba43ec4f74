"""What is left to `auto` follows the machine and the size of the run; what is asked for is given or refused."""

import json
from pathlib import Path

import pytest

from affina.core.errors import Refused
from affina.core.kinds import tunings
from affina.core.recipe import Compute
from affina.engine.torch import machine, native, settle
from affina.engine.torch.settle import Work, settled_on


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with the sizes of a model of 135 million weights in bf16, its weights not read."""
    sizes = {"num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536}
    (tmp_path / "config.json").write_text(json.dumps(sizes), encoding="utf-8")
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(2 * 135_000_000)
    return tmp_path


def test_a_precision_that_is_asked_for_is_taken_and_auto_follows_the_processor() -> None:
    assert settled_on(Compute(precision="bf16")).precision == "bf16"
    assert settled_on(Compute(precision="float32")).precision == "float32"
    assert settled_on(Compute()).precision == ("bf16" if machine.fast_bf16() else "float32")


def test_kernels_are_used_where_they_can_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled_on(Compute(kernels="off")).kernels is False
    assert settled_on(Compute()).kernels is (native.library() is not None and machine.device().type == "cpu")
    monkeypatch.setattr(native, "library", lambda: None)
    monkeypatch.setattr(native, "reason", lambda: "no compiler here")
    monkeypatch.setattr(settle, "device", lambda: machine.torch.device("cpu"))
    assert settled_on(Compute()).kernels is False
    with pytest.raises(Refused, match="no compiler here"):
        settled_on(Compute(kernels="on"))


def test_blocks_are_compiled_when_the_run_repays_it(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "_rate", lambda dtype, size=1024: 1e12)
    monkeypatch.setattr(native, "compiler", lambda: ["c++"])
    seconds_per_token = 6 * 135e6 / (settle.SHARE_OF_PEAK * 1e12)
    enough = settle.COMPILE_SECONDS / settle.COMPILE_SAVES / seconds_per_token
    assert settled_on(Compute(), Work(int(enough * 1.1), 100, base)).compile is True
    assert settled_on(Compute(), Work(int(enough * 0.9), 100, base)).compile is False
    assert settled_on(Compute(compile="off"), Work(int(enough * 9), 100, base)).compile is False
    assert settled_on(Compute(compile="on")).compile is True
    assert settled_on(Compute()).compile is False  # a model that is only asked


def test_nothing_is_compiled_without_a_compiler(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "compiler", list)
    monkeypatch.setattr(settle, "device", lambda: machine.torch.device("cpu"))
    assert settled_on(Compute(), Work(10**12, 100, base)).compile is False
    with pytest.raises(Refused, match="no C\\+\\+ compiler"):
        settled_on(Compute(compile="on"))


def test_blocks_are_computed_again_when_memory_would_not_hold_them(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "_free", lambda: 8 * 10**9)
    per_token = 30 * (settle.BYTES_KEPT[0] * 576 + settle.BYTES_KEPT[1] * 1536)
    limit = settle.ROOM * (8 * 10**9 - settle.COPIES * 270e6) / per_token
    assert settled_on(Compute(), Work(1, int(limit * 1.01), base)).checkpoint is True
    assert settled_on(Compute(), Work(1, int(limit * 0.99), base)).checkpoint is False
    assert settled_on(Compute(checkpoint="on")).checkpoint is True
    assert settled_on(Compute(checkpoint="off"), Work(1, 10**9, base)).checkpoint is False


def test_free_memory_and_the_rate_of_products_are_those_of_this_machine() -> None:
    assert 10**7 < settle._free() < 10**14
    assert 10**8 < settle._rate(machine.torch.float32, 256) < 10**16


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_layer": 30, "n_embd": 576, "n_inner": None},
        {"num_hidden_layers": 30, "hidden_size": 576, "ffn_dim": 2304},
        {"n_layers": 30, "dim": 576, "hidden_dim": 2304},
        {"text_config": {"num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 2304}},
    ],
)
def test_sizes_are_found_by_whatever_name_a_family_has_for_them(
    sizes: dict[str, object], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base / "config.json").write_text(json.dumps(sizes), encoding="utf-8")
    monkeypatch.setattr(settle, "_free", lambda: 8 * 10**9)
    per_token = 30 * (settle.BYTES_KEPT[0] * 576 + settle.BYTES_KEPT[1] * 2304)
    limit = settle.ROOM * (8 * 10**9 - settle.COPIES * 270e6) / per_token
    assert settled_on(Compute(), Work(1, int(limit * 1.01), base)).checkpoint is True
    assert settled_on(Compute(), Work(1, int(limit * 0.99), base)).checkpoint is False


def test_nothing_is_compiled_where_every_block_is_fused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rate is measured for it: what was proved once is settled alike the next time."""
    if native.library() is None:
        pytest.skip(native.reason())
    monkeypatch.setattr(settle, "device", lambda: machine.torch.device("cpu"))
    monkeypatch.setattr(settle, "_rate", lambda dtype, size=1024: 1.0)
    long = Work(10**12, 100, base)
    path = base / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for name, compiles, more in (
        ("LlamaForCausalLM", False, {}),
        ("Qwen3Model", False, {}),
        ("Gemma2ForCausalLM", False, {}),
        ("GPT2LMHeadModel", False, {"model_type": "gpt2"}),
        ("Starcoder2ForCausalLM", False, {"residual_dropout": 0.1}),
        ("CohereForCausalLM", True, {}),
        ("GPTNeoXForCausalLM", False, {}),
        ("PhiForCausalLM", False, {}),
        ("OPTForCausalLM", False, {"dropout": 0.1}),
        ("StableLmForCausalLM", False, {}),
        ("BertForMaskedLM", False, {"hidden_dropout_prob": 0.1}),
        ("XLMRobertaModel", False, {}),
        ("Gemma3TextModel", False, {}),
        ("ModernBertForMaskedLM", False, {}),
        ("DistilBertModel", False, {"model_type": "distilbert", "attention_dropout": 0.1}),
    ):
        path.write_text(json.dumps({**config, "architectures": [name], **more}), encoding="utf-8")
        assert settled_on(Compute(), long).compile is compiles, name
        assert settled_on(Compute(kernels="off"), long).compile is True
        assert settled_on(Compute(), Work(10**12, 100, base, fuses=lambda after_sums: False)).compile is True
    assert settled_on(Compute(compile="on"), long).compile is True


def test_a_bottleneck_in_the_norm_that_ends_a_block_leaves_it_to_be_compiled(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if native.library() is None:
        pytest.skip(native.reason())
    monkeypatch.setattr(settle, "device", lambda: machine.torch.device("cpu"))
    monkeypatch.setattr(settle, "_rate", lambda dtype, size=1024: 1.0)
    path = base / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for name, compiles in (("LlamaForCausalLM", False), ("BertModel", True)):
        path.write_text(json.dumps({**config, "architectures": [name]}), encoding="utf-8")
        work = Work(10**12, 100, base, tunings.build("adapter").fuses)
        assert settled_on(Compute(), work).compile is compiles, name


@pytest.mark.parametrize("setting", ["kernels", "compile"])
def test_what_only_packed_rows_have_is_refused_without_packing(setting: str) -> None:
    assert settled_on(Compute(packing="off")).packing is False and settled_on(Compute()).packing is True
    assert settled_on(Compute(head="everywhere")).head == "everywhere"
    with pytest.raises(Refused, match=f"train.compute.{setting}: on.*packing: off"):
        settled_on(Compute.model_validate({"packing": "off", setting: "on"}))
