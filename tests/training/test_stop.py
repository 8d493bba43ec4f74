"""Early stopping reads the run's events and nothing else."""

from pathlib import Path

import pytest
from tiny import session

from affina.training.session import Session
from affina.training.stop import best_step, patience_ended


def validated(opened: Session, *losses: float, name: str = "loss") -> Session:
    for number, loss in enumerate(losses, 1):
        opened.run.log(2 * number, "validate", {name: loss})
    return opened


@pytest.mark.parametrize(
    ("losses", "best", "ended"),
    [
        ((), None, False),
        ((3.0,), 2, False),
        ((3.0, 2.0, 2.5), 4, False),
        ((3.0, 2.0, 2.5, 2.1), 4, True),
        ((3.0, 2.0, 2.0, 2.0), 4, True),  # as good as the best is no improvement
        ((3.0, 2.0, 2.5, 1.9), 8, False),
        ((3.0, 4.0, 5.0, 1.0), 8, False),
    ],
)
def test_patience_counts_the_validations_since_the_best(
    losses: tuple[float, ...], best: int | None, ended: bool, tmp_path: Path, chat_model: Path
) -> None:
    opened = validated(session(tmp_path, chat_model, evaluate={"patience": 2}), *losses)
    assert best_step(opened) == best
    assert patience_ended(opened) is ended


def test_a_metric_that_should_rise_is_read_that_way(tmp_path: Path, chat_model: Path) -> None:
    opened = session(tmp_path, chat_model, evaluate={"patience": 2, "monitor": "accuracy"})
    validated(opened, 0.5, 0.9, 0.8, 0.7, name="accuracy")
    assert best_step(opened) == 4
    assert patience_ended(opened)
