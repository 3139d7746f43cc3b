"""The base class of the resize policies: a transform for training and one for evaluation that belong together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from ..._checks import check_choice, check_positive
from ..._errors import ArgumentError
from ..._sizes import Size, parse_size
from ...functional._interpolation import Like
from .._base import Interpolations, first_interpolation, parse_interpolation, parse_like
from .._invertible import Invertible
from .._resize import ResizeToCover

if TYPE_CHECKING:
    from typing_extensions import Self

# How far from 1 the ratio of apparent sizes may be before describe() warns. Pairs tuned by their authors are nearer
# (torchvision V2 0.934, timm at 288 px 0.911 and 0.959, EfficientNetV2-S 0.907); the classic pair, 0.809, is not.
_MAX_RATIO_ERROR = 0.1
_MAX_SAMPLES = 10**6  # in simulate(); its mean is exact to a thousandth long before
_MAX_ASPECT_RATIO = 10_000  # of images in simulate(), which makes 100 boxes for each unit of it


class ResizePolicy(Invertible):
    """A pair of v2 transforms, for training and for evaluation, that belong together.

    Policies are frozen dataclasses with a ``size``: they compare, hash and print by their arguments, and ``to_dict``
    and ``from_dict`` store them.
    """

    size: Size

    @property
    def train_size(self) -> tuple[int, int]:
        """(height, width) of a training image, in pixels: the policy's ``size``."""
        return parse_size(self.size)

    @property
    def eval_size(self) -> tuple[int, int]:
        """(height, width) of an evaluation image, in pixels."""
        return self.train_size

    def train(self) -> v2.Transform:
        """The transform for training. It changes the size only; add flips, colors and normalization yourself."""
        raise NotImplementedError(f"{type(self).__name__} must implement train")

    def eval(self) -> v2.Transform:
        """The transform for evaluation. It is deterministic."""
        raise NotImplementedError(f"{type(self).__name__} must implement eval")

    def _deterministic(self) -> v2.Transform:
        return self.eval()

    def apparent_size_ratio(self) -> float:
        """Mean size of objects in evaluation divided by that in training (Touvron et al. 2019, section 3)."""
        return 1.0

    def simulate(self, height: int, width: int, *, samples: int = 1000) -> float:
        """Measure ``apparent_size_ratio`` for images of one size by running both transforms on small boxes.

        Unlike ``apparent_size_ratio``, which is a closed form, it accounts for the aspect ratio of the image, and for
        crops that are drawn again because they do not fit: for the classic recipe it finds 0.76 on square images, where
        the closed form gives 0.81.

        Args:
            height: height of the images in pixels.
            width: width of the images in pixels.
            samples: number of training draws to average.

        Returns:
            The mean of evaluation's scale divided by training's, where a scale is the geometric mean over both axes.

        Raises:
            ArgumentError: a number that is not a positive int, more than a million samples, or images of which one
                side is more than 10,000 times the other.

        Example:
            >>> from resizenet.transforms import StretchPolicy
            >>> StretchPolicy(64).simulate(300, 400, samples=1)
            1.0
        """
        check_positive("samples", samples, at_most=_MAX_SAMPLES)
        objects = _small_boxes(*parse_size((height, width), argument="height, width"))
        train, evaluate = self.train(), self.eval()
        eval_side = _whole_box_side(evaluate(objects))
        with torch.random.fork_rng(devices=[]):  # so that a simulation does not change the training that follows
            return sum(eval_side / _whole_box_side(train(objects)) for _ in range(samples)) / samples

    def with_size(self, size: Size) -> Self:
        """Return the same policy for another training size.

        All other arguments stay the same. But if the evaluation size equals the training size, both change.

        Example:
            >>> from resizenet.transforms import UpscalePolicy
            >>> UpscalePolicy(128, interpolation="bicubic").with_size(160)
            UpscalePolicy(size=(160, 160), interpolation='bicubic', like='torch')
        """
        changes = self._changes_for_size(parse_size(size))
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]  # subclasses are dataclasses

    def _changes_for_size(self, size: tuple[int, int]) -> dict[str, Any]:
        """The arguments that depend on the training size, for another one."""
        follows = self.eval_size == self.train_size and "eval_size" in vars(self)
        return {"size": size, "eval_size": size} if follows else {"size": size}

    def describe(self) -> str:
        """Describe both transforms, and how objects change in size in evaluation; "!" marks a large change.

        Example:
            >>> from resizenet.transforms import RandomResizedCropPolicy
            >>> print(RandomResizedCropPolicy(32, crop_pct=1.0).describe())
            RandomResizedCropPolicy
            train  32x32  8 to 100 % of the area, width / height 0.75 to 1.33, resized
            eval   32x32  resized to cover 32x32, center crop
            ! objects look 29 % smaller in evaluation than in training; eval_size=45 evens it out
        """
        train, evaluation = self._summary()
        ratio = self.apparent_size_ratio()
        percent, direction = 100 * abs(ratio - 1), "smaller" if ratio < 1 else "larger"
        difference = f"objects look {percent:.0f} % {direction} in evaluation than in training"
        if percent > 100 * _MAX_RATIO_ERROR:
            difference = f"! {difference}{self._hint()}"
        elif f"{ratio:.2f}" == "1.00":
            difference = "objects look equally large in both"
        return (
            f"{type(self).__name__}\n"
            f"train  {format_size(self.train_size)}  {train}\n"
            f"eval   {format_size(self.eval_size)}  {evaluation}\n"
            f"{difference}"
        )

    def _summary(self) -> tuple[str, str]:
        """What happens in training and in evaluation; unless a subclass says more, the transforms as they print."""
        return _one_line(self.train()), _one_line(self.eval())

    def _hint(self) -> str:
        """What would bring the ratio to 1, as the end of a sentence."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """The policy's name and arguments as plain values."""
        arguments = dataclasses.asdict(self)  # type: ignore[call-overload]  # subclasses are dataclasses
        return {"policy": type(self).__name__, **arguments}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> ResizePolicy:
        """The policy that ``to_dict`` described.

        Raises:
            UnknownNameError: there is no policy of that name.
            ArgumentError: not a dict, or an argument that the policy does not have.

        Example:
            >>> ResizePolicy.from_dict({"policy": "UpscalePolicy", "size": 128})
            UpscalePolicy(size=(128, 128), interpolation='bilinear', like='torch')
        """
        policies = {policy.__name__: policy for policy in _all_subclasses(ResizePolicy)}
        if not isinstance(values, Mapping):
            raise ArgumentError(f"values: expected a dict, got {values!r}")
        arguments = dict(values)
        name = arguments.pop("policy", None)
        check_choice("policy", name, policies)
        try:
            return policies[str(name)](**arguments)
        except TypeError as error:
            raise ArgumentError(f"{name}: {error}") from None


def _all_subclasses(policy: type[ResizePolicy]) -> list[type[ResizePolicy]]:
    return [found for subclass in policy.__subclasses__() for found in (subclass, *_all_subclasses(subclass))]


def set_fields(policy: ResizePolicy, **values: object) -> None:
    """Store normalized arguments in a frozen dataclass; for ``__post_init__`` only."""
    for name, value in values.items():
        object.__setattr__(policy, name, value)


def parse_resampling(interpolation: object, like: object) -> dict[str, Any]:
    """The checked fields ``interpolation`` and ``like`` of a policy."""
    library = parse_like(like)
    return {"interpolation": parse_interpolation(interpolation, like=library), "like": library}


def cover_and_crop(
    covered: tuple[int, int], size: tuple[int, int], interpolation: Interpolations, like: Like
) -> v2.Transform:
    """Return the evaluation of most recipes: resize to cover ``covered``, then the center crop of ``size``."""
    cover = ResizeToCover(covered, interpolation=first_interpolation(interpolation), like=like)
    return v2.Compose([cover, v2.CenterCrop(list(size))])


def format_size(size: tuple[int, int]) -> str:
    """Return "height x width"."""
    return f"{size[0]}x{size[1]}"


def side_ratio(after: tuple[int, int], before: tuple[int, int]) -> float:
    """Return the geometric mean of the ratios of height and width."""
    return math.sqrt(math.prod(after) / math.prod(before))


def _one_line(transform: v2.Transform) -> str:
    return " ".join(repr(transform).split())


def _small_boxes(height: int, width: int) -> tv_tensors.BoundingBoxes:
    """At least a hundred boxes of one size along the diagonal: a crop cuts off most, but some remain whole."""
    aspect_ratio = max(height, width) / min(height, width)
    if aspect_ratio > _MAX_ASPECT_RATIO:
        expected = f"expected one side at most {_MAX_ASPECT_RATIO} times the other"
        raise ArgumentError(f"height, width: {expected}, got {(height, width)}")
    count = 100 * math.ceil(aspect_ratio)
    shares = torch.linspace(0, 1, count + 1, dtype=torch.float64, device="cpu")
    edges = torch.stack([shares * width, shares * height], 1)
    corners = torch.cat([edges[:-1], edges[1:]], 1)
    return tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=(height, width), device="cpu")


def _whole_box_side(boxes: tv_tensors.BoundingBoxes) -> float:
    """The geometric mean of width and height, in pixels, of the boxes that are whole, and so the largest."""
    left, top, right, bottom = boxes.as_subclass(torch.Tensor).unbind(1)
    return math.sqrt((right - left).max() * (bottom - top).max())
