"""Models whose answers are known beforehand: what tests of plumbing ask instead of a network."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from affina.core.kinds import Row, Sampled, Sampling, Scored
from affina.engine.toy import Toy

TASKS = (
    "Name the bridges that cross a wide canal\n8. List three tools of a careful gardener\n9. Compare salt with sugar\n"
)


class Parrot(Toy):
    """Goes on with a list of tasks, gives an example of a task, and answers anything else in one sentence; what stands
    in the text before it is likelier than what does not, and so is yes."""

    def __init__(self, max_tokens: int = 16384) -> None:
        super().__init__(max_tokens)

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        return [Sampled(self.answer(text_of(each)), (), stopped=True) for each in prompts]

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        found = []
        for row in rows:
            before, said = text_of(row.tokens[row.weights == 0].tolist()), text_of(row.tokens[row.weights > 0].tolist())
            found.append(
                Scored(np.full(row.targets, -0.1 if said.strip() in before or said.startswith("Yes") else -1.0))
            )
        return found

    def answer(self, text: str) -> str:
        if text.endswith("Input:"):
            return " none\nOutput: a short and honest answer\n\nTask: another"
        if text.endswith("."):
            return f" {TASKS}"
        return f"an answer of {len(text)} letters about it"


def text_of(tokens: Sequence[int]) -> str:
    return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")


class Scribe(Toy):
    """Asks by the words before an answer in its sentence; finds an answer likely behind the words it stands by."""

    def __init__(self, max_tokens: int = 8192) -> None:
        super().__init__(max_tokens)
        self.calls = 0

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        self.calls += 1
        return [Sampled(text, (), stopped=True) for text in (self.answer(text_of(each)) for each in prompts)]

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        found = []
        for row in rows:
            text = text_of(row.tokens.tolist())
            answer = text_of(row.tokens[row.weights > 0].tolist()).strip()
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
        if last.endswith("Question:"):
            dated = re.match(r"(.*) \d+ March \d{4}", _last(last, "Passage"))
            return f" When {' '.join(dated[1].split()[-8:])}?" if dated else " What is it?"
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


def _last(text: str, field: str) -> str:
    found: list[str] = re.findall(rf"^{field}: (.*)$", text, re.MULTILINE)
    return found[-1] if found else ""


class Scripted(Toy):
    """Answers every prompt by a function of its text."""

    def __init__(self, answer: Callable[[str], str], max_tokens: int = 8192) -> None:
        super().__init__(max_tokens)
        self.answer = answer
        self.calls = 0

    def sample(self, prompts: Sequence[Sequence[int]], how: Sampling) -> list[Sampled]:
        self.calls += 1
        return [Sampled(self.answer(text_of(each)), (), stopped=True) for each in prompts]


class Guessing(Toy):
    """Gives every row's answer the log-probability that a function of (what stands before, the answer) says, spread
    over its tokens."""

    def __init__(self, nats: Callable[[str, str], float], max_tokens: int = 8192) -> None:
        super().__init__(max_tokens)
        self.nats = nats
        self.calls = 0

    def score(self, rows: Sequence[Row]) -> list[Scored]:
        self.calls += 1
        found = []
        for row in rows:
            first = int(np.flatnonzero(row.weights)[0])
            said = text_of(row.tokens[row.weights > 0].tolist())
            whole = -self.nats(text_of(row.tokens[:first].tolist()), said)
            found.append(Scored(np.full(row.targets, whole / row.targets)))
        return found
