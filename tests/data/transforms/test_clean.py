import pytest
from shared_data import shared

from affina.core.example import Chat, Example, Labelled, Message, Question, Tagged, Text
from affina.core.kinds import Desk, transforms
from affina.data.ledger import Ledger

START = "*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***"
END = "*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***"


def cleaned(examples: list[Example], **fields: object) -> tuple[list[Example], Desk]:
    ledger = Ledger()
    for each in examples:
        ledger.read("a", each.id)
    desk = Desk(ledger)
    left = list(transforms.build({"name": "clean", **fields}).apply(examples, desk))
    ledger.use("all", left)
    ledger.reconcile()
    return left, desk


def clean(text: str, **fields: object) -> str:
    left, _ = cleaned([Labelled(id="a:1", text=text, label="x")], **fields)
    return left[0].given if left else ""


@pytest.mark.parametrize(
    ("spoilt", "meant"),
    [
        ("perchÃ© no? Ã¨ cosÃ¬, Ã  Roma", "perché no? è così, à Roma"),
        ("MÃ¼nchen: 5 â‚¬", "München: 5 €"),
        ("lâ€™Ã¢me", "l’âme"),
        ("cittÃ\xa0 vecchia", "città vecchia"),
    ],
)
def test_letters_decoded_with_the_wrong_table_are_mended(spoilt: str, meant: str) -> None:
    assert clean(spoilt) == meant
    assert clean(spoilt, mojibake=False, spaces="keep") == spoilt


@pytest.mark.parametrize(
    "text",
    [
        "“curly” ‘quotes’ … and — dashes",
        "a ﬁne ligature, １２ wide, ½, e\u0301 in two parts, &amp; as an entity, &lt;b&gt;",
        "citta' perche' e' cosi'",
        "def f():\n    return 1\n\n    # two  spaces",
        "👩\u200d💻 and 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f and ❤\ufe0f",
        "نامه\u200cای \u200fעברית",
        "ÃO, VITÓRIA; Ã",
        "x\ty",
    ],
)
def test_what_is_no_damage_stays(text: str) -> None:
    left, desk = cleaned([Labelled(id="a:1", text=text, label="x")])
    assert left[0].given == text and desk.notes == ["clean: 0 of 1 examples changed"]


@pytest.mark.parametrize(
    ("spoilt", "left"),
    [
        ("zero\u200bwidth so\u00adft \ufeffmark", "zerowidth soft mark"),
        ("joi\u200dned \u200eleft \u202edrawkcab\u202c", "joined left drawkcab"),
        ("bell\x07 null\x00 colour \x1b[31mred\x1b[0m", "bell null colour red"),
        ("ignore\U000e0041\U000e0042 this", "ignore this"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("  one\u00a0space \u3000 \n\n\n\n\nend\t\n", "  one space\n\nend"),
    ],
)
def test_what_nobody_sees_is_taken_out(spoilt: str, left: str) -> None:
    assert clean(spoilt) == left


def test_runs_of_spaces_become_one_when_asked_but_not_at_the_start_of_a_line() -> None:
    assert clean("a   b\n    c  d", spaces="single") == "a b\n    c d"
    assert clean(" a   b ", spaces="keep") == " a   b "


def test_a_note_counts_each_kind_of_change() -> None:
    _, desk = cleaned(
        [Text(id="a:1", text="perchÃ© \u200b no"), Text(id="a:2", text="x\x07"), Text(id="a:3", text="y")]
    )
    assert desk.notes == [
        "clean: 2 of 3 examples changed (control characters in 1, invisible characters in 1, mojibake in 1)"
    ]


def test_what_is_empty_afterwards_is_dropped() -> None:
    left, desk = cleaned([Text(id="a:1", text="\u200b\x07"), Text(id="a:2", text="x")])
    assert [each.id for each in left] == ["a:2"]
    assert desk.books.summary()["dropped"]["reasons"] == {"nothing is left after cleaning": 1}  # type: ignore[attr-defined]


def test_an_empty_turn_that_was_empty_before_is_no_loss() -> None:
    chat = Chat(id="a:1", messages=(Message("user", "x"), Message("assistant", "", {"tool_calls": []})))
    assert cleaned([chat])[0] == [chat]


def test_words_keep_their_tags() -> None:
    sentence = Tagged(
        id="a:1", words=("\u200b", "Mila\u00adno", "perchÃ©", "x"), tags=("B-LOC", "I-LOC", "O", "O"), labels=("O",)
    )
    (left,) = cleaned([sentence])[0]
    assert isinstance(left, Tagged)
    assert (left.words, left.tags) == (("Milano", "perché", "x"), ("B-LOC", "O", "O"))


def test_answers_stand_where_they_say() -> None:
    context = "La cittÃ\xa0 Ã¨ \u200bbella,\r\nperchÃ© sÃ¬."
    answers = tuple((text, context.index(text)) for text in ("cittÃ\xa0", "perchÃ© sÃ¬", "bella"))
    (left,) = cleaned([Question(id="a:1", question="ComÂ’Ã¨?", context=context, answers=answers)])[0]
    assert isinstance(left, Question)
    assert left.context == "La città è bella,\nperché sì."
    assert [text for text, _ in left.answers] == ["città", "perché sì", "bella"]
    assert all(left.context[start:].startswith(text) for text, start in left.answers)


def test_a_book_is_what_stands_between_the_marks() -> None:
    credits = "Produced by A. Typist, proofreaders\nat pgdp"
    closing = "End of the Project Gutenberg EBook of A Tale"
    book = "\n\n".join(["The Project Gutenberg EBook of A Tale", START, credits, "Once.", closing, END, "licence"])
    assert [each.given for each in cleaned([Text(id="a:1", text=book)])[0]] == ["Once."]
    parts: list[Example] = [Text(id=f"a:{n}", text=part) for n, part in enumerate(book.split("\n\n"))]
    left, desk = cleaned([*parts, Text(id="b:1", text="another file")])
    assert [each.given for each in left] == ["Once.", "another file"]
    assert desk.books.summary()["dropped"]["reasons"] == {"header or licence of Project Gutenberg": 6}  # type: ignore[attr-defined]
    assert len(cleaned(parts, gutenberg=False)[0]) == len(parts)


def test_many_books_in_one_file_each_have_their_own_marks() -> None:
    books: list[Example] = [Text(id=f"a:{n}", text=f"head\n{START}\nbook {n}\n{END}\nlicence") for n in range(3)]
    assert [each.given for each in cleaned(books)[0]] == ["book 0", "book 1", "book 2"]


def test_a_text_about_gutenberg_is_no_boilerplate() -> None:
    text = "Project Gutenberg began in 1971.\nEnd of the chapter."
    assert clean(text) == text
    assert cleaned([Text(id="a:1", text=text)])[0][0].given == text


def test_lines_that_many_documents_repeat_are_taken_out() -> None:
    documents: list[Example] = [
        Text(
            id=f"a:{n}",
            text=f"Home | About | Contact\nStory {n} is told.\n{'We use cookies.' if n % 3 else 'Bye.'}\n2026",
        )
        for n in range(30)
    ]
    left, desk = cleaned(documents)
    assert [each.given for each in left[:3]] == [
        "Story 0 is told.\n2026",
        "Story 1 is told.\n2026",
        "Story 2 is told.\n2026",
    ]
    assert desk.notes == ["clean: 30 of 30 examples changed (repeated lines in 30)"]
    assert [each.given for each in cleaned(documents[:9])[0]] == [each.given for each in documents[:9]]
    assert cleaned(documents, repeated=1)[0] == documents


def test_a_real_novel_loses_its_licence_and_nothing_else() -> None:
    text = shared("data", "promessi_sposi", "promessi_sposi.txt").read_text(encoding="utf-8")
    (left,) = cleaned([Text(id="a:1", text=text)])[0]
    assert "utenberg" not in left.given and left.given.startswith("NOTE DEL TRASCRITTORE")
    assert left.given.endswith("=Ulrico Hoepli=--=Milano.=")
    inside = text[text.index("NOTE DEL TRASCRITTORE") : text.index("End of the Project Gutenberg EBook of I promessi")]
    assert left.given.split() == inside.split()


def test_real_messages_in_windows_letters_are_left_as_they_are() -> None:
    lines = shared("data", "sms_spam", "sms.tsv").read_text(encoding="utf-8").splitlines()
    left, _ = cleaned([Labelled(id=f"a:{n}", text=line, label="x") for n, line in enumerate(lines)], spaces="keep")
    changed = [(line, each.given) for line, each in zip(lines, left, strict=True) if line != each.given]
    assert len(changed) < 0.01 * len(lines)
    assert all(not after.isascii() or not before.isascii() for before, after in changed)
