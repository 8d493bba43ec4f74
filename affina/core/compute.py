"""How the engine computes, with nothing left open."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Computing:
    """A `Compute` settled for a machine and a run: what the engine is given and the lock records."""

    precision: str = "float32"
    """bf16 or float32: of frozen weights and of products."""
    packing: bool = True
    """Rows in one flat batch where the base's attention takes it; else they are padded."""
    head: str = "targets"
    """targets or everywhere: the positions whose distribution over words is computed."""
    kernels: bool = False
    compile: bool = False
    checkpoint: bool = False
    trunk: str = "off"
    """memory, disk or off; auto until the tuning is attached."""
    masters: str = "float32"
    """float32 or bf16: of matrices that train."""
