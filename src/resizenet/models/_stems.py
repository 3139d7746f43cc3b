"""Stems: what stands between the image and the first block. Each states its own stride and receptive field."""

from __future__ import annotations

from torch import nn


class CifarStem(nn.Sequential):
    """3x3 convolution of stride 1, norm, ReLU: the map keeps the image's size (He et al. 2015, section 4.2).

    (B, in_channels, H, W) -> (B, out_channels, H, W).

    Args:
        in_channels: channels of the image.
        out_channels: channels of the first stage's input.
    """

    stride = 1
    receptive_field = 3

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True)


class ImageNetStem(nn.Sequential):
    """7x7 convolution of stride 2, norm, ReLU, 3x3 max pool of stride 2: made for 224 px (He et al. 2015, table 1).

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / 4), ceil(W / 4)).

    Args:
        in_channels: channels of the image.
        out_channels: channels of the first stage's input.
    """

    stride = 4
    receptive_field = 11

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)


STEMS = {"cifar": CifarStem, "imagenet": ImageNetStem}
