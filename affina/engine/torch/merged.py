"""What a run learnt, folded into its base and written as a whole model: what a later run begins with."""

from pathlib import Path

from affina.core.compute import Computing
from affina.core.kinds import Ending, Tuning
from affina.engine.torch import checkpoint
from affina.engine.torch.load import load
from affina.engine.torch.tuned import attach, trainable
from affina.engine.torch.whole import write_folder


def write_merged(base: Path, tuning: Tuning, saved: Path, ending: Ending, folder: Path) -> None:
    """Folded in float32, written into an existing folder in the base's own dtype. Raises Refused for a tuning that no
    weight of the base can hold."""
    plain = Computing(precision="float32", kernels=False, compile=False, checkpoint=False, trunk="off")
    network = load(base, plain, ending)
    attach(network, tuning, seed=0)
    checkpoint.load_trained(saved, trainable(network))
    tuning.merge(network.model)
    write_folder(network.model, folder, base)
