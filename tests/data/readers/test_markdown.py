from pathlib import Path

import pytest
from shared_data import shared

from affina.core.errors import Refused
from affina.data.readers.markdown import Markdown
from affina.data.tiles import recount

PAGE = """---
title: Una nota
date: 2024-02-29
tags: [a, b]
---

Before.

# One
## Inside
words
more

```python
# no heading

x = 1
```
Two
===
- item

- item

***
| a | b |
|---|---|
| 1 | 2 |
"""


def written(folder: Path, content: str) -> Path:
    path = folder / "note.md"
    path.write_bytes(content.encode())
    return path


def found(path: Path, **settings: object) -> list[tuple[int, object]]:
    return [(each.line, each.values) for each in Markdown.model_validate(settings).records(path)]


def test_front_matter_is_apart_and_the_text_is_as_written(tmp_path: Path) -> None:
    path = written(tmp_path, PAGE)
    body = PAGE.split("---\n", 2)[2].strip("\n")
    assert found(path) == [(7, body)]
    columns = {"title": "Una nota", "date": "2024-02-29", "tags": ["a", "b"]}
    assert found(path, columns=True) == [(7, {**columns, "text": body})]
    toml = written(tmp_path, '+++\ntitle = "x"\nn = 1\n+++\nwords\n')
    assert found(toml, columns=True) == [(5, {"title": "x", "n": 1, "text": "words"})]


def test_sections_and_paragraphs_are_those_of_commonmark(tmp_path: Path) -> None:
    path = written(tmp_path, PAGE)
    lines = PAGE.split("\n")
    assert found(path, by="section") == [
        (7, "Before."),
        (9, "\n".join(lines[8:18])),
        (19, "\n".join(lines[18:28])),
    ]
    assert [line for line, _ in found(path, by="paragraph")] == [7, 9, 10, 11, 14, 19, 21, 26]
    assert found(path, by="paragraph")[4] == (14, "```python\n# no heading\n\nx = 1\n```")
    assert found(written(tmp_path, PAGE.replace("\n", "\r\n")), by="section") == found(path, by="section")


def test_rules_at_the_start_are_no_front_matter_and_a_broken_one_is_said(tmp_path: Path) -> None:
    assert found(written(tmp_path, "---\nwords\n---\nmore"))[0][0] == 1
    broken = written(tmp_path, "---\ntitle: [\n---\nwords")
    assert found(broken) == [(4, "words")]
    (only,) = Markdown(columns=True).records(broken)
    assert only.problem.startswith("its front matter cannot be read: ")
    bomb = written(tmp_path, "---\na: &a [x]\nb: [*a, *a]\n---\nwords")
    assert "by reference" in next(Markdown(columns=True).records(bomb)).problem


@pytest.mark.parametrize(
    ("content", "why"), [("", "empty"), ("---\na: 1\n---\n \n", "holds no text"), ("many words and a\0 NUL", "NUL")]
)
def test_what_holds_no_text_is_refused(tmp_path: Path, content: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        found(written(tmp_path, content))


def test_sections_of_a_real_text_hold_all_its_words() -> None:
    path = shared("data", "costituzione_italiana", "Costituzione.md")
    body = path.read_text("utf-8")
    sections = found(path, by="section")
    headings = [line for line in body.split("\n") if line.startswith("#")]
    assert len(sections) > 100 and sum(str(text).count("\n#") + 1 for _, text in sections) == len(headings)
    assert " ".join(str(text) for _, text in sections).split() == body[body.index("# ") :].split()
    assert recount(Markdown(), path) == len(found(path)) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text", [PAGE, PAGE.replace("\n", "\r\n"), "[a]: /x\n\n# One\n[b]: /y\n\n# Two\n\n", "[a]: /x\n"]
)
def test_sections_leave_only_blanks_and_the_front_matter(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "note.md"
    path.write_bytes(text.encode(encoding))
    for by in ("document", "section"):
        records = [*Markdown(by=by).records(path)]
        assert recount(Markdown(by=by), path) == len(records) > 0
    kept = "".join(str(record.values) for record in records)
    words = text.replace("\r", "").split("---\n", 2)[-1]
    assert "".join(kept.split()) == "".join(words.split())
