"""Texts as a base's own tokenizer opens and closes them, as rows: classes, numbers, tags, vectors, sources and results.

A tag's place is the first token of its word (Devlin et al., 2019, §5.3).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from affina.core.errors import Refused
from affina.core.example import Labelled, MultiLabelled, Parallel, Rated, Related, Tagged
from affina.core.kinds import Row
from affina.data.tokens import Vocabulary


def labelled(vocabulary: Vocabulary, examples: Sequence[Labelled], most: int) -> list[list[Row]]:
    """A row per text, its label's number with it; -1 for a label outside the known ones."""
    known = [each.labels.index(each.label) if each.label in each.labels else -1 for each in examples]
    made = _texts(vocabulary, [(each.id, each.text) for each in examples], most)
    return [[replace(row, label=label)] for row, label in zip(made, known, strict=True)]


def multi_labelled(vocabulary: Vocabulary, examples: Sequence[MultiLabelled], most: int) -> list[list[Row]]:
    """A row per text; its goals are 1 for every label that is right."""
    made = _texts(vocabulary, [(each.id, each.text) for each in examples], most)
    goals = [np.array([name in each.right for name in each.labels], dtype=np.float32) for each in examples]
    return [[replace(row, goals=goal)] for row, goal in zip(made, goals, strict=True)]


def rated(vocabulary: Vocabulary, examples: Sequence[Rated], most: int) -> list[list[Row]]:
    """A row per text; its goal is the number."""
    made = _texts(vocabulary, [(each.id, each.text) for each in examples], most)
    return [
        [replace(row, goals=np.array([each.value], dtype=np.float32))] for row, each in zip(made, examples, strict=True)
    ]


def related(vocabulary: Vocabulary, examples: Sequence[Related], most: int) -> list[list[Row]]:
    """Tied rows: the anchor (label 0), what belongs to it (1), what only seems to (2)."""
    named = [
        [(f"{each.id}#{n}", text) for n, text in enumerate((each.anchor, each.positive, *each.negatives))]
        for each in examples
    ]
    rows = iter(_texts(vocabulary, [pair for group in named for pair in group], most))
    return [[replace(next(rows), label=min(n, 2), tied=n > 0) for n in range(len(group))] for group in named]


def parallel(vocabulary: Vocabulary, examples: Sequence[Parallel], most: int) -> list[list[Row]]:
    """A row per text: the encoder's source, and the result after what the decoder begins with. Raises Refused."""
    first = vocabulary.decodes_from
    if first is None:
        raise Refused("a text with a source needs an encoder–decoder", instead="choose the objective cross_entropy")
    sources = vocabulary.encode([each.source for each in examples], special=True)
    results = vocabulary.encode([each.result for each in examples], special=True)
    made = []
    for example, read, result in zip(examples, sources, results, strict=True):
        tokens = np.array([first, *_result(vocabulary, example, result)], dtype=np.int32)
        weights = (np.arange(len(tokens)) > 0).astype(np.float32)
        kept, missed = source(read, most), int(np.count_nonzero(weights[most:]))
        cut = len(tokens[most:]) + len(read.ids) - len(kept)
        made.append([Row(example.id, tokens[:most], weights[:most], source=kept, cut=cut, cut_targets=missed)])
    return made


def source(encoding: Any, most: int) -> npt.NDArray[np.int32]:
    """What an encoder reads, cut to `most` tokens; the closing token stays."""
    kept = np.array(encoding.ids[:most], dtype=np.int32)
    if len(kept) < len(encoding.ids) and encoding.special_tokens_mask[-1]:
        kept[-1] = encoding.ids[-1]
    return kept


def _result(vocabulary: Vocabulary, example: Parallel, encoding: Any) -> list[int]:
    """What is decoded after the decoder's first token. Raises Refused for an opening that is no token."""
    ids: list[int] = list(encoding.ids)
    if not example.opening:
        return ids
    opening = vocabulary.tokenizer.token_to_id(example.opening)
    if opening is None:
        named = ", ".join([*vocabulary.special][:12])
        raise Refused(f"objective.opening: {example.opening} is no token of this base", instead=f"it has {named} …")
    before, after = vocabulary.frame  # of which a language behind the stop token is the source's own
    closing = after[: next((n for n, each in enumerate(after, 1) if each in vocabulary.stops), len(after))]
    return [opening, *ids[len(before) : len(ids) - len(after)], *closing]


def tagged(vocabulary: Vocabulary, examples: Sequence[Tagged], most: int) -> list[list[Row]]:
    """A row per sentence; the first token of each word says the number of its tag."""
    encodings = vocabulary.encode([each.given for each in examples], special=True)
    made = []
    for example, encoding in zip(examples, encodings, strict=True):
        places = first_tokens(encoding, example.words)
        weights, said = np.zeros(len(encoding.ids), dtype=np.float32), np.zeros(len(encoding.ids), dtype=np.int32)
        for place, tag in zip(places, example.tags, strict=True):
            if place >= 0:
                weights[place], said[place] = 1, example.labels.index(tag) if tag in example.labels else -1
        weights[said < 0] = 0
        made.append([_kept(example.id, encoding, most, weights, said)])
    return made


def first_tokens(encoding: Any, words: Sequence[str]) -> list[int]:
    """Of each word, joined by spaces, the place of its first token; -1 for a word that has none."""
    edges = np.cumsum([0, *(len(word) + 1 for word in words)])
    found = [-1] * len(words)
    for place, (start, stop) in enumerate(encoding.offsets):
        if stop <= start or encoding.special_tokens_mask[place]:
            continue
        word = int(np.searchsorted(edges, stop - 1, side="right")) - 1  # some tokens begin with the space before
        if word < len(words) and stop - 1 < edges[word] + len(words[word]) and found[word] < 0:
            found[word] = place
    return found


def wordless(vocabulary: Vocabulary, example: Tagged) -> str:
    """Why a sentence cannot be tagged, in a sentence: a word that the vocabulary leaves out; empty when it can."""
    places = first_tokens(vocabulary.encode([example.given], special=True)[0], example.words)
    absent = next((word for word, place in zip(example.words, places, strict=True) if place < 0), None)
    return "" if absent is None else f"the word {absent!r} has no token in the base's vocabulary, so no place for a tag"


def _texts(vocabulary: Vocabulary, named: Sequence[tuple[str, str]], most: int) -> list[Row]:
    """A row per text without targets."""
    encodings = vocabulary.encode([text for _, text in named], special=True)
    return [
        _kept(name, encoding, most, np.zeros(len(encoding.ids), dtype=np.float32))
        for (name, _), encoding in zip(named, encodings, strict=True)
    ]


def _kept(
    name: str,
    encoding: Any,
    most: int,
    weights: npt.NDArray[np.float32],
    said: npt.NDArray[np.int32] | None = None,
) -> Row:
    """The row cut to `most` tokens; the closing token stays."""
    tokens = np.array(encoding.ids, dtype=np.int32)
    keep = np.arange(min(most, len(tokens)))
    if len(tokens) > most and encoding.special_tokens_mask[-1]:
        keep[-1] = len(tokens) - 1
    missed = int(np.count_nonzero(weights)) - int(np.count_nonzero(weights[keep]))
    return Row(
        name,
        tokens[keep],
        weights[keep],
        said=None if said is None else said[keep],
        cut=len(tokens) - len(keep),
        cut_targets=missed,
    )
