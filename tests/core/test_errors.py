"""Errors are one sentence for a person, and an exit code."""

import pytest

from affina.core.errors import Failed, Refused, Stopped, nearest


def test_the_sentence_says_where_what_why_and_what_to_do_instead() -> None:
    error = Refused(
        "no column 'labl'", why="the file has text, label", instead="did you mean 'label'?", where="a.csv:1"
    )
    assert str(error) == "a.csv:1: no column 'labl': the file has text, label. did you mean 'label'?"


def test_what_is_not_said_leaves_no_trace() -> None:
    assert str(Refused("no such file.")) == "no such file"
    assert str(Refused("no such file", instead="look again")) == "no such file. look again"


def test_the_exit_code_says_whose_move_it_is() -> None:
    assert (Failed.exit_code, Refused.exit_code, Stopped.exit_code) == (1, 2, 130)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("cosin", "did you mean 'cosine'?"), ("zzz", "known: cosine, linear")],
)
def test_the_nearest_name_or_the_whole_list(name: str, sentence: str) -> None:
    assert nearest(name, ["linear", "cosine"]) == sentence
