"""Networks as people write them today."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn


class PortedResizer(nn.Module):
    """The published learned resizer as its ports write it, but with a size instead of their inverted scale factor."""

    def __init__(self, size: int, channels: int = 16, num_blocks: int = 1) -> None:
        super().__init__()
        self.size = (size, size)
        self.conv1 = nn.Conv2d(3, channels, 7, padding=3)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.LeakyReLU(0.2),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
            )
            for _ in range(num_blocks)
        )
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv4 = nn.Conv2d(channels, 3, 7, padding=3)

    def _resize(self, x: Tensor) -> Tensor:
        return F.interpolate(x, self.size, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, size, size)."""
        skip = self._resize(x)
        x = F.leaky_relu(self.conv1(x), 0.2)
        x = F.leaky_relu(self.conv2(x), 0.2)
        before = x = self._resize(self.bn1(x))
        for block in self.blocks:
            x = x + block(x)
        x = self.bn3(self.conv3(x)) + before
        return self.conv4(x) + skip


class _PlainBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class HandWrittenResNet18(nn.Module):
    """A ResNet-18 for 32 px as scripts for CIFAR-10 write it: 3x3 stem, no pool, fixed average pool of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(_PlainBlock(64, 64, 1), _PlainBlock(64, 64, 1))
        self.layer2 = nn.Sequential(_PlainBlock(64, 128, 2), _PlainBlock(128, 128, 1))
        self.layer3 = nn.Sequential(_PlainBlock(128, 256, 2), _PlainBlock(256, 256, 1))
        self.layer4 = nn.Sequential(_PlainBlock(256, 512, 2), _PlainBlock(512, 512, 1))
        self.linear = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 32, 32) -> (B, 10)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        return self.linear(F.avg_pool2d(out, 4).flatten(1))


class _WideBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        skip = x if self.shortcut is None else self.shortcut(out)
        out = self.conv2(F.relu(self.bn2(self.conv1(out))))
        return out + skip


class HandWrittenWideResNet(nn.Module):
    """A Wide ResNet (Zagoruyko & Komodakis 2016) for 32 px as the usual scripts write it, with a fixed average pool."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        channels, blocks = 16, []
        for stage in range(3):
            for index in range((depth - 4) // 6):
                after = 16 * width * 2**stage
                blocks.append(_WideBlock(channels, after, 2 if stage and not index else 1))
                channels = after
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 32, 32) -> (B, 10)."""
        out = F.relu(self.bn(self.blocks(self.conv(x))))
        return self.linear(F.avg_pool2d(out, 8).flatten(1))


def paired_resizers(size: int) -> tuple[PortedResizer, rn.Resizer]:
    """Return the port and ours with the same random weights and running statistics."""
    ours, peer = rn.Resizer.paper(size, kernels="never"), PortedResizer(size)
    for norm in ours.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    # Both register their layers in the same order.
    peer.load_state_dict(dict(zip(peer.state_dict(), ours.state_dict().values(), strict=True)))
    return peer, ours
