import pytest

from affina.core.errors import Refused
from affina.data.statement import checked, ordered

READS = [
    "select * from rows",
    "  SELECT text, label FROM rows WHERE text LIKE '%;drop%' ORDER BY id ;  \n",
    "with a as (select 1 as x) select x from a",
    "(select 1) union all (select 2)",
    "values (1), (2)",
    "select replace(text, 'a', 'b'), updated_at, \"update\", `delete`, [into] from rows -- delete; later",
    "select 'it''s; insert' /* drop; */ from rows;",
    "select '{\"a\": 1}'::json->>'a', now()::date, 5 % 2 from rows",
    "select $$plain$$",
    "select text from rows where label = 'C:\\temp' and id = 1",
]
CHANGES = [
    "delete from rows",
    "update rows set a = 1",
    "select 1; drop table rows",
    "select 1;; select 2",
    "with gone as (delete from rows returning *) select * from gone",
    "select * into copy_of from rows",
    "select * from rows for update",
    "insert into rows select 1",
    "pragma writable_schema = 1",
    "attach 'x.db' as x",
    "explain analyze delete from rows",
    "-- select\ndrop table rows",
    "/* select */ truncate rows",
    "select 1 into outfile '/tmp/x'",
    "copy rows to '/tmp/x'",
    "call something()",
]
AMBIGUOUS = [
    r"select E'\''; drop table rows; --'",
    r"select '\', '; drop table rows; --'",
    "select $$ ' $$; drop table rows; --'",
    "select $a$ ' $a$; drop table rows; --'",
    "select 1 /*! ; drop table rows */",
]


@pytest.mark.parametrize("query", READS)
def test_a_query_that_reads_is_taken_as_it_is_without_its_end(query: str) -> None:
    assert checked(query) == query.strip().rstrip(";").strip()


@pytest.mark.parametrize("query", [*CHANGES, *AMBIGUOUS, "", "  ", ";", "--"])
def test_anything_else_is_refused(query: str) -> None:
    with pytest.raises(Refused):
        checked(query)


def test_what_follows_the_end_is_left_out_when_it_is_a_comment() -> None:
    assert checked("select 1; -- one") == "select 1"
    assert checked("select 1 -- one; two") == "select 1 -- one; two"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select * from rows order by id", True),
        ("select * from rows ORDER\n BY id limit 3", True),
        ("select * from rows", False),
        ("select * from (select * from rows order by id) x", False),
        ("select row_number() over (order by id) from rows", False),
        ("select 'order by' from rows -- order by id", False),
    ],
)
def test_only_the_outermost_order_counts(query: str, expected: bool) -> None:
    assert ordered(query) is expected
