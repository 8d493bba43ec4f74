"""Raw text with gaps: rows whose places are hidden anew each time they are met.

Masked: of the chosen tokens 80 % become the mask, 10 % another token, 10 % stay (Devlin et al., 2019, §3.1); words
whole or token by token. Permuted: chosen runs of words are said in a drawn order (Yang et al., 2019, §2.3), each
seeing what is not hidden and what was said before it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from affina.core.errors import Refused
from affina.core.example import Gapped
from affina.core.kinds import Cloze, Ints, Row
from affina.data.tokens import Vocabulary

MASKED, CHANGED = 0.8, 0.1


def gapped(vocabulary: Vocabulary, example: Gapped, encoding: object, most: int) -> list[Row]:
    """Rows `id#1` … of at most `most` tokens, each opened and closed as the tokenizer does; gaps drawn by their ids.

    Where `share` is 0 the gaps are the text's own mask tokens. Raises Refused for a tokenizer without a token to hide
    behind.
    """
    if not (example.permuted and example.share) and vocabulary.mask is None:
        why = "its tokenizer names no mask token"
        raise Refused("a masked model of this base", why, "choose a base that was trained with masks")
    ids, words = _body(encoding, example.whole)
    opening, closing = vocabulary.frame
    room = most - len(opening) - len(closing)
    made = []
    for number, start in enumerate(range(0, max(len(ids), 1), room), 1):
        inner, kept = ids[start : start + room], words[start : start + room]
        tokens = np.array([*opening, *inner, *closing], dtype=np.int32)
        owners = np.array([*[-1] * len(opening), *kept, *[-1] * len(closing)], dtype=np.int32)
        cloze = Cloze(example.permuted, example.share, tokens, owners, example.spans)
        name = f"{example.id}#{number}"
        row = Row(name, tokens, np.zeros(len(tokens), dtype=np.float32), cloze=cloze)
        named = np.random.default_rng([*name.encode()])
        made.append(drawn(vocabulary, row, named) if example.share else _marked(vocabulary, row, example.permuted))
    return made


def _marked(vocabulary: Vocabulary, row: Row, permuted: bool) -> Row:
    """The row with its mask tokens as gaps, none of which sees another."""
    hidden = row.tokens == vocabulary.mask
    orders = np.where(hidden, 0, -1).astype(np.int32) if permuted else None
    return replace(row, weights=hidden.astype(np.float32), said=row.tokens, orders=orders, cloze=None)


def drawn(vocabulary: Vocabulary, row: Row, draws: np.random.Generator) -> Row:
    """The row with other places hidden; a row without gaps is itself."""
    if row.cloze is None:
        return row
    cloze = row.cloze
    places = _chosen(cloze, draws)
    if cloze.permuted and len(places) == len(cloze.tokens):  # what is said first must see something
        places = places[1:]
    weights = np.zeros(len(cloze.tokens), dtype=np.float32)
    weights[places] = 1
    if cloze.permuted:
        orders = np.full(len(cloze.tokens), -1, dtype=np.int32)
        orders[places] = draws.permutation(len(places))
        return replace(row, weights=weights, said=cloze.tokens, orders=orders)
    assert vocabulary.mask is not None, "a row with gaps was made, so there is a mask"
    tokens, kinds = cloze.tokens.copy(), draws.random(len(places))
    tokens[places[kinds < MASKED]] = vocabulary.mask
    changed = places[(kinds >= MASKED) & (kinds < MASKED + CHANGED)]
    tokens[changed] = draws.choice(vocabulary.plain, len(changed))
    return replace(row, tokens=tokens, weights=weights, said=cloze.tokens)


def _chosen(cloze: Cloze, draws: np.random.Generator) -> Ints:
    """Places of about `share` of the tokens that may be hidden, one at least, whole words of runs of up to `spans`."""
    free = np.flatnonzero(cloze.words >= 0)
    wanted = max(1, round(cloze.share * len(free)))
    owners = np.unique(cloze.words[free])
    hidden: set[int] = set()
    count = 0
    sizes = dict(zip(*np.unique(cloze.words[free], return_counts=True), strict=True))
    for place in draws.permutation(len(owners)):
        for word in owners[place : place + int(draws.integers(1, cloze.spans + 1))]:
            if word in hidden or (count and count + sizes[word] > wanted):
                continue
            hidden.add(int(word))
            count += int(sizes[word])
        if count >= wanted:
            break
    return np.flatnonzero(np.isin(cloze.words, [*hidden]))


def _body(encoding: object, whole: bool) -> tuple[list[int], list[int]]:
    """Token ids without the tokenizer's own first and last, and the word each belongs to (itself, unless `whole`)."""
    found = encoding
    ids: list[int] = list(found.ids)  # type: ignore[attr-defined]
    owners: Sequence[int | None] = found.word_ids  # type: ignore[attr-defined]
    if not whole or len({*owners}) * 4 < len(ids):  # a tokenizer that takes whole texts for words has no words
        return ids, list(range(len(ids)))
    begins = [owner is None or not place or owner != owners[place - 1] for place, owner in enumerate(owners)]
    return ids, [*np.cumsum(begins) - 1]
