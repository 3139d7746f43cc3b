"""Shortcuts: what a block adds its branch to where the branch changes the map or the channels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import check_choice, check_positive
from .._errors import ArgumentError
from ._layers import MakeNorm, conv, make_pool

SHORTCUTS = ("projection", "pad", "pad_after")
DOWNSAMPLES = ("stride", "average", "blur")


class PadShortcut(nn.Module):
    """Option A of He et al. 2015, section 3.3: every ``stride``-th pixel, and channels of zeros; no parameters.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)); the gradient passes.

    Args:
        in_channels: channels before.
        out_channels: channels after, at least ``in_channels``.
        stride: of the subsampling.
        zeros: "split" (half of them before the image's channels, the odd one after, as most PyTorch code has it) or "after" (all
            of them after, as fb.resnet.torch has it).

    Raises:
        ArgumentError: fewer channels after than before, or a number that is not positive.
        UnknownNameError: an unknown layout of the zeros.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, zeros: str = "split") -> None:
        super().__init__()
        for name, value in {"in_channels": in_channels, "out_channels": out_channels, "stride": stride}.items():
            check_positive(name, value)
        check_choice("zeros", zeros, ("split", "after"))
        if out_channels < in_channels:
            raise ArgumentError(
                f"shortcut='pad': expected at least as many channels after as before, got {in_channels} -> {out_channels}"
            )
        self.stride = stride
        self.before = (out_channels - in_channels) // 2 if zeros == "split" else 0
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        x = F.avg_pool2d(
            x, 1, self.stride
        )  # a slice computes its size in another way than a convolution: torch.export would call them different
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, before={self.before}, after={self.after}"


def make_shortcut(
    kind: str, in_channels: int, out_channels: int, *, stride: int, downsample: str, norm: MakeNorm | None
) -> nn.Module:
    """The shortcut of that kind; a projection without ``norm`` is the convolution alone."""
    layers: list[nn.Module] = []
    if stride > 1 and downsample != "stride":
        layers.append(make_pool(downsample, in_channels, stride))
        stride = 1
    if kind == "projection":
        layers += [conv(in_channels, out_channels, 1, stride=stride), *([norm(out_channels)] if norm else [])]
    else:
        layers.append(
            PadShortcut(in_channels, out_channels, stride=stride, zeros="split" if kind == "pad" else "after")
        )
    return nn.Sequential(*layers)
