"""`python -m affina.release.measured REQUEST`: one written model, opened and asked in a process of its own, so that its
memory and its load time are nobody else's. Prints one JSON object."""

import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affina.core.export import Served
from affina.core.kinds import exports

Item = Mapping[str, Any]
STATUS = Path("/proc/self/status")


def measured(served: Served, items: Sequence[Item], most: int, stops: frozenset[int]) -> dict[str, Any]:
    """{"nats", "right", "seconds": one per item, "tokens": of all answers}. One item is asked before the clock runs."""
    nats, right, seconds, made = list[float](), list[bool](), list[float](), 0
    for place, item in enumerate([items[0], *items]):
        started = time.perf_counter()
        if item["label"] >= 0:
            logits_L = served.logits(item["tokens"])[0]
            taken, answer = time.perf_counter() - started, int(logits_L.argmax())
            lost, true, count = -_logprobs(logits_L[None])[0, item["label"]], answer == item["label"], 1
        else:
            said = served.greedy(item["prompt"], most, stops)
            taken, count = time.perf_counter() - started, len(said)
            lost, true = _nats(served, item), said == _expected(item, stops)
        if place:
            nats, right, seconds = [*nats, float(lost)], [*right, bool(true)], [*seconds, taken]
            made += count
    return {"nats": nats, "right": right, "seconds": seconds, "tokens": made}


def _nats(served: Served, item: Item) -> float:
    """Mean over the supervised tokens."""
    tokens, weights = np.array(item["tokens"]), np.array(item["weights"])
    places = np.flatnonzero(weights[1:])
    logprobs_SV = _logprobs(served.logits(item["tokens"])[places])
    return float(-np.average(logprobs_SV[np.arange(len(places)), tokens[places + 1]], weights=weights[places + 1]))


def _expected(item: Item, stops: frozenset[int]) -> list[int]:
    """The right answer, without what ends it."""
    answer: list[int] = item["tokens"][len(item["prompt"]) :]
    return answer[:-1] if answer and answer[-1] in stops else answer


def _logprobs(logits_NV: Any) -> Any:
    away = logits_NV.astype(np.float64) - logits_NV.max(1, keepdims=True)
    return away - np.log(np.exp(away).sum(1, keepdims=True))


def main(request: Path) -> None:
    """The request is {"format", "folder", "items", "most", "stops"}."""
    given = json.loads(request.read_text(encoding="utf-8"))
    part = exports.build(given["format"])
    started = time.perf_counter()
    served = part.open(Path(given["folder"]))
    load_s = time.perf_counter() - started
    found = measured(served, given["items"], given["most"], frozenset(given["stops"]))
    print(json.dumps({**found, "load_s": load_s, "memory": peak()}))


def peak() -> int:
    """Bytes of memory that this process has held at most. Linux's ru_maxrss begins with what its parent held."""
    if STATUS.is_file():
        line = next(each for each in STATUS.read_text(encoding="ascii").splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
