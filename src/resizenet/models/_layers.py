"""The layers that stems, blocks and shortcuts are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import check_positive
from .._errors import ArgumentError

MakeNorm = Callable[[int], nn.Module]  # from a number of channels: nn.BatchNorm2d, functools.partial(nn.GroupNorm, 8)
MakeAct = Callable[[], nn.Module]  # nn.ReLU, functools.partial(nn.LeakyReLU, 0.1)


def conv(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias whose map has ceil(side / stride) cells per side, for an odd kernel.

    Kaiming normal over fan_out (He et al., "Delving Deep into Rectifiers", section 2.2).

    Raises:
        ArgumentError: a number of channels that the groups do not divide.
    """
    check_positive("groups", groups)
    if in_channels % groups or out_channels % groups:
        raise ArgumentError(f"groups: expected a divisor of the channels {in_channels} -> {out_channels}, got {groups}")
    padding = dilation * (kernel_size // 2)
    layer = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=False,
    )
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


class SpaceToDepth(nn.Module):
    """Folds every block of pixels into channels; a side that is no multiple gets zeros at its end.

    (B, C, H, W) -> (B, C * block_size**2, ceil(H / block_size), ceil(W / block_size)).
    """

    def __init__(self, block_size: int) -> None:
        super().__init__()
        check_positive("block_size", block_size)
        self.kernel_size = self.stride = block_size

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        size = self.stride
        x = F.pad(x, (0, -x.shape[3] % size, 0, -x.shape[2] % size))
        return rearrange(x, "b c (h y) (w x) -> b (c y x) h w", y=size, x=size)

    def extra_repr(self) -> str:
        return str(self.stride)


class BlurPool(nn.Module):
    """The binomial filter [1, 2, 1] / 4 in both directions, then every ``stride``-th pixel (Zhang 2019, section 3.2).

    (B, channels, H, W) -> (B, channels, ceil(H / stride), ceil(W / stride)); the border is repeated, so constants stay.
    """

    kernel: Tensor

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.stride = stride
        self.register_buffer("kernel", torch.outer(line, line).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H', W')."""
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, self.kernel, stride=self.stride, groups=self.kernel.shape[0])

    def extra_repr(self) -> str:
        return f"{self.kernel.shape[0]}, stride={self.stride}"


def make_pool(kind: str, channels: int, stride: int) -> nn.Module:
    """A ``BlurPool``, or the mean of every block of pixels: of those inside the image, where a side is no multiple."""
    return BlurPool(channels, stride) if kind == "blur" else nn.AvgPool2d(stride, ceil_mode=True)
