"""The nine-layer network of Page's entry to DAWNBench: pooled convolutions and two residual blocks."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ._blocks import BlockOptions
from ._layers import MakeAct, MakeNorm, ScaledLinear, conv
from ._resnet import ResNet


class _ConvPool(nn.Sequential):
    """3x3 convolution, norm, activation and max pool.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, options: BlockOptions) -> None:
        super().__init__()
        self.conv = conv(in_channels, out_channels, 3)
        self.norm = options.norm(out_channels)
        self.act = options.act()
        self.pool = nn.MaxPool2d(options.stride, ceil_mode=True)


class _Residual(nn.Module):
    """The input plus a branch of two convolutions, each with norm and activation; the shape stays."""

    def __init__(self, channels: int, options: BlockOptions) -> None:
        super().__init__()
        layers = ([conv(channels, channels, 3), options.norm(channels), options.act()] for _ in range(2))
        self.branch = nn.Sequential(*(layer for group in layers for layer in group))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        out: Tensor = x + self.branch(x)
        return out


def _block(in_channels: int, out_channels: int, **options: Any) -> nn.Module:
    """Return a pooled convolution for the first block of a stage, which has the stride, else a residual block."""
    o = BlockOptions(**options)
    return _Residual(out_channels, o) if o.stride == 1 else _ConvPool(in_channels, out_channels, o)


class ResNet9(ResNet):
    """Page's network: three pooled convolutions, two residual blocks, max pooling, and 1/8 of a linear layer.

    The first and the last pooled convolution are followed by a residual block. (B, in_channels, H, W) -> (B,
    num_classes), any H and W; the methods are those of ``ResNet``.

    Args:
        in_channels: channels of the image.
        num_classes: outputs of the classifier; 0 leaves it out, and the pooled features are returned.
        norm: a class or function that makes a norm from a number of channels.
        act: a class or function that makes an activation.
    """

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 10, norm: MakeNorm = nn.BatchNorm2d, act: MakeAct = nn.ReLU
    ) -> None:
        super().__init__(
            _block,
            (2, 1, 2),
            (128, 256, 512),
            stem_width=64,
            strides=(2, 2, 2),
            in_channels=in_channels,
            num_classes=num_classes,
            norm=norm,
            act=act,
        )

    def forward_head(self, features: Tensor) -> Tensor:
        """The last map, (B, 512, H', W') -> (B, num_classes), or (B, 512) without a classifier."""
        logits: Tensor = self.fc(features.amax((2, 3)))
        return logits

    def _make_classifier(self, num_classes: int) -> nn.Module:
        return ScaledLinear(self.num_features, num_classes, scale=1 / 8)
