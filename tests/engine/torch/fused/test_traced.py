"""Every traced operation against its definition in torch, on a card; without one, one of them on the processor."""

import pytest
import torch
from test_compiled import CASES, CLOSE, DTYPES, PLAIN, Drawn

from affina.engine.torch.fused.traced import Traced

CARD = torch.cuda.is_available()
PLACE, TRIED = ("cuda", [*CASES]) if CARD else ("cpu", ["rms_norm"])


@pytest.fixture
def ops() -> Traced:
    return Traced()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", TRIED)
def test_a_traced_operation_computes_what_its_definition_says(case: str, dtype: torch.dtype, ops: Traced) -> None:
    for rows in (9, 130, 1, 4):  # in one order: what was traced for the first serves the others
        found = CASES[case](ops, Drawn(rows, dtype, PLACE))
        for own, right in zip(found, CASES[case](PLAIN, Drawn(rows, dtype, PLACE)), strict=True):
            assert (own is None) == (right is None)
            if own is not None and right is not None and right.numel():
                apart = (own.double() - right.double()).abs().max() / right.double().abs().max()
                assert apart <= CLOSE[dtype]
