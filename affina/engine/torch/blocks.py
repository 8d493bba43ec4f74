"""A network's blocks, each behind a stand-in that says how it is computed: fused, compiled, kept or once more."""

import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from affina.core.kinds import Segment
from affina.engine.torch import attention, quantised
from affina.engine.torch.fused.attach import FUSED, attention_of, block_of, parts_of
from affina.engine.torch.fused.block import Block
from affina.engine.torch.fused.function import Fused
from affina.engine.torch.machine import device

if TYPE_CHECKING:
    from affina.engine.torch.load import Network


class Stage:
    """Stands in for a block's `forward`; parameter names and everything around the block stay as they are."""

    def __init__(
        self, network: "Network", place: int, layer: nn.Module, heard: Mapping[nn.Module, Mapping[str, Any]]
    ) -> None:
        self._network, self.place, self.layer = weakref.ref(network), place, layer  # no cycle: a model goes at once
        self.hear(heard)
        self._library: Callable[..., Any] = layer.forward
        self._compiles = network.how.compile
        self._parts: tuple[Any, ...] = ()
        self._block: Block | None = None

    def hear(self, heard: Mapping[nn.Module, Mapping[str, Any]]) -> None:
        """Takes from all attention layers' calls how this block's own calls its function."""
        self.heard = next((heard[each] for each in self.layer.modules() if each in heard), {})

    @property
    def network(self) -> "Network":
        """The network that the block belongs to."""
        found = self._network()
        assert found is not None, "a block outlived its network"
        return found

    @cached_property
    def plain(self) -> Callable[..., Any]:
        """The library's forward, compiled where that was settled on; torch's compiler is imported when it is needed."""
        if not self._compiles:
            return self._library
        attention.stay_opaque()
        quantised.stay_opaque()
        compiled: Callable[..., Any] = torch.compile(self._library, dynamic=True)
        return compiled

    def __call__(self, hidden: Tensor, *args: Any, **more: Any) -> Any:
        trunk = self.network.trunk
        if (instead := trunk.instead(self.place, hidden)) is not None:
            return instead
        return trunk.passed(self.place, self._computed(hidden, *args, **more), self.network.dtype)

    def _computed(self, hidden: Tensor, *args: Any, **more: Any) -> Any:
        block = self.block() if attention.chosen(self.network.config) else None
        turns = more.get("position_embeddings")
        if block is not None and block.form.turned and (turns is None or turns[0].shape[-1] != block.form.turned):
            block = None  # positions turn otherwise than its configuration was read
        again = self.network.how.checkpoint and torch.is_grad_enabled()
        if block is not None:
            return self._fused(block, hidden, turns, again)
        if again:
            return checkpoint(attention.kept(self.plain), hidden, *args, use_reentrant=False, **more)
        return self.plain(hidden, *args, **more)

    def _fused(self, block: Block, hidden: Tensor, turns: tuple[Tensor, Tensor] | None, again: bool) -> Tensor:
        dtype = self.network.dtype
        wide = torch.promote_types(dtype, torch.float32)
        nothing = hidden.new_empty(*hidden.shape[:2], 0)  # no positions that turn
        cos, sin = (each[0, :, : block.form.turned].to(wide).contiguous() for each in turns or (nothing, nothing))
        read = attention.current().read if self is self.network.stages[-1] else None
        moving = [each for each in block.parameters() if each.requires_grad]
        with torch.autocast(hidden.device.type, enabled=False):
            out: Tensor = Fused.apply(  # type: ignore[no-untyped-call]
                hidden[0].to(wide).contiguous(), block, (cos, sin), (dtype, again, read, block.seeds()), *moving
            )
        return out[None]

    def block(self) -> Block | None:
        """The fused form of the layer as it is now: a tuning may have put other modules into it."""
        if not self.network.how.kernels or device().type != "cpu" or type(self.layer).__name__ not in FUSED:
            return None
        if attention.prefixed(attention_of(self.layer)):
            return None
        parts = parts_of(self.layer)
        if parts != self._parts:
            self._parts, self._block = parts, block_of(self.layer, parts, self.heard)
        return self._block


def blocks_of(body: nn.Module, count: int) -> list[nn.Module]:
    """The body's `count` blocks of one class, in order; none where it has no such list (one block at all depths)."""
    lists = [each for each in body.modules() if isinstance(each, nn.ModuleList) and len(each) == count]
    return next(([*each] for each in lists if len({type(block) for block in each}) == 1), [])


def stage(network: "Network", heard: Mapping[nn.Module, Mapping[str, Any]]) -> list[Stage]:
    """Puts a stand-in before every block. `heard`: how each attention layer calls its function."""
    found = blocks_of(network.body, network.config.get_text_config().num_hidden_layers)
    made = [Stage(network, place, layer, heard) for place, layer in enumerate(found)]
    for each in made:
        vars(each.layer)["forward"] = each
    if network.how.kernels and any(type(layer).__name__ in FUSED for layer in found):
        network.model.get_input_embeddings().register_forward_hook(_widened)
    return made


def restage(network: "Network") -> None:
    """A stand-in before every block that a tuning has put in."""
    if not network.stages:
        return
    known, made = {id(each.layer): each for each in network.stages}, list[Stage]()
    for place, layer in enumerate(blocks_of(network.body, network.config.get_text_config().num_hidden_layers)):
        stage = known.get(id(layer)) or Stage(network, place, layer, {})
        stage.place = place
        made.append(stage)
    network.stages, added = made, [each for each in made if id(each.layer) not in known]
    if added:
        heard = _heard(network)
        for each in added:
            each.hear(heard)
    for each in made:
        vars(each.layer)["forward"] = each


@torch.no_grad()
def _heard(network: "Network") -> Mapping[nn.Module, Mapping[str, Any]]:
    """How each attention layer calls its function now: one token through the library's own blocks, which stay bare."""
    for each in network.stages:
        vars(each.layer).pop("forward", None)
    nothing = torch.zeros(1, dtype=torch.long, device=device())
    with network.computing(), attention.computing([Segment(0, 1, -1)]) as forest:
        network.at(nothing, nothing)
    return forest.heard


def _widened(module: nn.Module, given: Any, embedded: Tensor) -> Tensor:
    """The residual stream, and with it the rotary tables, begin in float32."""
    return embedded.to(torch.promote_types(embedded.dtype, torch.float32))
