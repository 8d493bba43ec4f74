"""Whether a question is worth keeping for a given answer: what is wrong with its wording, in a phrase."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from affina.data.likeness import longest_common, longest_run, words

STEM = 4
"""Letters by which two words count as the same."""
FUNCTION: dict[str, frozenset[str]] = {
    "en": frozenset(
        words(
            """the a an of to in and or for on at by with from as is are was were be been being it its this that these
            those what which who whom whose when where how why much many long do does did has have had will would shall
            should may can must not no than then there their they he she his her you your we our any all each if under
            into within upon after before during between about also such other"""
        )
    ),
    "it": frozenset(
        words(
            """il lo la i gli le un uno una di a da in con su per tra fra del dello della dei degli delle al allo alla
            ai agli alle dal dallo dalla dai dagli dalle nel nello nella nei negli nelle sul sullo sulla sui sugli sulle
            e o ed che chi cosa quale quali qual quando dove quanto quanta quanti quante come perché è sono era erano
            essere ha hanno ho aveva non più si ci vi ne se anche questo questa questi queste quello quella loro suo sua
            l d dell all dall nell sull un c s cui deve devono può possono viene vengono stato stata entro"""
        )
    ),
}
"""Words that say nothing of what a text is about; they tell the language too."""
WHAT, HOW_MUCH = ("what", "which", "quale", "quali", "qual", "che", "cosa"), ("how much", "quanto", "quanta")
HOW_MANY, WHEN = ("how many", "quanti", "quante"), ("when", "quando")
WHO = ("who", "whom", "whose", "chi")
ASKING = frozenset(
    each.partition(" ")[0] for each in (*WHAT, *WHO, *WHEN, *HOW_MUCH, *HOW_MANY, "where", "dove", "dov", "come", "cos")
)
"""Words a question is asked by. Why and whether ask for no passage of the kinds that rules find."""
FIRST = 4
"""Words from the beginning among which the asking word stands: "Within how many days …"."""
FITTING: dict[str, tuple[str, ...]] = {
    "amount": (*HOW_MUCH, *HOW_MANY, *WHAT),
    "percent": (*HOW_MUCH, *HOW_MANY, *WHAT),
    "date": (*WHEN, *WHAT),
    "year": (*WHEN, *WHAT),
    "duration": ("how long", "how soon", "how often", *HOW_MUCH, *HOW_MANY, *WHAT),
    "law": ("where", *WHAT),
    "term": ("how is", "how are", "come", *WHO, *WHAT),
    "name": ("where", "dove", *WHO, *WHAT),
    "party": WHO,
}
"""How each kind of answer can be asked for."""
OPENINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "amount": ("How much", "What amount"), "percent": ("What percentage", "How much"),
        "date": ("When", "On what date"), "year": ("In what year", "When"),
        "duration": ("How long", "Within how many"), "law": ("Which", "Under which"),
        "term": ("What is", "Which"), "name": ("Who", "Which", "What"), "party": ("Who",),
    },
    "it": {
        "amount": ("Quanto", "Quale importo"), "percent": ("Quale percentuale", "Quanto"),
        "date": ("Quando", "Entro quando"), "year": ("In quale anno", "Quando"),
        "duration": ("Per quanto tempo", "Entro quanto tempo"), "law": ("Quale", "In base a quale"),
        "term": ("Come", "Quale"), "name": ("Chi", "Quale", "Che cosa"), "party": ("Chi",),
    },
}  # fmt: skip
"""How a question for each kind of answer may begin: small models ask for the right kind when they are begun for."""
_BEGUN = {word[:STEM] for kinds in OPENINGS.values() for each in kinds.values() for word in words(" ".join(each))}
_SPOKEN_OF = re.compile(
    r"\b(?:passage|paragraph|text|above|excerpt|answer|question|sentence|brano|testo|paragrafo|risposta|domanda|frase)\b",
    re.IGNORECASE,
)
FEWEST, FEWEST_TELLING = 5, 2
"""Words and telling words of a question, at least."""
OWN = 0.65
"""Share of a question's words that must stand in the answer's sentence, in their order: what else there is, a model
made up."""


def language(text: str) -> str:
    """en or it, whichever has more of its function words in the text; empty where neither has any."""
    said = words(text)
    counts = {name: sum(word in known for word in said) for name, known in FUNCTION.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else ""


def telling(text: str) -> list[str]:
    """The words that say what a text is about, each by its first letters."""
    return [word[:STEM] for word in words(text) if not any(word in known for known in FUNCTION.values())]


def flaw(question: str, answer: str, kind: str, sentence: str, tongue: str) -> str:
    """What is wrong with a question whose answer is a stretch of the sentence, of a kind that `spans` names ("" for one
    that a model chose); empty where nothing is."""
    said = words(question)
    if not question.endswith("?") or question.count("?") > 1:
        return "it is not one question"
    if len(said) < FEWEST or len(telling(question)) < FEWEST_TELLING:
        return "it is too short to ask for anything"
    if language(question) != tongue:
        return "it is not in the passage's language"
    asking = [place for place, word in enumerate(said[:FIRST]) if word in ASKING]
    if not asking:
        return "it does not ask for a passage: no asking word"
    if kind and not _fits(said[asking[0] :], kind):
        return "it asks for another kind of answer"
    if _SPOKEN_OF.search(question) and not _SPOKEN_OF.search(sentence):
        return "it speaks of the passage, not of what the passage says"
    if _tells(said, words(answer)):
        return "it gives the answer away"
    if longest_run(said, words(sentence)) == len(said):
        return "it is copied from the passage"
    return ""


def invents(question: str, sentence: str) -> bool:
    """Whether a question tells what the sentence does not: a telling word of its own, or the words in another order."""
    said = words(question)
    asking = next((place for place, word in enumerate(said[:FIRST]) if word in ASKING), 0)
    asked, told = ([word[:STEM] for word in each] for each in (said[asking + 1 :], words(sentence)))
    return not set(telling(question)) <= {*told, *_BEGUN} or longest_common(asked, told) < OWN * len(asked)


def strays(question: str, sentence: str, others: Iterable[str]) -> bool:
    """Whether another sentence of the passage has more of a question's telling words than its answer's sentence."""
    about = set(telling(question))
    shares = [len(about & set(telling(each))) for each in (sentence, *others)]
    return max(shares[1:], default=0) > shares[0]


def _fits(asked: Sequence[str], kind: str) -> bool:
    start = " ".join(asked[:3])
    return any(start == each or start.startswith(f"{each} ") for each in FITTING[kind])


def _tells(question: Sequence[str], answer: Sequence[str]) -> bool:
    """Whether the answer, or most of its telling words, stands in the question."""
    own = [word for word in answer if len(word) > 2 and not any(word in known for known in FUNCTION.values())]
    return longest_run(question, answer) == len(answer) or sum(word in question for word in own) * 2 > len(own)
