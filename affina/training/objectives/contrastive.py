"""Embeddings: a text's vector is to lie nearer to its own partner than to every other text of the batch."""

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from affina.core.example import Related
from affina.core.kinds import Batch, Forward, Loss, Objective

if TYPE_CHECKING:
    import torch


class Contrastive(Objective):
    """InfoNCE with in-batch and hard negatives (van den Oord et al., 2018; Henderson et al., 2017), both ways, over
    cosines; with `sizes`, the mean of the loss over leading parts of the vectors (Matryoshka, Kusupati et al., 2022).
    A vector is the mean of the last block's states. What says the same as an anchor's partner, or is the partner of an
    anchor that says the same, is no negative of it."""

    consumes: ClassVar = (Related,)
    head: ClassVar[str] = "vector"
    couples: ClassVar[bool] = True

    temperature: float = Field(0.05, gt=0)
    """What cosines are divided by."""
    sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[])
    """Leading parts of the vector that must serve alone, in numbers; the whole vector always does."""
    both_ways: bool = True
    """Also from the partner to its anchor, among all anchors of the batch."""

    def loss(self, forward: Forward, batch: Batch) -> Loss:
        import torch

        assert forward.vectors_RD is not None, "this objective ends in vectors"
        labels_R = torch.from_numpy(batch.labels_R).to(forward.vectors_RD.device)
        width = forward.vectors_RD.shape[1]
        twins_AA, alike_AH = (torch.from_numpy(each).to(labels_R.device) for each in _no_negatives(batch))
        left_out = twins_AA, alike_AH
        sizes = [*(size for size in self.sizes if size < width), width]
        total = sum((self._nats(forward.vectors_RD[:, :size], labels_R, left_out) for size in sizes), torch.zeros(()))
        return Loss(total / len(sizes), float((batch.labels_R == 0).sum()))

    def _nats(
        self, vectors_RD: "torch.Tensor", labels_R: "torch.Tensor", left_out: "tuple[torch.Tensor, torch.Tensor]"
    ) -> "torch.Tensor":
        """Summed over anchors; the candidates are all partners, then all hard negatives."""
        import torch
        from torch.nn.functional import cross_entropy, normalize

        unit_RD = normalize(vectors_RD)
        anchors_AD, partners_AD = unit_RD[labels_R == 0], unit_RD[labels_R == 1]
        candidates_CD = torch.cat([partners_AD, unit_RD[labels_R == 2]])
        right_A = torch.arange(len(anchors_AD), device=unit_RD.device)
        nearness_AC = (anchors_AD @ candidates_CD.T / self.temperature).masked_fill(torch.cat(left_out, 1), -torch.inf)
        nats = cross_entropy(nearness_AC, right_A, reduction="sum")
        if not self.both_ways:
            return nats
        nearness_AA = (partners_AD @ anchors_AD.T / self.temperature).masked_fill(left_out[0], -torch.inf)
        back = cross_entropy(nearness_AA, right_A, reduction="sum")
        return (nats + back) / 2


def _no_negatives(batch: Batch) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """[A, A] and [A, H]: True where the partner of another anchor, or a hard negative, is no negative of an anchor."""
    first: dict[bytes, int] = {}
    numbers_R = np.array([first.setdefault(row.tokens.tobytes(), number) for number, row in enumerate(batch.rows)])
    anchors_A, partners_A, hard_H = (numbers_R[batch.labels_R == label] for label in range(3))
    twins_AA = (anchors_A[:, None] == anchors_A) | (partners_A[:, None] == partners_A)
    np.fill_diagonal(twins_AA, False)
    return twins_AA, partners_A[:, None] == hard_H
