"""Stems: what stands between the image and the first block. Each states its own stride and receptive field."""

from __future__ import annotations

from torch import nn

from .._checks import check_positive
from ._layers import MakeAct, MakeNorm, SpaceToDepth, conv


class Stem(nn.Sequential):
    """A convolution, norm and activation; subclasses say which.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: channels of the image.
        out_channels: channels of the first stage's input.
        activate: False leaves out the norm and the activation, for pre-activation blocks, which begin with theirs.
        norm: makes a norm from a number of channels.
        act: makes an activation.
    """

    _kernel_size = 3
    _stride = 1
    _pool = False

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
        self._convolve(in_channels, out_channels)
        if activate:
            self.norm = norm(out_channels)
            self.act = act()
        if self._pool:
            self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def _convolve(self, in_channels: int, out_channels: int) -> None:
        self.conv = conv(in_channels, out_channels, self._kernel_size, stride=self._stride)

    @property
    def stride(self) -> int:
        """Image pixels from one cell of the map to the next."""
        return self._field()[0]

    @property
    def receptive_field(self) -> int:
        """Image pixels per side that one cell of the map sees."""
        return self._field()[1]

    def _field(self) -> tuple[int, int]:
        """From the layers as they are now, so that it stays true after ``resizenet.adapt``."""
        stride = field = 1
        for layer in self:
            if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, SpaceToDepth)):
                field += (_side(layer.kernel_size) - 1) * stride
                stride *= _side(layer.stride)
        return stride, field


def _side(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


class CifarStem(Stem):
    """3x3 convolution of stride 1: the map keeps the image's size (He et al. 2015, section 4.2)."""


class NoPoolStem(Stem):
    """7x7 convolution of stride 2 without a pool: between the small stem and that of ImageNet, for about 64 px."""

    _kernel_size = 7
    _stride = 2


class ImageNetStem(NoPoolStem):
    """7x7 convolution of stride 2, then a 3x3 max pool of stride 2: made for 224 px (He et al. 2015, table 1)."""

    _pool = True


class SpaceToDepthStem(Stem):
    """4x4 pixels folded into channels, then a 3x3 convolution: stride 4 in one step (Ridnik et al. 2020, "TResNet", section 2).

    For large images. Its convolution does not see the image's channels, so it is not named ``conv`` and ``resizenet.adapt`` refuses to edit it.
    """

    _block_size = 4

    def _convolve(self, in_channels: int, out_channels: int) -> None:
        self.fold = SpaceToDepth(self._block_size)
        self.projection = conv(in_channels * self._block_size**2, out_channels, 3)


STEMS: dict[str, type[Stem]] = {
    "cifar": CifarStem,
    "imagenet": ImageNetStem,
    "no_pool": NoPoolStem,
    "space_to_depth": SpaceToDepthStem,
}
