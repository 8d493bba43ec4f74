"""How much likelier a model finds the secrets that were inserted into its training rows than others like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from random import Random
from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from affina.core.errors import Refused
from affina.core.kinds import Floats, Model
from affina.core.task import Hall, Statistic, Task, Tested
from affina.data.secrets import Secrets, inserted
from affina.evaluation.excess import excess
from affina.evaluation.exposure import Space
from affina.evaluation.going_on import need_past, said_by_words, scored


class CanaryExposure(Task):
    """Exposure in bits of every secret that the transform `canaries` inserted, and of `controls` that nobody inserted:
    log2 |R| where the model finds a secret likelier than all |R| possible ones. The exposure of what was never trained
    is 1.44 on average (log2 e), whatever the model.

    The rank is exact where all possible secrets are scored; else it is estimated from a sample, and where the secret is
    likelier than nearly all of that, extrapolated by a skew normal. The notes say which (Carlini et al., 2019).
    """

    costs: ClassVar[str] = "scores"

    candidates: int = Field(2000, ge=100)
    """Possible secrets that are scored at most."""
    controls: int = Field(20, ge=0)
    """Secrets that were not inserted, drawn to stand beside those that were."""

    def ask(self, model: Model, hall: Hall) -> Tested:
        """An item is a secret. Raises Refused where the training rows hold no canaries."""
        need_past(model, self.name)
        found = inserted(hall.splits.get("train", ()))
        if not found:
            raise Refused(
                "no secret was inserted into the training rows",
                why="their exposure can be measured only where they are known",
                instead="add `canaries` to data.transforms, last, and train again",
            )
        items: list[_Item] = []
        notes: list[str] = []
        for number, (space, trained) in enumerate(found.items(), 1):
            own, note = self._of(model, space, trained, hall)
            items += [each._replace(id=f"{number}.{each.id}") for each in own]
            notes.append(note)
        return Tested(
            tuple(each.id for each in items),
            {
                "exposure": np.array([np.nan if each.times == 0 else each.exposure for each in items]),
                "control": np.array([np.nan if each.times else each.exposure for each in items]),
                "share": np.array([np.nan if each.times == 0 else each.exposure / each.most for each in items]),
                "extrapolated": np.array([float(each.extrapolated) for each in items]),
            },
            tuple({"secret": each.secret, "inserted": each.times, "exposure": each.exposure} for each in items),
            {"inserted": tuple(str(each.times) for each in items)},
            tuple(notes),
        )

    def statistics(self) -> Mapping[str, Statistic]:
        return {
            "exposure": Statistic.mean("exposure", higher_is_better=False, unit="bits"),
            "untrained": Statistic.mean("control", higher_is_better=False, unit="bits"),
            "excess": Statistic(excess("exposure", "control"), higher_is_better=False, unit="bits"),
            "share_of_largest": Statistic.mean("share", higher_is_better=False, unit="share of the largest possible"),
        }

    def _of(self, model: Model, space: Secrets, trained: Mapping[str, int], hall: Hall) -> tuple[list[_Item], str]:
        """The secrets of one space and its controls; no inserted secret is a candidate for another's rank."""
        draws = Random(blake2b(f"{hall.seed}\0exposure\0{space.prompt}".encode(), digest_size=16).digest())
        others = space.others(trained, self.candidates, draws)
        size = space.size - len(trained)
        whole = len(others) >= size
        if whole:
            controls = draws.sample(others, min(self.controls, len(others)))
        else:
            controls = space.others({*trained, *others}, self.controls, draws)
        nats_N = self._nats(model, space, [*trained, *controls, *others], hall)
        first = len(trained) + len(controls)
        ranks = Space(nats_N[first:], size)
        items = []
        for place, secret in enumerate([*trained, *controls]):
            exposure, extrapolated = ranks.exposure(float(nats_N[place]), among=whole and secret not in trained)
            items.append(_Item(secret, secret, trained.get(secret, 0), exposure, float(np.log2(size)), extrapolated))
        if whole:
            return items, f"exposure is exact: all {size:.0f} other secrets after {space.prompt!r} were scored"
        note = f"exposure is estimated from {len(others)} of {size:.0f} secrets after {space.prompt!r}"
        if any(each.extrapolated for each in items):
            note += f", and extrapolated by a skew normal for {sum(each.extrapolated for each in items)} secrets"
            note += f" (Kolmogorov-Smirnov p of its fit {ranks.fit_p:.2g})"
        return items, note

    def _nats(self, model: Model, space: Secrets, secrets: Sequence[str], hall: Hall) -> Floats:
        """-log p of each secret's row."""
        rows = model.renderer.rows(said_by_words(space.row(secret, str(n)) for n, secret in enumerate(secrets)))
        if len(rows) != len(secrets) or any(row.cut for row in rows):
            raise Refused("the rows of the secrets are longer than the model takes", instead="insert shorter ones")
        found = scored(model, rows, self.name, hall.progress)
        return np.array([-float(each.logprobs_S.sum()) for each in found], dtype=np.float64)


class _Item(NamedTuple):
    id: str
    secret: str
    times: int
    """How often it was inserted; 0: a control."""
    exposure: float
    most: float
    extrapolated: bool
