"""ROUGE-Lsum: how much of a summary stands, sentence by sentence and in order, in the right one nearest to it."""

from collections import Counter
from collections.abc import Sequence

from affina.data.chunks import sentences
from affina.data.likeness import dice, words
from affina.evaluation.metrics.rouge_l import RougeL


class RougeLsum(RougeL):
    """Mean F1 of the words of every right sentence that stand in order in some sentence of what is said, no word
    counted oftener than it is said (Lin, 2004, section 3.2: union of longest common subsequences); the best over the
    right texts.

    The sentences are a text's lines, where it has several. In lower case without stemming.
    """

    def f1(self, said: str, right: str) -> float:
        """Of one text."""
        ours, theirs = _sentences(said), _sentences(right)
        left, shared = Counter(word for each in ours for word in each), 0
        for sentence in theirs:
            met = {place for each in ours for place in _common(sentence, each)}
            for place in sorted(met):
                if left[sentence[place]]:
                    left[sentence[place]] -= 1
                    shared += 1
        return dice(shared, sum(map(len, ours)), sum(map(len, theirs)))


def _sentences(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    parts = lines if len(lines) > 1 else [text[start:stop] for start, stop in sentences(text)]
    return [words(part) for part in parts]


def _common(right: Sequence[str], said: Sequence[str]) -> list[int]:
    """The places in `right` of a longest common subsequence; of several the one that stands latest in `right`."""
    longest = [[0] * (len(said) + 1)]
    for word in right:
        above, row = longest[-1], [0]
        for at, other in enumerate(said):
            row.append(above[at] + 1 if word == other else max(above[at + 1], row[at]))
        longest.append(row)
    i, j, places = len(right), len(said), list[int]()
    while i and j:
        if right[i - 1] == said[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif longest[i][j - 1] > longest[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places
