"""The learned resizer of Talebi & Milanfar, for any size and any number of channels, starting as the fixed resize."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .._errors import ArgumentError, check_choice, check_positive
from .._sizes import Size
from ..functional import resize
from ._base import LearnedResizer

if TYPE_CHECKING:
    from typing_extensions import Self


def _num_groups(channels: int) -> int:
    """The largest of 4, 2, 1 that divides ``channels``."""
    return next(groups for groups in (4, 2, 1) if channels % groups == 0)


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(_num_groups(channels), channels),
    "none": lambda channels: nn.Identity(),
}


class Resizer(LearnedResizer):
    """A small convolutional network that resizes, from "Learning to Resize Images for Computer Vision Tasks" (ICCV 2021).

    Section 3.1 and figure 3 of the paper (arXiv 2103.09950)::

        skip = resize(x, size)
        b    = resize(norm(act(conv1(act(conv7(x))))), size)
        z    = norm(conv3(blocks(b))) + b                     each block: u + norm(conv3(act(norm(conv3(u)))))
        out  = conv7(z) + skip

    Unlike the published one it starts, with ``zero_init``, as exactly the fixed antialiased resize, so that it can go in front of a
    pretrained model without changing a prediction. ``Resizer.paper()`` is the published network.

    Convention: pixel centres at half-integers. ``antialias`` governs the skip; the features are resized without it up to a
    factor of 2, where bilinear still reads every pixel, so that high frequencies stay available, and with it beyond.

    Args:
        size: (height, width) in pixels, or one int for a square; each call may ask for another.
        in_channels: channels of the image.
        out_channels: channels of the result, ``in_channels`` unless given. When they differ, the skip ends in a learned 1x1
            convolution, which starts with output channel i as a copy of input channel ``i % in_channels``.
        channels: n of the paper, the width of the network.
        num_blocks: r of the paper, residual blocks in series.
        negative_slope: of the leaky ReLUs.
        norm: "batch" (as published), "group" or "none".
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking.
        zero_init: start the last convolution at zero.

    Raises:
        SizeError, ArgumentError, UnknownNameError: an argument outside its range.

    Example:
        >>> import torch
        >>> resizer = Resizer(224)
        >>> resizer(torch.rand(1, 3, 300, 400)).shape
        torch.Size([1, 3, 224, 224])
        >>> resizer(torch.rand(1, 3, 300, 400), size=(160, 192)).shape
        torch.Size([1, 3, 160, 192])
    """

    def __init__(
        self,
        size: Size,
        *,
        in_channels: int = 3,
        out_channels: int | None = None,
        channels: int = 16,
        num_blocks: int = 1,
        negative_slope: float = 0.2,
        norm: str = "batch",
        interpolation: str = "bilinear",
        antialias: bool = True,
        zero_init: bool = True,
    ) -> None:
        super().__init__(size, in_channels=in_channels, out_channels=out_channels, interpolation=interpolation, antialias=antialias)
        check_positive("channels", channels)
        if not isinstance(num_blocks, int) or num_blocks < 0:
            raise ArgumentError(f"num_blocks: expected a non-negative int, got {num_blocks!r}")
        check_choice("norm", norm, _NORMS)
        make_norm = _NORMS[norm]

        def conv3() -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")

        self.head = nn.Sequential(
            nn.Conv2d(self.in_channels, channels, 7, padding=3),
            nn.LeakyReLU(negative_slope),
            nn.Conv2d(channels, channels, 1),
            nn.LeakyReLU(negative_slope),
            make_norm(channels),
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(conv3(), make_norm(channels), nn.LeakyReLU(negative_slope), conv3(), make_norm(channels)) for _ in range(num_blocks)
        )
        self.merge = nn.Sequential(conv3(), make_norm(channels))
        self.tail = nn.Conv2d(channels, self.out_channels, 7, padding=3)
        if zero_init:
            nn.init.zeros_(self.tail.weight)
            nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]  # bias=True above

    @classmethod
    def paper(cls, size: Size = 224, **kwargs: Any) -> Self:
        """The published network: BatchNorm, random initialisation, no antialias. Keyword arguments are those of the class.

        Example:
            >>> sum(p.numel() for p in Resizer.paper().parameters())
            12035
        """
        return cls(size, **{"norm": "batch", "zero_init": False, "antialias": False, **kwargs})

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        low_pass = self.antialias and (x.shape[-2] > 2 * size[0] or x.shape[-1] > 2 * size[1])
        b = resize(self.head(x), size, interpolation=self.interpolation, antialias=low_pass)
        z = b
        for block in self.blocks:
            z = z + block(z)
        residual: Tensor = self.tail(self.merge(z) + b)
        return residual + self._plain(x, size)
