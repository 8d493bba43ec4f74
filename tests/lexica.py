"""Small lexica of a few words in the registries' own formats: what `Desk.fetch` gives tests that need no network."""

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from affina.core.kinds import Package

NOUNS: dict[str, dict[str, str | None]] = {
    "bambina": {"G": "F", "P": "bambine"}, "ragazzina": {"G": "F", "P": "ragazzine"},
    "libro": {"G": "M", "P": "libri"}, "volume": {"G": "M", "P": "volumi"}, "omaso": {"G": "M", "P": "omasi"},
    "studente": {"G": "M", "P": "studenti"}, "allievo": {"G": "M", "P": "allievi"},
    "scolaro": {"G": "M", "P": "scolari"}, "zona": {"G": "F", "P": "zone"}, "area": {"G": "F", "P": "aree"},
    "territorio": {"G": "M", "P": "territori"}, "porta": {"G": "F", "P": "porte"}, "uscio": {"G": "M", "P": "usci"},
    "braccio": {"G": "M", "P": "braccia"}, "arto": {"G": "M", "P": "arti"}, "clero": {"G": "M", "P": None},
    "preti": {"G": "M", "S": None, "P": "preti"}, "strada": {"G": "F", "P": "strade"},
}  # fmt: skip
ADJECTIVES = {
    "contento": {"MP": "contenti", "FS": "contenta", "FP": "contente"},
    "lieto": {"MP": "lieti", "FS": "lieta", "FP": "liete"},
    "felice": {"MP": "felici", "FS": "felice", "FP": "felici"},
    "ampio": {"MP": "ampi", "FS": "ampia", "FP": "ampie"},
    "vasto": {"MP": "vasti", "FS": "vasta", "FP": "vaste"},
    "piccolo": {"MP": "piccoli", "FS": "piccola", "FP": "piccole"},
}
VERBS = {
    "portare": {"ind": {"pres": {"S3": "porta"}}, "part": {"past": {"S": "portato", "SF": "portata"}}},
    "leggere": {"ind": {"pres": {"S3": "legge"}}, "ger": {"pres": "leggendo"}},
}
SENSES = {
    "n#1": ("bambina", "ragazzina"), "n#2": ("libro", "volume"), "n#3": ("libro", "omaso"),
    "n#4": ("studente", "allievo", "scolaro"), "n#5": ("zona", "area", "territorio"), "n#6": ("porta", "uscio"),
    "n#7": ("braccio", "arto"), "a#1": ("contento", "lieto", "felice"), "a#2": ("ampio", "vasto"),
    "r#1": ("chiaramente", "evidentemente", "certo"),
}  # fmt: skip
ENGLISH_SENSES = {"girl": "n#1", "book": "n#2", "omasum": "n#3", "student": "n#4", "area": "n#5", "door": "n#6"}
WORDNET = {
    "noun": "house n 4 0 4 1 01 05 06 02\nhome n 1 0 1 1 01\n"
    "edifice n 1 0 1 1 02\nadvice n 1 0 1 1 03\ncounsel n 1 0 1 1 03\n"
    "hour n 1 0 1 1 04\ntime_unit n 1 0 1 1 04\nspan n 1 0 1 1 04\n",
    "verb": "buy v 1 0 1 1 01\npurchase v 1 0 1 1 01\n",
    "adj": "old a 1 0 1 1 01\nancient a 1 0 1 1 01\n",
    "adv": "quickly r 1 0 1 1 01\nrapidly r 1 0 1 1 01\nquick r 1 0 1 1 01\n",
}
ENGLISH_FORMS = """\
house,noun,houses
home,noun,homes
edifice,noun,edifices
advice,noun,advices/advice
counsel,noun,counsels
hour,noun,hours
span,noun,spans
buy,verb,bought,bought,buying,buys
purchase,verb,purchased,,purchasing,purchases
old,adj,older,oldest
ancient,adj,,
quickly,adv,,
rapidly,adv,,
quick,adv,,
Rome,noun,Romes
"""
THESAURUS = "UTF-8\nlibro|1\n(s.m.)|elenco|volume\nallievo|1\n(s.m.)|scolaro|studente (voce)\n"


def folder(place: Path) -> Callable[[Package], Path]:
    """Writes all of it below a place; returns what stands for `Desk.fetch`."""
    place.mkdir(parents=True, exist_ok=True)
    rows = [
        f'INSERT INTO italian_lemma VALUES ("{id}","{id[0]}","{word}","N");'
        for id, held in SENSES.items()
        for word in held
    ]
    rows.append('INSERT INTO italian_lemma VALUES ("n#1","n","piccola_donna","Y");')
    _write(place / "italian_lemma.sql", "CREATE TABLE italian_lemma (id);\n" + "\n".join(rows) + "\n")
    index = [
        f'INSERT INTO english_index VALUES ("{word}","{id}",NULL,NULL,NULL);' for word, id in ENGLISH_SENSES.items()
    ]
    _write(place / "english_index.sql", "\n".join(index) + "\n")
    for name, tables in (("words", NOUNS), ("adjectives", ADJECTIVES), ("verbs", VERBS)):
        _write(place / f"{name}.json", json.dumps(tables))
    for kind, lines in WORDNET.items():
        _write(place / f"index.{kind}", f"  1 a licence\n{lines}")
    (place / "infl_lu.csv.gz").write_bytes(gzip.compress(ENGLISH_FORMS.encode()))
    italian = [
        *NOUNS,
        *ADJECTIVES,
        *(str(each["P"]) for each in NOUNS.values()),
        "chiaramente",
        "evidentemente",
        "certo",
    ]
    italian += [form for each in ADJECTIVES.values() for form in each.values()]
    english = [*ENGLISH_SENSES, *(word for line in ENGLISH_FORMS.splitlines() for word in _forms(line)), "rapidly"]
    rare = {"omaso", "omasi", "omasum"}
    for name, words in (("small_it", italian), ("small_en", english)):
        (place / f"{name}.msgpack.gz").write_bytes(_frequencies({word: 300 for word in words if word not in rare}))
    _write(place / "th_it_IT_v2.dat", THESAURUS)
    return lambda package: place


def _forms(line: str) -> list[str]:
    return [word for column in line.split(",") for word in column.split("/") if word]


def _frequencies(places: Mapping[str, int]) -> bytes:
    """wordfreq's "cB": a header, then at place i the words whose frequency is 10 to the -i/100."""
    entries: list[Any] = [[] for _ in range(max(places.values()) + 1)]
    for word, place in places.items():
        entries[place].append(word)
    return gzip.compress(packed([{"format": "cB", "version": 1}, *entries]))


def packed(value: Any) -> bytes:
    """MessagePack, as its specification writes it, of what such lists hold."""
    if isinstance(value, dict):
        flat = b"".join(packed(each) for pair in value.items() for each in pair)
        return bytes([0x80 | len(value)]) + flat
    if isinstance(value, list):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdc" + len(value).to_bytes(2)
        return head + b"".join(map(packed, value))
    if isinstance(value, int):
        return bytes([value])
    text = str(value).encode()
    return (bytes([0xA0 | len(text)]) if len(text) < 32 else b"\xd9" + bytes([len(text)])) + text


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
