"""Networks of the experiments, at full width and at a quarter of it (a sixteenth of the multiply-accumulates) for a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet.models import BasicBlock, Bottleneck, ResNet


def resnet18(stem: str, *, small: bool) -> nn.Module:
    """ResNet-18 with a stem of ``resizenet.models``."""
    widths = (16, 32, 64, 128) if small else (64, 128, 256, 512)
    return ResNet(BasicBlock, (2, 2, 2, 2), widths, stem=stem)


def resnet50(*, small: bool) -> nn.Module:
    """ResNet-50 as torchvision makes it, or one like it of a quarter of the width."""
    if not small:
        return torchvision.models.resnet50(num_classes=10)
    return ResNet(Bottleneck, (3, 4, 6, 3), (64, 128, 256, 512), stem="imagenet", stem_width=16)


def resnet20(widths: Sequence[int] = (16, 32, 64)) -> nn.Module:
    """ResNet-20 with projection shortcuts."""
    return ResNet(BasicBlock, (3, 3, 3), widths)


class SpaceToDepthResizer(rn.FixedResizer):
    """The fixed resize plus a small network on 2x2 pixels folded into channels: ``LinearResizer``'s sibling with one hidden layer.

    (B, 3, H, W) -> (B, 3, *size). A resize to twice the size where the image has another, space-to-depth by 2, 3x3 to 32 channels, BatchNorm,
    LeakyReLU, 3x3 to 3 channels, which start at zero: 4,387 parameters.
    """

    def __init__(self, size: int, *, hidden: int = 32) -> None:
        super().__init__(size)
        self.fold = nn.PixelUnshuffle(2)
        self.head = nn.Sequential(
            nn.Conv2d(12, hidden, 3, padding=1, bias=False), nn.BatchNorm2d(hidden), nn.LeakyReLU(0.2)
        )
        self.tail = nn.Conv2d(hidden, 3, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, x: Tensor, size: int | tuple[int, int] | None = None) -> Tensor:
        """(B, 3, H, W) -> (B, 3, *size), or another size for this call."""
        plain = super().forward(x, size)
        finer = super().forward(x, tuple(2 * side for side in plain.shape[2:]))
        return plain + self.tail(self.head(self.fold(finer)))


class ConstantWidthBottlenecks(ResNet):
    """Reduced bottlenecks: three stages of two, as wide as the reduced ResNet of basic blocks inside and four times as wide outside."""

    def __init__(self, width: int) -> None:
        super().__init__(Bottleneck, (2, 2, 2), (4 * width,) * 3, stem_width=width)


class QuarterResNet9(nn.Module):
    """Page's ResNet-9 with a quarter of its channels, of the same layers in the same order."""

    def __init__(self) -> None:
        super().__init__()

        def conv(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())

        def pooled(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(conv(before, after), nn.MaxPool2d(2))

        self.stem, self.first, self.second, self.third = conv(3, 16), pooled(16, 32), pooled(32, 64), pooled(64, 128)
        self.residual_1, self.residual_3 = (
            nn.Sequential(conv(width, width), conv(width, width)) for width in (32, 128)
        )
        self.fc = nn.Linear(128, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 10)."""
        x = self.first(self.stem(x))
        x = self.third(self.second(x + self.residual_1(x)))
        x = F.adaptive_max_pool2d(x + self.residual_3(x), 1).flatten(1)
        return 0.125 * self.fc(x)
