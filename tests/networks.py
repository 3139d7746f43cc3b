"""Small networks for the tests of tracing: modules from functions, and networks from the plans in ``strategies``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import assume
from torch import Tensor, nn

from strategies import Branches, Layer


class Apply(nn.Module):
    """Calls a function with the input, and with the given modules by name."""

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function, self.modules_by_name = function, nn.ModuleDict(modules)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, **self.modules_by_name)


def pointwise_channels_last(channels: int) -> nn.Module:
    """A pointwise layer in channels-last order, as in ConvNeXt and Swin."""
    return Apply(lambda x, linear: linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), linear=nn.Linear(channels, 2))


def space_to_depth(x: Tensor) -> Tensor:
    """2x2 blocks become channels; an odd last line is cut off."""
    b, c, h, w = x.shape
    x = x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(b, c, h // 2, 2, w // 2, 2)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(b, 4 * c, h // 2, w // 2)


def build(plans: list[Layer | Branches]) -> nn.Sequential:
    """The planned network for 2 channels, with one channel at its end."""
    steps, channels = _steps(plans, 2)
    return nn.Sequential(*steps, nn.Conv2d(channels, 1, 1))


def _steps(plans: list[Layer | Branches] | tuple[Layer, ...], channels: int) -> tuple[list[nn.Module], int]:
    """The modules, and the number of channels behind them."""
    steps: list[nn.Module] = []
    for plan in plans:
        step, channels = _branches(plan, channels) if isinstance(plan, Branches) else _layer(plan, channels)
        steps.append(step)
    return steps, channels


def _branches(plan: Branches, channels: int) -> tuple[nn.Module, int]:
    paths = [_steps(path, channels) for path in plan.paths]
    modules = {f"path{i}": nn.Sequential(*steps) for i, (steps, _) in enumerate(paths)}
    widths = [width for _, width in paths]
    if plan.join == "cat":
        return Apply(lambda x, **paths: torch.cat([path(x) for path in paths.values()], 1), **modules), sum(widths)
    assume(len(set(widths)) == 1)
    return Apply(lambda x, **paths: sum(path(x) for path in paths.values()), **modules), widths[0]


def _layer(plan: Layer, channels: int) -> tuple[nn.Module, int]:
    (top, left), (down, across) = plan.padding, plan.stride
    if plan.kind == "conv":
        return nn.Conv2d(channels, 2, plan.kernel, plan.stride, plan.padding, plan.dilation), 2
    if plan.kind == "average":
        padding = min(top, plan.kernel[0] // 2), min(left, plan.kernel[1] // 2)
        return nn.AvgPool2d(plan.kernel, plan.stride, padding), channels
    if plan.kind == "crop":
        return Apply(lambda x: x[:, :, top::down, left::across]), channels
    if plan.kind == "pad":
        return nn.ZeroPad2d((left, 1, top, 0)), channels
    return (pointwise_channels_last(channels), 2) if plan.kind == "permuted" else (Apply(space_to_depth), 4 * channels)
