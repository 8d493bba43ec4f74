"""After the loop: the best checkpoint beside the base on the test split, the verdict, the files to use, the report."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from affina.core.answers import Answers
from affina.core.atomic import damage, sealed, write_json, write_text
from affina.core.errors import Failed
from affina.core.say import Say
from affina.data.template import TOOLS
from affina.engine.torch import checkpoint, tensor_file
from affina.evaluation.answer import answer
from affina.evaluation.classes import confusion
from affina.evaluation.compare import compare
from affina.evaluation.gate import judge
from affina.evaluation.measure import measure
from affina.evaluation.report import report_html
from affina.training.base import base_is
from affina.training.diagnose import diagnose
from affina.training.samples import paired
from affina.training.session import Session
from affina.training.stop import best_step, patience_ended


def conclude(session: Session, say: Say) -> None:
    """Writes tuned.json, result.json, samples.json, model/ and report.html."""
    run, recipe = session.run, session.recipe
    best = _restored(session)
    say.line(f"measuring the best checkpoint (step {best}) on the test split")
    tuned = answer(session.engine, session.expanded("test"), session.columns, session.sampling, say.progress)
    base = Answers.from_dict(run.read("base.json"))
    run.write("tuned.json", tuned.as_dict())
    metrics, gate, seed = session.material.metrics, recipe.evaluate.gate, recipe.train.seed
    differences = compare(base, tuned, metrics, gate.alpha, gate.power, seed)
    estimates = [measure(each, metrics, gate.alpha, seed) for each in (base, tuned)]
    verdict = judge(gate, differences, metrics)
    diagnosis = diagnose(run.events(), session.plan.steps, patience_ended(session))
    run.write("samples.json", paired(session, run.read("samples.base.json"), base, tuned))
    with sealed(run.folder / "model") as folder:
        recipe.tuning.write(session.engine.network.model, folder, session.material.source.folder)
        _write_head(session, folder)
        if recipe.data.template == "tools":
            write_text(folder / "chat_template.jinja", TOOLS)
    measured = {
        name: {
            "base": estimates[0][name].as_dict(),
            "tuned": estimates[1][name].as_dict(),
            "difference": differences[name].as_dict(),
        }
        for name in differences
    }
    result = {
        "metrics": {name: _flat(found) for name, found in measured.items()},
        "verdict": verdict.as_dict(),
        "diagnosis": diagnosis.as_dict(),
        "best_step": best,
        "weights_sha256": checkpoint.digest(run.checkpoint(best)),
    }
    run.write("report.html", report_html(_summary(session, result, measured, tuned)))
    run.write("result.json", result)


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
    }


def _summary(session: Session, result: Mapping[str, Any], measured: Mapping[str, Any], tuned: Answers) -> Any:
    """What the report is made of."""
    run = session.run
    return {
        "name": run.name,
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "verdict": result["verdict"],
        "metrics": measured,
        "base_is": base_is(session),
        "proofs": run.read("proofs.json")["findings"],
        "events": [*run.events()],
        "best_step": result["best_step"],
        "ledger": run.read("ledger.json"),
        "samples": run.read("samples.json"),
        "confusion": _confusion(tuned),
        "diagnosis": result["diagnosis"],
        "settings": session.plan.lock["recipe"],
        "versions": session.plan.lock["versions"],
    }


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
