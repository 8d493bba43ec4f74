"""Attention heads go, those whose output the loss minds least (Michel et al., 2019)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Row
from affina.core.pruning import Pruning

if TYPE_CHECKING:
    import torch

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


class Heads(Pruning):
    """A head's importance is |output · gradient of the loss|, a mean over rows; heads that share keys go together.

    As many go in each block, so that the smaller model is one of the same family.
    """

    structured: ClassVar[bool] = True

    share: float = Field(0.1, gt=0, lt=1)
    """Of each block's heads, rounded down to whole groups; one group at least goes and one stays."""

    def prune(self, model: "torch.nn.Module", rows: Sequence[Row]) -> None:
        layers = _attentions(model)
        config: Any = model.config
        groups = config.num_key_value_heads
        together, size = config.num_attention_heads // groups, layers[0].head_dim
        importance = _importance(model, layers, rows, groups)
        gone = max(1, int(self.share * groups))
        for layer, values in zip(layers, importance, strict=True):
            kept = sorted(values.argsort(descending=True)[: groups - gone].tolist())
            _keep(layer, kept, together * size, size)
        config.head_dim = size
        config.num_key_value_heads = groups - gone
        config.num_attention_heads = (groups - gone) * together


def _attentions(model: Any) -> list[Any]:
    """Every attention. Raises Refused for one whose heads cannot go by themselves, and for one group alone."""
    found = [each for each in model.modules() if all(hasattr(each, name) for name in (*PROJECTIONS, "head_dim"))]
    config = model.config
    whole = [each for each in found if each.q_proj.out_features == each.head_dim * config.num_attention_heads]
    if not found or len(whole) < len(found) or model.get_output_embeddings() is None:
        why = "its attention is not of four matrices of whole heads, or it does not end in words"
        raise Refused(f"taking heads out of {config.model_type}", why, "choose the pruning layers or magnitude")
    if config.num_key_value_heads < 2:
        raise Refused(f"taking heads out of {config.model_type}", "all its heads share their keys")
    return found


def _importance(model: Any, layers: Sequence[Any], rows: Sequence[Row], groups: int) -> list["torch.Tensor"]:
    """[groups] of each attention."""
    import torch

    taken: dict[int, torch.Tensor] = {}

    def hear(n: int) -> Any:
        def hook(layer: Any, given: Any) -> None:
            given[0].retain_grad()
            taken[n] = given[0]

        return hook

    sums = [torch.zeros(groups) for _ in layers]
    model.requires_grad_(True)
    hooks = [layer.o_proj.register_forward_pre_hook(hear(n)) for n, layer in enumerate(layers)]
    try:
        for row in rows:
            tokens, weights = torch.from_numpy(row.tokens).long(), torch.from_numpy(row.weights)
            logprobs = model(input_ids=tokens[None]).logits[0, :-1].float().log_softmax(-1)
            loss = -(logprobs.gather(1, tokens[1:, None])[:, 0] * weights[1:]).sum() / weights[1:].sum().clamp_min(1)
            loss.backward()
            for n, total in enumerate(sums):
                grad: Any = taken[n].grad
                product = (taken[n] * grad)[0].view(len(tokens), groups, -1)
                total += product.sum((0, 2)).abs()
            model.zero_grad(set_to_none=True)
    finally:
        for each in hooks:
            each.remove()
        model.requires_grad_(False)
    return sums


def _keep(layer: Any, kept: Sequence[int], queries: int, keys: int) -> None:
    """Leaves these groups of heads: rows of q, k and v, columns of o."""
    import torch

    for name, size in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys), ("o_proj", queries)):
        linear = getattr(layer, name)
        places = torch.cat([torch.arange(group * size, (group + 1) * size) for group in kept])
        if name == "o_proj":
            linear.weight.data = linear.weight.data[:, places].contiguous()
            linear.in_features = len(places)
        else:
            linear.weight.data = linear.weight.data[places].contiguous()
            linear.out_features = len(places)
            if linear.bias is not None:
                linear.bias.data = linear.bias.data[places].contiguous()
