"""`apply`: what a saved head answers to texts, or what a saved detector thinks of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affina.core.example import Text
from affina.core.kinds import heads, novelties
from affina.core.say import Say, Silent
from affina.evaluation.open import open_model
from affina.training import saved
from affina.training.anomaly import CALIBRATION, KINDS, Detector
from affina.training.embedded import READS, Where


def apply(
    folder: str | Path,
    texts: Sequence[str],
    where: Where = Where(),  # noqa: B008  (frozen)
    say: Say | None = None,
) -> list[dict[str, Any]]:
    """Of each text {"text", "answer", "chance"} (a number has no chance), or {"text", "score", "p", "verdict"}.

    Raises Refused for a folder that holds neither, and where its model is no longer the same.
    """
    say = say or Silent()
    kept = saved.read(folder)
    reads = kept.about["reads"]
    opened = open_model(kept.about["model"], Path(where.root), where.offline, say, vectors=reads == "vectors")
    saved.same_model(kept, opened.model)
    rows_ND = READS[reads](opened.model, [Text(id=text, text=text) for text in texts], say)
    found = _flagged(kept, rows_ND) if kept.about["shelf"] == "novelty" else _answered(kept, rows_ND)
    return [{"text": text, **each} for text, each in zip(texts, found, strict=True)]


def _flagged(kept: saved.Saved, rows_ND: Any) -> list[dict[str, Any]]:
    part, alarm = novelties.build(kept.about["part"]), kept.about["alarm"]
    scores_N, p_N = Detector(part, kept.learnt, kept.learnt[CALIBRATION], alarm).flags(np.asarray(rows_ND, np.float64))
    return [
        {"score": float(score), "p": float(p), "verdict": KINDS[int(p <= alarm)]}
        for score, p in zip(scores_N, p_N, strict=True)
    ]


def _answered(kept: saved.Saved, rows_ND: Any) -> list[dict[str, Any]]:
    found_NL, labels = heads.build(kept.about["part"]).answer(kept.learnt, rows_ND), kept.about["labels"]
    if not labels:
        return [{"answer": float(each), "chance": None} for each in found_NL[:, 0]]
    best_N = found_NL.argmax(axis=1)
    return [{"answer": labels[best], "chance": float(each[best])} for best, each in zip(best_N, found_NL, strict=True)]
