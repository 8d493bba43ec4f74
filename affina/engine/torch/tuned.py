"""A network with its tuning attached: freshly, to train, or with a checkpoint's tensors, to answer."""

from pathlib import Path

import torch

from affina.core.compute import Computing
from affina.core.kinds import Ending, Measure, Tuning
from affina.data.rows import Renderer
from affina.engine.torch import checkpoint
from affina.engine.torch.blocks import restage
from affina.engine.torch.frozen import PLACES, probed
from affina.engine.torch.load import WORDS, Network, load
from affina.engine.torch.model import TorchModel
from affina.engine.torch.rounding import narrow
from affina.engine.torch.trunk import Trunk

UNITLESS = Measure()


def attach(network: Network, tuning: Tuning, seed: int, measure: Measure = UNITLESS) -> None:
    """Makes what trains: the tuning's tensors, in float32 or as `masters` says, and a new head, drawn by the seed.

    The head begins by giving the middle of its measure, give or take as much as its spread says.
    A trunk that is to be kept begins where nothing below learns.
    """
    torch.manual_seed(seed)
    tuning.apply(network.model)
    restage(network)
    if network.how.masters == "bf16":
        narrow(network.model)
    if network.head is not None:
        torch.nn.init.normal_(network.head.weight, std=0.02 * measure.spread)
        if network.head.bias is not None:
            torch.nn.init.constant_(network.head.bias, measure.middle)
        network.head.requires_grad_(True)
    network.eval()
    network.trunk = Trunk(probed(network)[0]) if network.how.trunk in PLACES else Trunk()


def trainable(network: Network) -> dict[str, torch.nn.Parameter]:
    """Every tensor that moves, by name."""
    return {name: each for name, each in network.named_parameters() if each.requires_grad}


def edges(network: Network) -> frozenset[str]:
    """Names of the embedding tables and of all that scores hidden states: what some optimizers do not take as hidden.

    A head is whatever is no part of the base, and the base's own output embedding.
    """
    tables = [each for each in network.modules() if isinstance(each, torch.nn.Embedding)]
    found = {id(each) for table in tables for each in table.parameters()}
    if (words := network.model.get_output_embeddings()) is not None:
        found |= {id(each) for each in words.parameters()}
    return frozenset(
        name for name, each in network.named_parameters() if id(each) in found or not name.startswith("model.")
    )


def base(folder: Path, renderer: Renderer, computing: Computing, ending: Ending = WORDS) -> TorchModel:
    """An untouched base."""
    return TorchModel(load(folder, computing, ending), renderer)


def reopen(
    folder: Path, renderer: Renderer, computing: Computing, ending: Ending, trained: tuple[Tuning, Path]
) -> TorchModel:
    """The base in `folder` with a tuning and the trained tensors of its checkpoint."""
    tuning, saved = trained
    network = load(folder, computing, ending)
    attach(network, tuning, seed=0)
    checkpoint.load_trained(saved, trainable(network))
    return TorchModel(network, renderer)
