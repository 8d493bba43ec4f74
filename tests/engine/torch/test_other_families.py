"""Families beyond the usual ones: the engine's log-probabilities, packed or padded, are the library's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from families import _GROUPED, _SMALL, STOP, noisy, write_tokenizer

from affina.core.compute import Computing
from affina.core.errors import Refused
from affina.core.kinds import Ending, Row, Sampling
from affina.data.rows import Renderer
from affina.engine.torch.load import load
from affina.engine.torch.logits import logits_of
from affina.engine.torch.model import TorchModel

_ENCODER = {**_SMALL, "max_position_embeddings": 64}
_SHIFTED = {**_ENCODER, "pad_token_id": 1, "type_vocab_size": 1}
_BOTH = {
    "d_model": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_layers": 2, "decoder_layers": 3,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 64,
    "decoder_start_token_id": STOP, "forced_eos_token_id": None,
}  # fmt: skip
_DEEPER = {
    "d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4,
    "decoder_start_token_id": STOP,
}  # fmt: skip
_WINDOWS = {"local_attention": 8, "global_attn_every_n_layers": 2, "cls_token_id": 2, "sep_token_id": 3}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "phi": ("past", "PhiConfig", _GROUPED),  # its output embedding has a bias
    "hyperclovax": ("past", "HyperCLOVAXConfig", {**_GROUPED, "logits_scaling": 0.25}),  # Granite divides by it
    "bert": ("past", "BertConfig", {**_ENCODER, "is_decoder": True}),  # a layer stands before its output embedding
    "modernbert-decoder": ("past", "ModernBertDecoderConfig", {**_ENCODER, **_WINDOWS}),
    "modernbert": ("both", "ModernBertConfig", {**_ENCODER, **_WINDOWS}),
    "electra": ("both", "ElectraConfig", {**_ENCODER, "embedding_size": 16}),
    "albert": ("both", "AlbertConfig", {**_ENCODER, "embedding_size": 16}),
    "data2vec-text": ("both", "Data2VecTextConfig", _SHIFTED),
    "roberta-prelayernorm": ("both", "RobertaPreLayerNormConfig", _SHIFTED),
    "marian": ("source", "MarianConfig", _BOTH),  # adds a bias of its own to its logits
    "mbart": ("source", "MBartConfig", _BOTH),
    "mt5": ("source", "MT5Config", _DEEPER),
}
AUTO: dict[str, Any] = {
    "past": transformers.AutoModelForCausalLM, "both": transformers.AutoModelForMaskedLM,
    "source": transformers.AutoModelForSeq2SeqLM,
}  # fmt: skip
Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root, made = tmp_path_factory.mktemp("others"), dict[str, Path]()

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = build(name, root / name)
        return made[name]

    return folder


def build(name: str, folder: Path) -> Path:
    reads, kind, settings = FAMILIES[name]
    size = write_tokenizer(folder, encoder=reads != "past")
    ids = {"vocab_size": size, "eos_token_id": STOP, "pad_token_id": STOP, "bos_token_id": 0}
    torch.manual_seed(0)
    model = AUTO[reads].from_config(getattr(transformers, kind)(**{**ids, **settings}))
    noisy(model)
    for key, each in model.named_buffers():
        if key.endswith("final_logits_bias"):
            each.copy_(torch.linspace(-1, 1, each.numel())[None])
    model.save_pretrained(folder)
    return folder


def drawn(reads: str) -> list[Row]:
    """Rows of several lengths; of encoders, half of whose tokens are said from their own place."""
    draw, rows = np.random.default_rng(0), []
    for number, length in enumerate((23, 6, 31)):
        tokens, weights = draw.integers(5, 300, length).astype(np.int32), np.ones(length, np.float32)
        weights[0] = reads == "both"
        weights[1::2] = reads != "both"
        source = draw.integers(5, 300, 9 + number).astype(np.int32) if reads == "source" else None
        rows.append(Row(f"r:{number}", tokens, weights, said=tokens if reads == "both" else None, source=source))
    return rows


@torch.no_grad()
def by_the_library(model: Any, row: Row, reads: str) -> np.ndarray[Any, Any]:
    tokens = torch.from_numpy(row.tokens).long()
    more = {} if row.source is None else {"decoder_input_ids": tokens[None]}
    given = tokens if row.source is None else torch.from_numpy(row.source).long()
    logprobs = model(input_ids=given[None], **more).logits[0].log_softmax(-1)
    at = np.flatnonzero(row.weights)
    found: np.ndarray[Any, Any] = logprobs[at - (reads != "both"), tokens[at]].numpy()
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_log_probabilities_are_the_librarys(name: str, other: Folder) -> None:
    reads, folder = FAMILIES[name][0], other(name)
    model = TorchModel(load(folder, Computing("float32"), Ending(reads=reads)), Renderer.open(folder))
    library = AUTO[reads].from_pretrained(folder, dtype=torch.float32).eval()
    rows = drawn(reads)
    for row, each in zip(rows, model.score(rows), strict=True):
        assert each.logprobs_S == pytest.approx(by_the_library(library, row, reads), abs=5e-5)


@pytest.mark.parametrize("name", ["phi", "bert", "modernbert-decoder"])
def test_what_is_generated_is_the_librarys(name: str, other: Folder) -> None:
    folder = other(name)
    model = TorchModel(load(folder, Computing("float32")), Renderer.open(folder))
    library = AUTO["past"].from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        for each in (model.network.model, library):
            each.get_output_embeddings().bias[200] += 5
    tokens = list(range(20, 32))
    (found,) = model.sample([tokens], Sampling(max_tokens=5))
    made = library.generate(torch.tensor([tokens]), max_new_tokens=5, do_sample=False, eos_token_id=STOP)
    assert list(found.tokens) == [each for each in made[0, len(tokens) :].tolist() if each != STOP]


def test_a_family_that_changes_its_logits_in_another_way_is_refused(other: Folder) -> None:
    network = load(other("phi"), Computing("float32"))

    def cubed(**given: Any) -> Any:
        out = network.model.lm_head(torch.zeros(1, 1, 32))
        return transformers.modeling_outputs.CausalLMOutput(logits=out**3)

    vars(network.model)["forward"] = cubed
    with pytest.raises(Refused, match="the words of a phi: it changes the numbers of its output embedding"):
        logits_of(network)


def test_a_padded_decoder_stops_where_its_positions_end(tmp_path: Path) -> None:
    """Rows near the end of the table, beside one with room for all that is asked."""
    size = write_tokenizer(tmp_path)
    config = transformers.GPTJConfig(
        vocab_size=size, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=24, eos_token_id=STOP
    )
    transformers.GPTJForCausalLM(config).save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").unlink()
    model = TorchModel(load(tmp_path, Computing("float32")), Renderer.open(tmp_path, max_tokens=24))
    assert not model.network.flat
    prompts = [list(range(20, 20 + length)) for length in (22, 4, 23, 16)]
    found = model.sample(prompts, Sampling(max_tokens=8))
    for prompt, each, room in zip(prompts, found, (2, 8, 1, 8), strict=True):
        assert len(each.tokens) == room or each.stopped
        assert each == model.sample([prompt], Sampling(max_tokens=8))[0]
    with pytest.raises(Refused, match="prompt 1 has 24 tokens: the base takes 1 to 24, the answer's included"):
        model.sample([prompts[1], list(range(20, 44))], Sampling(max_tokens=8))


@torch.no_grad()
def test_a_decoder_deeper_than_its_encoder_generates_the_likeliest(other: Folder) -> None:
    model = TorchModel(load(other("mt5"), Computing("float32"), Ending(reads="source")), Renderer.open(other("mt5")))
    library = AUTO["source"].from_pretrained(other("mt5"), dtype=torch.float32).eval()
    source, said = list(range(20, 32)), [STOP]
    (found,) = model.sample([source], Sampling(max_tokens=4))
    for token in found.tokens:
        logits = library(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([said])).logits
        assert int(logits[0, -1].argmax()) == token
        said.append(token)
