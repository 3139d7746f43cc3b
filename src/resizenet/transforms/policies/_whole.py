"""Policies that show the whole image, or all but its edges: native, upscaled, stretched, letterboxed."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from torchvision.transforms import v2

from ..._checks import check_non_negative
from ..._errors import ArgumentError, ShapeError
from ..._sizes import Size, parse_size, round_half_up
from ...functional._interpolation import Like
from .._base import Interpolations, first_interpolation, sample_size
from .._fill import Fill, parse_fill
from .._letterbox import Letterbox
from .._pad import Position
from .._random_crop import RandomCrop
from .._resize import ResizeToCover, Stretch
from ._base import ResizePolicy, cover_and_crop, format_size, parse_resampling, set_fields, side_ratio


class _CheckSize(v2.Transform):
    """Returns samples of ``size`` and refuses others."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        size = sample_size("NativePolicy", flat_inputs)
        if size != self.size:
            hint = "take with_size for images of that size, or a policy that resizes, such as UpscalePolicy"
            raise ShapeError(f"NativePolicy: expected images of {self.size}, got {size}; {hint}")
        return {}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return inpt


@dataclass(frozen=True)
class NativePolicy(ResizePolicy):
    """Images are padded with black and cropped at random in training (He et al. 2015, section 4.2), never resized.

    Images must have ``size`` already; for images of another size, ``with_size`` makes the policy that fits them.

    Args:
        size: (height, width) of the images in pixels, or one int for a square.
        padding: padding on each side in pixels; 0 for none.

    Raises:
        ShapeError: on images of another size.

    Example:
        >>> import torch
        >>> policy = NativePolicy(32)
        >>> policy.train()(torch.zeros(3, 32, 32)).shape
        torch.Size([3, 32, 32])
    """

    size: Size
    padding: int = 4

    def __post_init__(self) -> None:
        check_non_negative("padding", self.padding)
        set_fields(self, size=parse_size(self.size))

    def train(self) -> v2.Transform:
        """Pad, then a random crop of ``size``."""
        return v2.Compose([_CheckSize(self.train_size), RandomCrop(self.train_size, padding=self.padding)])

    def eval(self) -> v2.Transform:
        """The identity."""
        return _CheckSize(self.eval_size)

    def _summary(self) -> tuple[str, str]:
        return f"padded by {self.padding} with black, random crop" if self.padding else "as it is", "as it is"


@dataclass(frozen=True)
class UpscalePolicy(ResizePolicy):
    """Images are resized to cover ``size`` and cropped to it, at random in training and in the center in evaluation.

    This is the usual way to use small images with a network made for large ones. The aspect ratio is kept; square
    images are only resized.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them: training draws one
            of them, and evaluation uses the first.
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Example:
        >>> import torch
        >>> policy = UpscalePolicy(128)
        >>> policy.eval()(torch.zeros(3, 32, 32)).shape
        torch.Size([3, 128, 128])
    """

    size: Size
    _: KW_ONLY
    interpolation: Interpolations = "bilinear"
    like: Like = "torch"

    def __post_init__(self) -> None:
        set_fields(self, size=parse_size(self.size), **parse_resampling(self.interpolation, self.like))

    def train(self) -> v2.Transform:
        """Resize to cover, then a random crop."""
        return v2.Compose(
            [ResizeToCover(self.size, interpolation=self.interpolation, like=self.like), RandomCrop(self.train_size)]
        )

    def eval(self) -> v2.Transform:
        """Resize to cover, then the center crop."""
        return cover_and_crop(self.train_size, self.train_size, self.interpolation, self.like)

    def _summary(self) -> tuple[str, str]:
        resized = f"resized to cover {format_size(self.train_size)}"
        return f"{resized}, random crop", f"{resized}, center crop"


@dataclass(frozen=True)
class StretchPolicy(ResizePolicy):
    """Images are resized to exactly ``size``, without keeping the aspect ratio; the same in training and evaluation.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them: training draws one
            of them, and evaluation uses the first.
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Example:
        >>> import torch
        >>> StretchPolicy((96, 128)).train()(torch.zeros(3, 300, 200)).shape
        torch.Size([3, 96, 128])
    """

    size: Size
    _: KW_ONLY
    interpolation: Interpolations = "bilinear"
    like: Like = "torch"

    def __post_init__(self) -> None:
        set_fields(self, size=parse_size(self.size), **parse_resampling(self.interpolation, self.like))

    def train(self) -> v2.Transform:
        """Resize to ``size``."""
        return Stretch(self.size, interpolation=self.interpolation, like=self.like)

    def eval(self) -> v2.Transform:
        """Resize to ``size``."""
        return Stretch(self.size, interpolation=first_interpolation(self.interpolation), like=self.like)

    def _summary(self) -> tuple[str, str]:
        return "resized, aspect ratio not kept", "resized, aspect ratio not kept"


@dataclass(frozen=True)
class LetterboxPolicy(ResizePolicy):
    """The whole image inside ``size``, aspect ratio kept, and the rest filled; the same in training and evaluation.

    Args:
        size: (height, width) in pixels, or one int for a square.
        fill: value of the new pixels, in the image's own range, or one for each channel.
        mask_fill: label of the new pixels in masks.
        position: "center", "top_left", "top_right", "bottom_left" or "bottom_right".
        upscale: enlarge images that are smaller than ``size``; otherwise they are only padded.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them: training draws one
            of them, and evaluation uses the first.
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Example:
        >>> import torch
        >>> LetterboxPolicy(64).eval()(torch.ones(3, 100, 200))[0, :, 0].count_nonzero()
        tensor(32)
    """

    size: Size
    _: KW_ONLY
    fill: Fill = 0
    mask_fill: int = 0
    position: Position = "center"
    upscale: bool = False
    interpolation: Interpolations = "bilinear"
    like: Like = "torch"

    def __post_init__(self) -> None:
        set_fields(
            self,
            size=parse_size(self.size),
            fill=parse_fill(self.fill),
            **parse_resampling(self.interpolation, self.like),
        )
        self.train()  # checks the other arguments

    def train(self) -> v2.Transform:
        """The letterbox."""
        return self._letterbox(self.interpolation)

    def eval(self) -> v2.Transform:
        """The letterbox; its ``inverse`` maps boxes back to the source image."""
        return self._letterbox(first_interpolation(self.interpolation))

    def _letterbox(self, interpolation: Interpolations) -> Letterbox:
        return Letterbox(
            self.size,
            fill=self.fill,
            mask_fill=self.mask_fill,
            position=self.position,
            upscale=self.upscale,
            interpolation=interpolation,
            like=self.like,
        )

    def _summary(self) -> tuple[str, str]:
        summary = f"{'resized' if self.upscale else 'shrunk if needed'} to fit inside, the rest filled"
        return summary, summary


@dataclass(frozen=True)
class BiTHyperRulePolicy(ResizePolicy):
    """Images are stretched to ``resize_size`` and cropped at random to ``size``; in evaluation stretched to ``size``.

    Source: Kolesnikov et al. 2019, "Big Transfer", section 3.3. ``for_image`` chooses both sizes by their rule. Objects
    look ``size / resize_size`` times as large in evaluation: 20 % smaller for small images.

    Args:
        size: (height, width) of training and evaluation images in pixels, or one int for a square.
        resize_size: (height, width) before the training crop, neither smaller than in ``size``.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them: training draws one
            of them, and evaluation uses the first.
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Example:
        >>> BiTHyperRulePolicy.for_image(32, 32)
        BiTHyperRulePolicy(size=(128, 128), resize_size=(160, 160), interpolation='bilinear', like='torch')
    """

    size: Size
    resize_size: Size
    _: KW_ONLY
    interpolation: Interpolations = "bilinear"
    like: Like = "torch"

    def __post_init__(self) -> None:
        size, resize_size = parse_size(self.size), parse_size(self.resize_size, argument="resize_size")
        if resize_size[0] < size[0] or resize_size[1] < size[1]:
            raise ArgumentError(f"resize_size: expected at least {size}, the size of the crop, got {resize_size}")
        set_fields(self, size=size, resize_size=resize_size, **parse_resampling(self.interpolation, self.like))

    @classmethod
    def for_image(cls, height: int, width: int) -> BiTHyperRulePolicy:
        """Resize to 160 and crop to 128 px for images of an area below 96x96; otherwise 512 and 480 px.

        The rule of ``bit_hyperrule.get_resolution`` in the authors' code.
        """
        parse_size((height, width))
        resize_size, size = (160, 128) if height * width < 96 * 96 else (512, 480)
        return cls(size, resize_size)

    def train(self) -> v2.Transform:
        """Stretch to ``resize_size``, then a random crop."""
        return v2.Compose(
            [Stretch(self.resize_size, interpolation=self.interpolation, like=self.like), RandomCrop(self.train_size)]
        )

    def eval(self) -> v2.Transform:
        """Stretch to ``size``."""
        return Stretch(self.size, interpolation=first_interpolation(self.interpolation), like=self.like)

    def _changes_for_size(self, size: tuple[int, int]) -> dict[str, Any]:
        """Scale the resize with the crop, so that objects keep their size."""
        before = zip(parse_size(self.resize_size), size, self.train_size, strict=True)
        return {"size": size, "resize_size": tuple(round_half_up(side * new / old) for side, new, old in before)}

    def apparent_size_ratio(self) -> float:
        """K_eval / K_train of the two resizes, exact for every image."""
        return side_ratio(self.train_size, parse_size(self.resize_size))

    def _summary(self) -> tuple[str, str]:
        resized = format_size(parse_size(self.resize_size))
        return f"resized to {resized}, aspect ratio not kept, random crop", "resized, aspect ratio not kept"
