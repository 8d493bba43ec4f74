"""After the loop: the best checkpoint beside the base on the test split, the verdict, the files to use, the report."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from affina.core.atomic import sealed
from affina.core.example import Chat, Example, Labelled, Text
from affina.core.kinds import Answers, Model, Sampling
from affina.core.say import Say
from affina.engine.torch import checkpoint
from affina.evaluation.answer import answer
from affina.evaluation.classes import confusion
from affina.evaluation.compare import compare
from affina.evaluation.gate import judge
from affina.evaluation.measure import measure
from affina.evaluation.report import report_html
from affina.training.base import base_answers
from affina.training.diagnose import diagnose
from affina.training.session import Session
from affina.training.stop import best_step, patience_ended

SAMPLES = 6
SAMPLE_TOKENS = 64
OPENING_TOKENS = 24  # of raw text, shown to the model before it goes on


def measure_base(session: Session, say: Say) -> None:
    """Keeps the base's answers and samples before anything moves; on resume they are already there."""
    if session.run.read("base.json") is None:
        say.line("measuring the base as it answers without training")
        answers = base_answers(session, say)
        session.run.write("base.json", answers.as_dict())
        session.run.write("samples.base.json", _say(session, session.engine))


def conclude(session: Session, say: Say) -> None:
    """Writes tuned.json, result.json, samples.json, model/ and report.html."""
    run, recipe = session.run, session.recipe
    best = best_step(session)
    assert best is not None, "the last step is always validated"
    checkpoint.load_trained(run.checkpoint(best), session.engine.trainable())
    say.line(f"measuring the best checkpoint (step {best}) on the test split")
    tuned = answer(session.engine, session.expanded("test"), session.columns, session.sampling, say.progress)
    base = Answers.from_dict(run.read("base.json"))
    run.write("tuned.json", tuned.as_dict())
    metrics, gate, seed = session.material.metrics, recipe.evaluate.gate, recipe.train.seed
    differences = compare(base, tuned, metrics, gate.alpha, gate.power, seed)
    estimates = [measure(each, metrics, gate.alpha, seed) for each in (base, tuned)]
    verdict = judge(gate, differences, metrics)
    diagnosis = diagnose(run.events(), session.plan.steps, patience_ended(session))
    run.write("samples.json", _paired(session, run.read("samples.base.json")))
    with sealed(run.folder / "model") as folder:
        recipe.tuning.write(session.engine.network.model, folder, session.material.source.folder)
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
        "proofs": run.read("proofs.json")["findings"],
        "events": run.events(),
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


def _shown(session: Session) -> list[Example]:
    """The test items whose answers are kept to read: drawn by the seed before anyone has answered."""
    test = session.expanded("test")
    order = np.random.default_rng(session.recipe.train.seed).permutation(len(test))
    return [test[place] for place in order[:SAMPLES]]


def _say(session: Session, model: Model) -> list[str]:
    """Generated answers to the shown items; nothing where a label head says no words."""
    shown = [each for each in _shown(session) if not isinstance(each, Labelled)]
    prompts = [_prompt(session, each) for each in shown]
    return [said.text for said in model.sample(prompts, Sampling(max_tokens=SAMPLE_TOKENS))] if prompts else []


def _prompt(session: Session, example: Example) -> Sequence[int]:
    renderer = session.material.renderer
    if isinstance(example, Chat):
        return renderer.prompt(example)
    assert isinstance(example, Text)
    opening: list[int] = renderer.rows([example])[0].tokens[:OPENING_TOKENS].tolist()
    return opening


def _paired(session: Session, base: Sequence[str]) -> list[dict[str, str]]:
    tuned = _say(session, session.engine)
    shown = [each for each in _shown(session) if not isinstance(each, Labelled)]
    return [
        {
            "id": each.id,
            "given": _asked(session, each),
            "expected": each.messages[-1].content if isinstance(each, Chat) else "",
            "base": before,
            "tuned": after,
        }
        for each, before, after in zip(shown, base, tuned, strict=True)
    ]


def _asked(session: Session, example: Example) -> str:
    """What a person needs to see of the prompt: the last thing the user said, or the text's opening."""
    if isinstance(example, Chat):
        said = [message.content for message in example.messages if message.role != "assistant"]
        return said[-1] if said else ""
    return session.material.renderer.text(_prompt(session, example))
