"""Every proof on the shelf, run on the run's own engine and rows before step 1; the findings stay with the run."""

import time
from typing import Any

from affina.core.errors import Failed
from affina.core.kinds import Bench, Finding, proofs
from affina.core.say import Say
from affina.training.kept import kept
from affina.training.plan import proof_key
from affina.training.session import Session

# The order tells the story of a run: what is learnt from, then how, then what is kept and served.
FIRST = ("supervised_spans", "stop_token", "truncation", "template_parity")


def prove(session: Session, say: Say) -> None:
    """Raises Failed with the sentences of the proofs that do not hold. Proofs already shown for the same are kept."""
    run, key = session.run, proof_key(session.plan.lock)
    if before := kept(run, key, "proofs.json"):
        shown, (findings_shown,) = before
        say.line(f"proofs: shown before, in run '{shown.name}', for this recipe, data, base, code and versions")
        if shown.name != run.name:
            run.write("proofs.json", findings_shown)
        return
    names = sorted(proofs.names(), key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    bench = Bench(
        engine=session.engine,
        objective=session.recipe.objective,
        examples=session.expanded("train"),
        rows=session.material.rows,
        truncate=session.recipe.data.truncate,
        seed=session.recipe.train.seed,
    )
    findings: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        say.progress("proofs", number, len(names), name)
        started = time.perf_counter()
        found = _examined(name, bench)
        seconds = round(time.perf_counter() - started, 3)
        findings.append({"name": name, "passed": found.passed, "seconds": seconds, "detail": found.detail})
    failed = [finding for finding in findings if not finding["passed"]]
    run.write("proofs.json", {"key": "" if failed else key, "findings": findings})
    seconds = sum(finding["seconds"] for finding in findings)
    say.progress("proofs", len(names), len(names), f"{len(names) - len(failed)} of {len(names)} hold, {seconds:.1f} s")
    if failed:
        raise Failed("\n".join(f"proof {finding['name']} failed: {finding['detail']}" for finding in failed))


def _examined(name: str, bench: Bench) -> Finding:
    """A proof that cannot be carried through does not hold: its error says why."""
    try:
        return proofs.build(name).examine(bench)
    except Failed as error:
        return Finding(False, str(error))
