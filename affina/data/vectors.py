"""Texts as vectors of unit length: what a model embeds, or TF-IDF of words without one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from affina.core.errors import Refused
from affina.core.kinds import Model

TOGETHER = 512
"""Texts that a model embeds at once."""
WORD = r"(?u)\b\w+\b"


def vectors(texts: Sequence[str], model: Model | None) -> Any:
    """[N, D], rows of unit length or zero: an array where a model embeds, else a sparse matrix. Raises Refused."""
    if model is None:
        return _tf_idf(texts)
    parts = [model.embed(texts[start : start + TOGETHER]) for start in range(0, len(texts), TOGETHER)]
    made = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
    if not np.isfinite(made).all():
        raise Refused("the model's embeddings are not numbers", instead="take another model, or none: TF-IDF is used")
    return made


def _tf_idf(texts: Sequence[str]) -> Any:
    """Of words and pairs of words, their counts as logarithms (Salton & Buckley 1988)."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    plain = [text.encode("utf-8", "replace").decode() for text in texts]
    if not any(each.isalnum() for text in plain for each in text):
        return csr_matrix((len(texts), 1), dtype=np.float32)
    read = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=WORD, dtype=np.float32)
    return read.fit_transform(plain).tocsr()


def similarities(ones: Any, others: Any) -> Any:
    """[N, M] cosines, as a plain array."""
    made = ones @ others.T
    return np.asarray(made.todense() if hasattr(made, "todense") else made, dtype=np.float32)
