"""Sentences of a text, and the one that a question is likeliest about by its words alone."""

import re

from affina.data.likeness import words

_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")


def sentences(text: str) -> list[str]:
    """The text's sentences, parted after . ! ? and at line ends; one at least."""
    return [each.strip() for each in _END.split(text) if each.strip()] or [text]


def likeliest_sentence(question: str, text: str) -> str:
    """The sentence that shares most different words with the question; of equals the first."""
    asked = set(words(question))
    return max(sentences(text), key=lambda sentence: len(asked & set(words(sentence))))
