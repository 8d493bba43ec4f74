"""A model is made on the meta device by one thread, and no other thread notices."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import nn

from affina.core.compute import Computing
from affina.engine.torch.bare import Bare
from affina.engine.torch.load import load


def test_nothing_is_drawn_without_memory_and_counting_gives_numbers() -> None:
    before = torch.get_rng_state()
    with Bare(counted=True), torch.device("meta"):
        bare, places = nn.Embedding(5, 3), torch.arange(4)
    assert bare.weight.is_meta
    assert places.tolist() == [0, 1, 2, 3]
    assert torch.equal(torch.get_rng_state(), before)


def test_what_has_memory_is_drawn_as_ever() -> None:
    torch.manual_seed(7)
    usual = nn.Embedding(5, 3)
    torch.manual_seed(7)
    with Bare(counted=True):
        assert torch.equal(nn.Embedding(5, 3).weight, usual.weight)
    with Bare(counted=False), torch.device("meta"):
        assert torch.arange(4).is_meta


def test_another_thread_goes_on_as_it_was() -> None:
    with ThreadPoolExecutor(1) as other, Bare(counted=True):
        assert torch.arange(4, device="meta").device.type == "cpu"
        assert other.submit(torch.arange, 4, device="meta").result().is_meta


def test_bases_loaded_at_once_leave_nothing_behind(chat_model: Path) -> None:
    count, draw = torch.arange, nn.Embedding.reset_parameters
    with ThreadPoolExecutor(4) as threads:
        networks = [*threads.map(lambda _: load(chat_model, Computing()), range(8))]
    first = networks[0].state_dict()
    assert all(torch.equal(first[name], value) for each in networks for name, value in each.state_dict().items())
    assert torch.arange is count and nn.Embedding.reset_parameters is draw
