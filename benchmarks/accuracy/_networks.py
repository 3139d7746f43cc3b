"""Networks of the experiments, with the widths of the papers or a quarter of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet.models import BasicBlock, Bottleneck, ResNet, WideBlock


class TrainedInFloat32(nn.Module):
    """A module that is trained in float32 under autocast, and evaluated in autocast's dtype.

    The backward pass of depthwise convolutions is up to five times as slow in bf16 on a CPU (torch 2.15, no upstream
    issue found). It can go when all of them are faster in bf16.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """Return what the module computes."""
        if not self.training:
            return self.module(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.module(x.float())


def train_in_float32(model: nn.Module, chosen: Callable[[nn.Conv2d], bool]) -> nn.Module:
    """Return the model with the chosen convolutions in ``TrainedInFloat32``."""
    for name, layer in [*model.named_modules()]:
        if isinstance(layer, nn.Conv2d) and chosen(layer):
            model.set_submodule(name, TrainedInFloat32(layer))
    return model


def resnet18(stem: str, width: int) -> nn.Module:
    """Return a ResNet-18 with a stem of ``resizenet.models``; ``width`` is 64 in the paper."""
    return ResNet(BasicBlock, (2, 2, 2, 2), (width, 2 * width, 4 * width, 8 * width), stem=stem)


def resnet50(width: int) -> nn.Module:
    """Return torchvision's ResNet-50 for a width of 64, and one like it for another width."""
    if width == 64:
        return torchvision.models.resnet50(num_classes=10)
    widths = (4 * width, 8 * width, 16 * width, 32 * width)
    return ResNet(Bottleneck, (3, 4, 6, 3), widths, stem="imagenet", stem_width=width)


def resnet20(widths: Sequence[int] = (16, 32, 64)) -> nn.Module:
    """Return a ResNet-20 with projection shortcuts."""
    return ResNet(BasicBlock, (3, 3, 3), widths)


def resnet_of_bottlenecks(width: int) -> nn.Module:
    """Return three stages of two bottlenecks, each ``width`` wide inside and four times as wide outside."""
    return ResNet(Bottleneck, (2, 2, 2), (4 * width,) * 3, stem_width=width)


def thin_wide_resnet(*, dropout: float) -> nn.Module:
    """Return a WRN-16-1, which has a quarter of the width of WRN-16-4."""
    return ResNet(WideBlock, (2, 2, 2), (16, 32, 64), stem_width=16, dropout=dropout)


class SpaceToDepthResizer(rn.FixedResizer):
    """The fixed resize plus a small network on 2x2 pixels folded into channels.

    (B, 3, H, W) -> (B, 3, *size). The images are resized to twice the size and folded by 2. A 3x3 convolution to 32
    channels, BatchNorm and LeakyReLU follow, then a 3x3 convolution to 3 channels, which starts at zero. It has 4,387
    parameters.
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


class QuarterResNet9(nn.Module):
    """Page's ResNet-9 with a quarter of its channels and the same layers in the same order."""

    def __init__(self) -> None:
        super().__init__()

        def conv(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())

        def pooled(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(conv(before, after), nn.MaxPool2d(2))

        self.stem, self.first, self.second, self.third = conv(3, 16), pooled(16, 32), pooled(32, 64), pooled(64, 128)
        self.residual_1 = nn.Sequential(conv(32, 32), conv(32, 32))
        self.residual_3 = nn.Sequential(conv(128, 128), conv(128, 128))
        self.fc = nn.Linear(128, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 10)."""
        x = self.first(self.stem(x))
        x = self.third(self.second(x + self.residual_1(x)))
        x = F.adaptive_max_pool2d(x + self.residual_3(x), 1).flatten(1)
        return 0.125 * self.fc(x)
