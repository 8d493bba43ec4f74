"""Float32 products whose rows do not depend on how many there are."""

from collections.abc import Iterator

import pytest
import torch
from rounding import rounds_alike

from affina.engine.torch.steady import Linear, product

pytestmark = rounds_alike
MANY = 100


@pytest.fixture(params=[1, 2, 3, 16])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(("inputs", "outputs"), [(576, 960), (1536, 64), (64, 16), (16, 576), (576, 3), (576, 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_how_many_rows_there_are_changes_no_bit(threads: int, inputs: int, outputs: int, transposed: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(MANY, inputs, generator=draw)
    weight = (
        torch.randn(outputs, inputs, generator=draw).T if transposed else torch.randn(inputs, outputs, generator=draw)
    )
    whole, into = product(x, weight), torch.empty(MANY, outputs + 8)
    for rows in range(1, MANY):
        assert torch.equal(product(x[:rows], weight), whole[:rows]), rows
        made = product(x[:rows], weight, into[:rows, 4:-4])
        assert torch.equal(into[:rows, 4:-4], whole[:rows]) and made.data_ptr() == into[:, 4:].data_ptr(), rows
    assert torch.allclose(whole, (x.double() @ weight.double()).float(), atol=1e-4)


@pytest.mark.parametrize("outputs", [1, 5])
def test_a_linear_layer_is_the_librarys_row_by_row(threads: int, outputs: int) -> None:
    layer, x = Linear(576, outputs), torch.randn(MANY, 576)
    assert torch.allclose(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias), atol=1e-5)
    for rows in (1, 2, 3, 5, 17, 50, 98):
        assert torch.equal(layer(x[:rows]), layer(x)[:rows]), rows
    assert torch.equal(
        layer(x.view(4, 25, 576)), torch.nn.functional.linear(x.view(4, 25, 576), layer.weight, layer.bias)
    )
    (gradient,) = torch.autograd.grad(layer(x[:3]).sum(), layer.weight)
    assert torch.allclose(gradient, x[:3].sum(0).expand(outputs, -1), atol=1e-5)
