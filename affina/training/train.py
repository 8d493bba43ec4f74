"""`train` opens a run, proves its properties, runs the one loop, measures, decides. The same call resumes exactly."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from affina.core.atomic import damage
from affina.core.errors import AffinaError, Failed, Refused, Stopped
from affina.core.kinds import Batch, metrics
from affina.core.recipe import Recipe
from affina.core.run import Run
from affina.core.say import Say, Silent
from affina.evaluation.answer import answer
from affina.store.mlflow import Server, server
from affina.training.ahead import ahead
from affina.training.base import measure_base
from affina.training.energy import counters, joules
from affina.training.frozen import keep_trunk
from affina.training.material import Material
from affina.training.plan import Plan, plan
from affina.training.prove import prove
from affina.training.session import Session
from affina.training.stop import best_step, patience_ended
from affina.training.suites import measure_before


def train(
    recipe: Recipe | str | Path,
    run: str | None = None,
    root: str | Path = "runs",
    offline: bool = False,
    say: Say | None = None,
    mlflow: str = "",
) -> Run:
    """Trains what the recipe says in `root`/`run` (the recipe's name when left out), or resumes it where it stands.

    Returns the run, sent to the MLflow server at `mlflow` or AFFINA_MLFLOW. Raises Refused for what cannot be met,
    Failed when a proof, the numbers or the disk fail, Stopped after an interrupt: the same call resumes what was saved.
    """
    say, mirror = say or Silent(), server(mlflow)
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    material = Material.gather(recipe, offline, say, Path(root))
    if material.problems:
        raise Refused("; ".join(material.problems))
    material = material.weighed(say)
    folder = Run.create(Path(root), run or recipe.name)
    with folder.hold():
        settled = plan(recipe, material.prepared, material.source, material.rows, folder)
        if folder.state == "finished" and _whole(folder, say):
            say.line(f"run '{folder.name}' is finished; `affina show {folder.name}` shows it")
            return _sent(_licensed(folder, settled), mirror)
        folder.tidy()
        session = _opened(material, settled, folder)
        try:
            _work(session, say)
        except AffinaError as error:
            _note(folder, error)
            raise
        except Exception as error:  # a bug: kept with the run, and raised
            _note(folder, Failed(f"a bug in affina: {error!r}"))
            raise
        except KeyboardInterrupt as error:
            stopped = Stopped("stopped; what was saved before is intact", instead="the same command resumes")
            _note(folder, stopped)
            raise stopped from error
    return _sent(folder, mirror)


def _licensed(run: Run, settled: Plan) -> Run:
    """The run with the licences that the recipe names now: a finished one needs no other training to have them."""
    lock = run.read("lock.json")
    if lock.get("licences", {}) != settled.lock["licences"]:
        run.write("lock.json", {**lock, "licences": settled.lock["licences"]})
    return run


def _sent(run: Run, mirror: Server | None) -> Run:
    if mirror is not None:
        mirror.run(run)
    return run


def _note(run: Run, error: AffinaError) -> None:
    """Keeps the error with the run."""
    with suppress(Failed):  # a disk that refuses this note too: the error itself goes to the caller
        run.mark("stopped" if isinstance(error, Stopped) else "failed", error=str(error))


def _whole(run: Run, say: Say) -> bool:
    """Whether a finished run's best checkpoint is as it was written; if not, the run is made whole again."""
    best = run.checkpoint(run.read("result.json")["best_step"])
    if wrong := damage(best):
        say.line(f"checkpoint {best.name} of the finished run is damaged ({wrong}): training again from what is intact")
    return not wrong


def _opened(material: Material, settled: Plan, run: Run) -> Session:
    """The session; when it cannot be opened, a folder made for it goes away again."""
    try:
        return Session.open(material, settled, run)
    except AffinaError:
        if run.state == "new":
            run.discard()
        raise


def _work(session: Session, say: Say) -> None:
    run = session.run
    run.mark("preparing")
    session.begin(say)
    run.mark("proving")
    prove(session, say)
    keep_trunk(session, say)
    run.mark("evaluating")
    measure_base(session, say)
    measure_before(session, say)
    run.mark("training")
    loop(session, say)
    run.mark("evaluating")
    _conclude(session, say)
    run.mark("finished")


def _conclude(session: Session, say: Say) -> None:
    """What is said at the end, and the statistics it needs, which no step has to wait for."""
    from affina.training.conclude import conclude

    conclude(session, say)


def loop(session: Session, say: Say) -> None:
    """The training loop, the whole of it, for every objective, tuning and regime."""
    run, engine, recipe = session.run, session.engine, session.recipe
    train, monitor = recipe.train, recipe.evaluate.monitor
    if saved := run.latest(monitor.name, monitor.higher_is_better):
        engine.load(saved)
    for sentence in run.damaged:
        say.line(sentence)
    run.rewind(engine.step)
    for event in run.events("validate"):
        hear(session, event["step"], event[monitor.name])
    start = engine.step * train.accumulate
    made = recipe.regime.batches(session.material.rows, engine, train, start)
    with ahead(made, train.compute.ahead) as batches, interruptible() as interrupted:
        for step in range(engine.step + 1, session.plan.steps + 1):
            if patience_ended(session):
                break
            run.log(step, "learn", _learnt(session, batches, step))
            _report(session, say, step)
            best = validate(session, step) if recipe.evaluate.due(step) or step == session.plan.steps else False
            if best or train.saves(step) or step == session.plan.steps or interrupted.is_set():
                engine.save(run.checkpoint(step))
                run.prune(best_step(session))
            if interrupted.is_set():
                raise Stopped(
                    f"stopped at step {step} of {session.plan.steps}, saved", instead="the same command resumes"
                )


def _learnt(session: Session, batches: Iterator[Batch], step: int) -> dict[str, float]:
    """One step. `began` is in seconds since 1970; of its `seconds`, `waited_s` passed until the batches came.
    `joules` are told where the processor counts them."""
    began, started, counted = time.time(), time.perf_counter(), counters()
    held = list(islice(batches, session.recipe.train.accumulate))
    waited = time.perf_counter() - started
    values = session.engine.learn(held, session.recipe.objective, step)
    seconds = time.perf_counter() - started
    rate, spent = values["tokens"] / seconds, joules(counted, counters())
    values = values if spent is None else {**values, "joules": spent}
    return {**values, "seconds": seconds, "tokens_per_s": rate, "waited_s": waited, "began": began}


def validate(session: Session, step: int) -> bool:
    """Logs the validation metrics of this step; whether they are the best so far."""
    monitor = _monitor(session)
    named = {"loss": metrics.build("loss")} | {metric.name: metric for metric in session.material.metrics}
    chosen = [metric for metric in named.values() if metric.reads != "text" or metric.name == monitor.name]
    columns = frozenset(metric.reads for metric in chosen)
    with session.engine.measured():
        answers = answer(session.engine, session.expanded("validation"), columns, session.sampling)
    values = {metric.name: metric.value(answers) for metric in chosen}
    if not all(-float("inf") < value < float("inf") for value in values.values()):
        raise Failed(
            f"step {step}: a validation metric is not a finite number",
            why=str(values),
            instead="lower train.learning_rate; the last checkpoint is intact",
        )
    session.run.log(step, "validate", values)
    hear(session, step, values[monitor.name])
    return best_step(session) == step


def hear(session: Session, step: int, value: float) -> None:
    """Tells the engine what the monitored metric was, turned so that lower is better."""
    session.engine.hear(step, -value if _monitor(session).higher_is_better else value)


def _monitor(session: Session) -> Any:
    return session.recipe.evaluate.monitor


def _report(session: Session, say: Say, step: int) -> None:
    events = session.run.events("learn")
    recent, last = events[-20:], events[-1]
    rate = sum(event["tokens"] for event in recent) / sum(event["seconds"] for event in recent)
    left = (session.plan.steps - step) * sum(event["seconds"] for event in recent) / len(recent)
    shown = session.run.events("validate")[-1:]
    monitor = _monitor(session).name
    validated = f", validation {monitor} {shown[0][monitor]:.3f}" if shown else ""
    detail = f"loss {last['loss']:.3f}{validated}, {rate:,.0f} tokens/s, {_span(left)} left"
    say.progress("training", step, session.plan.steps, detail)


def _span(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Inside, the first Ctrl-C or SIGTERM sets the event, so the step in hand ends whole; the second interrupts."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
