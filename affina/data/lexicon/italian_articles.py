"""Italian words that change with the sound that follows them and agree with the noun: articles, joined prepositions,
*quello*, *bello*, *buono*, *nessuno* … (Serianni, *Grammatica italiana*, IV.1–10; V.65–72).
"""

from collections import defaultdict
from typing import Literal, NamedTuple

Sound = Literal["plain", "impure", "vowel", "unknown"]
_IMPURE = ("gn", "pn", "ps", "pt", "sc", "x", "z", "y")
_VOWELS = "aeiouàèéìòùáíóú"


class Agreement(NamedTuple):
    """Gender (`m`, `f`) and number (`s`, `p`)."""

    gender: str
    number: str


MS, FS, MP, FP = Agreement("m", "s"), Agreement("f", "s"), Agreement("m", "p"), Agreement("f", "p")
ALL = (MS, FS, MP, FP)


def sound(word: str) -> Sound:
    """How a word begins: with a vowel, with what asks for *lo* and *uno*, or plainly. Unknown where usage wavers:
    before a gliding i (*lo iato*, *l'iato*), foreign w and j, and letters of other languages."""
    first, second = word[:1].lower(), word[1:2].lower()
    if first == "h":
        return "vowel" if second in _VOWELS and second else "unknown"
    if first in _VOWELS and first:
        return "unknown" if first == "i" and second in _VOWELS and second else "vowel"
    if not ("a" <= first <= "z") or first in "wjkxy":
        return "unknown"
    if word.lower().startswith(_IMPURE) or (first == "s" and second not in _VOWELS):
        return "impure"
    return "plain"


def _forms(ms: str, fs: str, mp: str, fp: str) -> dict[Agreement, tuple[str, ...]]:
    """Each written `plain impure vowel`, or once for all sounds."""
    return {
        each: tuple(said.split()) * (3 // len(said.split())) for each, said in zip(ALL, (ms, fs, mp, fp), strict=True)
    }


def _joined(stem: str) -> dict[Agreement, tuple[str, ...]]:
    """A preposition with its article: *del dello dell' della dei degli delle*."""
    return _forms(
        f"{stem}l {stem}llo {stem}ll'", f"{stem}lla {stem}lla {stem}ll'", f"{stem}i {stem}gli {stem}gli", f"{stem}lle"
    )


def _whole(stem: str, short: str) -> dict[Agreement, tuple[str, ...]]:
    """*nessuno*: as *uno*, without a plural."""
    return {MS: (short, f"{stem}o", short), FS: (f"{stem}a", f"{stem}a", f"{stem}a")}


FAMILIES: dict[str, dict[Agreement, tuple[str, ...]]] = {
    "il": _forms("il lo l'", "la la l'", "i gli gli", "le"),
    "del": _joined("de"),
    "al": _joined("a"),
    "dal": _joined("da"),
    "nel": _joined("ne"),
    "sul": _joined("su"),
    "un": {MS: ("un", "uno", "un"), FS: ("una", "una", "un'")},
    "quel": _forms("quel quello quell'", "quella quella quell'", "quei quegli quegli", "quelle"),
    "questo": _forms("questo", "questa", "questi", "queste"),
    "bel": _forms("bel bello bell'", "bella", "bei begli begli", "belle"),
    "buon": _forms("buon buono buon", "buona", "buoni", "buone"),
    "grande": _forms("grande", "grande", "grandi", "grandi"),
    "nessun": _whole("nessun", "nessun"),
    "alcun": _whole("alcun", "alcun") | {MP: ("alcuni",) * 3, FP: ("alcune",) * 3},
    "ciascun": _whole("ciascun", "ciascun"),
    "ogni": {MS: ("ogni",) * 3, FS: ("ogni",) * 3},
    "qualche": {MS: ("qualche",) * 3, FS: ("qualche",) * 3},
    "mio": _forms("mio", "mia", "miei", "mie"),
    "tuo": _forms("tuo", "tua", "tuoi", "tue"),
    "suo": _forms("suo", "sua", "suoi", "sue"),
    "nostro": _forms("nostro", "nostra", "nostri", "nostre"),
    "vostro": _forms("vostro", "vostra", "vostri", "vostre"),
    "loro": _forms("loro", "loro", "loro", "loro"),
    "altro": _forms("altro", "altra", "altri", "altre"),
    "stesso": _forms("stesso", "stessa", "stessi", "stesse"),
    "medesimo": _forms("medesimo", "medesima", "medesimi", "medesime"),
    "primo": _forms("primo", "prima", "primi", "prime"),
}
VARIANTS = {"quest'": ("questo", (MS, FS)), "nessun'": ("nessun", (FS,)), "gran": ("grande", (MS, FS, MP, FP))}
"""Further spellings, read but not written: what stands for them is the full form, which is always right."""
INNER = (
    "bel",
    "buon",
    "grande",
    "mio",
    "tuo",
    "suo",
    "nostro",
    "vostro",
    "loro",
    "altro",
    "stesso",
    "medesimo",
    "primo",
)
"""What stands between an article and its noun."""
PRONOUNS = frozenset(
    {"lo", "la", "l'", "le", "gli", "questo", "questa", "questi", "queste", "quello", "quella", "quelle", "quegli"}
    | {
        "una",
        "uno",
        "nessuno",
        "nessuna",
        "ciascuno",
        "ciascuna",
        "alcuni",
        "alcune",
        "altro",
        "altra",
        "altri",
        "altre",
    }
)
"""Articles that can also be pronouns, after which a verb may stand."""


def _index() -> dict[str, list[tuple[str, Agreement]]]:
    found: dict[str, list[tuple[str, Agreement]]] = defaultdict(list)
    for family, forms in FAMILIES.items():
        for agreement, said in forms.items():
            for form in dict.fromkeys(said):
                found[form].append((family, agreement))
    for form, (family, agreements) in VARIANTS.items():
        found[form] += [(family, each) for each in agreements]
    return dict(found)


READINGS = _index()
"""form → what it can be."""


def said(family: str, agreement: Agreement, next_word: str) -> str | None:
    """The word of a family before the next word; None where it has none, or usage wavers."""
    forms, heard = FAMILIES[family].get(agreement), sound(next_word)
    if forms is None or (heard == "unknown" and len(set(forms)) > 1):
        return None
    return forms[("plain", "impure", "vowel").index(heard)] if heard != "unknown" else forms[0]
