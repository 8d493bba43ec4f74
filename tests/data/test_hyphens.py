import pytest

from affina.data.hyphens import joined


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("exam-\nple", "example"),
        ("exam-\n  ple and more", "example and more"),
        ("a well-\nknown, well-known", "a well-known, well-known"),
        ("re-\nsign, resign, re-sign", "resign, resign, re-sign"),
        ("Anna-\nMaria", "Anna-Maria"),
        ("soft\u00adened and soft\u00ad\nened", "softened and softened"),
        ("1990-\n1995 and a - \nb", "1990-\n1995 and a - \nb"),
        ("perché-\nlà", "perchélà"),
        ("", ""),
    ],
)
def test_a_divided_word_is_whole_unless_the_text_has_it_with_a_hyphen(text: str, whole: str) -> None:
    assert joined(text) == whole
