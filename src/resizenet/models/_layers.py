"""Layers that stems, blocks and shortcuts are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import check_positive
from .._errors import ArgumentError

MakeNorm = Callable[
    [int], nn.Module
]  # takes the number of channels: nn.BatchNorm2d, functools.partial(nn.GroupNorm, 8)
MakeAct = Callable[[], nn.Module]  # nn.ReLU, functools.partial(nn.LeakyReLU, 0.1)


def check_callable(argument: str, value: object) -> None:
    """Raise ArgumentError unless ``value`` can be called."""
    if not callable(value):
        raise ArgumentError(f"{argument}: expected a class or a function that makes a module, got {value!r}")


def conv(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias; for an odd kernel its map has ceil(side / stride) positions per side.

    The weights are drawn from Kaiming's normal distribution over fan_out (He et al., "Delving Deep into Rectifiers",
    section 2.2).

    Raises:
        ArgumentError: a number of channels that the groups do not divide.
    """
    check_positive("groups", groups)
    if in_channels % groups or out_channels % groups:
        raise ArgumentError(f"groups: expected a divisor of the channels {in_channels} -> {out_channels}, got {groups}")
    layer = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        groups=groups,
        bias=False,
    )
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class ScaledLinear(nn.Linear):
    """A linear layer without bias, times ``scale``."""

    def __init__(self, in_features: int, out_features: int, *, scale: float) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) -> (B, out_features)."""
        return self.scale * super().forward(x)


class BlurPool(nn.Module):
    """The binomial filter [1, 2, 1] / 4 along both axes, then every ``stride``-th pixel (Zhang 2019, section 3.2).

    (B, channels, H, W) -> (B, channels, ceil(H / stride), ceil(W / stride)). The border is replicated, so constants are
    preserved.

    Raises:
        ArgumentError: a number that is not positive.
    """

    kernel: Tensor

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        check_positive("channels", channels)
        check_positive("stride", stride)
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.stride = stride
        self.register_buffer("kernel", torch.outer(line, line).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H', W')."""
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, self.kernel, stride=self.stride, groups=self.kernel.shape[0])

    def extra_repr(self) -> str:
        return f"{self.kernel.shape[0]}, stride={self.stride}"
