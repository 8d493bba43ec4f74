"""The frozen trunk of a run: settled once it is known what learns, kept from the first measurement on."""

from dataclasses import replace
from typing import TYPE_CHECKING

from affina.core.say import Say
from affina.engine.torch import frozen
from affina.engine.torch.load import Network
from affina.training.material import Material
from affina.training.plan import Plan, digest

if TYPE_CHECKING:
    from affina.training.session import Session


def with_trunk(settled: Plan, material: Material, network: Network, begun: bool) -> Plan:
    """The plan with `train.compute.trunk` settled, now that it is known what learns; a run `begun` keeps states, or
    none, as it did before, though they may now fit elsewhere.

    Raises Refused for what the recipe asks for by name and cannot be had.
    """
    rows = material.rows if _again(settled, material) else ()
    validations = settled.steps // (settled.recipe.evaluate.every or settled.steps)
    repeats = _again(settled, material) or validations > 1
    where = frozen.settled(network, settled.computing.trunk, rows, repeats, begun)
    machine = settled.lock["machine"]
    lock = {**settled.lock, "machine": {**machine, "compute": {**machine["compute"], "trunk": where}}}
    return replace(settled, computing=replace(settled.computing, trunk=where), lock=lock)


def keep_trunk(session: "Session", say: Say) -> None:
    """From now on the trunk is computed once: of the training rows where they come again, and of what is measured."""
    settled, material = session.plan, session.material
    machine = {name: value for name, value in settled.lock["machine"].items() if name != "folder"}
    changed = [] if type(session.recipe.tuning).starts_as_base else settled.lock["recipe"]["tuning"]
    key = digest([settled.lock["base"]["digest"], machine, settled.lock["versions"], changed])
    rows = material.rows if _again(settled, material) else ()
    frozen.keep(session.engine.network, settled.computing.trunk, rows, key, say.line)


def _again(settled: Plan, material: Material) -> bool:
    """Whether training sees a row more than once."""
    return settled.steps > settled.recipe.train.steps_per_epoch(material.count)
