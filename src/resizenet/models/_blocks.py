"""Residual blocks and the shortcuts that join stages of different size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .._errors import ArgumentError, check_choice

SHORTCUTS = ("projection", "pad")


class PadShortcut(nn.Module):
    """Option A of He et al. 2015, section 3.3: subsample by the stride and append channels of zeros; no parameters.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)); the gradient passes.

    Args:
        in_channels: channels before.
        out_channels: channels after, at least ``in_channels``.
        stride: of the subsampling.

    Raises:
        ArgumentError: fewer channels after than before.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ArgumentError(f"shortcut='pad': expected at least as many channels after as before, got {in_channels} -> {out_channels}")
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


def make_shortcut(kind: str, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity where nothing changes, else the shortcut of that kind."""
    check_choice("shortcut", kind, SHORTCUTS)
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if kind == "pad":
        return PadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, ReLU after the sum (He et al. 2015, figure 2).

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: channels before.
        out_channels: channels after.
        stride: of the first convolution and of the shortcut.
        shortcut: "projection" (option B: 1x1 convolution and norm) or "pad" (option A: subsample, append zeros).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, shortcut: str = "projection") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = make_shortcut(shortcut, in_channels, out_channels, stride)
        self.act2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        y = self.act1(self.norm1(self.conv1(x)))
        out: Tensor = self.act2(self.norm2(self.conv2(y)) + self.shortcut(x))
        return out
