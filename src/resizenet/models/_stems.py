"""Stems: the layers between the image and the first block. Each knows its stride and its receptive field."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import check_positive
from ._layers import MakeAct, MakeNorm, check_callable, conv

StemName = Literal["cifar", "imagenet", "no_pool", "space_to_depth"]


class Stem(nn.Sequential):
    """A convolution, norm and activation, and in some subclasses a pool.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: channels of the image.
        out_channels: channels of the first stage's input.
        activate: False leaves out the norm and the activation, because pre-activation blocks begin with their own.
        norm: a class or function that makes a norm from a number of channels.
        act: a class or function that makes an activation.

    Raises:
        ArgumentError: a number of channels that is not positive, or a norm or activation that cannot be called.
    """

    _kernel_size = 3
    _stride = 1
    _pool = False
    _block_size = 1  # pixels per side that are moved into channels before the first layer

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        activate: bool = True,
        norm: MakeNorm = nn.BatchNorm2d,
        act: MakeAct = nn.ReLU,
    ) -> None:
        super().__init__()
        check_positive("in_channels", in_channels)
        check_positive("out_channels", out_channels)
        self._add_convolution(in_channels, out_channels)
        if activate:
            check_callable("norm", norm)
            check_callable("act", act)
            self.norm = norm(out_channels)
            self.act = act()
        if self._pool:
            self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def _add_convolution(self, in_channels: int, out_channels: int) -> None:
        self.conv = conv(in_channels, out_channels, self._kernel_size, stride=self._stride)

    @property
    def stride(self) -> int:
        """Image pixels from one position of the map to the next."""
        return self._stride_and_field()[0]

    @property
    def receptive_field(self) -> int:
        """Image pixels per side that one position of the map depends on."""
        return self._stride_and_field()[1]

    def _stride_and_field(self) -> tuple[int, int]:
        """Computed from the current layers, so that both stay correct after ``resizenet.adapt``."""
        stride = field = self._block_size
        for layer in self:
            if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
                field += (_side(layer.kernel_size) - 1) * stride
                stride *= _side(layer.stride)
        return stride, field


def _side(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


class CifarStem(Stem):
    """3x3 convolution of stride 1: the map keeps the image's size (He et al. 2015, section 4.2)."""


class NoPoolStem(Stem):
    """7x7 convolution of stride 2 without a pool: between the small stem and ImageNet's, for about 64 px."""

    _kernel_size = 7
    _stride = 2


class ImageNetStem(NoPoolStem):
    """7x7 convolution of stride 2, then a 3x3 max pool of stride 2: made for 224 px (He et al. 2015, table 1)."""

    _pool = True


class SpaceToDepthStem(Stem):
    """Blocks of 4x4 pixels moved into channels, then a 3x3 convolution: stride 4 in one step.

    Ridnik et al. 2020, "TResNet", section 2. Made for large images. A side that is no multiple of 4 is padded with
    zeros at its end. The convolution is not named ``conv``, because its input is not the image: ``resizenet.adapt``
    refuses to edit it.
    """

    _block_size = 4

    def _add_convolution(self, in_channels: int, out_channels: int) -> None:
        self.projection = conv(in_channels * self._block_size**2, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, ceil(H / 4), ceil(W / 4))."""
        size = self._block_size
        x = F.pixel_unshuffle(F.pad(x, (0, -x.shape[3] % size, 0, -x.shape[2] % size)), size)
        for layer in self:
            x = layer(x)
        return x


STEMS: dict[StemName, type[Stem]] = {
    "cifar": CifarStem,
    "imagenet": ImageNetStem,
    "no_pool": NoPoolStem,
    "space_to_depth": SpaceToDepthStem,
}
