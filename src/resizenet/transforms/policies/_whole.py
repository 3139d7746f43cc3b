"""Policies that show the whole image, or all but its edges: native, upscaled, stretched, letterboxed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from torchvision.transforms import v2

from ..._errors import ArgumentError
from ..._sizes import Size, parse_size
from .._letterbox import Letterbox
from .._pad import Fill, parse_fill
from .._resizing import first_interpolation, parse_interpolation
from .._to_size import ResizeToCover, Stretch
from ._base import ResizePolicy, cover_and_crop, freeze, size_text


@dataclass(frozen=True)
class NativePolicy(ResizePolicy):
    """Images stay as they are; in training they are padded with black and cropped at random (He et al. 2015, section 4.2).

    Nothing is resized: images must have ``size`` already, and for those of another size ``with_size`` makes the policy that fits them.

    Args:
        size: (height, width) of the images in pixels, or one int for a square.
        padding: on each side, in pixels; 0 for none.

    Example:
        >>> import torch
        >>> policy = NativePolicy(32)
        >>> policy.train()(torch.zeros(3, 32, 32)).shape
        torch.Size([3, 32, 32])
    """

    size: Size
    padding: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.padding, int) or self.padding < 0:
            raise ArgumentError(f"padding: expected a non-negative int, got {self.padding!r}")
        freeze(self, size=parse_size(self.size))

    def train(self) -> v2.Transform:
        """Pad, then a random crop of ``size``."""
        return v2.RandomCrop(self.train_size, padding=self.padding)

    def eval(self) -> v2.Transform:
        """The identity, whatever the size of the image."""
        return v2.Identity()

    def _words(self) -> tuple[str, str]:
        return f"padded by {self.padding} with black, random crop" if self.padding else "as it is", "as it is"


@dataclass(frozen=True)
class UpscalePolicy(ResizePolicy):
    """Images are resized, shape kept, until they cover ``size``, and cropped to it: at random in training, in the centre in evaluation.

    The usual way to feed small images to a network made for large ones; square images are only resized.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them to draw from in training; evaluation takes the first.

    Example:
        >>> import torch
        >>> policy = UpscalePolicy(128)
        >>> policy.eval()(torch.zeros(3, 32, 32)).shape
        torch.Size([3, 128, 128])
    """

    size: Size
    _: KW_ONLY
    interpolation: str | Sequence[str] = "bilinear"

    def __post_init__(self) -> None:
        freeze(self, size=parse_size(self.size), interpolation=parse_interpolation(self.interpolation))

    def train(self) -> v2.Transform:
        """Resize to cover, then a random crop."""
        return v2.Compose([ResizeToCover(self.size, interpolation=self.interpolation), v2.RandomCrop(self.train_size)])

    def eval(self) -> v2.Transform:
        """Resize to cover, then the centre crop."""
        return cover_and_crop(self.train_size, self.train_size, self.interpolation)

    def _words(self) -> tuple[str, str]:
        resized = f"resized to cover {size_text(self.train_size)}"
        return f"{resized}, random crop", f"{resized}, centre crop"


@dataclass(frozen=True)
class StretchPolicy(ResizePolicy):
    """Images are resized to exactly ``size``, whatever becomes of their shape; the same in training and in evaluation.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them to draw from in training; evaluation takes the first.

    Example:
        >>> import torch
        >>> StretchPolicy((96, 128)).train()(torch.zeros(3, 300, 200)).shape
        torch.Size([3, 96, 128])
    """

    size: Size
    _: KW_ONLY
    interpolation: str | Sequence[str] = "bilinear"

    def __post_init__(self) -> None:
        freeze(self, size=parse_size(self.size), interpolation=parse_interpolation(self.interpolation))

    def train(self) -> v2.Transform:
        """Resize to ``size``."""
        return Stretch(self.size, interpolation=self.interpolation)

    def eval(self) -> v2.Transform:
        """Resize to ``size``."""
        return Stretch(self.size, interpolation=first_interpolation(self.interpolation))

    def _words(self) -> tuple[str, str]:
        return "resized, shape given up", "resized, shape given up"


@dataclass(frozen=True)
class LetterboxPolicy(ResizePolicy):
    """The whole image, shape kept, inside ``size``, and the rest filled; the same in training and in evaluation.

    Args:
        size: (height, width) in pixels, or one int for a square.
        fill: value of the new pixels, in the image's own range, or one for each channel.
        mask_fill: label of the new pixels in masks.
        position: "center", "top_left", "top_right", "bottom_left" or "bottom_right".
        upscale: enlarge images that are smaller than ``size``; otherwise they are only padded.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them to draw from in training; evaluation takes the first.

    Example:
        >>> import torch
        >>> LetterboxPolicy(64).eval()(torch.ones(3, 100, 200))[0, :, 0].count_nonzero()
        tensor(32)
    """

    size: Size
    _: KW_ONLY
    fill: Fill = 0
    mask_fill: int = 0
    position: str = "center"
    upscale: bool = False
    interpolation: str | Sequence[str] = "bilinear"

    def __post_init__(self) -> None:
        freeze(
            self,
            size=parse_size(self.size),
            fill=parse_fill(self.fill),
            interpolation=parse_interpolation(self.interpolation),
        )
        self.train()  # which checks the rest

    def train(self) -> v2.Transform:
        """The letterbox."""
        return self._letterbox(self.interpolation)

    def eval(self) -> v2.Transform:
        """The letterbox; its ``inverse`` takes boxes back to the source image."""
        return self._letterbox(first_interpolation(self.interpolation))

    def _letterbox(self, interpolation: str | Sequence[str]) -> Letterbox:
        fills = {"fill": self.fill, "mask_fill": self.mask_fill}
        return Letterbox(self.size, **fills, position=self.position, upscale=self.upscale, interpolation=interpolation)  # type: ignore[arg-type]

    def _words(self) -> tuple[str, str]:
        words = f"{'resized' if self.upscale else 'shrunk if it must be'} to fit inside, the rest filled"
        return words, words
