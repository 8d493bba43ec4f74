"""How characters go wrong: keys beside one another on a keyboard, and shapes that scanners take for others."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

Layout = Literal["it", "en"]
_ROWS: Mapping[Layout, Sequence[tuple[float, str]]] = {
    "it": ((0.0, "1234567890'ì"), (0.5, "qwertyuiopè+"), (0.75, "asdfghjklòàù"), (1.25, "zxcvbnm,.-")),
    "en": ((0.0, "1234567890-="), (0.5, "qwertyuiop[]"), (0.75, "asdfghjkl;'"), (1.25, "zxcvbnm,./")),
}
"""Each row and how far it is shifted to the right, in keys (ISO/IEC 9995; CEI and US layouts)."""
_NEAR = 1.26
"""Two keys are neighbours up to this distance between their middles, in keys."""
CONFUSIONS: Mapping[str, tuple[str, ...]] = {
    "rn": ("m",), "m": ("rn",), "cl": ("d",), "d": ("cl",), "vv": ("w",), "w": ("vv",), "li": ("h",), "nn": ("rm",),
    "l": ("1", "I", "i"), "I": ("l", "1"), "1": ("l", "I"), "i": ("l", "j"), "O": ("0", "Q"), "0": ("O",), "o": ("c",),
    "e": ("c",), "c": ("e",), "h": ("b",), "b": ("h",), "n": ("u",), "u": ("n",), "S": ("5",), "5": ("S",), "B": ("8",),
    "8": ("B",), "Z": ("2",), "2": ("Z",), "t": ("f",), "f": ("t",), "g": ("q",), "q": ("g",), "a": ("o",), "s": ("5",),
    "à": ("a", "á"), "è": ("e", "é"), "é": ("e", "è"), "ì": ("i", "í"), "ò": ("o", "ó"), "ù": ("u", "ú"), "E": ("F",),
}  # fmt: skip
"""What optical recognition takes for what: characters of like shape, joined and split strokes, lost accents (the kinds
of error of Kukich, 1992, *Techniques for automatically correcting words in text*)."""


@cache
def neighbours(layout: Layout) -> Mapping[str, str]:
    """Each key's character and those of the keys around it."""
    keys = {
        character: (shift + place, row)
        for row, (shift, characters) in enumerate(_ROWS[layout])
        for place, character in enumerate(characters)
    }
    return {
        key: "".join(
            other for other, (x, y) in keys.items() if other != key and (x - at[0]) ** 2 + (y - at[1]) ** 2 <= _NEAR**2
        )
        for key, at in keys.items()
    }
