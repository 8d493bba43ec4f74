from pathlib import Path

import pytest

from affina.data.restructured import blocks


def texts(source: str) -> list[str]:
    return [block.text for block in blocks(source)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("See :doc:`the page <page>` and :ref:`label`.", "See the page and label."),
        (
            "Call :py:func:`~a.b` of `a link <http://x>`__ and `this`_.\n\n.. _this: http://y",
            "Call a.b of a link and this.",
        ),
        (
            "An *emphasis*, **strong**, ``code`` and |x|.\n\n.. |x| replace:: words",
            "An emphasis, strong, code and words.",
        ),
        ("A note [1]_ and [C]_.\n\n.. [1] foot\n.. [C] cited", "A note [1] and [C]."),
        ("l’\\ *assessment* is\nover two   lines", "l’assessment is over two lines"),
        ("An *unclosed word", "An *unclosed word"),
    ],
)
def test_roles_and_references_are_their_words(source: str, text: str) -> None:
    assert texts(source)[0] == text


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (".. toctree::\n   :maxdepth: 2\n\n   one\n   two", []),
        (".. versionadded:: 1.2\n   Words *here*.", ["1.2 Words here."]),
        (".. versionadded:: 1.2\n\n   Words *here*.", ["1.2", "Words here."]),
        (".. unknown:: arg\n   :option: x\n\n   Words.\n\n   - item", ["Words.", "- item"]),
        (".. code-block:: python\n   :linenos:\n   :emphasize-lines: 1\n\n   x = *1*", ["x = *1*"]),
        (".. note:: Take *care*.", ["Note: Take care."]),
        (".. figure:: a.png\n\n   The caption.\n\n   The legend.", ["The caption.", "The legend."]),
        (".. raw:: html\n\n   <b>no</b>", []),
        (".. include:: /etc/hostname", []),
        (".. literalinclude:: /etc/hostname", []),
        (".. csv-table:: T\n   :file: /etc/hostname", []),
        (".. csv-table:: T\n   :header: a, b\n\n   1, 2", ["T\na | b\n1 | 2"]),
        (".. a comment\n\nwords", ["words"]),
        ("====  ====\na     b\n====  ====\n1     2\n====  ====", ["a | b\n1 | 2"]),
        ("+---+\n| a |\n+---", ["+---+\n| a |\n+---"]),
        ("- one\n\n  more\n\n  - deep\n- two", ["- one\n\n  more\n  - deep", "- two"]),
        ("3. three\n4. four", ["3. three", "4. four"]),
        ("term\n  what it is", ["term", "what it is"]),
        ("| a verse\n|   and more", ["a verse\n  and more"]),
        ("::\n\n  as *is*", ["as *is*"]),
        (":author: Anna", ["author", "Anna"]),
    ],
)
def test_directives_and_bodies_are_what_they_hold(source: str, found: list[str]) -> None:
    assert texts(source) == found


def test_titles_have_levels_and_what_docutils_cannot_place_is_kept() -> None:
    source = "One\n===\n\nwords\n\nTwo\n---\n\nmore\n\nThree\n~~~~~\n\nx\n\nFour\n====\n\ny\n\nFive\n~~~~\n\nz\n"
    found = blocks(source)
    assert [(each.text, each.level) for each in found if each.level] == [
        ("One", 1),
        ("Two", 2),
        ("Three", 3),
        ("Four", 1),
    ]
    assert [each.text for each in found][-2:] == ["Five", "z"]
    assert [each.line for each in found] == sorted(each.line for each in found)
    assert [each.text for each in blocks("A title\n=====\n\nwords")] == ["A title", "words"]


def test_nothing_is_printed_and_no_settings_of_the_machine_are_read(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docutils.conf").write_text("[general]\nfile_insertion_enabled: yes\nreport_level: 1\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.txt").write_text("secret")
    assert texts(".. include:: secret.txt\n\n*bad `worse :x:`y`\n\n.. nope::\n\nText\n==\n") != []
    assert "secret" not in " ".join(texts(".. include:: secret.txt\n\nwords"))
    assert capfd.readouterr() == ("", "")


def test_unknown_directives_in_one_another_end() -> None:
    deep = "".join(f"{'   ' * n}.. box::\n\n" for n in range(12)) + "   " * 12 + "words"
    assert "words" in " ".join(texts(deep))
