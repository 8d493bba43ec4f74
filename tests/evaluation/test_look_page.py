"""The page of a look: complete, escaped whatever the data say, self-contained, and small."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import affina
from affina.evaluation.look_page import page

HOSTILE = "</title></style><script>alert(1)</script><img src=http://x.test onerror='a()'> {{ 7*7 }} \x00 &amp;"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def looked(folder: Path, text: str = "some words", label: str = "a") -> dict[str, Any]:
    rows = [f'"{text} {n}","{label if n % 2 else "b"}"' for n in range(30)]
    path = folder / "rows.csv"
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return affina.data_look(str(path))


def test_the_page_shows_what_was_recognised_lengths_classes_columns_and_samples(tmp_path: Path) -> None:
    written = page(looked(tmp_path))
    for words in (
        "30 of 30 rows can be used",
        "format: csv",
        "shape: labelled",
        "2 classes",
        "a · 50.0 %",
        "rows.csv:2",
    ):
        assert words in written, words
    parser = Tags()
    parser.feed(written)
    assert parser.tags.count("svg") == 2 and parser.tags.count("rect") > 2


def test_nothing_is_fetched_and_nothing_runs_whatever_the_data_say(tmp_path: Path) -> None:
    written = page(looked(tmp_path, HOSTILE.replace("\x00", ""), HOSTILE.replace("\x00", "")))
    parser = Tags()
    parser.feed(written)
    assert {"script", "img", "link", "iframe"}.isdisjoint(parser.tags)
    names = {name for name, _ in parser.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("href", "src")}
    said = written.replace(str(tmp_path), "")  # a folder's number may be any
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|49", said) and "default-src 'none'" in written


def test_a_set_that_cannot_be_used_has_a_page_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "strange.csv"
    path.write_text("alfa,beta\n" + "\n".join(f"x{n} y{n},z{n} w{n}" for n in range(9)), encoding="utf-8")
    written = page(affina.data_look(str(path)))
    assert "cannot be used as they are" in written and "name: prompt_completion" in written


def test_thousands_of_classes_and_columns_make_no_larger_a_page(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = ",".join(f"c{n}" for n in range(60))
    rows = "\n".join(f'"some words {n}",class{n % 3000},' + ",".join("0" * 60) for n in range(3500))
    path.write_text(f"text,label,{names}\n{rows}\n", encoding="utf-8")
    seen = affina.data_look(str(path), shape={"name": "labelled"})
    assert len(seen["classes"]) == 1000
    assert len(page(seen)) < 100_000
