"""What is written where: progress to standard error in lines or live, results to standard output, aligned."""

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from affina.cli import console
from affina.cli.console import Lines, Pace, Screen, amount, clock, counted, interval, number
from affina.core.say import Silent

WORK = """
from affina.cli.console import Screen
with Screen() as screen:
    for step in range(1, 4):
        screen.say.progress("training", step, 3, f"loss 0.{step}")
    screen.say.line("a [sentence] worth keeping")
    screen.table(["name", "value"], [("accuracy", 0.5)])
    screen.spans([("asked ", False), ("answered", True)])
"""


def test_in_a_pipe_progress_is_plain_lines_on_standard_error() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines() == [
        "training · 1/3 · loss 0.1",
        "training · 3/3 · loss 0.3",
        "a [sentence] worth keeping",
    ]
    assert done.stdout.splitlines() == ["name      value", "accuracy  0.5", "asked ⟦answered⟧"]


def on_a_terminal(script: str, **environment: str) -> str:
    """What a script writes where both outputs are a terminal."""
    ours, theirs = pty.openpty()
    inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS")}
    settings = {**inherited, "TERM": "xterm", "COLUMNS": "100", **environment}
    done = subprocess.Popen([sys.executable, "-c", script], stdout=theirs, stderr=theirs, env=settings)
    done.wait(timeout=60)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert done.returncode == 0, seen
    return seen.decode().replace("\r\n", "\n")


def test_on_a_terminal_progress_is_live_and_what_is_learned_is_in_colour() -> None:
    text = on_a_terminal(WORK)
    assert "loss 0.3" in text and "3/3" in text
    assert "a [sentence] worth keeping" in text
    assert "\033[30;42manswered\033[0m" in text


PRINTED = """
from affina.cli.console import Screen
with Screen(silent=True) as screen:
    screen.heading("proofs")
    screen.table(["name", "value"], [("accuracy", 0.5)])
    screen.spans([("asked ", False), ("answered", True)])
"""


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(environment: dict[str, str]) -> None:
    text = on_a_terminal(PRINTED, **environment)
    assert "\033" not in text
    assert "asked ⟦answered⟧" in text
    assert "\033[1m" in on_a_terminal(PRINTED, NO_COLOR="")  # empty is as if it were not there


def test_a_dumb_terminal_gets_plain_lines_of_progress() -> None:
    text = on_a_terminal(WORK, TERM="dumb")
    assert "training · 1/3 · loss 0.1\n" in text
    assert "\033" not in text


@pytest.mark.parametrize("columns", ["44", "60", "80"])
def test_in_a_narrow_terminal_the_long_column_wraps_and_names_stay_whole(columns: str) -> None:
    names = ["packing_isolation", "accumulation", "stop_token"]
    rows = [(name, "passed", "0.25 s", "the same loss within 1e-6, over many rows of many lengths") for name in names]
    script = (
        "from affina.cli.console import Screen\n"
        f"with Screen(silent=True) as screen: screen.table(['proof', '', 'took', 'what was seen'], {rows!r})"
    )
    text = on_a_terminal(script, COLUMNS=columns, NO_COLOR="1")
    assert all(name in text for name in names), text
    assert max(map(len, text.splitlines())) <= int(columns)


def test_silent_means_silent(capsys: Any) -> None:
    with Screen(silent=True) as screen:
        assert isinstance(screen.say, Silent)
        screen.say.progress("training", 1, 3)
        screen.say.line("unheard")
    assert capsys.readouterr() == ("", "")


def test_lines_are_at_most_one_in_two_seconds(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    lines = Lines()
    for step in range(1, 12):
        lines.progress("reading", step, 11)
        now[0] += 0.5
    # First at once, then 2 s (four steps) apart, then the end. Half a second a step: 6 left is 3 s, 2 left is 1 s.
    assert capsys.readouterr().err.splitlines() == [
        "reading · 1/11",
        "reading · 5/11 · 0:03 left",
        "reading · 9/11 · 0:01 left",
        "reading · 11/11",
    ]


def test_work_goes_on_when_nobody_reads_the_progress_any_more() -> None:
    script = (
        "import sys\nfrom affina.cli.console import Lines\nlines = Lines()\n"
        "for step in range(20000): lines.line('x' * 100)\nprint('done')"
    )
    reader, writer = os.pipe()
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=writer, text=True)
    os.close(writer)
    os.close(reader)
    out, _ = started.communicate(timeout=60)
    assert (started.returncode, out) == (0, "done\n")


def test_pace_is_told_only_when_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    pace = Pace(10)  # resumed at step 10: what came before says nothing of the rate now
    assert pace.left(10, 100) == ""
    now[0] = 30.0
    assert pace.left(20, 100) == "4:00 left"  # 3 s a step, 80 to go
    assert pace.left(100, 100) == ""


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (amount(1234), "1,234"),
        (amount(92_871_040), "92.9M"),
        (counted(3, 0), "3"),
        (counted(0, 0), ""),
        (clock(75), "1:15"),
        (clock(3675), "1:01:15"),
        (number(0.12345), "0.123"),
        (number(-0.5, signed=True), "-0.500"),
        (number(1234.56), "1,234.6"),
        (number(None), "–"),
        (interval({"value": 0.25, "low": -0.125, "high": 0.5}, signed=True), "+0.250 [-0.125, +0.500]"),
        (interval(None), "–"),
    ],
)
def test_numbers_are_written_for_people(shown: str, text: str) -> None:
    assert shown == text


def test_a_table_in_a_pipe_is_aligned_and_keeps_empty_cells(capsys: Any) -> None:
    Screen(silent=True).table(["metric", "base"], [("accuracy", None), ("f1", "0.5")])
    assert capsys.readouterr().out == "metric    base\naccuracy\nf1        0.5\n"
