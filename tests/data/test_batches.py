import pyarrow as pa

from affina.data.batches import BYTES, ROWS, at_a_time, records


def test_short_rows_are_taken_by_number_and_long_ones_by_size() -> None:
    assert at_a_time(1000, 1000) == ROWS
    assert at_a_time(1000, 1000, 7) == 7
    assert at_a_time(10 * BYTES, 100) == 10
    assert at_a_time(10 * BYTES, 5) == 1
    assert at_a_time(0, 0) == 1 and at_a_time(0, 5) == ROWS


def test_rows_are_numbered_on_from_the_first_and_none_is_lost_at_an_edge() -> None:
    for size in (0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS):
        batch = pa.record_batch({"n": pa.array(range(size), pa.int64())})
        found = list(records(batch, ["n"], "a.parquet", 11))
        assert [(record.line, record.values) for record in found] == [(11 + n, {"n": n}) for n in range(size)]


def test_a_batch_without_columns_still_has_rows() -> None:
    batch = pa.record_batch({"n": [1, 2, 3]}).select([])
    assert [record.values for record in records(batch, [], "a.parquet", 1)] == [{}, {}, {}]


def test_times_too_fine_for_a_microsecond_are_written_out_at_any_depth() -> None:
    fine = pa.array([[{"at": 1}]], pa.list_(pa.struct([("at", pa.timestamp("ns"))])))
    (found,) = records(pa.record_batch({"a": fine}), ["a"], "a.parquet", 1)
    assert found.values == {"a": [{"at": "1970-01-01 00:00:00.000000001"}]} and not found.problem
    (found,) = records(pa.record_batch({"a": pa.array([1], pa.duration("ns"))}), ["a"], "a.parquet", 1)
    assert found.problem == "column 'a' holds a duration[ns] that cannot be written as text"
