"""What is said of distributions that are never held whole is what torch says of the whole ones."""

from pathlib import Path

import pytest
import torch
from tiny import words_base

from affina.core.example import Gapped
from affina.core.kinds import Ending
from affina.core.recipe import Compute
from affina.data.rows import Renderer
from affina.engine.torch import vocabulary
from affina.engine.torch.head import WordHead
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel
from affina.engine.torch.settle import settled_on
from affina.engine.torch.vocabulary import Vocabulary

PLACES, WIDTH, WORDS = 23, 8, 50
SHAPES = [(1.0, None), (0.25, None), (1.0, 3.0), (0.5, 2.0)]


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(hidden: torch.Tensor, weight: torch.Tensor, scale: float, softcap: float | None) -> torch.Tensor:
    logits = hidden @ weight.T * scale
    return (logits if softcap is None else softcap * torch.tanh(logits / softcap)).log_softmax(-1)


def leaves() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    first, second, weight = drawn(0, PLACES, WIDTH), drawn(1, PLACES, WIDTH), drawn(2, WORDS, WIDTH)
    return first.requires_grad_(), second.requires_grad_(), weight.requires_grad_()


@pytest.fixture(params=[1 << 24, 3 * WORDS * 8], ids=["one tile", "tiles of three"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vocabulary.TILE_BYTES, "cpu", request.param)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("scale", "softcap"), SHAPES)
def test_the_spread_is_the_mean_over_the_vocabulary_with_its_gradient(scale: float, softcap: float | None) -> None:
    targets, upstream = torch.arange(PLACES) % WORDS, drawn(3, PLACES)
    hidden, _, weight = leaves()
    head = WordHead(weight, torch.float64, scale, softcap)
    spread = Vocabulary(head, hidden, targets).spread(head.logprobs(hidden, targets))
    found = torch.autograd.grad(spread, (hidden, weight), upstream)
    expected = whole(hidden, weight, scale, softcap).mean(-1)
    assert torch.allclose(spread, expected, rtol=1e-12)
    for a, b in zip(found, torch.autograd.grad(expected, (hidden, weight), upstream), strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("scale", "softcap"), SHAPES)
def test_the_divergence_is_torchs_kl_both_ways_with_its_gradient(scale: float, softcap: float | None) -> None:
    first, second, weight = leaves()
    head, targets, upstream = WordHead(weight, torch.float64, scale, softcap), torch.zeros(PLACES).long(), drawn(3, 23)
    found = Vocabulary(head, first, targets).divergence(Vocabulary(head, second, targets))
    p, q = (whole(each, weight, scale, softcap) for each in (first, second))
    kl = torch.nn.functional.kl_div
    both = kl(q, p, reduction="none", log_target=True) + kl(p, q, reduction="none", log_target=True)
    assert torch.allclose(found, both.sum(-1) / 2, rtol=1e-10)
    mine = torch.autograd.grad(found, leaves_of := (first, second, weight), upstream)
    for a, b in zip(mine, torch.autograd.grad(both.sum(-1) / 2, leaves_of, upstream), strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-12)


def test_in_bf16_both_are_those_of_float32_to_rounding() -> None:
    hidden, other, weight = (each.detach().bfloat16() for each in leaves())
    targets = torch.arange(PLACES) % WORDS
    found, expected = [], []
    for dtype, kept in ((torch.bfloat16, found), (torch.float32, expected)):
        head = WordHead(weight, dtype)
        said = Vocabulary(head, hidden, targets)
        kept += [said.spread(head.logprobs(hidden, targets)), said.divergence(Vocabulary(head, other, targets))]
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert float((a - b).abs().max() / b.abs().max()) < 2**-6


def test_a_heads_bias_is_in_the_spread_the_divergence_and_the_likeliest() -> None:
    """Against torch on the whole logits: masked models and Phi have such a head."""
    hidden_SD, other_SD, weight_VD, bias_V = drawn(0, 5, 8), drawn(1, 5, 8), drawn(2, 30, 8), 3 * drawn(3, 30)
    targets_S = torch.arange(5)
    head = WordHead(weight_VD, torch.float64, 0.7, None, bias_V)
    one, two = (Vocabulary(*head.unbiased(each), targets_S) for each in (hidden_SD, other_SD))
    logs_SV, more_SV = (((each @ weight_VD.T + bias_V) * 0.7).log_softmax(-1) for each in (hidden_SD, other_SD))
    logprobs_S = one.head.logprobs(one.hidden_SD, targets_S)
    torch.testing.assert_close(logprobs_S, logs_SV[targets_S, targets_S])
    torch.testing.assert_close(one.spread(logprobs_S), logs_SV.mean(-1))
    kl = torch.nn.functional.kl_div
    both_SV = kl(more_SV, logs_SV, reduction="none", log_target=True)
    both_SV = both_SV + kl(logs_SV, more_SV, reduction="none", log_target=True)
    torch.testing.assert_close(one.divergence(two), both_SV.sum(-1) / 2)
    assert one.likeliest(1)[:, 0].tolist() == logs_SV.argmax(-1).tolist()


def test_masked_models_draws_diverge_by_the_distributions_with_their_bias(tmp_path: Path) -> None:
    """R-Drop sees through the engine what the library's own logits give, decoder bias and all."""
    folder = words_base(tmp_path / "bert", "bert")
    network = load(folder, settled_on(Compute(precision="float32")), Ending(reads="both"))
    with torch.no_grad():
        network.model.get_output_embeddings().bias.copy_(2 * drawn(5, network.config.vocab_size).float())
    renderer = Renderer.open(folder)
    (row,) = renderer.rows([Gapped(id="a", text="where is the parcel from Turin", share=0.3)])
    model = TorchModel(network, renderer)
    words = model.forward(model.layout([row])).words
    assert words is not None
    with torch.no_grad(), network.library_attention():
        logits_LV = network.model(input_ids=torch.from_numpy(row.tokens).long()[None]).logits[0]
    logs_SV = logits_LV.log_softmax(-1)[torch.from_numpy(row.weights) > 0]
    assert row.said is not None
    own_S = logs_SV.gather(1, torch.from_numpy(row.said[row.weights > 0]).long()[:, None])[:, 0]
    torch.testing.assert_close(words.spread(own_S), logs_SV.mean(-1), atol=1e-4, rtol=1e-4)
    assert words.likeliest(3).tolist() == logs_SV.topk(3).indices.tolist()
