"""The write face over torch: one optimizer step over micro-batches, summed and divided once; checkpoints."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn.utils import get_total_norm

from affina.core.errors import Failed, Refused
from affina.core.kinds import (
    Averaging,
    Batch,
    Forward,
    Measure,
    Noise,
    Objective,
    Optimizer,
    Penalty,
    Schedule,
    Tuning,
)
from affina.data.rows import Renderer
from affina.engine.torch import checkpoint, noise, rounding
from affina.engine.torch.average import Average, put
from affina.engine.torch.load import Network
from affina.engine.torch.model import TorchModel
from affina.engine.torch.penalised import Penalised
from affina.engine.torch.tuned import UNITLESS, attach, edges

HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True, slots=True)
class Course:
    """How an engine learns: which weights, by which optimizer, at what rate over how many steps."""

    tuning: Tuning
    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    steps: int
    seed: int
    penalties: Sequence[Penalty] = ()
    noise: Noise | None = None
    averaging: Averaging | None = None
    measure: Measure = UNITLESS
    """Of a new head's numbers. Learning goes as if they were given in units of their spread, whatever they count."""


class TorchEngine(TorchModel):
    """A model whose trainable tensors move, float32 or as the network's `masters` says; all else stays put."""

    def __init__(self, network: Network, renderer: Renderer, course: Course) -> None:
        super().__init__(network, renderer)
        self.course, self.step = course, 0
        self.heard: list[tuple[int, float]] = []
        self.known: Mapping[str, float] = {}
        attach(network, course.tuning, course.seed, course.measure)
        _room(network, renderer)
        scales = {f"model.{name}": scale for name, scale in course.tuning.scales(network.model).items()}
        scales |= dict.fromkeys(HEAD, course.measure.spread)
        self._named = dict(network.named_parameters())
        self.optimizer = course.optimizer.build(self.trainable(), scales, edges(network))
        _measured(self.optimizer, network.head, course.measure.spread)
        if course.noise is not None:
            noise.add(network, course.noise)
        self.penalised = Penalised(course.penalties, self.trainable())
        self.penalised.require(self)
        self.average = Average(course.averaging, self.trainable(), course.steps) if course.averaging else None

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Every tensor that moves, by name."""
        return {name: each for name, each in self._named.items() if each.requires_grad}

    def frozen(self) -> dict[str, torch.Tensor]:
        """Every tensor that must not move, buffers included."""
        fixed = {name: each.data for name, each in self.network.named_parameters() if not each.requires_grad}
        return {**fixed, **dict(self.network.named_buffers())}

    def forward(self, batch: Batch, again: bool = False) -> Forward:
        """What a batch's objective reads, with what it knows of the steps before."""
        return replace(super().forward(batch, again), known=self.known)

    def learn(self, batches: Sequence[Batch], objective: Objective, step: int) -> dict[str, float]:
        """One optimizer step; returns loss (per count), tokens, gradient norm, rate. Raises Failed on NaN."""
        torch.manual_seed(self.course.seed * 1_000_003 + step)  # dropout is a function of (seed, step) alone
        self.network.train()
        try:
            with self._closed(step):
                values, count = self._backward(batches, objective)
        finally:
            self.network.eval()
        parts, pulled = self._parts(count), dict[str, float]()
        if (
            self.penalised.pulls or self.course.measure.spread != 1
        ):  # of the mean: what is pulled, and what would overflow
            _divide(parts)
            pulled = self.penalised.pull(self.trainable())
            parts = [(gradients, 1.0) for gradients, _ in self._parts(count)]
        values = {**values, **pulled, "loss": values["loss"] + sum(pulled.values())}
        parameters = list(self.trainable().values())
        norm = math.hypot(*(float(get_total_norm(each, foreach=True)) / divisor for each, divisor in parts))
        if not math.isfinite(norm):
            raise _not_a_number("the gradient", step, batches)
        _divide(parts, min(1.0, self.course.optimizer.clip / (norm + 1e-6)))  # torch's clip_grad_norm_, in one pass
        rate = self.course.learning_rate * self.course.schedule.factor(step, self.course.steps, self.heard)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        rounding.step(self.optimizer, parameters, self.course.seed, step)
        torch.autograd.graph.increment_version(parameters)  # a fused optimizer writes without saying so
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.follow(self.trainable(), step)
        self.step, self.known = step, objective.after(self.known, values)
        tokens, targets = sum(batch.tokens for batch in batches), sum(len(batch.targets_S) for batch in batches)
        return {**values, "tokens": tokens, "targets": targets, "gradient_norm": norm, "learning_rate": rate}

    def hear(self, step: int, value: float) -> None:
        """What validation said after `step`, lower is better: a schedule may heed it."""
        self.heard.append((step, value))

    @contextmanager
    def _closed(self, step: int) -> Iterator[None]:
        """Inside, what the tuning keeps closed at this step gets no gradient, so that no optimizer touches it."""
        closed = [
            self._named[f"model.{name}"] for name in self.course.tuning.closed(self.network.model, step, self.heard)
        ]
        for each in closed:
            each.requires_grad_(False)
        try:
            yield
        finally:
            for each in closed:
                each.requires_grad_(True)

    def _backward(self, batches: Sequence[Batch], objective: Objective) -> tuple[dict[str, float], float]:
        """Leaves the gradient of the sum of totals in every trainable tensor. Loss and metrics, by the sum of counts,
        and that sum."""
        total, count, metrics = 0.0, 0.0, dict[str, float]()
        for batch in batches:
            if not batch.ids:
                continue
            loss = self.penalised.loss(self, batch, objective)
            value = float(loss.total.detach())
            if not -float("inf") < value < float("inf"):
                raise _not_a_number("the loss", self.step + 1, [batch])
            loss.total.backward()  # type: ignore[no-untyped-call]
            total, count = total + value, count + loss.count
            for name, each in loss.metrics.items():
                metrics[name] = metrics.get(name, 0.0) + each
        return {"loss": total / count, **{name: each / count for name, each in metrics.items()}}, count

    def _parts(self, count: float) -> "list[Part]":
        """The gradients that a sum over `count` left, and what divides them for that of the mean, a new head's numbers
        counted in units of their spread."""
        spread = self.course.measure.spread
        reached = {name: each.grad for name, each in self.trainable().items() if each.grad is not None}
        parts = [
            ([grad for name, grad in reached.items() if (name in HEAD) == head], divisor)
            for divisor, head in ((count * spread * spread, False), (count * spread, True))
        ]
        return [part for part in parts if part[0]]

    def gradients(self, batches: Sequence[Batch], objective: Objective) -> dict[str, torch.Tensor]:
        """The mean loss's gradient of every trainable tensor that a row reaches: what `learn` would step along, but for
        the pull of penalties on the weights themselves, which needs no row."""
        _, count = self._backward(batches, objective)
        _divide(self._parts(count))
        found = {name: each.grad.clone() for name, each in self.trainable().items() if each.grad is not None}
        self.optimizer.zero_grad(set_to_none=True)
        return found

    @contextmanager
    def exactly(self, precision: str = "float32") -> Iterator[None]:
        """Inside, weights and products are float32 (or float64), dropout off; afterwards all is as it was, to the bit.

        Widening is exact, and so is the way back of whatever did not move inside.
        """
        kept, self.network.precision = self.network.precision, precision
        tensors = (*self.network.parameters(), *self.network.buffers())
        held = {each: each.dtype for each in tensors if each.is_floating_point()}
        for each, dtype in held.items():
            each.data = each.data.to(torch.promote_types(dtype, self.network.dtype))
        try:
            with self._resting():
                yield
        finally:
            self.network.precision = kept
            for each, dtype in held.items():
                each.data = each.data.to(dtype)

    def save(self, folder: Path) -> None:
        """A sealed checkpoint: trained.safetensors, optimizer.safetensors, step.json. Raises Failed on a full disk."""
        checkpoint.save_checkpoint(folder, self.trainable(), self.optimizer, self.step, self._averaged, self.known)

    def load(self, folder: Path) -> None:
        """Continues from a checkpoint, to the bit. Raises Failed when it belongs to other weights."""
        self.step, self.known = checkpoint.load_checkpoint(folder, self.trainable(), self.optimizer, self._averaged)

    @property
    def _averaged(self) -> dict[str, torch.Tensor] | None:
        return None if self.average is None else self.average.tensors

    def measured(self) -> AbstractContextManager[None]:
        """Inside, the weights are those that are measured and released: their average, where there is one."""
        return nullcontext() if self.average is None else self.average.instead(self.trainable())

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever is learnt or loaded inside is undone at the end, to the bit."""
        held = {name: each.detach().clone() for name, each in self.trainable().items()}
        average = {name: each.clone() for name, each in (self._averaged or {}).items()}
        state = {each: copy.deepcopy(values) for each, values in self.optimizer.state.items()}
        rates, step, heard = [group["lr"] for group in self.optimizer.param_groups], self.step, [*self.heard]
        known = self.known
        try:
            yield
        finally:
            put(held, self.trainable())
            put(average, self._averaged or {})
            self.optimizer.state.clear()
            self.optimizer.state.update(state)  # load_state_dict would give it the weights' dtype
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            self.step, self.heard, self.known = step, heard, known


Part = tuple[list[torch.Tensor], float]
"""Gradients of sums, and what divides them."""


def _divide(parts: Sequence[Part], share: float = 1.0) -> None:
    """The gradients become `share` of those of means, in one pass over them."""
    for gradients, divisor in parts:
        torch._foreach_div_(gradients, divisor / share)


def _measured(optimizer: torch.optim.Optimizer, head: torch.nn.Module | None, spread: float) -> None:
    """Tells the groups of a new head, which learn at a rate times `spread`, that its weights are as many times larger:
    decay, which goes with the rate, is then the same share as before."""
    held = {id(each) for each in head.parameters()} if head is not None else set()
    for group in optimizer.param_groups:
        if spread != 1 and any(id(each) in held for each in group["params"]):
            group["weight_decay"] /= spread
            group["unit"] = spread


def _room(network: Network, renderer: Renderer) -> None:
    """Raises Refused where virtual tokens and the longest row are more than the base has positions for."""
    ahead = len(network.before)
    if ahead and renderer.max_tokens + ahead > renderer.vocabulary.limit:
        raise Refused(
            f"tuning.tokens: {ahead}",
            why=f"with rows of up to {renderer.max_tokens} tokens behind them they are more than the base's "
            f"{renderer.vocabulary.limit} positions",
            instead=f"set data.max_tokens to {max(renderer.vocabulary.limit - ahead, 8)} or less, or fewer tokens",
        )


def _not_a_number(what: str, step: int, batches: Sequence[Batch]) -> Failed:
    ids = [each for batch in batches for each in batch.ids]
    shown = ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
    return Failed(
        f"step {step}: {what} is not a finite number",
        why=f"the step's examples are {shown}",
        instead="lower train.learning_rate or look at these examples; the last checkpoint is intact",
    )
