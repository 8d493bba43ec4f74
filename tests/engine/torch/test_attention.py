"""Forest attention computes, for every family, what the library's own eager attention computes for each row alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from families import DECODERS, ENCODERS, FOREST_DECODERS, PADDED_DECODERS, PADDED_ENCODERS, build, random_rows, row
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForTextEncoding

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Batch, Ending, Row, Segment
from affina.data.layout import layout
from affina.engine.torch import attention
from affina.engine.torch.load import Network, load

Folder = Callable[[str], Path]
WAYS = {"segment by segment": 0, "all at once under a mask": 10**9}
OUTPUT, GRADIENT = 1e-5, 1e-4  # relative norms; float32 sums in another order
NEGLIGIBLE = 1e-5  # of the global gradient norm: a key bias has gradient 0 in theory, noise in practice


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways a batch can be computed, whichever its size would choose."""
    monkeypatch.setattr(attention, "OVERHEAD", request.param)


def network(folder: Path) -> Network:
    return load(
        folder, Computing("float32"), Ending("labels", 2) if folder.name in (*ENCODERS, *PADDED_ENCODERS) else Ending()
    )


def alone(folder: Path) -> Any:
    """The library's own model with eager attention; no embedding leaves the padding token's gradient out."""
    auto: Any = AutoModel if folder.name in (*ENCODERS, *PADDED_ENCODERS) else AutoModelForCausalLM
    auto = AutoModelForTextEncoding if folder.name == "t5" else auto
    model = auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    return model


def body(model: Any) -> Any:
    return model.get_decoder() if model.get_output_embeddings() is not None else model


def batch_of(net: Network, rows: list[Row]) -> Batch:
    return layout(rows, share=net.causal and net.flat)


def places(batch: Batch, r: int) -> npt.NDArray[np.int64]:
    """Where a row's tokens stand in T, read by walking up from its last token."""
    owner = next(n for n, each in enumerate(batch.segments) if each.start <= batch.ends_R[r] < each.stop)
    runs: list[npt.NDArray[np.int64]] = []
    while owner >= 0:
        runs.insert(0, np.arange(batch.segments[owner].start, batch.segments[owner].stop))
        owner = batch.segments[owner].parent
    return np.concatenate(runs)


def more(name: str, length: int) -> dict[str, Any]:
    """RoBERTa counts from padding_idx + 1 = 2, and where not told, leaves out tokens that equal its padding token."""
    if name == "roberta":
        return {"position_ids": torch.arange(2, 2 + length)[None]}
    return {} if name in (*ENCODERS, *PADDED_ENCODERS) else {"use_cache": False}


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def worst_gradient(found: torch.nn.Module, expected: torch.nn.Module) -> float:
    own, theirs = (
        {name: each.grad for name, each in module.named_parameters() if each.grad is not None}
        for module in (found, expected)
    )
    whole = torch.stack([each.norm() for each in theirs.values()]).norm()
    counted = [name for name, each in theirs.items() if each.norm() > NEGLIGIBLE * whole]
    assert len(counted) > 5
    return max(apart(own[name], theirs[name]) for name in counted)


def errors(folder: Path, rows: list[Row]) -> tuple[float, float]:
    """Of hidden states and of gradients: how far the packed rows are from each row alone, over what is allowed."""
    net, reference = network(folder), alone(folder)
    net.model.requires_grad_(True)
    batch = batch_of(net, rows)
    hidden_TD = net.hidden(batch)
    drawn = torch.Generator().manual_seed(1)
    loss, expected_loss, outputs = torch.zeros(()), torch.zeros(()), list[float]()
    for r, each in enumerate(rows):
        found = hidden_TD[torch.from_numpy(places(batch, r))]
        expected = body(reference)(
            input_ids=torch.from_numpy(each.tokens).long()[None], **more(folder.name, len(each.tokens))
        ).last_hidden_state[0]
        outputs.append(apart(found.detach(), expected.detach()))
        weights = torch.randn(expected.shape, generator=drawn)
        loss, expected_loss = loss + (found * weights).sum(), expected_loss + (expected * weights).sum()
    torch.autograd.backward(loss)
    torch.autograd.backward(expected_loss)
    return max(outputs) / OUTPUT, worst_gradient(net.model, reference) / GRADIENT


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("name", [*FOREST_DECODERS, *ENCODERS])
def test_packed_rows_have_the_outputs_and_gradients_of_each_row_alone(name: str, family: Folder) -> None:
    net = network(family(name))
    assert net.flat and net.causal == (name not in ENCODERS)
    rows = random_rows(300)
    batch = batch_of(net, rows)
    assert (len(batch.tokens_T) < batch.tokens) == net.causal  # decoders share their prefixes, encoders share nothing
    assert max(errors(family(name), rows)) <= 1


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("name", [*FOREST_DECODERS, *ENCODERS])
def test_the_fused_path_of_long_keys_gives_the_same_numbers(
    name: str, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "LONG", 8)
    assert max(errors(family(name), random_rows(300, seed=1))) <= 1


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("name", ["llama", "mistral", "gemma2"])
def test_rows_longer_than_768_tokens_agree_with_eager_attention(
    name: str, family: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = []
    library = torch.nn.functional.scaled_dot_product_attention

    def counted(*given: Any, **more: Any) -> torch.Tensor:
        fused.append(given[1].shape[2])
        return library(*given, **more)

    draw = np.random.default_rng(0)
    head = draw.integers(0, 300, 780).tolist()
    rows = [row(str(n), head, draw.integers(0, 300, 20).tolist()) for n in range(2)]
    net, reference = network(family(name)), alone(family(name))
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    batch = batch_of(net, rows)
    with torch.no_grad():
        hidden_TD = net.hidden(batch)
        packed = list(fused)
        for r, each in enumerate(rows):
            expected = body(reference)(input_ids=torch.from_numpy(each.tokens).long()[None]).last_hidden_state[0]
            assert apart(hidden_TD[torch.from_numpy(places(batch, r))], expected) <= OUTPUT
    assert packed == [] if name == "gemma2" else min(packed) >= 768  # soft caps have no fused kernel


@pytest.mark.parametrize("name", [*FOREST_DECODERS, *ENCODERS])
def test_every_layer_calls_the_forest_function_exactly_once(name: str, family: Folder) -> None:
    net = network(family(name))
    batch = batch_of(net, random_rows(300))
    tokens, depths = (torch.from_numpy(each)[None] for each in (batch.tokens_T, batch.depths_T))
    first = STARTS.get(name, 0)
    with torch.no_grad(), attention.computing(batch.segments) as forest:
        net.body(input_ids=tokens, position_ids=depths + first, **({"use_cache": False} if net.causal else {}))
    assert forest.calls == 2


STARTS = {"roberta": 2}  # padding_idx + 1, and padding is token 1


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("name", [*FOREST_DECODERS, *ENCODERS])
def test_changing_a_neighbour_changes_nothing(name: str, family: Folder) -> None:
    net, rows = network(family(name)), random_rows(300)
    changed = [rows[0], *[Row(each.id, each.tokens.copy(), each.weights) for each in rows[1:]]]
    for each in changed[1:]:
        each.tokens[-1] = (each.tokens[-1] + 1) % 300
    with torch.no_grad():
        before, after = (
            net.hidden(batch)[torch.from_numpy(places(batch, 0))]
            for batch in (batch_of(net, rows), batch_of(net, changed))
        )
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", [*PADDED_DECODERS, *PADDED_ENCODERS])
def test_a_family_that_takes_no_forest_is_padded_with_the_same_numbers(name: str, family: Folder) -> None:
    net = network(family(name))
    assert not net.flat and net.together and net.causal == (name in PADDED_DECODERS)
    assert len(net.notes) == 1 and "padded" in net.notes[0]
    assert max(errors(family(name), random_rows(300))) <= 1


def test_attention_sinks_are_refused() -> None:
    query = torch.zeros(1, 1, 1, 4)
    with attention.computing([Segment(0, 1, -1)]), pytest.raises(Refused, match="sinks"):
        attention.forest_attention(torch.nn.Module(), query, query, query, None, s_aux=torch.zeros(1))


def test_dropout_is_applied_to_the_weights_on_both_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    # With every value 1 the output is the sum of the kept weights / (1 - p): 1 on average, not constant.
    shape = (1, 2, 40, 4)
    torch.manual_seed(0)
    query, key, value = torch.randn(shape), torch.randn(shape), torch.ones(shape)
    for long in (1000, 8):
        monkeypatch.setattr(attention, "LONG", long)
        with attention.computing([Segment(0, 40, -1)]):
            out, _ = attention.forest_attention(torch.nn.Module(), query, key, value, None, dropout=0.5)
        assert out.std() > 0.1 and abs(float(out.mean()) - 1) < 0.2


def test_a_bidirectional_window_hides_both_sides() -> None:
    # One key per query is visible when the window is 1: every token sees itself alone.
    module = torch.nn.Module()
    module.is_causal = False  # type: ignore[assignment]
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 5, 4) for _ in range(3))
    with attention.computing([Segment(0, 5, -1)]):
        out, _ = attention.forest_attention(module, query, key, value, None, sliding_window=1)
    assert torch.allclose(out[0].transpose(0, 1), value[0], atol=1e-6)


def test_all_decoders_are_tried_somewhere() -> None:
    assert set(DECODERS) == {*FOREST_DECODERS, *PADDED_DECODERS}


def test_a_model_with_a_lone_layer_of_attention_heads_in_groups_of_one(tmp_path: Path) -> None:
    folder = build("llama", tmp_path / "llama", num_key_value_heads=4, num_hidden_layers=1)
    assert max(errors(folder, random_rows(300))) <= 1
