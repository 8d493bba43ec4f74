"""Short answers as SQuAD compares them: a normalised form, and the words that two of them share."""

import re
import string
from collections import Counter

from affina.data.likeness import dice

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_form(text: str) -> str:
    """Lower case, no ASCII punctuation, no a/an/the, single spaces (Rajpurkar et al., 2016, section 6.1)."""
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split())


def shared_words(said: str, right: str) -> float:
    """F1 of normalised words; no answer is right only where none is expected (SQuAD 2.0, 2018)."""
    one, two = squad_form(said).split(), squad_form(right).split()
    if not one or not two:
        return float(one == two)
    return dice((Counter(one) & Counter(two)).total(), len(one), len(two))
