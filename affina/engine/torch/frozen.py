"""How deep a network's trunk is frozen, found by trying, and where its states are kept: settled once for a run."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affina.core.cache import cache_root
from affina.core.errors import Refused
from affina.core.kinds import Batch, Row
from affina.data.layout import layout, neighbours
from affina.data.prefixes import tree
from affina.engine.torch.load import Network
from affina.engine.torch.machine import device
from affina.engine.torch.states import HEADER_BYTES, Disk, Memory, Tell, files_below
from affina.engine.torch.trunk import GROUP_TOKENS, Trunk

MEMORY_BYTES = 4 * 2**30
"""The most that is kept in memory, and never more than a quarter of the machine's."""
DISK_BYTES = 32 * 2**30
"""The most that all runs together keep below the cache folder, and never more than half of what they leave free."""
WORDED = {"memory": "in memory", "disk": "on disk"}
PLACES = tuple(WORDED)  # the one that is tried first stands first


def probed(network: Network) -> tuple[int, bool]:
    """How many lowest blocks hand on what needs no gradient, and whether they draw random numbers in training.

    One forward pass of a few tokens, unless the lowest block itself learns; the network and the random state are left
    as they were.
    """
    learns, drawn = list[bool](), list[torch.Tensor]()

    def note(module: Any, given: Any, out: torch.Tensor) -> None:
        learns.append(out.requires_grad)
        drawn.append(_random_state())

    if network.before or not network.stages or any(each.requires_grad for each in network.stages[0].layer.parameters()):
        return 0, False
    hooks = [stage.layer.register_forward_hook(note) for stage in network.stages]
    learning = network.training
    network.train()
    try:
        with torch.random.fork_rng(_accelerators()), _uncompiled(network), torch.enable_grad():
            before = _random_state()
            network.forest(small())
    finally:
        network.train(learning)
        for hook in hooks:
            hook.remove()
    depth = next((place for place, each in enumerate(learns) if each), len(learns))
    return depth, depth > 0 and not torch.equal(before, drawn[depth - 1])


def draws(network: Network) -> bool:
    """Whether a pass in training, head included, draws random numbers anywhere: found by trying, all left as it was."""
    learning = network.training
    network.train()
    try:
        with torch.random.fork_rng(_accelerators()), _uncompiled(network), torch.no_grad():
            before = _random_state()
            hidden_TD = network.hidden(small())
            if network.head is not None:
                network.head(hidden_TD.to(network.head.weight.dtype))
            return not torch.equal(before, _random_state())
    finally:
        network.train(learning)


def settled(network: Network, asked: str, rows: Sequence[Row], repeats: bool, begun: bool = False) -> str:
    """`memory`, `disk` or `off` for what the recipe asks: `rows` are those whose states are to be kept, and `auto` is
    on only if something `repeats`. A run that has `begun` keeps states wherever they fit now: no bit depends on where.
    The network's trunk is then as deep as may be, or none.

    Raises Refused for what is asked for by name and cannot be had.
    """
    network.trunk = Trunk()
    if asked == "off" or (asked == "auto" and not repeats):
        return "off"
    depth, why = _possible(network)
    tried = sorted(PLACES, key=lambda where: where != asked) if begun or asked == "auto" else [asked]
    needed = {} if why else _bytes(network, rows)
    fitting = [where for where in tried if not why and needed[where] <= _most(where)]
    if not why and not fitting:
        most = max(_most(where) for where in tried) / 2**30
        why = f"the states of {len(rows):,} rows take more than the {most:.1f} GiB that may be kept here"
    if asked in PLACES and not fitting:
        instead = "set it to auto: states are kept where they fit, if at all"
        if begun:
            instead = "free space on the disk of the cache, or set AFFINA_CACHE to a roomier one"
        raise Refused(f"train.compute.trunk: {asked}", why, instead)
    if not fitting:
        said = (f"the {depth} lowest blocks are frozen, but computed each time: {why}",) if depth else ()
        network.trunk = Trunk(0, *said)
        return "off"
    where = fitting[0]
    blocks = f"the {depth} lowest of {len(network.stages)} blocks are frozen"
    network.trunk = Trunk(depth, f"{blocks}: what they hand on is computed once per row and kept {WORDED[where]}")
    return where


def keep(network: Network, where: str, rows: Sequence[Row], key: str, tell: Tell) -> None:
    """From now on the trunk's states are kept: of `rows` and of scored batches. `where` is settled; `key` is the same
    where the same trunk is computed by the same code in the same way. `tell` hears of a disk that refuses."""
    if where not in PLACES:
        return
    needed = _bytes(network, rows)
    memory = Memory(_most("memory"), needed["memory"])
    place = folder() / f"{key[:24]}-{network.trunk.depth}"
    store = Disk(place, _most(where), needed[where], memory, tell) if where == "disk" else memory
    network.trunk.keep(store, rows, network.causal)


def folder() -> Path:
    """Where all runs keep states."""
    return cache_root() / "trunk"


@cache
def small(step: int = 1) -> Batch:
    """A few tokens of one row, up or, with step -1, down."""
    return layout([Row("small", np.arange(1, 9, dtype=np.int32)[::step], np.zeros(8, np.float32))])


def _possible(network: Network) -> tuple[int, str]:
    """How many lowest blocks are frozen, and why their states cannot be kept; empty where they can."""
    if not network.flat:
        why = "the attention of this base cannot pack rows" if network.how.packing else "packing is off"
        return 0, f"{why}: its rows are padded and computed whole"
    if not network.stages:
        return 0, "this base has no list of blocks: one block stands at all depths"
    depth, draws = probed(network)
    if not depth:
        return 0, "the tuning learns in the lowest block or before it, so that nothing below is frozen"
    if draws:
        return depth, "dropout is on in them, or noise before them, so that no two passes are the same"
    if not _suffices(network, depth):
        return depth, f"what block {depth} hands on is not all that the blocks above it read"
    return depth, ""


@torch.no_grad()
def _suffices(network: Network, depth: int) -> bool:
    """Whether the blocks above `depth` give the same numbers, to the bit, from the states alone."""
    before, network.trunk = network.trunk, Trunk(depth)
    try:
        with _uncompiled(network):
            whole, states = network.forest(small()), network.trunk.computed(network, small())
            network.forest(small(-1))  # what a block may have left for another to read is now of other tokens
            with network.trunk.giving(states):
                alone = network.forest(small())
    finally:
        network.trunk = before
    return torch.equal(alone, whole)


def _bytes(network: Network, rows: Sequence[Row]) -> dict[str, int]:
    """What the states of `rows` take in each place, in the groups that they are kept in."""
    groups = [[rows[place] for place in group] for group in neighbours(rows, GROUP_TOKENS)]
    tokens = sum(tree(group, network.causal).tokens for group in groups)
    states = tokens * network.config.get_text_config().hidden_size * network.dtype.itemsize
    return {"memory": states, "disk": states + HEADER_BYTES * len(groups)}


def _most(where: str) -> int:
    """Bytes."""
    if where == "disk":
        there = next(each for each in (folder(), *folder().parents) if each.exists())
        held = sum(size for _, size, _ in files_below(folder()))
        return min(DISK_BYTES, (shutil.disk_usage(there).free + held) // 2)
    return min(MEMORY_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)


@contextmanager
def _uncompiled(network: Network) -> Iterator[None]:
    """Inside, products are in the network's precision and blocks are not compiled: a few tokens would not repay it."""
    eager: Any = torch.compiler.set_stance("force_eager") if network.how.compile else nullcontext()
    with eager, network.computing():
        yield


def _accelerators() -> list[torch.device]:
    return [device()] if device().type == "cuda" else []


def _random_state() -> torch.Tensor:
    return torch.cuda.get_rng_state() if device().type == "cuda" else torch.get_rng_state()
