"""Two texts in a row are told apart as the library's own classes tell them, packed or padded, and exported so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import build
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, AutoTokenizer

from affina.core.compute import Computing
from affina.core.example import Question
from affina.core.kinds import Ending
from affina.data.rows import Renderer
from affina.engine.torch.exact import Exact
from affina.engine.torch.library import LibraryModel
from affina.engine.torch.load import load
from affina.engine.torch.model import TorchModel

CONTEXT = "The parcel left Turin on Monday. It was scanned in Milan the next day."
ASKED = [
    Question(id="q:1", question="Where was it scanned?", context=CONTEXT, answers=(("Milan", CONTEXT.index("Milan")),)),
    Question(id="q:2", question="When?", context=CONTEXT[:32], answers=(("Monday", CONTEXT.index("Monday")),)),
]


@pytest.mark.parametrize(("name", "changes"), [("bert", {}), ("deberta", {"type_vocab_size": 2})])
def test_a_question_and_its_context_have_types_of_their_own(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = build(name, tmp_path / name, **changes)
    paired = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ends = [(token, paired.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    form = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    paired.post_processor = TemplateProcessing(**form, special_tokens=ends)
    paired.save(str(folder / "tokenizer.json"))
    model = TorchModel(load(folder, Computing("float32"), Ending("span", 2)), Renderer.open(folder))
    rows = model.renderer.rows(ASKED)
    library, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    network = model.network
    with torch.no_grad():
        batch = model.layout(rows)
        hidden_TD, untold_TD = (
            network.hidden(each) for each in (batch, model.layout([replace(row, types=None) for row in rows]))
        )
        for row, asked, segment in zip(rows, ASKED, batch.segments, strict=True):
            given = tokenizer(asked.question, asked.context, return_tensors="pt", return_token_type_ids=True)
            assert given["input_ids"][0].tolist() == row.tokens.tolist()
            assert row.types is not None and given["token_type_ids"][0].tolist() == row.types.tolist()
            expected = library(**given).last_hidden_state[0]
            found, untold = (each[segment.start : segment.stop] for each in (hidden_TD, untold_TD))
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
            assert not torch.allclose(untold, expected, atol=1e-2)


def test_what_decodes_minds_no_types(family: Callable[[str], Path]) -> None:
    model = TorchModel(load(family("llama"), Computing("float32"), Ending("span", 2)), Renderer.open(family("llama")))
    rows = model.renderer.rows(ASKED)
    batches = [model.layout(each) for each in (rows, [replace(row, types=None) for row in rows])]
    with torch.no_grad():
        assert torch.equal(*(model.network.hidden(batch) for batch in batches))


def test_the_runs_own_model_and_the_librarys_are_told_the_same(tmp_path: Path) -> None:
    folder = build("bert", tmp_path / "bert")
    model = TorchModel(load(folder, Computing("float32"), Ending("vector")), Renderer.open(folder))
    row = model.renderer.rows(ASKED)[0]
    assert row.types is not None
    said = [
        each.logits(row.tokens.tolist(), types=types)
        for types in (row.types.tolist(), ())
        for each in (Exact(model), LibraryModel(AutoModel.from_pretrained(folder), folder))
    ]
    np.testing.assert_allclose(said[0], said[1], atol=2e-5)
    np.testing.assert_allclose(said[2], said[3], atol=2e-5)
    assert np.abs(said[0] - said[2]).max() > 1e-2
