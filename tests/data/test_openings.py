"""Results that begin with a language's own token, as mBART's and NLLB's do."""

from pathlib import Path

import pytest
from families import build
from tokenizers import Tokenizer, processors

from affina.core.errors import Refused
from affina.core.example import Example, Parallel
from affina.core.kinds import objectives
from affina.data.rows import Renderer

LANGUAGES = ("en_XX", "it_IT")


def speaking(folder: Path, form: str) -> Renderer:
    """BART's tokenizer with two languages, opened and closed as `form` says."""
    build("bart", folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([*LANGUAGES])
    ends = [(token, tokenizer.token_to_id(token)) for token in (*LANGUAGES, "<|im_end|>")]
    tokenizer.post_processor = processors.TemplateProcessing(single=form, special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"vocab_size": 320', '"vocab_size": 322'))
    return Renderer.open(folder)


def row_of(renderer: Renderer, opening: str) -> tuple[list[int], list[int]]:
    given: list[Example] = [Parallel(id="1", source="my card", result="un pacco")]
    (row,) = renderer.rows(objectives.build({"name": "seq2seq", "opening": opening}).expand(given))
    assert row.source is not None and row.weights.tolist() == [0] + [1] * (len(row.tokens) - 1)
    return row.source.tolist(), row.tokens.tolist()


@pytest.mark.parametrize("form", ["en_XX $A <|im_end|>", "$A <|im_end|> en_XX"])
def test_the_result_begins_with_its_own_language_and_the_source_keeps_its_own(form: str, tmp_path: Path) -> None:
    """mBART-50 and NLLB put the language first, mBART last; a result ends with the stop token either way."""
    renderer = speaking(tmp_path, form)
    english, italian, stop = (renderer.vocabulary.tokenizer.token_to_id(each) for each in (*LANGUAGES, "<|im_end|>"))
    source, tokens = row_of(renderer, "it_IT")
    assert english in source and italian not in source
    words = renderer.vocabulary.encode(["un pacco"])[0].ids
    assert tokens == [stop, italian, *words, stop]
    assert english in row_of(renderer, "")[1]


def test_an_opening_that_is_no_token_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"objective.opening: de_DE is no token of this base. it has .*en_XX, it_IT"):
        row_of(speaking(tmp_path, "en_XX $A <|im_end|>"), "de_DE")
