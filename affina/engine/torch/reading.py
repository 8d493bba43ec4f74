"""How models of words read that do not look at the past alone: from both sides, in a drawn order, after a source."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from affina.core.kinds import Ending, Row


class WholeModel:
    """Runs the library's whole model up to its output embedding: what goes into that are the states.

    So every family's own way there (a masked model's transform, T5's scale) is the library's.
    """

    def __init__(self, model: Any, pad: int) -> None:
        self.model, self.pad = model, pad

    def states(self, **given: Any) -> torch.Tensor:
        """[B, L, D] for the library's own arguments."""
        taken: list[torch.Tensor] = []

        def take(states: torch.Tensor) -> torch.Tensor:
            taken.append(states)
            return states.new_zeros(*states.shape[:-1], 1)

        head = vars(self.model.get_output_embeddings())
        head["forward"] = take
        try:
            self.model(**given)
        finally:
            del head["forward"]
        return taken[0]

    def padded(self, tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, rows: Sequence[Row]) -> torch.Tensor:
        """[B, L, D] of rows padded on the right."""
        return self.states(input_ids=tokens_BL, **({} if mask_BL is None else {"attention_mask": mask_BL}))


class Sourced(WholeModel):
    """An encoder reads each row's source, its decoder the row's tokens."""

    def padded(self, tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, rows: Sequence[Row]) -> torch.Tensor:
        sources = [torch.from_numpy(row.source).long().to(tokens_BL.device) for row in rows if row.source is not None]
        assert len(sources) == len(rows), "every row of an encoder–decoder has a source"
        read_BL, seen_BL = side_by_side(sources, self.pad)
        more = {} if mask_BL is None else {"decoder_attention_mask": mask_BL}
        return self.states(
            input_ids=read_BL, attention_mask=seen_BL, decoder_input_ids=tokens_BL, use_cache=False, **more
        )


class Ordered(WholeModel):
    """XLNet's two streams: a hidden place is said from itself, from what is not hidden and from what was said before.

    `perm_mask` and `target_mapping`: XLNetModel, transformers 5.
    """

    def padded(self, tokens_BL: torch.Tensor, mask_BL: torch.Tensor | None, rows: Sequence[Row]) -> torch.Tensor:
        size, place = tokens_BL.shape[1], tokens_BL.device
        kind = self.model.get_input_embeddings().weight.dtype
        orders = [torch.from_numpy(row.orders).long().to(place) for row in rows if row.orders is not None]
        assert len(orders) == len(rows), "every row has an order in which its gaps are said"
        orders_BL = pad_sequence(orders, batch_first=True, padding_value=-1)
        orders_BL = torch.nn.functional.pad(orders_BL, (0, size - orders_BL.shape[1]), value=-1)
        hidden_BL = orders_BL >= 0
        unseen_BLL = hidden_BL[:, None, :] & (orders_BL[:, :, None] <= orders_BL[:, None, :])
        b, at = hidden_BL.nonzero(as_tuple=True)
        turn = (hidden_BL.cumsum(1) - 1)[b, at]
        count = max(1, int(hidden_BL.sum(1).max()))
        wanted_BNL = torch.zeros(len(rows), count, size, device=place, dtype=kind)
        wanted_BNL[b, turn, at] = 1
        more = {} if mask_BL is None else {"attention_mask": mask_BL.to(kind)}
        said_BND = self.states(
            input_ids=tokens_BL, perm_mask=unseen_BLL.to(kind), target_mapping=wanted_BNL, use_mems=False, **more
        )
        states_BLD = said_BND.new_zeros(len(rows), size, said_BND.shape[-1])
        return states_BLD.index_put((b, at), said_BND[b, turn])


READERS: dict[str, type[WholeModel]] = {"both": WholeModel, "order": Ordered, "source": Sourced}


def reader_of(model: Any, ending: Ending) -> WholeModel | None:
    """How the model reads; None for what looks at the past alone, or ends in no words."""
    pad = model.config.pad_token_id
    kind = READERS.get(ending.reads) if ending.head == "words" else None
    return None if kind is None else kind(model, 0 if pad is None else int(pad))


def side_by_side(rows: Sequence[torch.Tensor], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, L] rows padded on the right, and 1 where a token is a row's own."""
    tokens_BL = pad_sequence([*rows], batch_first=True, padding_value=pad)
    return tokens_BL, pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
