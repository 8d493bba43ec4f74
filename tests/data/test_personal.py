"""The list is written for this test: numbers are made up or published as examples, with right check digits."""

from collections import Counter
from itertools import pairwise

from affina.data.personal import Found, apart, personal

KINDS = ("url", "email", "iban", "card", "codice_fiscale", "partita_iva", "ip", "phone")
REGIONS = ("IT", "GB", "US")
HELD = [
    ("Scrivi a mario.rossi@example.com per informazioni.", "email", "mario.rossi@example.com"),
    ("Contatti: info+ordini@posta.azienda.it, grazie", "email", "info+ordini@posta.azienda.it"),
    ("mailto:anna_v@mail.example.co.uk?subject=x", "email", "anna_v@mail.example.co.uk"),
    ("(jörg@bücher.de)", "email", "jörg@bücher.de"),
    ("write to jane.doe [at] example [dot] org please", "email", "jane.doe [at] example [dot] org"),
    ("scrivi a luca (chiocciola) esempio.it", "email", "luca (chiocciola) esempio.it"),
    ("Chiamami al 333 123 4567 stasera", "phone", "333 123 4567"),
    ("cell. 3331234567", "phone", "3331234567"),
    ("il mio è 3479876543, a dopo", "phone", "3479876543"),
    ("Tel 06/12345678", "phone", "06/12345678"),
    ("+39 02 4567 8901 è il centralino", "phone", "+39 02 4567 8901"),
    ("0039 347 1234567", "phone", "0039 347 1234567"),
    ("numero verde 800 123 456", "phone", "800 123 456"),
    ("Ring me on 07911 123456 after six", "phone", "07911 123456"),
    ("text 07911123456 now", "phone", "07911123456"),
    ("Office: (202) 555-0143, ext closed", "phone", "(202) 555-0143"),
    ("call 1-800-555-0199 today", "phone", "1-800-555-0199"),
    ("WhatsApp +44 7911 123456", "phone", "+44 7911 123456"),
    ("Help line 08701234567. Bye", "phone", "08701234567"),
    ("U 447911123456 have a message", "phone", "447911123456"),
    ("rispondi a 393471234567", "phone", "393471234567"),
    ("Bonifico su IT60X0542811101000000123456 entro lunedì", "iban", "IT60X0542811101000000123456"),
    ("IBAN: IT60 X054 2811 1010 0000 0123 456 grazie", "iban", "IT60 X054 2811 1010 0000 0123 456"),
    ("pay to gb82 west 1234 5698 7654 32.", "iban", "gb82 west 1234 5698 7654 32"),
    ("DE89370400440532013000;", "iban", "DE89370400440532013000"),
    ("FR14 2004 1010 0505 0001 3M02 606 BIC", "iban", "FR14 2004 1010 0505 0001 3M02 606"),
    ("carta 4111 1111 1111 1111 scad. 12/27", "card", "4111 1111 1111 1111"),
    ("5555-5555-5555-4444", "card", "5555-5555-5555-4444"),
    ("amex 3782 822463 10005", "card", "3782 822463 10005"),
    ("my card is 6011111111111117 and was declined", "card", "6011111111111117"),
    ("CF RSSMRA85T10A562S", "codice_fiscale", "RSSMRA85T10A562S"),
    ("codice fiscale: vrd gpp 60a41 h501u", "codice_fiscale", "vrd gpp 60a41 h501u"),
    ("nata BNCLCU92C15F205P a Milano", "codice_fiscale", "BNCLCU92C15F205P"),
    ("P. IVA 07643520567", "partita_iva", "07643520567"),
    ("Partita IVA: IT00743110157", "partita_iva", "IT00743110157"),
    ("VAT no. IT 07643520567", "partita_iva", "IT 07643520567"),
    ("from 203.0.113.42 at noon", "ip", "203.0.113.42"),
    ("host 192.168.1.17:8080 down", "ip", "192.168.1.17"),
    ("addr 2001:db8:85a3::8a2e:370:7334 ok", "ip", "2001:db8:85a3::8a2e:370:7334"),
    ("https://api.example.com/v1?user=3&api_key=k9f2hh31", "url", "https://api.example.com/v1?user=3&api_key=k9f2hh31"),
    ("postgres://admin:hunter2@db.example.com/main", "url", "postgres://admin:hunter2@db.example.com/main"),
    (
        "apri (https://example.com/reset/q8Jd72LsPzX04vTn1KbWm5) subito",
        "url",
        "https://example.com/reset/q8Jd72LsPzX04vTn1KbWm5",
    ),
    ("https://x.org/cb#access_token=ya29.AbC123", "url", "https://x.org/cb#access_token=ya29.AbC123"),
]
FREE = [
    "grazie @mario_rossi e @anna per il supporto",
    "il file logo@2x.png e icon@3x.svg",
    "a@b, x@y e 5 pezzi @ 3 euro",
    "il 12/05/2021 alle 12:30, il 2021-05-12 e il 12.05.2021",
    "nel 2019 2020 2021 e dal 1998-2004",
    "ringrazia il 07.01.12, chiama il 07.01.12, telefono dal 12/05/2021",
    "totale 1.234.567,89 euro, cioè 1234567.89",
    "ordine 0612345678 del 3 marzo, fattura 3331234567",
    "order number 2025550143 was shipped",
    "il codice articolo 12345678901 e il lotto 00743110158",
    "pi è 3.14159265358979 e 0.4111111111111111",
    "la carta 4111 1111 1111 1112 non esiste, 1234567812345670 nemmeno",
    "0000 0000 0000 0000",
    "IMEI 356938035643809 del telefono rotto",
    "IT60X0542811101000000123457 ha le cifre sbagliate",
    "GB82 TEST 1234 5698 7654 32",
    "RSSMRA85T10A562T è sbagliato, ABCDEF12G34H567I pure",
    "versione 1.2.3.4 e v10.20.30.40, art. 1.2.3.4",
    "127.0.0.1 e 0.0.0.0 con 255.255.255.0, ma 300.1.2.3 no",
    "std::vector<int> e a::b alle 12:30:45",
    "https://www.example.com/notizie/2021/05/12/la-borsa-di-milano-chiude-in-rialzo-del-2",
    "https://example.com/search?q=how+to+reset+a+password&page=2",
    "https://it.wikipedia.org/wiki/Codice_fiscale#Generazione",
    "https://example.com/?ref=home&lang=it&v=2",
    "chiama il 112 o il 118, costa 50 60 70",
    "articoli 12, 13, 14, 15 e 16 della legge 190/2012",
    "punteggio 21-19 21-17, tempo 1:23:45.678",
    "coordinate 41.9027835 12.4963655",
    "ISBN 978-88-04-66823-7 e EAN 8001234567890",
    "UUID 123e4567-e89b-12d3-a456-426614174000",
    "+1 -1 +2 a 100.000 lire",
]


def found(text: str) -> list[Found]:
    return personal(text, KINDS, REGIONS)


def test_everything_on_the_list_is_found_whole_under_its_kind() -> None:
    missed = [
        (text, told, found(text))
        for text, kind, told in HELD
        if [(text[a:b], k) for a, b, k in found(text)] != [(told, kind)]
    ]
    assert missed == []


def test_what_only_looks_personal_is_left() -> None:
    wrong = [(text, [(text[a:b], kind) for a, b, kind in found(text)]) for text in FREE if found(text)]
    assert wrong == []


def test_many_kinds_in_one_text_never_touch() -> None:
    text = " ; ".join(text for text, _, _ in HELD)
    spans = found(text)
    assert all(one.stop <= two.start for one, two in pairwise(spans))
    wanted = Counter(kind for _, kind, _ in HELD)
    assert sum((wanted - Counter(each.kind for each in spans)).values()) <= 1


def test_a_number_right_by_chance_needs_a_word() -> None:
    assert found("il protocollo 07643520567 è chiuso") == []
    assert [each.kind for each in found("codice fiscale 07643520567")] == ["partita_iva"]


def test_what_was_claimed_first_is_kept() -> None:
    spans = [Found(3, 6, "url"), Found(0, 4, "email"), Found(6, 8, "ip"), Found(0, 3, "phone")]
    assert apart(spans) == [Found(0, 3, "phone"), Found(3, 6, "url"), Found(6, 8, "ip")]


def test_long_and_hostile_texts_take_no_time() -> None:
    for text in (
        "1" * 100_000,
        "a@" * 50_000,
        "1 " * 50_000,
        "IT60 " * 20_000,
        "::" * 50_000,
        "http://" * 20_000,
        "a." * 50_000,
    ):
        assert found(text) == []
