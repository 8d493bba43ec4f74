"""After the loop: the best checkpoint beside the base on the test split, the verdict, the files to use, the report."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from affina.core.answers import Answers
from affina.core.atomic import damage, sealed, write_json, write_text
from affina.core.errors import Failed
from affina.core.say import Say
from affina.engine.torch import checkpoint, tensor_file
from affina.evaluation.answer import answer
from affina.evaluation.classes import confusion
from affina.evaluation.compare import Difference, adjusted, aligned
from affina.evaluation.detail import calibration
from affina.evaluation.gate import judge, rising
from affina.evaluation.measure import measure
from affina.evaluation.regressions import groupings, regressions
from affina.evaluation.report import report_html
from affina.evaluation.report_markdown import report_markdown
from affina.evaluation.suite import directions
from affina.training.base import base_is
from affina.training.diagnose import diagnose
from affina.training.samples import paired
from affina.training.session import Session
from affina.training.standards import standards
from affina.training.stop import best_step, patience_ended
from affina.training.suites import measure_after


def conclude(session: Session, say: Say) -> None:
    """Writes tuned.json, suites.json, result.json, samples.json, model/ and the report."""
    run, recipe = session.run, session.recipe
    best = _restored(session)
    say.line(f"measuring the best checkpoint (step {best}) on the test split")
    tuned = answer(session.engine, session.expanded("test"), session.columns, session.sampling, say.progress)
    base = Answers.from_dict(run.read("base.json"))
    run.write("tuned.json", tuned.as_dict())
    suites = measure_after(session, say)
    against = standards(session, (base, tuned), say)
    ways = rising(session.material.metrics) | directions(session.material.suites)
    verdict = judge(recipe.evaluate.gate, against, ways)
    diagnosis = diagnose(run.events(), session.plan.steps, patience_ended(session))
    run.write("samples.json", paired(session, run.read("samples.base.json"), base, tuned))
    _write_model(session)
    measured = _measured(session, base, tuned, against["base"].differences)
    result = {
        "metrics": {name: _flat(found) for name, found in measured.items()},
        "slices": _slices(session, base, tuned),
        "verdict": verdict.as_dict(),
        "diagnosis": diagnosis.as_dict(),
        "best_step": best,
        "weights_sha256": checkpoint.digest(run.checkpoint(best)),
    }
    summary = _summary(session, result, measured) | {"suites": suites} | _answered(session, base, tuned)
    for name, text in (("report.html", report_html(summary)), ("report.md", report_markdown(summary))):
        run.write(name, text)
    run.write("report.json", summary)
    run.write("result.json", result)


def _measured(
    session: Session, base: Answers, tuned: Answers, differences: Mapping[str, Difference]
) -> dict[str, dict[str, Any]]:
    """Every metric with its interval before and after, the paired difference, and its p among all metrics'."""
    metrics, recipe = session.material.metrics, session.recipe
    before, after = (measure(each, metrics, recipe.evaluate.gate.alpha, recipe.train.seed) for each in (base, tuned))
    corrected = adjusted({metric.name: differences[metric.name] for metric in metrics})
    return {
        name: {
            "base": before[name].as_dict(),
            "tuned": after[name].as_dict(),
            "difference": differences[name].as_dict(),
            "p_adjusted": corrected[name],
        }
        for name in corrected
    }


def _slices(session: Session, base: Answers, tuned: Answers) -> list[dict[str, Any]]:
    """The first metric by kept column, class and length: those that got worse first."""
    recipe, (before, after) = session.recipe, aligned(base, tuned)
    divided = groupings(session.material.prepared.examples["test"], before, recipe.data.keep)
    found = regressions(before, after, session.material.metrics[0], divided, recipe.evaluate.gate, recipe.train.seed)
    return [each.as_dict() for each in found]


def _write_model(session: Session) -> None:
    """model/: what other tools load."""
    with sealed(session.run.folder / "model") as folder:
        session.recipe.tuning.write(session.engine.network.model, folder, session.material.source.folder)
        _write_head(session, folder)
        template = session.material.renderer.template
        if session.recipe.data.template == "tools" or template.folds:
            write_text(folder / "chat_template.jinja", template.source)


def _restored(session: Session) -> int:
    """Puts the best checkpoint's tensors into the engine; returns its step. Raises Failed when it is damaged."""
    best = best_step(session)
    assert best is not None, "the last step is always validated"
    saved = session.run.checkpoint(best)
    if wrong := damage(saved):
        raise Failed(
            f"the best checkpoint (step {best}) is damaged", why=wrong, instead="the same command makes it again"
        )
    checkpoint.load_trained(saved, session.engine.trainable())
    return best


def _flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """A metric as `show` prints it: the two values, their intervals, the paired difference."""
    intervals = {f"{who}_interval": [found[who]["low"], found[who]["high"]] for who in ("base", "tuned")}
    return {
        "base": found["base"]["value"],
        "tuned": found["tuned"]["value"],
        **intervals,
        "difference": found["difference"],
        "p_adjusted": found["p_adjusted"],
    }


def _summary(session: Session, result: Mapping[str, Any], measured: Mapping[str, Any]) -> Any:
    """What the report is made of."""
    run = session.run
    return {
        "name": run.name,
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "verdict": result["verdict"],
        "metrics": measured,
        "power": session.recipe.evaluate.gate.power,
        "slices": result["slices"],
        "base_is": base_is(session),
        "proofs": run.read("proofs.json")["findings"],
        "events": [*run.events()],
        "best_step": result["best_step"],
        "ledger": run.read("ledger.json"),
        "samples": run.read("samples.json"),
        "diagnosis": result["diagnosis"],
        "settings": session.plan.lock["recipe"],
        "versions": session.plan.lock["versions"],
    }


def _answered(session: Session, base: Answers, tuned: Answers) -> Any:
    """What of the answers themselves is drawn: the confusion matrix, and how far confidence is from being right."""
    alpha = session.recipe.evaluate.gate.alpha
    both = {who: calibration(answers, alpha) for who, answers in (("base", base), ("tuned", tuned))}
    drawn = {who: found["calibration"] for who, found in both.items() if found}
    return {"confusion": _confusion(tuned), "calibration": drawn}


def _confusion(tuned: Answers) -> dict[str, Any] | None:
    if tuned.target_N is None:
        return None
    labels, counts_LL = confusion(tuned)
    return {"labels": list(labels), "counts": counts_LL.tolist()}


def _write_head(session: Session, folder: Path) -> None:
    """A new head beside the adapter or the weights: head.safetensors (weight, bias), head.json (kind and labels)."""
    network = session.engine.network
    if network.head is not None:
        tensor_file.write(network.head.state_dict(), folder / "head.safetensors")
        told = {"head": network.ending.head, "labels": list(session.material.prepared.labels)}
        write_json(folder / "head.json", told)
