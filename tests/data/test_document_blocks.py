from affina.data.blocks import Block, parts

BLOCKS = [
    Block(1, "before"),
    Block(2, "One", 1),
    Block(3, "Inside", 2),
    Block(4, "words"),
    Block(5, "  "),
    Block(6, "Two", 1),
    Block(7, "more"),
]


def test_a_section_begins_at_a_heading_and_headings_in_a_row_open_one() -> None:
    assert list(parts(BLOCKS, "section")) == [(1, "before"), (2, "One\n\nInside\n\nwords"), (6, "Two\n\nmore")]


def test_a_document_is_one_and_a_paragraph_is_each_block_with_words() -> None:
    assert list(parts(BLOCKS, "document")) == [(1, "before\n\nOne\n\nInside\n\nwords\n\nTwo\n\nmore")]
    assert [line for line, _ in parts(BLOCKS, "paragraph")] == [1, 2, 3, 4, 6, 7]
    assert list(parts([], "document")) == list(parts([Block(1, " ")], "section")) == []
