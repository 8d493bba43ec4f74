"""GaLore: Adam in a small subspace of each matrix's gradient (Zhao et al., 2024)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affina.training.ruled import Ruled

if TYPE_CHECKING:
    from torch import Tensor


class GaLore(Ruled):
    """Adam on hidden matrices' gradients projected to their leading singular vectors (Zhao et al., 2024).

    AdamW for the rest: embedding tables, heads, vectors, and matrices with a side of `rank` or less. A matrix of
    n × m, n the smaller, keeps rank (n + 2 m) numbers. The moments stay when the subspace changes, as in the paper.
    """

    rank: int = Field(128, ge=1)
    """Singular vectors kept, on a matrix's smaller side."""
    every: int = Field(200, ge=1)
    """Steps between singular value decompositions: the paper's T."""
    scale: float = Field(0.25, gt=0)
    """What a projected change is multiplied by besides the rate: the paper's α."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the running mean of gradients."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """Decay of the running mean of squared gradients."""
    epsilon: float = Field(1e-8, gt=0)
    """Keeps the division finite."""

    def begin(self, parameter: "Tensor", group: Mapping[str, Any]) -> "dict[str, Tensor]":
        import torch

        from affina.training.adam import moments

        if not (group["hidden"] and min(parameter.shape) > self.rank):
            return moments(parameter)
        rows, columns = parameter.shape
        basis = torch.zeros((min(rows, columns), self.rank), dtype=torch.float32, device=parameter.device)
        shape = (self.rank, columns) if rows <= columns else (rows, self.rank)
        return {"basis": basis, **moments(parameter, shape)}

    def update(
        self, parameter: "Tensor", gradient: "Tensor", state: "dict[str, Tensor]", group: Mapping[str, Any]
    ) -> None:
        from affina.training.adam import direction, shrunk

        betas = self.beta1, self.beta2
        if "basis" not in state:
            change = direction(gradient, state, betas, self.epsilon)
        elif len(basis := self._basis(gradient, state)) == gradient.shape[0]:
            change = basis @ direction(basis.T @ gradient, state, betas, self.epsilon) * self.scale
        else:
            change = direction(gradient @ basis, state, betas, self.epsilon) @ basis.T * self.scale
        shrunk(parameter, group)
        parameter.add_(change, alpha=-group["lr"])

    def _basis(self, gradient: "Tensor", state: "dict[str, Tensor]") -> "Tensor":
        """The leading singular vectors, renewed when due; a gradient of nought has none, and nothing moves by it."""
        basis = state["basis"]
        due = int(state["step"]) % self.every == 0 or not basis.any()
        return basis.copy_(leading(gradient, self.rank)) if due and gradient.any() else basis


def leading(matrix: "Tensor", rank: int) -> "Tensor":
    """[smaller side, rank]: the singular vectors of the largest singular values, each one's largest number positive."""
    import torch

    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    vectors: Tensor = torch.linalg.svd(wide, full_matrices=False).U[:, :rank]
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * largest.sign()
