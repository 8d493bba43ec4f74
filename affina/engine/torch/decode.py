"""One new token in each of B sequences attends to its cached keys, by the machine's kernel (`native/decode.cpp`)."""

import ctypes
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from affina.core.errors import Failed
from affina.core.kinds import Ints
from affina.engine.torch import native
from affina.engine.torch.attention import How

P, N, F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
MULTIPLE = 16  # a head's width


class _Decode(ctypes.Structure):
    """`Decode` of native/decode.cpp."""

    _fields_ = (
        *((name, P) for name in ("q", "k", "v")),
        *((name, N) for name in ("q_row", "q_head", "kv_row", "kv_head")),
        *((name, P) for name in ("out", "keys", "values")),
        *((name, N) for name in ("slot", "group")),
        *(
            (name, P)
            for name in ("sizes", "starts", "first", "used", "run_keys", "run_values", "run_tokens", "run_depth")
        ),
        *((name, N) for name in ("B", "H", "G", "D", "window")),
        *((name, F) for name in ("scale", "softcap")),
    )


def takes(query: Tensor, key: Tensor, value: Tensor, dtype: torch.dtype) -> bool:
    """Whether the kernel computes this step here: on the processor, heads of one width, a multiple of 16."""
    right = query.dtype == key.dtype == value.dtype == dtype and dtype in (torch.bfloat16, torch.float32)
    right = right and query.device.type == "cpu" and query.shape[-1] == value.shape[-1]
    return right and query.shape[-1] % MULTIPLE == 0 and native.library() is not None


class Seen:
    """What B sequences see, the same for every layer: `starts` and `sizes` of their tails, and runs they share.

    `users` lists, for every run, the sequences that see it, runs nearer to the root first.
    """

    def __init__(
        self, tails: Sequence[tuple[int, int]], runs: Sequence[tuple[int, int]], users: Sequence[Sequence[int]]
    ):
        self.starts, self.sizes = (np.array(each, dtype=np.int64) for each in zip(*tails, strict=True))
        self.tokens, self.depths = (np.array([run[n] for run in runs], dtype=np.int64) for n in (0, 1))
        seen: list[list[int]] = [[] for _ in tails]
        for run, rows in enumerate(users):
            for row in rows:
                seen[row].append(run)
        self.used: Ints = np.array([run for each in seen for run in each], dtype=np.int64)
        self.first: Ints = np.cumsum([0, *map(len, seen)], dtype=np.int64)

    def attend(
        self,
        new: tuple[Tensor, Tensor, Tensor],
        tails: tuple[Tensor, Tensor],
        runs: Sequence[tuple[Tensor, Tensor]],
        how: How,
    ) -> Tensor:
        """query [B, H, D], key and value [B, G, D] → [B, H, D]; the tails [slots, G, capacity, D] gain key and value.

        `runs` are keys and values [G, tokens, D], contiguous, in the order given before.
        """
        query, key, value = (each if each.stride(-1) == 1 else each.contiguous() for each in new)
        value = value if value.stride() == key.stride() else value.contiguous()
        key = key if key.stride() == value.stride() else key.contiguous()
        library, bytes_ = native.library(), query.element_size()
        if library is None:
            raise Failed("decoding by kernels was asked for and there are none", native.reason())
        out = torch.empty(query.shape, dtype=query.dtype)
        pointers = [(P * len(runs))(*(pair[n].data_ptr() for pair in runs)) for n in (0, 1)]
        strides = (*query.stride()[:2], *key.stride()[:2])
        call = _Decode(
            *(each.data_ptr() for each in (query, key, value)),
            *(stride * bytes_ for stride in strides),
            *(each.data_ptr() for each in (out, *tails)),
            *(stride * bytes_ for stride in tails[0].stride()[:2]),
            *(each.ctypes.data for each in (self.sizes, self.starts, self.first, self.used)),
            *(ctypes.addressof(each) for each in pointers),
            *(each.ctypes.data for each in (self.tokens, self.depths)),
            *(query.shape[0], query.shape[1], key.shape[1], query.shape[2], how.window or 0),
            *(how.scale, how.softcap or 0.0),
        )
        library.affina_decode(ctypes.byref(call), int(query.dtype == torch.bfloat16))
        return out
