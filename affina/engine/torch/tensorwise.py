"""A torch optimizer that steps each tensor by itself, by a rule given to it."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

State = dict[str, Tensor]
Group = Mapping[str, Any]


class Rule(Protocol):
    """How one tensor moves. `group` holds at least `lr`, `weight_decay`, `scale` and `hidden`."""

    def begin(self, parameter: Tensor, group: Group) -> State:
        """The state before the first step, on the parameter's device; it never changes keys, shapes or dtypes."""

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        """Moves the parameter and its state in place. The parameter is float32 here, however it is kept."""


class TensorWise(torch.optim.Optimizer):
    """Every tensor that has a gradient is stepped, as if it were alone; all state is tensors."""

    def __init__(self, groups: Iterable[dict[str, Any]], rule: Rule) -> None:
        super().__init__(groups, {"lr": 0.0})
        self.rule = rule

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is ever given
        """Moves whatever has a gradient at its group's `lr`."""
        for group in self.param_groups:
            for each in group["params"]:
                if each.grad is None:
                    continue
                state: State = self.state[each]
                if not state:
                    state.update(self.rule.begin(each, group))
                self.rule.update(each, each.grad, state, group)

    def shapes(self, parameter: nn.Parameter) -> dict[str, torch.Size]:
        """The shape of all that is kept for a parameter."""
        group = next(group for group in self.param_groups if any(each is parameter for each in group["params"]))
        begun = self.rule.begin(torch.empty_like(parameter, device="meta"), group)
        return {key: value.shape for key, value in begun.items()}
