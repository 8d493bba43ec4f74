"""Any affina model behind the interface of EleutherAI's evaluation harness, and the harness's tasks run on it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from affina.core.errors import Refused, nearest
from affina.core.kinds import Model, Row, Sampling
from affina.core.task import Statistic, Tested
from affina.evaluation.continuation import beginning, continuation, fits, supervised
from affina.evaluation.going_on import scored
from affina.evaluation.measure import Estimate
from affina.evaluation.put import plain
from affina.evaluation.statistics import normal_quantile
from affina.evaluation.tasked import measuring

HARNESS = "harness"
MOST_TOKENS = 256
"""Generated at most where a task does not say."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """Which tasks: by name, from the harness's own and a folder of further ones, whose Python runs only on trust."""

    names: tuple[str, ...]
    folder: str | None = None
    trust: bool = False


class Language(LM):  # type: ignore[misc]
    """A model as the harness asks it: raw texts, whose tokens are affina's own."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Of every (context, continuation): its log-probability, and whether each of its tokens is the likeliest."""
        renderer = self.model.renderer
        rows = [continuation(renderer, f"request {n}", *each.args) for n, each in enumerate(requests, 1)]
        likely, likeliest = scored(self.model, rows, HARNESS, None), self.model.fill(rows)
        return [
            (float(one.logprobs_S.sum()), bool((row.tokens[row.weights > 0] == greedy).all()))
            for row, one, greedy in zip(rows, likely, likeliest, strict=True)
        ]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """The log-probability of whole texts, in windows that the model takes, each token predicted once."""
        owners: list[int] = []
        rows: list[Row] = []
        for number, each in enumerate(requests):
            own = self._windows(f"request {number + 1}", each.args[0])
            rows += own
            owners += [number] * len(own)
        nats = [float(one.logprobs_S.sum()) for one in scored(self.model, rows, HARNESS, None)]
        return np.bincount(owners, nats, minlength=len(requests)).tolist() if rows else [0.0] * len(requests)

    def _windows(self, id: str, text: str) -> list[Row]:
        renderer = self.model.renderer
        first = beginning(renderer)[-1]
        tokens = renderer.continued(text)[len(renderer.continued("")) :]
        # A window holds its context and what is predicted: one token more than the harness's windows have.
        windows = get_rolling_token_windows(tokens, first, renderer.max_tokens - 1, 1)
        return [supervised(renderer, id, *make_disjoint_window(each)) for each in windows]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """What the model goes on with, up to the first of a task's ends."""
        made: dict[int, str] = {}
        by_how: dict[Sampling, list[int]] = {}
        for number, each in enumerate(requests):
            by_how.setdefault(_sampling(each.args[1]), []).append(number)
        for how, numbers in by_how.items():
            prompts = [self._prompt(number, requests[number].args[0]) for number in numbers]
            for number, said in zip(numbers, self.model.sample(prompts, how), strict=True):
                made[number] = _until(said.text, requests[number].args[1].get("until", ()))
        return [made[number] for number in range(len(requests))]

    def _prompt(self, number: int, context: str) -> list[int]:
        prompt = self.model.renderer.continued(context) or beginning(self.model.renderer)
        fits(len(prompt) + 1, self.model.renderer.max_tokens, f"request {number + 1}")
        return prompt


def by_harness(model: Model, asked: Tasks, alpha: float, seed: int) -> dict[str, Any]:
    """{task: {"task": "harness", "items", "metrics", …}}, as `put.told` has it. Means of items have this project's
    intervals; other numbers the harness's own standard error. Raises Refused for an unknown task."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    known = _manager(asked)
    for name in asked.names:
        if name not in known.all_tasks:
            raise Refused(f"the harness has no task '{name}'", instead=nearest(name, known.all_tasks))
    found: Any = simple_evaluate(
        Language(model),
        tasks=[*asked.names],
        task_manager=known,
        bootstrap_iters=1000,
        log_samples=True,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
    )
    return {name: _told(found, name, alpha, seed) for name in found["samples"]}


def _manager(asked: Tasks) -> Any:
    """What knows the tasks. Raises Refused for a folder that is none, or holds Python that nobody trusts."""
    if asked.folder is not None:
        folder = Path(asked.folder)
        if not folder.is_dir():
            raise Refused(f"{folder} is no folder of tasks")
        if not asked.trust and (program := next(folder.rglob("*.py"), None)):
            raise Refused(
                f"{program} is a program, and the tasks beside it may run it",
                why="nobody said that it is to be trusted",
                instead="read it, then add --trust",
            )
        own = TaskManager(include_path=asked.folder, include_defaults=False)
        if set(asked.names) <= set(own.all_tasks):
            return own  # the harness's own thousands of tasks need not be looked through
    return TaskManager(include_path=asked.folder)


def _told(found: Mapping[str, Any], name: str, alpha: float, seed: int) -> dict[str, Any]:
    """A task's numbers, those of its first filter."""
    samples, results = found["samples"][name], found["results"][name]
    filtered = [each for each in samples if each["filter"] == samples[0]["filter"]]
    ids = tuple(str(each["doc_id"]) for each in filtered)
    metrics: dict[str, Any] = {}
    for key, value in results.items():
        metric, _, kept = key.partition(",")
        if kept != filtered[0]["filter"] or metric.endswith("_stderr") or isinstance(value, str):
            continue
        items = [each.get(metric) for each in filtered]
        if all(isinstance(each, int | float) for each in items):
            column_N = np.array(items, dtype=np.float64)
            tested = Tested(ids, {metric: column_N})
            metrics |= plain(measuring(tested, {metric: Statistic.mean(metric)}, alpha, seed))
        if metric not in metrics or not np.isclose(metrics[metric]["value"], value):
            metrics[metric] = _aggregated(value, results.get(f"{metric}_stderr,{kept}"), len(ids), alpha)
    return {"task": HARNESS, "items": len(ids), "metrics": metrics, "slices": {}, "notes": [], "shown": []}


def _aggregated(value: float, stderr: Any, n: int, alpha: float) -> dict[str, Any]:
    """A number that is no mean of items, with the harness's own standard error where it has one."""
    known = isinstance(stderr, int | float)
    half = normal_quantile(1 - alpha / 2) * stderr if known else np.inf
    return Estimate(float(value), float(value - half), float(value + half), n).as_dict()


def _sampling(given: Mapping[str, Any]) -> Sampling:
    draws = bool(given.get("do_sample")) and float(given.get("temperature", 1.0)) > 0
    most = int(given.get("max_gen_toks") or given.get("max_new_tokens") or MOST_TOKENS)
    return Sampling(most, float(given.get("temperature", 1.0)) if draws else 0.0, float(given.get("top_p", 1.0)))


def _until(text: str, ends: str | Sequence[str]) -> str:
    for end in [ends] if isinstance(ends, str) else ends:
        text = text.split(end, 1)[0] if end else text
    return text
