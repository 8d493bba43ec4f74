from affina.core.example import Chat
from affina.core.kinds import Record, shapes
from affina.data.told import told

ROW = {"instruction": "Double it.", "instances": [{"input": str(n), "output": str(2 * n)} for n in range(1, 4)]}


def test_examples_of_one_row_have_ids_of_their_own_and_say_how_they_were_made() -> None:
    shape = shapes.build({"name": "alpaca", "instances": "instances"})
    found = list(told(shape, Record(ROW, "rows.jsonl", 7), "rows.jsonl:7"))
    assert [each.id for each in found] == ["rows.jsonl:7", "rows.jsonl:7+2", "rows.jsonl:7+3"]
    assert [each.made for each in found] == ["", "alpaca: number 2 of one row", "alpaca: number 3 of one row"]
    assert [each.target for each in found] == ["2", "4", "6"]
    assert all(isinstance(each, Chat) for each in found)


def test_the_example_of_a_usual_row_is_the_shapes_own() -> None:
    record = Record({"text": "words"}, "rows.jsonl", 7)
    assert [*told(shapes.build("raw"), record, "rows.jsonl:7")] == [shapes.build("raw").example(record)]
