"""In float32 a row has the bits it has alone, whatever it is packed with and shares."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from rounding import rounds_alike

from affina.core.compute import Computing
from affina.core.kinds import optimizers, schedules, tunings
from affina.data.layout import layout
from affina.data.rows import Renderer
from affina.engine.torch import native
from affina.engine.torch.load import load
from affina.engine.torch.step import Course, TorchEngine

TUNINGS: dict[str, Any] = {
    "lora": {"name": "lora", "rank": 4}, "one": {"name": "lora", "rank": 1}, "full": "full"
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], TorchEngine]:
    root, built = tmp_path_factory.mktemp("alone"), dict[str, Path]()

    def engine(name: str, tuning: str) -> TorchEngine:
        if name not in built:
            built[name] = families.build(name, root / name, **families.SIZED.get(name, families.SIZES))
        course = Course(
            tunings.build(TUNINGS[tuning]), optimizers.build("adamw"), schedules.build("constant"), 1e-3, 9, 0
        )
        network = load(built[name], Computing("float32", kernels=True))
        made = TorchEngine(network, Renderer.open(built[name]), course)
        noise = torch.Generator().manual_seed(5)
        with torch.no_grad():  # a fresh low-rank product adds nothing
            for each in made.trainable().values():
                each.add_(torch.randn(each.shape, generator=noise) * 0.1)
        return made

    return engine


@rounds_alike
@pytest.mark.skipif(native.library() is None, reason=f"no kernels: {native.reason()}")
@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("name", families.FUSED)
def test_a_row_says_bit_for_bit_what_it_says_alone(
    name: str, tuning: str, made: Callable[[str, str], TorchEngine]
) -> None:
    engine = made(name, tuning)
    rows = [row for row in families.random_rows(engine.network.config.vocab_size) if row.targets]
    with torch.no_grad():
        for batch in (layout(rows), layout(rows, share=False)):
            together = engine.forward(batch)
            assert together.logprobs_S is not None
            for place, row in enumerate(rows):
                alone = engine.forward(layout([row])).logprobs_S
                assert alone is not None
                assert torch.equal(together.logprobs_S[together.owners_S == place], alone), row.id
