import codecs

import pytest
from shared_data import shared

from affina.data.charsets import likeliest
from affina.data.encoding import detect
from affina.data.letters import SCRIPTS


@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        ("perché no, città e virtù: così è più su", ("cp1252", "mac_roman", "cp850")),
        ("È vero, PERCHÉ NO", ("cp1252",)),
        ("costa 3 € l’uno", ("cp1252",)),
        ("½ of £5 – 50 °C", ("cp1252",)),
        ("le cœur, l'été à côté de la forêt où ça naît", ("cp1252", "iso8859_15", "mac_roman")),
        ("žluťoučký kůň úpěl", ("cp1250", "iso8859_2", "cp852", "mac_latin2")),
        ("zażółć gęślą jaźń", ("cp1250", "iso8859_2", "cp852")),
        ("çok güzel şey değil", ("cp1254", "mac_turkish", "cp857")),
        ("ačiū, labai gražu šiąnakt", ("cp1257", "iso8859_13", "cp775")),
        (
            "Привет, мир! Это обычный русский текст.",
            ("cp1251", "koi8_r", "iso8859_5", "mac_cyrillic", "cp866", "cp855"),
        ),
        ("καλημέρα, κόσμε", ("cp1253", "iso8859_7", "mac_greek", "cp737")),
        ("שלום עולם, זה טקסט רגיל בעברית", ("cp1255", "iso8859_8", "cp862")),
        ("مرحبا بالعالم", ("cp1256", "iso8859_6")),
        ("สวัสดีชาวโลก ยินดีต้อนรับ นี่คือข้อความภาษาไทยธรรมดา", ("cp874",)),
        ("日本語のテキストです。", ("shift_jis", "euc_jp")),
        ("我们都是中国人，你好。", ("gb2312", "gb18030")),
        ("這是我們的中文。", ("big5",)),
        ("안녕하세요, 세계입니다", ("euc_kr", "johab")),
    ],
)
def test_a_few_words_tell_the_encoding(text: str, encodings: tuple[str, ...]) -> None:
    for encoding in encodings:
        written = text.encode(encoding)
        assert written.decode(likeliest(written)[0]) == text, encoding


def test_every_encoding_is_one_that_python_knows() -> None:
    assert all(known(name) for script in SCRIPTS for name in script.encodings)


def test_a_character_that_the_sample_cuts_is_no_fault() -> None:
    written = "日本語のテキストです。".encode("euc_jp")
    assert likeliest(written[:-1], cut=True)[0] == "euc_jp"
    assert "euc_jp" not in likeliest(written[:-1])


@pytest.mark.slow
def test_real_files_are_read_as_in_the_encoding_that_they_are_known_to_have() -> None:
    """The folder that a file of the collection came from is its encoding and language, such as
    windows-1251-bulgarian. Of eight files the text is another: one is EUC-TW, which Python cannot read, and
    seven hold characters that the named encoding lacks, so that a larger one of its family is found."""
    right, wrong = 0, []
    for path in sorted(shared("data", "chardet_encodings_a").glob("*__*")):
        parts = path.name.partition("__")[0].replace("Mac", "mac-").split("-")
        written = path.read_bytes()
        name = next((name for n in (3, 2, 1) if (name := "-".join(parts[:n])) and known(name)), None)
        if name and written.decode(detect(path).name) == written.decode(name, errors="replace"):
            right += 1
        else:
            wrong.append(path.name)
    assert (right, len(wrong)) == (163, 8), wrong


def known(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True
