"""What a card can say of a release: sentences drawn from the files in its folder, each from what was measured."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from affina.core.run import Run
from affina.store.artefact import ABOUT

BLANK = "To be filled in by a person."
FILES = (ABOUT, "lock.json", "result.json", "ledger.json", "proofs.json", "events.jsonl", "suites.json")
"""What it is drawn from."""
JOULES_PER_KWH = 3.6e6
MOST = 60
"""Sentences on the suites that a card lists."""
UNFAIR = ("bbq", "crows_pairs", "groups", "honest", "stereoset", "winobias")
"""Tasks about bias."""


class Facts:
    """The files of one release, read once."""

    def __init__(self, folder: Path) -> None:
        self.run = Run(folder)

    @cached_property
    def about(self) -> dict[str, Any]:
        return dict(self.run.read(ABOUT))

    @cached_property
    def lock(self) -> dict[str, Any]:
        return dict(self.run.read("lock.json"))

    @cached_property
    def result(self) -> dict[str, Any]:
        return dict(self.run.read("result.json"))

    # ── sentences ──
    def data(self) -> list[str]:
        ledger = self.run.read("ledger.json", {})
        said = [self._source(name, ledger) for name in self.lock["data"]]
        used = ", ".join(f"{count:,} for {split}" for split, count in ledger.get("used", {}).items())
        said += [f"{ledger['read']:,} rows were read; used: {used}"] if used else []
        for end in ("dropped", "quarantined"):
            reasons = ledger.get(end, {}).get("reasons", {})
            said += [f"{end}: {count:,} ({reason})" for reason, count in reasons.items()]
        made = ledger.get("made", 0)
        said += [f"{made:,} rows were made by transforms"] if made else []
        steps = ", ".join(each["name"] for each in self.lock["recipe"]["data"]["transforms"])
        said += [f"transforms: {steps}", f"licence of the base {self.about['base']['reference']}: {self._licence}"]
        return [*said, *self.lock["notes"]]

    def _source(self, name: str, ledger: Mapping[str, Any]) -> str:
        """A file's rows, hash and licence; of files that are read together the rows stand with the first."""
        read = ledger.get("files", {}).items()  # by their whole paths
        rows = next((count for path, count in read if f"/{path}".endswith(f"/{name}")), None)
        counted = "" if rows is None else f"{rows:,} rows, "
        licence = self.lock.get("licences", {}).get(name) or BLANK
        return f"{name}: {counted}SHA-256 {self.lock['data'][name]}, licence: {licence}"

    def task(self) -> list[str]:
        labels = self.about["labels"]
        said = [f"trained on {self.about['task']} examples with the objective {self._part('objective')}"]
        if labels:
            listed = ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
            said.append(f"it answers with one of {len(labels)} labels: {listed}")
        if self.about["system"]:
            said.append(f"system prompt: {self.about['system']}")
        return said

    def limits(self) -> list[str]:
        data = self.lock["recipe"]["data"]
        cut = self.run.read("ledger.json", {}).get("cut", {})
        said = [f"rows of {data['max_tokens']} tokens at most; what is longer was: {data['truncate']}"]
        said += [f"{cut['rows']:,} rows were cut and lost {cut['tokens']:,} tokens"] if cut.get("rows") else []
        diagnosis = self.result.get("diagnosis") or {}
        said += [diagnosis["sentence"]] if diagnosis.get("sentence") else []
        return [*said, "nothing is known of inputs unlike those of the test split"]

    def evaluation(self) -> list[str]:
        said = []
        for name, found in self.result["metrics"].items():
            low, high = found["tuned_interval"]
            tuned = {"value": found["tuned"], "low": low, "high": high}
            said.append(_moved(name, found["base"], tuned, found["difference"]))
        verdict = self.result["verdict"]
        said.append(f"verdict: {verdict['decision']}")
        return [*said, *verdict["reasons"]]

    def suites(self, unfair: bool) -> list[str]:
        """What moved in the suites: those about bias, or the others."""
        found = []
        for suite, each in self.run.read("suites.json", {}).items():
            task = each["task"] if isinstance(each["task"], str) else each["task"]["name"]
            if unfair == (task in UNFAIR):
                found += [
                    _moved(f"{suite} / {name}", one["base"]["value"], one["tuned"], one["difference"])
                    for name, one in each["statistics"].items()
                ]
                found += [
                    _moved(f"{suite} / {one['statistic']}, worse where {one['by']} is {one['group']}",
                           one["base"]["value"], one["tuned"], one["difference"])
                    for one in each.get("slices", []) if one["found"] == "worse"
                ]  # fmt: skip
                found += [f"{suite}: {note}" for note in each["notes"]]
        more = [f"and {len(found) - MOST} more in suites.json"] if len(found) > MOST else []
        return [*found[:MOST], *more]

    def proofs(self) -> list[str]:
        findings = self.run.read("proofs.json", {}).get("findings", [])
        return [f"{each['name']}: {'passed' if each['passed'] else 'FAILED'}: {each['detail']}" for each in findings]

    def energy(self) -> list[str]:
        """Measured where the processor counts it, else seconds times cores and said to be that."""
        steps = self.run.events("learn")
        seconds, threads = sum(each["seconds"] for each in steps), self.lock["machine"]["threads"]
        joules = [each["joules"] for each in steps if "joules" in each]
        on = f"{threads} cores of a {self.lock['machine']['device']}"
        if steps and len(joules) == len(steps):
            kwh = sum(joules) / JOULES_PER_KWH
            more = "" if self.lock["machine"]["device"] == "cpu" else "; what the accelerator spent is not counted"
            return [
                f"training steps: {kwh:.4g} kWh by the processor's own counter (RAPL: the whole processor and its "
                f"memory where it counts that; neither disk nor power supply), {seconds:,.0f} s on {on}{more}"
            ]
        hours = seconds * threads / 3600
        why = "energy was not measured: this machine shows no counter" if not joules else "only a part was counted"
        return [f"{why}; training steps took {seconds:,.0f} s on {on}, which is {hours:.3g} core hours"]

    def development(self) -> list[str]:
        recipe = self.lock["recipe"]
        start = f"pretrained by others: {self.about['base']['reference']}, SHA-256 {self.about['base']['digest']}"
        if recipe["model"].get("scratch"):
            start = f"from random weights: {recipe['model']['scratch']['name']}"
        train = recipe["train"]
        above = self.about["parent"]
        parent = [f"trained further from the {above['kind']} {above['id']}"] if above else []
        return [
            start,
            *parent,
            f"tuning {self._part('tuning')}, objective {self._part('objective')}, regime {self._part('regime')}",
            f"{self.lock['steps']:,} steps of {train['batch']} examples at most, peak learning rate "
            f"{train['learning_rate']:g}, seed {train['seed']}; the best step was {self.result['best_step']}",
            *self.software(),
            *self.trained(),
        ]

    def software(self) -> list[str]:
        return ["software: " + ", ".join(f"{name} {number}" for name, number in self.lock["versions"].items())]

    def machine(self) -> list[str]:
        machine = self.lock["machine"]
        how = ", ".join(f"{name} {value}" for name, value in machine["compute"].items())
        return [f"trained and measured on {machine['device']}, {machine['threads']} threads; {how}"]

    def trained(self) -> list[str]:
        began = [each["began"] for each in self.run.events("learn") if "began" in each]
        if not began:
            return []
        first, last = (datetime.fromtimestamp(each, UTC).strftime("%Y-%m-%d") for each in (began[0], began[-1]))
        return [f"trained on {first}" if first == last else f"trained from {first} to {last}"]

    @property
    def _licence(self) -> str:
        return str(self.about["base"].get("licence") or "unknown")

    def _part(self, section: str) -> str:
        part = self.lock["recipe"][section]
        return str(part["name"] if isinstance(part, Mapping) else part)


def _moved(name: str, base: float | None, tuned: Mapping[str, Any], difference: Mapping[str, Any]) -> str:
    """A number before and after, with its interval, and the paired difference with its own."""
    both = f"{name}: base {_number(base)}, tuned {_number(tuned['value'])} {_span(tuned)}"
    if difference.get("value") is None:
        return f"{both}; the two are {difference.get('method', 'not compared')}"
    moved = f"difference {difference['value']:+.4g} {_span(difference)}"
    return f"{both}; {moved}, {difference['n']:,} items, {difference['method']}"


def _span(found: Mapping[str, Any]) -> str:
    return f"[{_number(found['low'])}, {_number(found['high'])}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def pretty(plain: Any) -> str:
    """Plain data as JSON for people."""
    return json.dumps(plain, ensure_ascii=False, indent=1)
