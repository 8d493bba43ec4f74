"""Each optimizer steps as a second implementation does: torch's, transformers', or the paper's lines in numpy."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from transformers.optimization import Adafactor as LibraryAdafactor

from affina.core.kinds import optimizers
from affina.training.optimizers.muon import orthogonal

SHAPES = {"matrix": (24, 40), "tall": (40, 24), "table": (50, 24), "norm": (24,), "bias": (7,), "cube": (3, 5, 4)}
HIDDEN = ("matrix", "tall")
EDGES = ("table",)
STEPS = 12
Arrays = dict[str, npt.NDArray[np.float64]]
Tensors = dict[str, nn.Parameter]


def parameters(kept: Any = SHAPES) -> Tensors:
    draw = torch.Generator().manual_seed(0)
    every = {name: nn.Parameter(torch.randn(shape, generator=draw)) for name, shape in SHAPES.items()}
    return {name: every[name] for name in kept}


def gradient(name: str, step: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1000 * step + list(SHAPES).index(name))
    return torch.randn(SHAPES[name], generator=draw) * 0.1 * step**-0.5 + 0.02


def rate(step: int) -> float:
    return 0.03 / step


def stepped(optimizer: torch.optim.Optimizer, given: Tensors, rated: Any = rate, steps: int = STEPS) -> Tensors:
    for step in range(1, steps + 1):
        for name, each in given.items():
            each.grad = gradient(name, step)
        for group in optimizer.param_groups:
            group["lr"] = rated(step)
        optimizer.step()
    return given


def ours(spec: Any, rated: Any = rate) -> Tensors:
    given = parameters()
    return stepped(optimizers.build(spec).build(given, edges=EDGES), given, rated)


def apart(found: Tensors, expected: Any) -> float:
    """The largest difference of any number."""
    assert len(expected) > 0
    return max(
        float((found[name].detach().double() - torch.as_tensor(each)).abs().max()) for name, each in expected.items()
    )


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adamw_is_torchs_and_vectors_do_not_decay(decay: float) -> None:
    spec = {"name": "adamw", "weight_decay": decay, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-6}
    found = ours(spec)
    for name in SHAPES:
        each = parameters([name])
        shrunk = decay if len(SHAPES[name]) > 1 else 0.0
        plain = torch.optim.AdamW(each.values(), betas=(0.8, 0.9), eps=1e-6, weight_decay=shrunk, foreach=False)
        assert apart(found, {name: stepped(plain, each)[name].detach()}) < 1e-6


def test_adamws_first_step_by_hand() -> None:
    # Step 1: m̂ = g, v̂ = g²: the change is lr · g / (|g| + ε) ≈ lr · sign(g), and the matrix loses lr · decay of itself.
    weight = nn.Parameter(torch.tensor([[2.0, -3.0]]))
    bias = nn.Parameter(torch.tensor([2.0]))
    built = optimizers.build({"name": "adamw", "weight_decay": 0.5}).build({"w": weight, "b": bias})
    weight.grad, bias.grad = torch.tensor([[0.7, -9.0]]), torch.tensor([-0.1])
    for group in built.param_groups:
        group["lr"] = 0.1
    built.step()
    assert weight.tolist()[0] == pytest.approx([2.0 * 0.95 - 0.1, -3.0 * 0.95 + 0.1], abs=1e-6)
    assert bias.tolist() == pytest.approx([2.1], abs=1e-6)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_is_the_recursion_in_numpy(momentum: float, nesterov: bool) -> None:
    found = ours({"name": "sgd", "momentum": momentum, "nesterov": nesterov, "weight_decay": 0.1})
    expected: Arrays = {}
    for name, each in parameters().items():
        weight, held = each.detach().double().numpy(), np.zeros(SHAPES[name])
        for step in range(1, STEPS + 1):
            slope = gradient(name, step).double().numpy() + (0.1 if weight.ndim > 1 else 0) * weight
            held = momentum * held + slope
            weight = weight - rate(step) * (slope + momentum * held if nesterov else held)
        expected[name] = weight
    assert apart(found, expected) < 2e-6


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match="momentum above 0"):
        optimizers.build({"name": "sgd", "momentum": 0, "nesterov": True})


def test_lion_is_the_papers_algorithm_in_numpy() -> None:
    found = ours({"name": "lion", "beta1": 0.9, "beta2": 0.95, "weight_decay": 0.2})
    expected: Arrays = {}
    for name, each in parameters().items():
        weight, held = each.detach().double().numpy(), np.zeros(SHAPES[name])
        for step in range(1, STEPS + 1):
            slope = gradient(name, step).double().numpy()
            change = np.sign(0.9 * held + 0.1 * slope)
            weight = weight - rate(step) * (change + (0.2 if weight.ndim > 1 else 0) * weight)
            held = 0.95 * held + 0.05 * slope
        expected[name] = weight
    assert apart(found, expected) < 2e-6


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("beta1", [0.0, 0.9])
@pytest.mark.parametrize("threshold", [1.0, 0.3])
def test_adafactor_is_transformers(relative: bool, beta1: float, threshold: float) -> None:
    found = ours(
        {"name": "adafactor", "relative": relative, "beta1": beta1, "threshold": threshold}, rated=lambda step: 0.03
    )
    given = parameters()
    plain: Any = LibraryAdafactor(
        list(given.values()), lr=0.03, scale_parameter=relative, relative_step=False, beta1=beta1 or None,
        clip_threshold=threshold,
    )  # type: ignore[no-untyped-call]  # fmt: skip
    expected = stepped(plain, given, rated=lambda step: 0.03)
    assert apart(found, {name: each.detach() for name, each in expected.items()}) < 1e-6


def test_adafactor_with_relative_steps_is_torchs() -> None:
    """Where torch's own bound on the rate, 1/√t, is not reached, and its epsilon matters to nothing."""
    found = ours({"name": "adafactor", "relative": True, "weight_decay": 0.1})
    for name in SHAPES:
        each = parameters([name])
        shrunk = 0.1 if len(SHAPES[name]) > 1 else 0.0
        plain = torch.optim.Adafactor(each.values(), eps=(1e-30, 1e-3), weight_decay=shrunk)
        assert apart(found, {name: stepped(plain, each)[name].detach()}) < 2e-6


def test_adafactor_keeps_rows_and_columns() -> None:
    given = parameters()
    built = optimizers.build("adafactor").build(given)
    stepped(built, given, steps=1)
    sizes = {name: sum(value.numel() for value in built.state[each].values()) - 1 for name, each in given.items()}
    assert sizes == {"matrix": 64, "tall": 64, "table": 74, "norm": 24, "bias": 7, "cube": 3 * 9}


@pytest.mark.parametrize("scaling", ["adamw", "original"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_is_torchs_on_hidden_matrices_and_adamw_on_the_rest(scaling: str, nesterov: bool) -> None:
    found = ours({"name": "muon", "scaling": scaling, "nesterov": nesterov, "weight_decay": 0.1, "momentum": 0.9})
    for name in SHAPES:
        each, decay = parameters([name]), 0.1 if len(SHAPES[name]) > 1 else 0.0
        plain: torch.optim.Optimizer
        if name in HIDDEN:
            plain = torch.optim.Muon(
                each.values(), weight_decay=decay, momentum=0.9, nesterov=nesterov,
                adjust_lr_fn="match_rms_adamw" if scaling == "adamw" else scaling,
            )  # fmt: skip
        else:
            plain = torch.optim.AdamW(each.values(), weight_decay=decay)
        expected = stepped(plain, each)[name].detach()
        assert apart(found, {name: expected}) < 1e-6, name


@pytest.mark.parametrize("shape", [(32, 32), (16, 64), (64, 16)])
@pytest.mark.parametrize("iterations", [1, 5])
def test_muons_change_is_the_quintic_of_the_singular_values(shape: tuple[int, int], iterations: int) -> None:
    """U p(… p(S / ‖M‖)) Vᵀ by singular value decomposition in float64, to what bf16 leaves; 5 make 0.68 … 1.14."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm()
    for _ in range(iterations):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    found = orthogonal(matrix, iterations).double()
    assert float((found - left @ values.diag() @ right).norm() / values.norm()) < 0.03
    if iterations == 5 and shape[0] != shape[1]:  # a square one has a value near 0
        assert all(0.66 < each < 1.16 for each in torch.linalg.svdvals(found).tolist())
    assert not orthogonal(torch.zeros(shape), iterations).any()


def leading(matrix: npt.NDArray[np.float64], rank: int) -> npt.NDArray[np.float64]:
    """Eigenvectors of M Mᵀ (of Mᵀ M where that is smaller), the largest number of each positive."""
    rows, columns = matrix.shape
    vectors = np.linalg.eigh(matrix @ matrix.T if rows <= columns else matrix.T @ matrix)[1][:, ::-1][:, :rank]
    return np.asarray(vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(rank)]))


@pytest.mark.parametrize("every", [1, 5, 100])
def test_galore_is_the_papers_algorithm_in_numpy(every: int) -> None:
    spec = {"name": "galore", "rank": 4, "every": every, "scale": 0.5, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9}
    found = ours(spec)
    expected: Arrays = {}
    for name in HIDDEN:
        weight = parameters()[name].detach().double().numpy()
        for step in range(1, STEPS + 1):
            slope = gradient(name, step).double().numpy()
            wide = name == "matrix"
            if step == 1:
                mean = square = np.zeros((4, 40) if wide else (40, 4))
            if (step - 1) % every == 0:
                basis = leading(slope, 4)
            low = basis.T @ slope if wide else slope @ basis
            mean, square = 0.8 * mean + 0.2 * low, 0.9 * square + 0.1 * low**2
            size = np.sqrt(square / (1 - 0.9**step)) + 1e-8
            low = mean / (1 - 0.8**step) / size
            change = 0.5 * (basis @ low if wide else low @ basis.T)
            weight = weight - rate(step) * 0.1 * weight - rate(step) * change
        expected[name] = weight
    assert apart(found, expected) < 1e-5
    for name in set(SHAPES) - set(HIDDEN):
        each = parameters([name])
        decay = 0.1 if len(SHAPES[name]) > 1 else 0.0
        plain = torch.optim.AdamW(each.values(), betas=(0.8, 0.9), weight_decay=decay)
        assert apart(found, {name: stepped(plain, each)[name].detach()}) < 1e-6


def test_galore_of_full_rank_moves_within_what_a_gradient_spans() -> None:
    """A step lies in the subspace, and the state is as small as promised: rank · (n + 2 m) numbers and a count."""
    given = parameters(HIDDEN)
    built = optimizers.build({"name": "galore", "rank": 3}).build(given)
    stepped(built, given, steps=1)
    for name, each in given.items():
        moved = (each.detach() - parameters()[name].detach()).double()
        values = torch.linalg.svdvals(moved)
        assert float(values[3]) < 1e-5 * float(values[0])
        assert sum(value.numel() for value in built.state[each].values()) == 3 * (24 + 2 * 40) + 1


def test_galore_waits_for_a_first_gradient_that_is_not_nought() -> None:
    """A new matrix behind one that is still zero gets a gradient of nought at first, and no subspace from it."""
    late = {"matrix": nn.Parameter(torch.zeros(24, 40))}
    built = optimizers.build({"name": "galore", "rank": 4, "every": 100}).build(late)
    late["matrix"].grad = torch.zeros(24, 40)
    for group in built.param_groups:
        group["lr"] = 0.1
    built.step()
    assert not late["matrix"].any()
    slope = gradient("matrix", 2)
    late["matrix"].grad = slope
    built.step()
    along = torch.from_numpy(leading(slope.double().numpy(), 4))
    moved = late["matrix"].detach().double()
    assert moved.any() and float((moved - along @ (along.T @ moved)).abs().max()) < 1e-5


def test_a_rate_of_its_own_for_each_tensor_reaches_torchs_optimizers_too() -> None:
    given, plain = parameters(["norm"]), parameters(["norm"])
    built = optimizers.build("adamw").build(given, scales={"norm": 0.25})
    assert math.isclose(built.param_groups[0]["scale"], 0.25)
    stepped(built, given, rated=lambda step: rate(step) * built.param_groups[0]["scale"])
    expected = stepped(torch.optim.AdamW(plain.values(), weight_decay=0), plain, rated=lambda step: rate(step) / 4)
    assert apart(given, {"norm": expected["norm"].detach()}) < 1e-6
