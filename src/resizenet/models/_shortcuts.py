"""Shortcuts: the path around a block's branch where the branch changes the map's size or its channels."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import check_choice, check_positive
from .._errors import ArgumentError
from ._layers import BlurPool, MakeNorm, conv

Shortcut = Literal["projection", "pad", "pad_after"]
Downsample = Literal["stride", "average", "blur"]
Zeros = Literal["split", "after"]


class PadShortcut(nn.Module):
    """Option A of He et al. 2015, section 3.3: every ``stride``-th pixel, and channels of zeros; no parameters.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)); gradients flow to the input.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, at least ``in_channels``.
        stride: stride of the subsampling.
        zeros: "split" (half of the zero channels come before the input's channels, the odd one after them, as in most
            PyTorch code) or "after" (all of them after, as in fb.resnet.torch).

    Raises:
        ArgumentError: ``out_channels`` below ``in_channels``, or a number that is not positive.
        UnknownNameError: an unknown layout of the zeros.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, zeros: Zeros = "split") -> None:
        super().__init__()
        for name, value in {"in_channels": in_channels, "out_channels": out_channels, "stride": stride}.items():
            check_positive(name, value)
        check_choice("zeros", zeros, get_args(Zeros))
        if out_channels < in_channels:
            raise ArgumentError(
                f"shortcut='pad': expected out_channels of at least in_channels, got {in_channels} -> {out_channels}"
            )
        self.stride = stride
        self.before = (out_channels - in_channels) // 2 if zeros == "split" else 0
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        # A strided slice and a strided convolution compute their sizes by different formulas, and torch.export cannot
        # prove # that they agree; a pool uses the convolution's formula.
        x = F.avg_pool2d(x, 1, self.stride)
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, before={self.before}, after={self.after}"


def make_shortcut(
    kind: Shortcut, in_channels: int, out_channels: int, *, stride: int, downsample: Downsample, norm: MakeNorm | None
) -> nn.Sequential:
    """The shortcut of that kind; a projection without ``norm`` is the convolution alone."""
    layers: list[nn.Module] = []
    if stride > 1 and downsample != "stride":
        # ceil_mode: at an odd side the last windows average the pixels inside the map
        pool = BlurPool(in_channels, stride) if downsample == "blur" else nn.AvgPool2d(stride, ceil_mode=True)
        layers.append(pool)
        stride = 1
    if kind == "projection":
        layers += [conv(in_channels, out_channels, 1, stride=stride), *([norm(out_channels)] if norm else [])]
    else:
        zeros: Zeros = "split" if kind == "pad" else "after"
        layers.append(PadShortcut(in_channels, out_channels, stride=stride, zeros=zeros))
    return nn.Sequential(*layers)
