"""What every resize policy is: a pair of transforms that knows how far apart its two halves are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from ..._checks import check_choice, check_positive
from ..._errors import ArgumentError
from ..._sizes import Size, parse_size
from .._resizing import first_interpolation
from .._to_size import ResizeToCover

if TYPE_CHECKING:
    from typing_extensions import Self

# Where describe() speaks up: pairs tuned by their authors lie within it (torchvision V2 0.934, timm at 288 px 0.911 and 0.959,
# EfficientNetV2-S 0.907), the classic untuned pair, 0.809, does not.
_FAR = 0.1


class ResizePolicy:
    """A pair of v2 transforms, for training and for evaluation, that fit each other.

    Policies are frozen dataclasses with a ``size``: they compare, hash and print by their arguments, and ``to_dict`` and ``from_dict`` store them.
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
        """The transform for training: changes the size only, so flips, colours and normalisation are yours to add."""
        raise NotImplementedError(f"{type(self).__name__} must implement train")

    def eval(self) -> v2.Transform:
        """The transform for evaluation; deterministic."""
        raise NotImplementedError(f"{type(self).__name__} must implement eval")

    def apparent_size_ratio(self) -> float:
        """How large objects look in evaluation over how large they look in training, in the mean (Touvron et al. 2019, section 3)."""
        return 1.0

    def simulate(self, height: int, width: int, *, samples: int = 1000) -> float:
        """``apparent_size_ratio`` of images of one size, measured by running both transforms on small boxes.

        Unlike the closed form it knows the shape of the image, and the crops that are drawn again because they do not fit: for the classic
        recipe it finds 0.76 on square images, where the closed form has 0.81.

        Args:
            height: of the images, in pixels.
            width: of the images, in pixels.
            samples: how many training draws to average.

        Returns:
            The mean of evaluation's scale over training's, where a scale is the geometric mean of the vertical and the horizontal one.

        Raises:
            ArgumentError: a number that is not a positive int.

        Example:
            >>> from resizenet.transforms import StretchPolicy
            >>> StretchPolicy(64).simulate(300, 400, samples=1)
            1.0
        """
        for name, value in {"height": height, "width": width, "samples": samples}.items():
            check_positive(name, value)
        objects = _small_boxes(height, width)
        train, evaluate = self.train(), self.eval()
        in_evaluation = _side(evaluate(objects))
        with torch.random.fork_rng(devices=[]):  # to look at a policy must not change the training that follows
            return sum(in_evaluation / _side(train(objects)) for _ in range(samples)) / samples

    def with_size(self, size: Size) -> Self:
        """The same policy for another training size; all other arguments stay, but for an evaluation size that is the training size: it moves along.

        Example:
            >>> from resizenet.transforms import UpscalePolicy
            >>> UpscalePolicy(128, interpolation="bicubic").with_size(160)
            UpscalePolicy(size=(160, 160), interpolation='bicubic')
        """
        return dataclasses.replace(self, **self._sizes_at(parse_size(size)))  # type: ignore[type-var]  # subclasses are dataclasses

    def _sizes_at(self, size: tuple[int, int]) -> dict[str, Any]:
        """The arguments that depend on the training size, at another one."""
        moves = self.eval_size == self.train_size and "eval_size" in vars(self)
        return {"size": size, "eval_size": size} if moves else {"size": size}

    def describe(self) -> str:
        """Both halves in words, how much larger or smaller objects look in evaluation, and a line with "!" when that is far.

        Example:
            >>> from resizenet.transforms import RandomResizedCropPolicy
            >>> print(RandomResizedCropPolicy(32, crop_pct=1.0).describe())
            RandomResizedCropPolicy
            train  32x32  8 to 100 % of the area, width / height 0.75 to 1.33, resized
            eval   32x32  resized to cover 32x32, centre crop
            ! objects look 29 % smaller in evaluation than in training; eval_size=45 evens it out
        """
        words = self._words()
        lines = [type(self).__name__]
        for name, size, text in zip(("train", "eval "), (self.train_size, self.eval_size), words, strict=True):
            lines.append(f"{name}  {size_text(size)}  {text}")
        ratio = self.apparent_size_ratio()
        change = f"objects look {abs(ratio - 1):.0%} {'smaller' if ratio < 1 else 'larger'} in evaluation than in training".replace(
            "%", " %"
        )
        if abs(ratio - 1) > _FAR:
            lines.append(f"! {change}{self._remedy()}")
        else:
            lines.append(change if f"{ratio:.2f}" != "1.00" else "objects look equally large in both")
        return "\n".join(lines)

    def _words(self) -> tuple[str, str]:
        """What happens in training and in evaluation; the transforms themselves, unless a subclass knows better."""
        return tuple(" ".join(repr(transform).split()) for transform in (self.train(), self.eval()))  # type: ignore[return-value]

    def _remedy(self) -> str:
        """What would bring the ratio to 1, as the end of a sentence."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """The policy's name and arguments as plain values."""
        return {"policy": type(self).__name__, **dataclasses.asdict(self)}  # type: ignore[call-overload]  # subclasses are dataclasses

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
        policies = {policy.__name__: policy for policy in _all_subclasses(ResizePolicy)}
        arguments = dict(values)
        name = arguments.pop("policy", None)
        check_choice("policy", name, policies)
        try:
            return policies[str(name)](**arguments)
        except TypeError as error:
            raise ArgumentError(f"{name}: {error}") from None


class SizeOrNone:
    """A policy's field that is given as a size, or as None for the training size, and read as (height, width)."""

    @overload
    def __get__(self, policy: None, owner: type) -> None: ...
    @overload
    def __get__(self, policy: ResizePolicy, owner: type) -> tuple[int, int]: ...
    def __get__(self, policy: ResizePolicy | None, owner: type) -> tuple[int, int] | None:
        return None if policy is None else vars(policy)["eval_size"]  # of the class: the default

    def __set__(self, policy: ResizePolicy, size: Size | None) -> None:
        vars(policy)["eval_size"] = policy.train_size if size is None else parse_size(size, argument="eval_size")


def _all_subclasses(policy: type[ResizePolicy]) -> list[type[ResizePolicy]]:
    return [found for subclass in policy.__subclasses__() for found in (subclass, *_all_subclasses(subclass))]


def freeze(policy: ResizePolicy, **values: object) -> None:
    """Normalise arguments of a frozen dataclass, from ``__post_init__`` only."""
    for name, value in values.items():
        object.__setattr__(policy, name, value)


def cover_and_crop(covered: tuple[int, int], size: tuple[int, int], interpolation: str | Sequence[str]) -> v2.Transform:
    """Resize to cover ``covered``, then the centre crop of ``size``: evaluation, as most recipes have it."""
    return v2.Compose(
        [ResizeToCover(covered, interpolation=first_interpolation(interpolation)), v2.CenterCrop(list(size))]
    )


def size_text(size: tuple[int, int]) -> str:
    """Height x width."""
    return "x".join(map(str, size))


def _small_boxes(height: int, width: int) -> tv_tensors.BoundingBoxes:
    """Boxes of one size down the diagonal, at least a hundred: a crop cuts off most, but some of each column and row stay whole."""
    count = 100 * math.ceil(max(height, width) / min(height, width))
    edges = torch.linspace(0, 1, count + 1, dtype=torch.float64)[:, None] * torch.tensor([width, height])
    return tv_tensors.BoundingBoxes(torch.cat([edges[:-1], edges[1:]], 1), format="XYXY", canvas_size=(height, width))


def _side(boxes: tv_tensors.BoundingBoxes) -> float:
    """The geometric mean of width and height of those that are whole, and so the largest, in pixels."""
    left, top, right, bottom = boxes.as_subclass(torch.Tensor).unbind(1)
    return math.sqrt((right - left).max() * (bottom - top).max())
