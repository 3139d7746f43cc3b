"""Policies whose training crops at random, and the evaluation size at which objects look as large as in training."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from torchvision import tv_tensors
from torchvision.transforms import v2

from ..._checks import MAX_COUNT, check_positive, parse_number, parse_range
from ..._sizes import Size, nearest_multiple, parse_size, round_half_up
from ...functional._interpolation import Like
from .._base import Interpolations
from .._fill import Fill, parse_fill, parse_mask_fill
from .._keep_ratio import ResizeKeepRatio
from .._random_crop import RandomCrop, RandomResizedCrop
from ._base import ResizePolicy, cover_and_crop, format_size, parse_resampling, set_fields, side_ratio


def _mean_side(scale: tuple[float, float]) -> float:
    """E[sqrt(s)] for s uniform in ``scale``: the mean share of a side that a crop of that share of the area shows."""
    low, high = map(math.sqrt, scale)
    return 2 / 3 * (low**2 + low * high + high**2) / (low + high)  # (high^3 - low^3) / (high^2 - low^2), low = high too


def _parse_crop_pct(crop_pct: object) -> float:
    return parse_number("crop_pct", crop_pct, above=1 / MAX_COUNT, at_most=1)


def _parse_eval_size(policy: ResizePolicy, eval_size: object) -> tuple[int, int]:
    return policy.train_size if eval_size is None else parse_size(eval_size, argument="eval_size")


def _cover_size(policy: RandomResizedCropPolicy | KeepRatioPolicy) -> tuple[int, int]:
    """(height, width) in pixels that an image covers in evaluation, before the center crop."""
    height, width = policy.eval_size
    return round_half_up(height / policy.crop_pct), round_half_up(width / policy.crop_pct)


def _format_area(scale: tuple[float, float]) -> str:
    return f"{100 * scale[0]:.3g} to {100 * scale[1]:.3g} % of the area"


def suggest_eval_size(
    train_size: Size,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    crop_pct: float = 0.875,
    target_ratio: float = 1.0,
    multiple: int = 1,
) -> tuple[int, int]:
    """The evaluation size at which objects look as large as in training with random resized crops.

    Source: Touvron et al. 2019, "Fixing the train-test resolution discrepancy", section 3.

    Args:
        train_size: (height, width) of the training crop in pixels, or one int for a square.
        scale: smallest and largest share of the image's area in a training crop.
        crop_pct: share of the shorter side that evaluation's center crop keeps, in (0, 1].
        target_ratio: wanted size of objects in evaluation divided by that in training.
        multiple: both sides are rounded to the nearest multiple of it, in pixels.

    Returns:
        (height, width).

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: a number outside its range.

    Example:
        >>> suggest_eval_size(224), suggest_eval_size(224, multiple=32)
        ((277, 277), (288, 288))
    """
    check_positive("multiple", multiple)
    ratio = parse_number("target_ratio", target_ratio, above=0, at_most=MAX_COUNT)
    factor = ratio * _parse_crop_pct(crop_pct) / _mean_side(parse_range("scale", scale, upper=1.0))
    height, width = parse_size(train_size, argument="train_size")
    return nearest_multiple(height * factor, multiple), nearest_multiple(width * factor, multiple)


@dataclass(frozen=True)
class RandomResizedCropPolicy(ResizePolicy):
    """Random area and aspect ratio in training (Szegedy et al. 2014, section 6); resize and center crop in evaluation.

    Convention: ``scale`` is a share of the AREA, so that (0.8, 1) at 32 px means crops with sides of 28.6 to 32 px.

    Args:
        size: (height, width) of training images in pixels, or one int for a square.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height of the crop.
        eval_size: (height, width) of evaluation images, ``size`` unless given; ``suggest_eval_size`` computes one.
        crop_pct: share of the shorter side that the center crop keeps in evaluation, in (0, 1].
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them: training draws one
            of them, and evaluation uses the first.
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Example:
        >>> policy = RandomResizedCropPolicy(176, eval_size=224, crop_pct=224 / 232)
        >>> f"{policy.apparent_size_ratio():.3f}"
        '0.934'
    """

    size: Size
    _: KW_ONLY
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    eval_size: Any = None  # a size or None when given, (height, width) when read
    crop_pct: float = 0.875
    interpolation: Interpolations = "bilinear"
    like: Like = "torch"

    def __post_init__(self) -> None:
        set_fields(
            self,
            size=parse_size(self.size),
            scale=parse_range("scale", self.scale, upper=1.0),
            ratio=parse_range("ratio", self.ratio),
            eval_size=_parse_eval_size(self, self.eval_size),
            crop_pct=_parse_crop_pct(self.crop_pct),
            **parse_resampling(self.interpolation, self.like),
        )

    @classmethod
    def classic(cls) -> RandomResizedCropPolicy:
        """224 px, evaluated at 256 -> 224: most ImageNet papers until 2021. Objects look 19 % smaller in evaluation."""
        return cls(224)

    @classmethod
    def torchvision_v2(cls) -> RandomResizedCropPolicy:
        """Trained at 176 px, evaluated at 232 -> 224: torchvision's IMAGENET1K_V2 weights of the ResNets."""
        return cls(176, eval_size=224, crop_pct=224 / 232)

    @classmethod
    def timm(cls) -> RandomResizedCropPolicy:
        """Trained at 224 px with bilinear or bicubic, evaluated at 303 -> 288 with bicubic: timm's own ResNets."""
        return cls(224, eval_size=288, crop_pct=0.95, interpolation=("bicubic", "bilinear"))

    @classmethod
    def efficientnet_v2_s(cls) -> RandomResizedCropPolicy:
        """Trained at 300 px, evaluated at 384 px without a crop: torchvision's EfficientNetV2-S."""
        return cls(300, eval_size=384, crop_pct=1.0)

    @classmethod
    def cifar(cls) -> RandomResizedCropPolicy:
        """32 px, crops of at least 80 % of the area, evaluated without a crop.

        With the usual 8 % of the area, objects would look 29 % smaller in evaluation.
        """
        return cls(32, scale=(0.8, 1.0), crop_pct=1.0)

    def train(self) -> v2.Transform:
        """A crop of random area and aspect ratio, resized to ``size``."""
        return RandomResizedCrop(
            self.size, scale=self.scale, ratio=self.ratio, interpolation=self.interpolation, like=self.like
        )

    def eval(self) -> v2.Transform:
        """Resize to cover ``eval_size / crop_pct``, then the center crop of ``eval_size``."""
        return cover_and_crop(_cover_size(self), self.eval_size, self.interpolation, self.like)

    def apparent_size_ratio(self) -> float:
        """E[sqrt(scale)] * K_eval / K_train, with K_eval the size before the center crop and K_train the training size.

        Assumes images with the aspect ratio of the training crop, and that every crop fits; ``simulate`` makes neither
        assumption.
        """
        return _mean_side(self.scale) * side_ratio(_cover_size(self), self.train_size)

    def _summary(self) -> tuple[str, str]:
        train = f"{_format_area(self.scale)}, width / height {self.ratio[0]:.2f} to {self.ratio[1]:.2f}, resized"
        return train, f"resized to cover {format_size(_cover_size(self))}, center crop"

    def _hint(self) -> str:
        height, width = suggest_eval_size(self.size, scale=self.scale, crop_pct=self.crop_pct)
        return f"; eval_size={height if height == width else (height, width)} evens it out"


@dataclass(frozen=True)
class KeepRatioPolicy(ResizePolicy):
    """The image covers ``size``, slightly zoomed and stretched in training, and is cropped: timm's "rkrr" mode for v2.

    This is milder than a random resized crop: objects nearly keep their size and shape. If the stretch leaves a side
    too short, the side is filled; timm reflects the image there, which v2 cannot do with boxes.

    Args:
        size: (height, width) of training images in pixels, or one int for a square.
        scale: smallest and largest share of the area that training shows.
        ratio: smallest and largest stretch of width over height in training.
        scale_probability: share of the training images that are zoomed.
        ratio_probability: share of the training images that are stretched.
        eval_size: (height, width) of evaluation images, ``size`` unless given.
        crop_pct: share of the shorter side that the center crop keeps in evaluation, in (0, 1].
        fill: value of filled pixels, in the image's own range, or one for each channel.
        mask_fill: label of filled pixels in masks.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or a list of them: training draws one
            of them, and evaluation uses the first.
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

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
    eval_size: Any = None  # a size or None when given, (height, width) when read
    crop_pct: float = 1.0
    fill: Fill = 0
    mask_fill: int = 0
    interpolation: Interpolations = "bilinear"
    like: Like = "torch"

    def __post_init__(self) -> None:
        set_fields(
            self,
            size=parse_size(self.size),
            scale=parse_range("scale", self.scale),
            ratio=parse_range("ratio", self.ratio),
            eval_size=_parse_eval_size(self, self.eval_size),
            crop_pct=_parse_crop_pct(self.crop_pct),
            fill=parse_fill(self.fill),
            mask_fill=parse_mask_fill(self.mask_fill),
            **parse_resampling(self.interpolation, self.like),
        )
        self._resize()  # checks the probabilities

    def train(self) -> v2.Transform:
        """Resize to cover, zoomed and stretched, then a random crop, filled where the image is too small."""
        fill = {tv_tensors.Mask: self.mask_fill, "others": self.fill}
        return v2.Compose([self._resize(), RandomCrop(self.train_size, pad_if_needed=True, fill=fill)])

    def _resize(self) -> ResizeKeepRatio:
        return ResizeKeepRatio(
            self.size,
            scale=self.scale,
            ratio=self.ratio,
            scale_probability=self.scale_probability,
            ratio_probability=self.ratio_probability,
            interpolation=self.interpolation,
            like=self.like,
        )

    def eval(self) -> v2.Transform:
        """Resize to cover ``eval_size / crop_pct``, then the center crop of ``eval_size``."""
        return cover_and_crop(_cover_size(self), self.eval_size, self.interpolation, self.like)

    def apparent_size_ratio(self) -> float:
        """((1 - p) + p E[sqrt(scale)]) * K_eval / K_train, with p the share of zoomed images."""
        mean_side = 1 - self.scale_probability + self.scale_probability * _mean_side(self.scale)
        return mean_side * side_ratio(_cover_size(self), self.train_size)

    def _summary(self) -> tuple[str, str]:
        stretch = f"width / height times {self.ratio[0]:.2f} to {self.ratio[1]:.2f}"
        train = f"resized to cover {format_size(self.train_size)}, {_format_area(self.scale)}, {stretch}, random crop"
        return train, f"resized to cover {format_size(_cover_size(self))}, center crop"
