from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from affina.core.errors import Refused
from affina.data.readers.xml import Xml


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "rows.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def values(path: Path, **settings: object) -> list[object]:
    return [record.values for record in Xml.model_validate(settings).records(path)]


def test_attributes_elements_and_text_are_columns_and_what_may_repeat_is_a_list(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """<?xml version="1.0"?>
<shelf place="x">
  <book id="1" lang="it"><title>Uno</title><author><name first="A">Rossi</name></author><tag>a</tag><tag>b</tag></book>
  <book id="2"><title> Due &amp; <![CDATA[<tre>]]></title><note>a <b>bold</b> word</note><tag>c</tag><empty/></book>
</shelf>""",
    )
    assert values(path) == [
        {"id": "1", "lang": "it", "title": "Uno", "author.name.first": "A", "author.name": "Rossi", "tag": ["a", "b"]},
        {"id": "2", "title": "Due & <tre>", "note": "a bold word", "tag": ["c"], "empty": ""},
    ]
    assert [record.line for record in Xml().records(path)] == [3, 4]


def test_an_attribute_beside_an_element_of_its_name_and_lists_of_elements_with_columns(tmp_path: Path) -> None:
    path = written(tmp_path, '<r><x id="1"><id>2</id><p k="a">v</p><p k="b"><q>w</q></p></x><x id="3"/><x>t</x></r>')
    assert values(path) == [
        {"@id": "1", "id": "2", "p": [{"k": "a", "text": "v"}, {"k": "b", "q": "w"}]},
        {"id": "3"},
        {"text": "t"},
    ]


def test_what_repeats_and_is_not_said_to_be_a_list_is_a_problem(tmp_path: Path) -> None:
    path = written(tmp_path, "<r><x><a>1</a><a>2</a></x><x><a>3</a></x></r>")
    first, second = Xml(record="x", lists=()).records(path)
    assert first.problem == "its column a stands in it several times: name it in `lists`"
    (twice,) = Xml().records(written(tmp_path, "<r><x><a.b>1</a.b><a><b>2</b></a></x></r>"))
    assert twice.problem.startswith("its column x.a.b stands in it several times")
    path = written(tmp_path, "<r><x><a>1</a><a>2</a></x><x><a>3</a></x></r>")
    assert second.values == {"a": "3"} and values(path, lists=("a",)) == [{"a": ["1", "2"]}, {"a": ["3"]}]


def test_records_are_the_most_repeated_elements_with_columns_unless_a_path_names_others(tmp_path: Path) -> None:
    path = shared("data", "ilisten_it_dialogues", "training.xml")
    found, reason = Xml().look(path)
    assert found.record == "dialogues/dialogue/speechAct" and "2216 records" in reason
    assert "dialogues/dialogue (40)" in reason
    acts = ElementTree.parse(path).getroot().iter("speechAct")
    assert values(path) == [{**act.attrib, "text": (act.text or "").strip()} for act in acts]
    assert len(values(path, record="dialogue")) == 40
    cells = "".join(f'<row><field name="a">{n}</field><field name="b">{n}</field></row>' for n in range(30))
    assert Xml().look(written(tmp_path, f"<rows>{cells}</rows>"))[0].record == "rows/row"
    feed = "<rss><channel><title>t</title><item><c>1</c></item></channel></rss>"
    assert Xml().look(written(tmp_path, feed))[0].record == "rss/channel/item"
    assert Xml().look(written(tmp_path, "<a><b>1</b><b>2</b></a>"))[0].record == "a/b"
    assert values(written(tmp_path, "<a><b>1</b><c>2</c></a>")) == [{"b": "1", "c": "2"}]
    with pytest.raises(Refused, match="no element who"):
        values(path, record="who")


def test_a_step_without_a_prefix_is_any_prefix_and_names_are_as_written(tmp_path: Path) -> None:
    path = written(tmp_path, '<f xmlns:m="u"><m:e m:k="1"><m:t>a</m:t></m:e><e><t>b</t></e></f>')
    assert values(path, record="e") == [{"m:k": "1", "m:t": "a"}, {"t": "b"}]
    assert values(path, record="m:e") == [{"m:k": "1", "m:t": "a"}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a><b>&y;</b></a>',
            r"rows.xml:1: the XML declares the ent",
        ),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "declares the entity 'x'"),
        ('<!DOCTYPE a [<!ENTITY % x SYSTEM "http://localhost/x.dtd">%x;]><a/>', "declares the entity 'x'"),
        ("<a>\n<b>1</b>\n<b>", r"rows.xml:3:4: not well-formed XML: the file ends before every element is closed"),
        ("<a>\n<b>1</c>\n</a>", r"rows.xml:2:7: not well-formed XML: mismatched tag"),
        ("<a><b>&nbsp;</b></a>", "undefined entity"),
        ('<?xml version="1.0" encoding="utf-g"?><a/>', "declares the encoding 'utf-g': nobody knows it"),
        ("", "is empty"),
        ("only words", "not well-formed"),
        ("<a>" * 600 + "</a>" * 600, "nested over 500 deep"),
        ('<?xml version="1.0" encoding="utf-8"?><a>\udce8</a>'.encode("utf-8", "surrogateescape"), "says it is utf-8"),
    ],
)
def test_what_is_not_well_formed_and_entities_are_refused_where_they_stand(
    tmp_path: Path, content: str | bytes, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        values(written(tmp_path, content))


def test_a_doctype_without_entities_is_read_and_nothing_is_fetched(tmp_path: Path) -> None:
    path = written(tmp_path, '<!DOCTYPE a SYSTEM "http://localhost:9/none.dtd"><a><b>1</b><b>2</b></a>')
    assert values(path) == [{"text": "1"}, {"text": "2"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1251", "gb2312", "shift_jis"])
def test_the_declared_encoding_is_obeyed(tmp_path: Path, encoding: str) -> None:
    word = {"windows-1251": "слово", "gb2312": "词语", "shift_jis": "言葉"}.get(encoding, "perché")
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    path = written(tmp_path, f'{head}<a><b w="{word}"/><b w="x"/></a>'.encode(encoding))
    assert values(path) == [{"w": word}, {"w": "x"}]
    assert Xml().count(path) == 2
    wrong = written(tmp_path, f'<?xml version="1.0" encoding="ascii"?><a><b w="{word}"/></a>'.encode(encoding))
    assert values(wrong, encoding=encoding, record="b") == [{"w": word}]


def test_the_second_count_sees_no_tags_in_comments_cdata_and_attributes(tmp_path: Path) -> None:
    inside = "<!-- <b/> --><?p <b/> ?><b k='>'/><b k=\"<x>\"><![CDATA[<b></b>]]><b/></b>".replace("<x>", "x>")
    path = written(tmp_path, f"<!DOCTYPE a [<!ELEMENT b ANY>]><a>{inside}<c><b/></c></a>")
    for record, many in (("b", 3), ("a/b", 2), ("c/b", 1)):  # a b in a b is a part of it
        assert Xml(record=record).count(path) == len(values(path, record=record)) == many


@pytest.mark.parametrize("cut", [65_530, 65_536, 65_541])
def test_pieces_of_the_file_may_end_anywhere(tmp_path: Path, cut: int) -> None:
    row = '<b k="è>"><![CDATA[<b>]]>w</b>'
    rows = row * (cut // len(row.encode()) + 40)
    path = written(tmp_path, f"<a><!--{'<b/>' * (cut % 7)}-->{rows}</a>")
    found = values(path)
    assert found == [{"k": "è>", "text": "<b>w"}] * (cut // len(row.encode()) + 40)
    assert Xml().count(path) == len(found)


def test_every_feed_of_a_real_collection_is_read_or_refused_in_a_sentence() -> None:
    read = 0
    for path in sorted(shared("data", "chardet_encodings_a").glob("*.xml")):
        try:
            found = values(path)
        except Refused as error:
            assert path.name in str(error)
            continue
        tree = ElementTree.fromstring(path.read_bytes()) if path.name.startswith(("KOI8", "utf-8", "iso")) else None
        name = (Xml().look(path)[0].record or "").rpartition("/")[2].rpartition(":")[2]
        assert tree is None or len(found) == sum(each.tag.rpartition("}")[2] == name for each in tree.iter())
        assert Xml().count(path) == len(found)
        read += 1
    assert read > 90


NAMES = st.sampled_from(["a", "b", "c:d", "e.f", "è"])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=6)
ATTRIBUTES = st.dictionaries(NAMES, WORDS, max_size=2)
Tree = tuple[str, dict[str, str], object]
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.tuples(NAMES, ATTRIBUTES, WORDS),
    lambda inside: st.tuples(NAMES, ATTRIBUTES, st.lists(inside, max_size=4)),
    max_leaves=12,
)


def element(tree: Tree) -> ElementTree.Element:
    name, attributes, inside = tree
    made = ElementTree.Element(name, attributes)
    if isinstance(inside, str):
        made.text = inside
    else:
        made.extend(map(element, inside))  # type: ignore[call-overload]
    return made


def strings(value: object) -> list[str]:
    """Every string in lists and mappings that holds more than white space."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    held = value.values() if isinstance(value, dict) else value
    return [each for inner in held for each in strings(inner)]  # type: ignore[attr-defined]


@given(st.lists(TREES, min_size=1, max_size=6))
def test_no_word_of_any_tree_is_lost_and_both_counts_agree(trees: list[Tree]) -> None:
    root = ElementTree.Element("root")
    for tree in trees:
        ElementTree.SubElement(root, "record").append(element(tree))
    with TemporaryDirectory() as folder:
        path = written(Path(folder), ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
        found = values(path, record="root/record")
        assert Xml(record="root/record").count(path) == len(found) == len(trees)
    expected = [text for each in root.iter() for text in [*each.attrib.values(), each.text or ""]]
    assert sorted(strings(found)) == sorted(strings(expected))
