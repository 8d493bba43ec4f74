"""A frozen linear layer in 4 or 8 bits, whose weight is made whole for each product (QLoRA, Dettmers et al., 2023).

nf4: blocks of 64 numbers, each the nearest of 16 quantiles of a normal times the block's largest; its scales, with
double quantisation, 8 bits in blocks of 256. int8: each row in whole steps of its largest / 127 (Dettmers et al., 2022,
without the outliers: products here are not of 8 bits). Both by bitsandbytes.
"""

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from affina.core.errors import Refused

BLOCK = 64  # numbers that share a scale in nf4
STEPS = 127  # of int8 between 0 and a row's largest


class Quantised(nn.Module):
    """y = W x + b for W [out, in] in few bits. Everything it holds is a buffer, so that it counts as frozen."""

    bias: Tensor | None
    times: Any

    def __init__(self, layer: Any, quant: str, double: bool) -> None:
        super().__init__()
        linear = isinstance(layer, nn.Linear)
        weight_OI = (layer.weight if linear else layer.weight.T).detach().float().contiguous()
        self.quant, self.kind, self.shape = quant, type(layer).__name__, tuple(weight_OI.shape)
        for name, each in _few_bits(weight_OI, quant, double).items():
            self.register_buffer(name, each)
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())

    @property
    def weight(self) -> Tensor:
        """[out, in] made whole, float32."""
        return self.whole(torch.float32)

    def whole(self, dtype: torch.dtype) -> Tensor:
        """[out, in] in `dtype`."""
        with torch.no_grad():
            held = dict(self.named_buffers())
            if held["codes"].is_meta:
                return held["codes"].to(dtype)
            if self.quant == "int8":
                return (held["codes"].float() * held["scales"].float()[:, None]).to(dtype)
            return _from_nf4(held, self.shape).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        y: Tensor = self.times(x, self)
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Times(torch.autograd.Function):
    """x Wᵀ: the whole weight is not kept for the backward pass, but made again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Quantised) -> Tensor:
        ctx.layer = layer
        return nn.functional.linear(x, layer.whole(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ ctx.layer.whole(grad.dtype), None


def _times(x: Tensor, layer: Quantised) -> Tensor:
    made: Tensor = _Times.apply(x, layer)  # type: ignore[no-untyped-call]
    return made


Quantised.times = staticmethod(_times)


def stay_opaque() -> None:
    """From now on compiled blocks call the product as it is: the making of a weight cannot be compiled in."""
    Quantised.times = staticmethod(torch.compiler.disable(_times))  # type: ignore[no-untyped-call]


def bytes_of(layer: nn.Module) -> int:
    """Of memory that a layer's parameters and buffers take."""
    return sum(each.numel() * each.itemsize for each in (*layer.parameters(), *layer.buffers()))


def _few_bits(weight_OI: Tensor, quant: str, double: bool) -> dict[str, Tensor]:
    """What is held of a weight; of a skeleton's its shape. Raises Refused where bitsandbytes is not installed."""
    _library()
    if weight_OI.is_meta:  # bitsandbytes would keep tables of its own from it, without a number in them
        return {"codes": weight_OI}
    return _nf4(weight_OI, double) if quant == "nf4" else _int8(weight_OI)


def _nf4(weight_OI: Tensor, double: bool) -> dict[str, Tensor]:
    codes, state = _library().quantize_4bit(weight_OI, blocksize=BLOCK, compress_statistics=double, quant_type="nf4")
    found = {"codes": codes, "scales": state.absmax, "levels": state.code}
    if double:
        outer = state.state2
        found |= {"outer_scales": outer.absmax, "outer_levels": outer.code, "offset": state.offset}
    return found


def _from_nf4(held: dict[str, Tensor], shape: tuple[int, ...]) -> Tensor:
    library, scales, outer, offset = _library(), held["scales"], None, None
    if "offset" in held:
        outer = library.QuantState(held["outer_scales"].float(), blocksize=256, code=held["outer_levels"].float())
        outer.dtype, offset = torch.float32, held["offset"].float()
    else:
        scales = scales.float()
    state = library.QuantState(
        scales, torch.Size(shape), held["levels"].float(), BLOCK, "nf4", torch.float32, offset, outer
    )
    made: Tensor = library.dequantize_4bit(held["codes"], state)
    return made


def _int8(weight_OI: Tensor) -> dict[str, Tensor]:
    codes, largest, _ = _library().int8_vectorwise_quant(weight_OI)
    return {"codes": codes, "scales": largest / STEPS}


def _library() -> Any:
    """bitsandbytes' functions. Raises Refused where it is not installed."""
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # it misses kernels it would download
    try:
        import bitsandbytes.functional
    except ModuleNotFoundError as error:
        why = "it keeps the base in few bits, which bitsandbytes computes"
        raise Refused("the tuning qlora needs bitsandbytes", why, "pip install 'affina[quantised]'") from error
    return bitsandbytes.functional
