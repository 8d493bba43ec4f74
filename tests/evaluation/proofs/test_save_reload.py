"""save_reload fails when a checkpoint forgets a tensor, aloud or silently."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import bench, session, tensors

from affina.core.atomic import sealed
from affina.core.errors import Failed
from affina.core.say import Silent
from affina.engine.torch.step import TorchEngine
from affina.evaluation.proofs.save_reload import SaveReload
from affina.training.prove import prove


class Forgetful(TorchEngine):
    """Saves and loads all but the last trainable tensor, and says nothing."""

    def save(self, folder: Path) -> None:
        kept = {name: each.detach().clone() for name, each in [*self.trainable().items()][:-1]}
        with sealed(folder) as aside:
            save_file(kept, aside / "trained.safetensors")

    def load(self, folder: Path) -> None:
        with torch.no_grad():
            for name, each in load_file(folder / "trained.safetensors").items():
                self.trainable()[name].copy_(each)


class Careless(TorchEngine):
    """Saves all but one tensor; its load is the real one."""

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        found = super().trainable()
        return dict([*found.items()][:-1]) if getattr(self, "saving", False) else found

    def save(self, folder: Path) -> None:
        self.saving = True
        super().save(folder)
        self.saving = False


def test_it_holds_and_restores_every_tensor_to_the_bit(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    before = tensors(opened)
    found = SaveReload().examine(bench(opened))
    assert found.passed, found.detail
    assert tensors(opened) == before


@pytest.mark.parametrize("sections", [{"objective": "classify"}, {"tuning": "full"}])
def test_it_holds_for_heads_and_whole_models(sections: dict[str, object], tmp_path: Path, chat_model: Path) -> None:
    assert SaveReload().examine(bench(session(tmp_path, chat_model, **sections))).passed


def test_a_tensor_forgotten_silently_fails(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    opened.engine.__class__ = Forgetful
    found = SaveReload().examine(bench(opened))
    assert not found.passed
    assert "reloaded, the model answers differently" in found.detail


def test_a_checkpoint_that_does_not_fit_fails_the_run_by_the_proofs_name(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model)
    opened.engine.__class__ = Careless
    with pytest.raises(Failed, match=r"proof save_reload failed: .* does not fit this model: 1 tensors differ"):
        prove(opened, Silent())
    stored = {each["name"]: each["passed"] for each in opened.run.read("proofs.json")["findings"]}
    assert [name for name, passed in stored.items() if not passed] == ["save_reload"]
