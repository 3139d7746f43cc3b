"""Muon for convolutions, SGD with Nesterov momentum for everything else, in one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_STEPS = 3
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic polynomial in Jordan et al. 2024


def orthogonalize(gradient: Tensor) -> Tensor:
    """Return about the nearest semi-orthogonal matrix, after some Newton-Schulz steps in bfloat16.

    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks" (kellerjordan.github.io/posts/muon). A
    convolution's weight (out, in, height, width) counts as a matrix (out, in * height * width).
    """
    a, b, c = _COEFFICIENTS
    x = gradient.flatten(1).bfloat16()
    x = x / (x.norm() + 1e-7)  # the singular values must be at most one
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    for _ in range(_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.T).view_as(gradient).to(gradient.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for the groups with ``muon=True``, SGD with Nesterov momentum for the others.

    Before each update of Muon the weight is scaled to the norm of a semi-orthogonal matrix, so that the learning rate
    is the relative size of the update.

    Args:
        groups: dicts with ``params``, ``lr``, ``momentum`` and ``muon``, and for SGD ``weight_decay``: the share of a
            parameter that a step at full learning rate removes.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(list(groups), {"weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        lr, state = group["lr"], self.state[parameter]
        if not group["muon"]:
            gradient = gradient + group["weight_decay"] / group["initial_lr"] * parameter
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.mul_(group["momentum"]).add_(gradient)
        update = gradient + group["momentum"] * momentum
        if group["muon"]:
            parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
            update = orthogonalize(update)
        parameter.sub_(update, alpha=lr)
