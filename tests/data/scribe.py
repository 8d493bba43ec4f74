"""A model whose answers are known: it reads a prompt as text and answers by rules a test can count on."""

import re
from collections.abc import Sequence

import numpy as np

from affina.core.kinds import Row, Sampled, Sampling, Scored
from affina.engine.toy import Toy


class Scribe(Toy):
    """Asks by the words before an answer in its sentence; finds an answer likely behind the words it stands by."""

    def __init__(self, max_tokens: int = 8192) -> None:
        super().__init__(max_tokens)
        self.calls = 0

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        self.calls += 1
        return [Sampled(text, (), stopped=True) for text in (self.answer(self._text(each)) for each in prompts)]

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        found = []
        for row in rows:
            text = self._text(row.tokens.tolist())
            answer = self._text(row.tokens[row.weights > 0].tolist()).strip()
            found.append(Scored(np.array([self.likelihood(text.rpartition(answer)[0], answer)])))
        return found

    def answer(self, text: str) -> str:
        """To a prompt that gives an answer and the beginning of its question: the rest of it; to a question: what
        stands behind its words in the passage."""
        last = text.split("\n\n")[-1]
        if last.endswith("Answer:"):
            words = " ".join(_last(last, "Question").rstrip("?").split()[-3:])
            behind = _last(last, "Passage").partition(words)[2]
            found = re.match(r"\s*(\d+ March \d{4}|[\d,]+ euro)", behind)
            return f" {found[1]}\nPassage: and so on" if found else " nobody knows"
        before = _last(last, "Sentence").partition(_last(last, "Answer"))[0].split()[-8:]
        return f" {' '.join(before)}?\nSentence: and so on"

    def likelihood(self, before: str, answer: str) -> float:
        """-1 where the question holds words that stand before the answer in the passage; -5 in a passage; else -9."""
        passage, question = _last(before, "Passage"), _last(before, "Question")
        if (
            answer not in passage
            or not before.rstrip().endswith("Answer:")
            or "Passage" not in before.split("\n\n")[-1]
        ):
            return -9.0
        words = " ".join(passage.partition(answer)[0].split()[-3:])
        return -1.0 if words and words in question else -5.0

    @staticmethod
    def _text(tokens: Sequence[int]) -> str:
        return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")


def _last(text: str, field: str) -> str:
    found: list[str] = re.findall(rf"^{field}: (.*)$", text, re.MULTILINE)
    return found[-1] if found else ""
