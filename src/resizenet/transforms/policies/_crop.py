"""Policies whose training crops at random: the resolution gap between training and evaluation, and how to close it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from torchvision import tv_tensors
from torchvision.transforms import v2

from ..._checks import check_positive, parse_range
from ..._errors import ArgumentError
from ..._sizes import Size, nearest_multiple, parse_size, round_half_up
from .._keep_ratio import ResizeKeepRatio
from .._pad import Fill, parse_fill, parse_mask_fill
from .._random_crop import RandomResizedCrop
from .._resizing import first_interpolation, parse_interpolation
from .._to_size import Stretch
from ._base import ResizePolicy, SizeOrNone, cover_and_crop, freeze, size_text


def _mean_side(scale: tuple[float, float]) -> float:
    """E[sqrt(s)] for s uniform in ``scale``: the mean share of a side that a crop of that share of the area shows."""
    low, high = map(math.sqrt, scale)
    return (
        2 / 3 * (low**2 + low * high + high**2) / (low + high)
    )  # (high^3 - low^3) / (high^2 - low^2), also where both are equal


def _check_crop_pct(crop_pct: object) -> None:
    if not isinstance(crop_pct, (int, float)) or not 0 < crop_pct <= 1:
        raise ArgumentError(f"crop_pct: expected a share in (0, 1], got {crop_pct!r}")


def _covered(policy: RandomResizedCropPolicy | KeepRatioPolicy) -> tuple[int, int]:
    """(height, width) that an image covers in evaluation, before the centre crop, in pixels."""
    height, width = policy.eval_size
    return round_half_up(height / policy.crop_pct), round_half_up(width / policy.crop_pct)


def _area_text(scale: tuple[float, float]) -> str:
    return f"{100 * scale[0]:.3g} to {100 * scale[1]:.3g} % of the area"


def suggest_eval_size(
    train_size: Size,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    crop_pct: float = 0.875,
    target_ratio: float = 1.0,
    multiple: int = 1,
) -> tuple[int, int]:
    """The evaluation size at which objects look as large as in training with random resized crops (Touvron et al. 2019, section 3).

    Args:
        train_size: (height, width) of the training crop in pixels, or one int for a square.
        scale: smallest and largest share of the image's area in a training crop.
        crop_pct: share of the shorter side that evaluation's centre crop keeps, in (0, 1].
        target_ratio: how large objects shall look in evaluation over how large they look in training.
        multiple: of both sides, in pixels; the nearest one is taken.

    Returns:
        (height, width).

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: a number outside its range.

    Example:
        >>> suggest_eval_size(224), suggest_eval_size(224, multiple=32)
        ((277, 277), (288, 288))
    """
    low, high = parse_range("scale", scale, upper=1.0)
    _check_crop_pct(crop_pct)
    check_positive("multiple", multiple)
    if not target_ratio > 0:
        raise ArgumentError(f"target_ratio: expected a positive number, got {target_ratio!r}")
    factor = target_ratio * crop_pct / _mean_side((low, high))
    height, width = parse_size(train_size, argument="train_size")
    return nearest_multiple(height * factor, multiple), nearest_multiple(width * factor, multiple)


@dataclass(frozen=True)
class RandomResizedCropPolicy(ResizePolicy):
    """Random area and aspect in training (Szegedy et al. 2014, section 6); resize and centre crop in evaluation.

    Convention: ``scale`` is a share of the AREA, so that (0.8, 1) at 32 px means crops with sides of 28.6 to 32 px.

    Args:
        size: (height, width) of training images in pixels, or one int for a square.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height of the crop.
        eval_size: of evaluation images, ``size`` unless given; ``suggest_eval_size`` finds one.
        crop_pct: share of the shorter side that the centre crop keeps in evaluation, in (0, 1].
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them to draw from in training; evaluation takes the first.

    Example:
        >>> policy = RandomResizedCropPolicy(176, eval_size=224, crop_pct=224 / 232)
        >>> f"{policy.apparent_size_ratio():.3f}"
        '0.934'
    """

    size: Size
    _: KW_ONLY
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    eval_size: SizeOrNone = SizeOrNone()  # noqa: RUF009  # a descriptor, of which the class has one
    crop_pct: float = 0.875
    interpolation: str | Sequence[str] = "bilinear"

    def __post_init__(self) -> None:
        _check_crop_pct(self.crop_pct)
        scale, ratio = parse_range("scale", self.scale, upper=1.0), parse_range("ratio", self.ratio)
        freeze(
            self,
            size=parse_size(self.size),
            scale=scale,
            ratio=ratio,
            interpolation=parse_interpolation(self.interpolation),
        )

    @classmethod
    def classic(cls) -> RandomResizedCropPolicy:
        """224 px, evaluated at 256 -> 224: the pair of most ImageNet papers until 2021. Objects look 19 % smaller in evaluation."""
        return cls(224)

    @classmethod
    def torchvision_v2(cls) -> RandomResizedCropPolicy:
        """Trained at 176 px, evaluated at 232 -> 224: torchvision's IMAGENET1K_V2 weights of the ResNets."""
        return cls(176, eval_size=224, crop_pct=224 / 232)

    @classmethod
    def timm(cls) -> RandomResizedCropPolicy:
        """Trained at 224 px with bilinear and bicubic in turn, evaluated at 303 -> 288 with bicubic: timm's own ResNets."""
        return cls(224, eval_size=288, crop_pct=0.95, interpolation=("bicubic", "bilinear"))

    @classmethod
    def efficientnet_v2_s(cls) -> RandomResizedCropPolicy:
        """Trained at 300 px, evaluated at 384 px without a crop: torchvision's EfficientNetV2-S."""
        return cls(300, eval_size=384, crop_pct=1.0)

    @classmethod
    def cifar(cls) -> RandomResizedCropPolicy:
        """32 px, crops of at least 80 % of the area, evaluated whole: with the usual 8 %, objects would look 29 % smaller in evaluation."""
        return cls(32, scale=(0.8, 1.0), crop_pct=1.0)

    def train(self) -> v2.Transform:
        """A crop of random area and aspect, resized to ``size``."""
        return RandomResizedCrop(self.size, scale=self.scale, ratio=self.ratio, interpolation=self.interpolation)

    def eval(self) -> v2.Transform:
        """Resize to cover ``eval_size / crop_pct``, then the centre crop of ``eval_size``."""
        return cover_and_crop(_covered(self), self.eval_size, self.interpolation)

    def apparent_size_ratio(self) -> float:
        """E[sqrt(scale)] * K_eval / K_train, with K_eval the size before the centre crop and K_train the training size.

        For images of the training crop's shape; crops that do not fit and are drawn again are left out of account (``simulate`` has both).
        """
        return _mean_side(self.scale) * math.sqrt(math.prod(_covered(self)) / math.prod(self.train_size))

    def _words(self) -> tuple[str, str]:
        train = f"{_area_text(self.scale)}, width / height {self.ratio[0]:.2f} to {self.ratio[1]:.2f}, resized"
        return train, f"resized to cover {size_text(_covered(self))}, centre crop"

    def _remedy(self) -> str:
        height, width = suggest_eval_size(self.size, scale=self.scale, crop_pct=self.crop_pct)
        return f"; eval_size={height if height == width else (height, width)} evens it out"


@dataclass(frozen=True)
class KeepRatioPolicy(ResizePolicy):
    """The image covers ``size``, in training a little zoomed and stretched, and is cropped at random: timm's "rkrr" mode, on v2.

    Milder than a random resized crop: objects keep nearly their size and shape. Where the stretch leaves a side short it is filled; timm reflects
    the image there, which v2 cannot do with boxes.

    Args:
        size: (height, width) of training images in pixels, or one int for a square.
        scale: smallest and largest share of the area that training shows.
        ratio: smallest and largest stretch of width over height in training.
        scale_probability: share of the training images that are zoomed.
        ratio_probability: share of the training images that are stretched.
        eval_size: of evaluation images, ``size`` unless given.
        crop_pct: share of the shorter side that the centre crop keeps in evaluation, in (0, 1].
        fill: value of filled pixels, in the image's own range, or one for each channel.
        mask_fill: label of filled pixels in masks.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them to draw from in training; evaluation takes the first.

    Example:
        >>> policy = KeepRatioPolicy(224)
        >>> f"{policy.apparent_size_ratio():.3f}"
        '0.974'
    """

    size: Size
    _: KW_ONLY
    scale: tuple[float, float] = (0.8, 1.0)
    ratio: tuple[float, float] = (0.9, 1 / 0.9)
    scale_probability: float = 0.5
    ratio_probability: float = 0.5
    eval_size: SizeOrNone = SizeOrNone()  # noqa: RUF009  # a descriptor, of which the class has one
    crop_pct: float = 1.0
    fill: Fill = 0
    mask_fill: int = 0
    interpolation: str | Sequence[str] = "bilinear"

    def __post_init__(self) -> None:
        _check_crop_pct(self.crop_pct)
        parse_mask_fill(self.mask_fill)
        freeze(
            self,
            size=parse_size(self.size),
            scale=parse_range("scale", self.scale),
            ratio=parse_range("ratio", self.ratio),
        )
        freeze(self, fill=parse_fill(self.fill), interpolation=parse_interpolation(self.interpolation))
        self.train()  # which checks the rest

    def train(self) -> v2.Transform:
        """Resize to cover, zoomed and stretched, then a random crop, filled where it must be."""
        jitter = {
            "scale": self.scale,
            "ratio": self.ratio,
            "scale_probability": self.scale_probability,
            "ratio_probability": self.ratio_probability,
        }
        resize = ResizeKeepRatio(self.size, **jitter, interpolation=self.interpolation)  # type: ignore[arg-type]
        fill = {tv_tensors.Mask: self.mask_fill, "others": self.fill}
        return v2.Compose([resize, v2.RandomCrop(self.train_size, pad_if_needed=True, fill=fill)])

    def eval(self) -> v2.Transform:
        """Resize to cover ``eval_size / crop_pct``, then the centre crop of ``eval_size``."""
        return cover_and_crop(_covered(self), self.eval_size, self.interpolation)

    def apparent_size_ratio(self) -> float:
        """((1 - p) + p E[sqrt(scale)]) * K_eval / K_train, with p the share of zoomed images."""
        mean_side = 1 - self.scale_probability + self.scale_probability * _mean_side(self.scale)
        return mean_side * math.sqrt(math.prod(_covered(self)) / math.prod(self.train_size))

    def _words(self) -> tuple[str, str]:
        stretch = f"width / height times {self.ratio[0]:.2f} to {self.ratio[1]:.2f}"
        train = f"resized to cover {size_text(self.train_size)}, {_area_text(self.scale)}, {stretch}, random crop"
        return train, f"resized to cover {size_text(_covered(self))}, centre crop"


@dataclass(frozen=True)
class BiTHyperRulePolicy(ResizePolicy):
    """Images are stretched to ``resize_size`` and cropped at random to ``size``; in evaluation stretched to ``size`` (Kolesnikov et al. 2019, section 3.3).

    ``for_image`` applies the rule. Objects look ``size / resize_size`` times as large in evaluation: 20 % smaller for small images.

    Args:
        size: (height, width) of training and evaluation images in pixels, or one int for a square.
        resize_size: before the training crop; nowhere smaller than ``size``.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them to draw from in training; evaluation takes the first.

    Example:
        >>> BiTHyperRulePolicy.for_image(32, 32)
        BiTHyperRulePolicy(size=(128, 128), resize_size=(160, 160), interpolation='bilinear')
    """

    size: Size
    resize_size: Size
    _: KW_ONLY
    interpolation: str | Sequence[str] = "bilinear"

    def __post_init__(self) -> None:
        size, resize_size = parse_size(self.size), parse_size(self.resize_size, argument="resize_size")
        if resize_size[0] < size[0] or resize_size[1] < size[1]:
            raise ArgumentError(f"resize_size: expected at least {size}, the size of the crop, got {resize_size}")
        freeze(self, size=size, resize_size=resize_size, interpolation=parse_interpolation(self.interpolation))

    @classmethod
    def for_image(cls, height: int, width: int) -> BiTHyperRulePolicy:
        """160 -> 128 px for images of an area below 96x96, else 512 -> 480 px, as in the authors' code (bit_hyperrule.get_resolution)."""
        parse_size((height, width))
        resize_size, size = (160, 128) if height * width < 96 * 96 else (512, 480)
        return cls(size, resize_size)

    def train(self) -> v2.Transform:
        """Stretch to ``resize_size``, then a random crop."""
        return v2.Compose([Stretch(self.resize_size, interpolation=self.interpolation), v2.RandomCrop(self.train_size)])

    def eval(self) -> v2.Transform:
        """Stretch to ``size``."""
        return Stretch(self.size, interpolation=first_interpolation(self.interpolation))

    def _sizes_at(self, size: tuple[int, int]) -> dict[str, Any]:
        """The resize grows and shrinks with the crop, so that objects keep their size."""
        scaled = (
            round_half_up(side * after / before)
            for side, after, before in zip(parse_size(self.resize_size), size, self.train_size, strict=True)
        )
        return {"size": size, "resize_size": tuple(scaled)}

    def apparent_size_ratio(self) -> float:
        """K_eval / K_train of the two resizes, exact for every image."""
        return math.sqrt(math.prod(self.train_size) / math.prod(parse_size(self.resize_size)))

    def _words(self) -> tuple[str, str]:
        return (
            f"resized to {size_text(parse_size(self.resize_size))}, shape given up, random crop",
            "resized, shape given up",
        )
