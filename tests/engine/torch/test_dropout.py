"""A recipe's dropout stands in place of the base's own, by the family's own names; what a family has not is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import DECODERS, ENCODERS, SIZES, build, random_rows
from transformers import AutoConfig

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending
from affina.data.layout import layout
from affina.engine.torch import dropout
from affina.engine.torch.frozen import draws, probed
from affina.engine.torch.load import Network, load

Folder = Callable[[str], Path]
SIMPLE = Computing("float32", kernels=True)
HAS = {
    "llama": {"attention"}, "gemma2": {"attention"}, "phi3": {"attention", "hidden"}, "lfm2": set(), "mpt": set(),
    "gpt2": {"attention", "hidden", "embedding"}, "gpt_neox": {"attention", "hidden"}, "opt": {"attention", "hidden"},
    "bloom": {"attention", "hidden"}, "bert": {"attention", "hidden"}, "distilbert": {"attention", "hidden"},
    "deberta": {"attention", "hidden"}, "xlnet": {"hidden"}, "t5": {"hidden"},
}  # fmt: skip


def loaded(folder: Path, shares: dict[str, float], ending: str = "") -> Network:
    own = "labels" if folder.name not in DECODERS else "words"
    kind = ending or own
    return load(folder, SIMPLE, Ending(kind, 3 if kind == "labels" else 0), shares)


@pytest.mark.parametrize("name", HAS)
def test_each_share_alone_is_drawn_and_none_is_when_all_are_nought(name: str, family: Folder) -> None:
    nothing = dict.fromkeys(HAS[name], 0.0)
    assert not draws(loaded(family(name), nothing))
    for setting in HAS[name]:
        assert draws(loaded(family(name), {**nothing, setting: 0.5})), setting
    for setting in {*dropout.NAMES} - HAS[name]:
        with pytest.raises(Refused, match=rf"model\.dropout\.{setting}: a \w[\w-]* has no such dropout"):
            loaded(family(name), {setting: 0.1})


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_a_share_left_out_is_the_bases_own(name: str, family: Folder) -> None:
    plain = AutoConfig.from_pretrained(family(name))
    own, changed = loaded(family(name), {}).config, loaded(family(name), {"hidden": 0.3}).config
    key = {"gpt2": ("resid_pdrop", "attn_pdrop"), "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob")}[name]
    assert [getattr(own, each) for each in key] == [getattr(plain, each) for each in key]
    assert [getattr(changed, each) for each in key] == [0.3, getattr(plain, key[1])]


def test_a_fused_block_leaves_out_the_share_that_was_asked_for(tmp_path: Path) -> None:
    folder = build("llama", tmp_path / "llama", **SIZES)
    for share in (0.0, 0.1):
        network = loaded(folder, {"attention": share})
        blocks = [block for stage in network.stages if (block := stage.block()) is not None]
        assert len(blocks) == 2
        assert {block.drops.shares() for block in blocks} == {(0.0, 0.0, 0.0)}
        network.train()
        assert {block.drops.shares() for block in blocks} == {(share, 0.0, 0.0)}


def test_a_trunk_with_dropout_is_seen_to_draw(family: Folder) -> None:
    assert probed(loaded(family("llama"), {}))[1] is False
    assert probed(loaded(family("llama"), {"attention": 0.1}))[1] is True


@pytest.mark.parametrize("name", ["llama", *ENCODERS])
def test_what_a_new_head_reads_is_left_out_in_training_alone(name: str, family: Folder) -> None:
    quiet = {each: 0.0 for each in ("attention", "hidden") if each in HAS.get(name, {"attention", "hidden"})}
    network = loaded(family(name), {**quiet, "head": 0.5}, "labels")
    assert network.head is not None and draws(network)
    batch = layout(random_rows(300), share=False)
    with torch.no_grad():
        hidden = network.hidden(batch)
        assert torch.equal(network.head(hidden), torch.nn.functional.linear(hidden, *network.head.parameters()))
        network.train()
        torch.manual_seed(3)
        found = network.head(hidden)
        torch.manual_seed(3)
        expected = torch.nn.functional.linear(torch.nn.functional.dropout(hidden, 0.5), *network.head.parameters())
    assert torch.equal(found, expected)


def test_a_model_that_ends_in_words_has_no_new_head_to_leave_out_from(family: Folder) -> None:
    with pytest.raises(Refused, match=r"model\.dropout\.head"):
        loaded(family("llama"), {"head": 0.1})
