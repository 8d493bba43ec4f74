"""Embeddings: a text's vector is to lie nearer to its own partner than to every other text of the batch."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from affina.core.example import Related
from affina.core.kinds import Batch, Forward, Loss, Objective

if TYPE_CHECKING:
    import torch


class Contrastive(Objective):
    """InfoNCE with in-batch and hard negatives (van den Oord et al., 2018; Henderson et al., 2017), both ways, over
    cosines; with `sizes`, the mean of the loss over leading parts of the vectors (Matryoshka, Kusupati et al., 2022).
    A vector is the mean of the last block's states."""

    consumes: ClassVar = (Related,)
    head: ClassVar[str] = "vector"
    couples: ClassVar[bool] = True

    temperature: float = Field(0.05, gt=0)
    """What cosines are divided by."""
    sizes: list[int] = Field(default=[])
    """Leading parts of the vector that must serve alone, in numbers; the whole vector always does."""
    both_ways: bool = True
    """Also from the partner to its anchor, among all anchors of the batch."""

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        import torch

        assert forward.vectors_RD is not None, "this objective ends in vectors"
        labels_R = torch.from_numpy(batch.labels_R).to(forward.vectors_RD.device)
        width = forward.vectors_RD.shape[1]
        sizes = [*(size for size in self.sizes if size < width), width]
        total = sum((self._nats(forward.vectors_RD[:, :size], labels_R) for size in sizes), torch.zeros(()))
        return Loss(total / len(sizes), float((batch.labels_R == 0).sum()))

    def _nats(self, vectors_RD: "torch.Tensor", labels_R: "torch.Tensor") -> "torch.Tensor":
        """Summed over anchors; the candidates are all partners, then all hard negatives."""
        import torch
        from torch.nn.functional import cross_entropy, normalize

        unit_RD = normalize(vectors_RD)
        anchors_AD, partners_AD = unit_RD[labels_R == 0], unit_RD[labels_R == 1]
        candidates_CD = torch.cat([partners_AD, unit_RD[labels_R == 2]])
        right_A = torch.arange(len(anchors_AD), device=unit_RD.device)
        nats = cross_entropy(anchors_AD @ candidates_CD.T / self.temperature, right_A, reduction="sum")
        if not self.both_ways:
            return nats
        back = cross_entropy(partners_AD @ anchors_AD.T / self.temperature, right_A, reduction="sum")
        return (nats + back) / 2
