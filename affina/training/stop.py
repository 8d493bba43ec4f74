"""Early stopping, judged from the run's events alone: a resumed run decides as an uninterrupted one."""

from affina.training.session import Session


def best_step(session: Session) -> int | None:
    """The step of the best validation so far, by the monitored metric."""
    monitor = session.recipe.evaluate.monitor
    best = session.run.best(monitor.name, monitor.higher_is_better)
    return best[0] if best else None


def patience_ended(session: Session) -> bool:
    """Whether `patience` validations in a row brought no improvement, judged from the events alone."""
    best = best_step(session)
    since = [event for event in session.run.events("validate") if best is not None and event["step"] > best]
    return len(since) >= session.recipe.evaluate.patience
