"""Words with a tag each, put to a head that looks at every word's first token."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from affina.core.answers import Answers, Floats
from affina.core.example import Tagged as TaggedWords
from affina.core.kinds import Asked, Asker, Model
from affina.evaluation.asking import known, scored

OUTSIDE = "O"


class Tagged(Asker):
    """The likeliest tag of every word. A word beyond the longest row is never seen: it is given O, and counts as many
    nats as a guess among all tags. Without a model every word is given its commonest tag of the training split."""

    asks: ClassVar = TaggedWords
    gives: ClassVar = frozenset({"nats", "tags"})
    why: ClassVar[str] = "tagged words give tags"
    usual: ClassVar = ("entity_f1", "tag_accuracy", "loss")
    without: ClassVar[str] = "each word's commonest tag in the training rows"

    def answers(self, model: Model, examples: Sequence[TaggedWords], asked: Asked) -> Answers:
        """Raises Refused, naming the example, when one of its tags is none of the known ones."""
        logs = []
        for _, each in scored(model, examples, asked):
            assert each.places_SL is not None, "tagged words need a model with a head of tags"
            largest_S1 = each.places_SL.max(axis=1, keepdims=True)
            sums_S1 = np.exp(each.places_SL - largest_S1).sum(axis=1, keepdims=True)
            logs.append(each.places_SL - largest_S1 - np.log(sums_S1))
        return _columns(examples, logs)

    def trivial(self, train: Sequence[TaggedWords], test: Sequence[TaggedWords]) -> Answers:
        """The unigram tagger: p(tag | word) by counts, with one more word tagged as all words are; O where unseen."""
        labels = test[0].labels
        place = {label: number for number, label in enumerate(labels)}
        of_word: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for each in train:
            for word, tag in zip(each.words, each.tags, strict=True):
                of_word[word][place[tag]] += 1
        counts = {word: np.bincount([*tags.elements()], minlength=len(labels)) for word, tags in of_word.items()}
        all_L = np.sum([*counts.values()], axis=0) + 1.0 if counts else np.ones(len(labels))
        share_L = all_L / all_L.sum()
        chances = {word: (count_L + share_L) / (count_L.sum() + 1) for word, count_L in counts.items()}
        logs = [np.log([chances.get(word, share_L) for word in each.words]) for each in test]
        unseen = OUTSIDE if OUTSIDE in labels else labels[int(all_L.argmax())]
        said = [
            tuple(labels[int(chances[word].argmax())] if word in chances else unseen for word in each.words)
            for each in test
        ]
        return _columns(test, logs, said)


def _columns(
    examples: Sequence[TaggedWords], logs: Sequence[Floats], said: Sequence[tuple[str, ...]] | None = None
) -> Answers:
    """From log-probabilities [words, L], or of the first words only; `said` where it is not the likeliest tags."""
    labels = examples[0].labels
    nats, guessed = [], []
    for number, (example, logs_SL) in enumerate(zip(examples, logs, strict=True)):
        for tag in example.tags:
            known(tag, labels, example.id)
        seen, missed = len(logs_SL), len(example.words) - len(logs_SL)
        right_S = [labels.index(tag) for tag in example.tags[:seen]]
        nats.append(-logs_SL[np.arange(seen), right_S].sum() + missed * np.log(len(labels)))
        likeliest = tuple(labels[best] for best in logs_SL.argmax(axis=1)) + (OUTSIDE,) * missed
        guessed.append(said[number] if said else likeliest)
    return Answers(
        ids=tuple(example.id for example in examples),
        nats_N=np.array(nats, dtype=np.float64),
        tokens_N=np.array([len(example.words) for example in examples], dtype=np.float64),
        labels=labels,
        tags=tuple(example.tags for example in examples),
        guessed=tuple(guessed),
    )
