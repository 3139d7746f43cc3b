"""Resize policies: what happens to an image's size in training and in evaluation, as one pair."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any

from torchvision.transforms import InterpolationMode, v2

from .._errors import ArgumentError, check_choice
from .._sizes import Size, parse_size, round_half_up
from ..functional import INTERPOLATIONS
from ._cover import ResizeToCover


class ResizePolicy:
    """A pair of v2 transforms, for training and for evaluation, that fit each other.

    Policies are frozen dataclasses: they compare, hash and print by their arguments, and ``to_dict`` and ``from_dict`` store them.
    """

    @property
    def train_size(self) -> tuple[int, int]:
        """(height, width) of a training image, in pixels."""
        raise NotImplementedError(f"{type(self).__name__} must implement train_size")

    @property
    def eval_size(self) -> tuple[int, int]:
        """(height, width) of an evaluation image, in pixels."""
        return self.train_size

    def train(self) -> v2.Transform:
        """The transform for training: changes the size only, so flips, colours and normalisation are yours to add."""
        raise NotImplementedError(f"{type(self).__name__} must implement train")

    def eval(self) -> v2.Transform:
        """The transform for evaluation; deterministic."""
        raise NotImplementedError(f"{type(self).__name__} must implement eval")

    def apparent_size_ratio(self) -> float:
        """How large objects look in evaluation over how large they look in training, in the mean (Touvron et al. 2019, section 3)."""
        return 1.0

    def to_dict(self) -> dict[str, Any]:
        """The policy's name and arguments as plain values."""
        return {"policy": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]  # subclasses are dataclasses

    @staticmethod
    def from_dict(values: dict[str, Any]) -> ResizePolicy:
        """The policy that ``to_dict`` described.

        Raises:
            UnknownNameError: no policy of that name.
            ArgumentError: an argument that the policy does not have.

        Example:
            >>> ResizePolicy.from_dict({"policy": "UpscalePolicy", "size": 128})
            UpscalePolicy(size=(128, 128), interpolation='bilinear')
        """
        policies = {policy.__name__: policy for policy in ResizePolicy.__subclasses__()}
        arguments = dict(values)
        name = arguments.pop("policy", None)
        check_choice("policy", name, policies)
        try:
            return policies[str(name)](**arguments)
        except TypeError as error:
            raise ArgumentError(f"{name}: {error}") from None


def _freeze(policy: ResizePolicy, **values: object) -> None:
    """Normalise arguments of a frozen dataclass, from ``__post_init__`` only."""
    for name, value in values.items():
        object.__setattr__(policy, name, value)


@dataclass(frozen=True)
class NativePolicy(ResizePolicy):
    """Images stay as they are; in training they are padded with black and cropped at random (He et al. 2015, section 4.2).

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
        _freeze(self, size=parse_size(self.size))

    @property
    def train_size(self) -> tuple[int, int]:
        """(height, width) of every image, in pixels."""
        return parse_size(self.size)

    def train(self) -> v2.Transform:
        """Pad, then a random crop of ``size``."""
        return v2.RandomCrop(self.train_size, padding=self.padding)

    def eval(self) -> v2.Transform:
        """The identity."""
        return v2.Identity()


@dataclass(frozen=True)
class UpscalePolicy(ResizePolicy):
    """Images are resized, shape kept, until they cover ``size``, and cropped to it: at random in training, in the centre in evaluation.

    The usual way to feed small images to a network made for large ones; square images are only resized.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic".

    Example:
        >>> import torch
        >>> policy = UpscalePolicy(128)
        >>> policy.eval()(torch.zeros(3, 32, 32)).shape
        torch.Size([3, 128, 128])
    """

    size: Size
    _: KW_ONLY
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        _freeze(self, size=parse_size(self.size))

    @property
    def train_size(self) -> tuple[int, int]:
        """(height, width) of every image, in pixels."""
        return parse_size(self.size)

    def train(self) -> v2.Transform:
        """Resize to cover, then a random crop."""
        return v2.Compose([ResizeToCover(self.size, interpolation=self.interpolation), v2.RandomCrop(self.train_size)])

    def eval(self) -> v2.Transform:
        """Resize to cover, then the centre crop."""
        return v2.Compose([ResizeToCover(self.size, interpolation=self.interpolation), v2.CenterCrop(list(self.train_size))])


@dataclass(frozen=True)
class RandomResizedCropPolicy(ResizePolicy):
    """Random area and aspect in training (Szegedy et al. 2014, section 6); resize and centre crop in evaluation.

    Convention: ``scale`` is a share of the AREA, so that (0.8, 1) at 32 px means crops with sides of 28.6 to 32 px.

    Args:
        size: (height, width) of training images in pixels, or one int for a square.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height of the crop.
        eval_size: of evaluation images, ``size`` unless given.
        crop_pct: share of the shorter side that the centre crop keeps in evaluation, in (0, 1].
        interpolation: "nearest-exact", "bilinear" or "bicubic".

    Example:
        >>> policy = RandomResizedCropPolicy(176, eval_size=224, crop_pct=224 / 232)
        >>> f"{policy.apparent_size_ratio():.3f}"
        '0.934'
    """

    size: Size
    _: KW_ONLY
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    eval_size: Size | None = None  # type: ignore[assignment]  # a field here, a property in the base
    crop_pct: float = 0.875
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        _check_range("scale", self.scale, upper=1.0)
        _check_range("ratio", self.ratio, upper=math.inf)
        if not 0 < self.crop_pct <= 1:
            raise ArgumentError(f"crop_pct: expected a share in (0, 1], got {self.crop_pct!r}")
        size = parse_size(self.size)
        eval_size = size if self.eval_size is None else parse_size(self.eval_size, argument="eval_size")
        _freeze(self, size=size, eval_size=eval_size, scale=tuple(self.scale), ratio=tuple(self.ratio))

    @property
    def train_size(self) -> tuple[int, int]:
        """(height, width) of a training image, in pixels."""
        return parse_size(self.size)

    def _resize_size(self) -> tuple[int, int]:
        height, width = parse_size(self.eval_size)
        return round_half_up(height / self.crop_pct), round_half_up(width / self.crop_pct)

    def train(self) -> v2.Transform:
        """A crop of random area and aspect, resized to ``size``."""
        mode = InterpolationMode(self.interpolation)
        return v2.RandomResizedCrop(self.train_size, scale=self.scale, ratio=self.ratio, interpolation=mode, antialias=True)

    def eval(self) -> v2.Transform:
        """Resize to cover ``eval_size / crop_pct``, then the centre crop of ``eval_size``."""
        resize = ResizeToCover(self._resize_size(), interpolation=self.interpolation)
        return v2.Compose([resize, v2.CenterCrop(list(parse_size(self.eval_size)))])

    def apparent_size_ratio(self) -> float:
        """E[sqrt(scale)] * K_eval / K_train, with K_eval the size before the centre crop and K_train the training size.

        Crops that do not fit and are drawn again are left out of account.
        """
        low, high = self.scale
        root = math.sqrt(low) if low == high else 2 / 3 * (high**1.5 - low**1.5) / (high - low)
        return root * math.sqrt(math.prod(self._resize_size()) / math.prod(self.train_size))


def _check_range(argument: str, values: tuple[float, float], *, upper: float) -> None:
    if not isinstance(values, (tuple, list)) or len(values) != 2 or not 0 < values[0] <= values[1] <= upper:
        raise ArgumentError(f"{argument}: expected (low, high) with 0 < low <= high <= {upper:g}, got {values!r}")
