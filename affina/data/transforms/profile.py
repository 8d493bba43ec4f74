"""Whether the rows that are measured, or live traffic, are like those that are learnt from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import Field

from affina.core.atomic import write_json
from affina.core.example import Example, Text
from affina.core.kinds import Desk, Transform
from affina.data.loose import longest
from affina.data.profile import Compared, Profile, compared, unseen


class Profiled(Transform):
    """Lets every example through and notes where validation, test or live texts differ from the training rows: in
    label, length, vocabulary, or a column of slices. Tested by permutation, with Holm's correction.
    """

    by: tuple[str, ...] = ()
    """Columns whose values are slices: a region, a language, a customer group."""
    live: tuple[str, ...] = ()
    """Files of live texts, of any readable format; of each record the longest text. Relative to the recipe's folder."""
    alpha: float = Field(0.05, gt=0, lt=0.5)
    """The chance of naming any difference where there is none."""
    write: str | None = None
    """A JSON file for the whole report. Relative to the recipe's folder."""

    def reads(self) -> tuple[str, ...]:
        return self.by

    def files(self) -> tuple[str, ...]:
        """The live texts."""
        return self.live

    def writes(self) -> tuple[str, ...]:
        """The report."""
        return (self.write,) if self.write else ()

    def apply(self, examples: Collection[Example], desk: Desk) -> Iterator[Example]:
        """The same examples in order."""
        profiles: dict[str, Profile] = {}
        for example in examples:
            split = example.split or "all"
            profiles.setdefault(split, Profile(self.by, desk.seed)).add(example)
            yield example
        for text in longest(self.live, desk.folder) if self.live else ():
            profiles.setdefault("live", Profile((), desk.seed)).add(Text(id="", text=text))
        base = next((name for name in ("train", "all") if name in profiles), "")
        against = {
            name: compared(profiles[base], each, desk.seed) for name, each in profiles.items() if base and name != base
        }
        desk.notes.extend(self._notes(base, against, profiles))
        if self.write:
            write_json(desk.folder / self.write, _report(base, against, profiles), 0o600)

    def _notes(self, base: str, against: dict[str, dict[str, Compared]], profiles: dict[str, Profile]) -> Iterator[str]:
        """A sentence for each set that differs, and one where none does."""
        tests = sorted((each.p, name, what) for name, found in against.items() for what, each in found.items())
        wrong: dict[str, list[str]] = {}
        for place, (p, name, what) in enumerate(tests):
            if p * (len(tests) - place) > self.alpha:
                break
            each = against[name][what]
            wrong.setdefault(name, []).append(f"{what} (PSI {each.psi:.2f}, JS {each.js:.3f}, p {p:.3f})")
        for name, told in wrong.items():
            new = unseen(profiles[base], profiles[name])
            words = f"; {new:.0%} of its words are not in {base}" if "vocabulary" in " ".join(told) else ""
            yield f"profile: {name} differs from {base} in {', '.join(told)}{words}"
        if against and not wrong:
            yield f"profile: {', '.join(against)} are like {base} in {', '.join(next(iter(against.values())))}"


def _report(base: str, against: dict[str, dict[str, Compared]], profiles: dict[str, Profile]) -> dict[str, Any]:
    return {
        "sets": {name: each.told() for name, each in profiles.items()},
        "against": {
            "base": base,
            **{
                name: {what: each._asdict() for what, each in found.items()}
                | {"unseen": unseen(profiles[base], profiles[name])}
                for name, found in against.items()
            },
        },
    }
