"""Which languages texts are in (py3langid's n-gram model): a share for each, and how many are too short to tell."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

READ = 2000
"""Characters of a text that are looked at."""
LETTERS = 20
"""Below so many letters a text is too short to tell."""
SURE = 0.7
"""The probability from which a language is certain."""
NO_WORDS = re.compile(r"https?://\S+|www\.\S+|[\w.+-]+@[\w-]+\.[\w.]+|@\w+|[{}\[\]<>|]")


def languages(texts: Iterable[str]) -> dict[str, int]:
    """Language (ISO 639-1) → texts, the commonest first; under an empty name those that are not certain."""
    identifier = _identifier()
    met: Counter[str] = Counter()
    for text in texts:
        plain = NO_WORDS.sub(" ", text[:READ])
        if sum(map(str.isalpha, plain)) < LETTERS:
            met[""] += 1
            continue
        found, probability = identifier.classify(plain)
        met[str(found) if probability >= SURE else ""] += 1
    return dict(met.most_common())


@cache
def _identifier() -> LanguageIdentifier:
    """The model: reading it takes longer than a thousand texts."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
