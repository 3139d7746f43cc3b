"""Another policy, followed by the conversion to normalized tensors of floats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from ..._checks import is_sequence, parse_number
from ..._errors import ArgumentError, ShapeError
from .._resize_input import has_kernel
from ._base import ResizePolicy, set_fields


class _Normalize(v2.Normalize):
    """v2.Normalize, with an error that names the channels."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not has_kernel(F.normalize, type(inpt)):  # boxes, for example
            return inpt
        if inpt.shape[-3] != len(self.mean):
            raise ShapeError(f"NormalizedPolicy: expected images of {len(self.mean)} channels, got {tuple(inpt.shape)}")
        return super().transform(inpt, params)


@dataclass(frozen=True)
class NormalizedPolicy(ResizePolicy):
    """Another policy, then the conversion of images to float tensors in [0, 1] and their normalization.

    The result is (C, H, W) float32, ``(image / 255 - mean) / std`` for a uint8 image. Pillow images become tensors.
    Sizes are those of the other policy.

    Args:
        base: the policy that changes the size, or its ``to_dict()``.
        mean: one number for each channel, in the units of [0, 1].
        std: one positive number for each channel, in the units of [0, 1].

    Raises:
        ArgumentError: not a policy, or numbers that do not fit.
        ShapeError: on images with another number of channels.

    Example:
        >>> import torch
        >>> from resizenet.transforms import NativePolicy
        >>> policy = NormalizedPolicy(NativePolicy(32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        >>> policy.eval()(torch.full((3, 32, 32), 255, dtype=torch.uint8))[:, 0, 0]
        tensor([2., 2., 2.])
    """

    base: ResizePolicy
    _: KW_ONLY
    mean: Sequence[float]
    std: Sequence[float]

    def __post_init__(self) -> None:
        base = ResizePolicy.from_dict(dict(self.base)) if isinstance(self.base, Mapping) else self.base
        if not isinstance(base, ResizePolicy):
            raise ArgumentError(f"base: expected a policy or its to_dict(), got {base!r}")
        mean, std = _numbers("mean", self.mean), _numbers("std", self.std, above=0)
        if len(mean) != len(std):
            raise ArgumentError(f"std: expected one number for each of mean, {len(mean)}, got {len(std)}")
        set_fields(self, base=base, mean=mean, std=std)

    @property
    def size(self) -> tuple[int, int]:  # type: ignore[override]  # read-only here
        """(height, width) of a training image, in pixels."""
        return self.base.train_size

    @property
    def eval_size(self) -> tuple[int, int]:
        """(height, width) of an evaluation image, in pixels."""
        return self.base.eval_size

    def train(self) -> v2.Transform:
        """The training transform of the other policy, then the normalization."""
        return self._then_normalize(self.base.train())

    def eval(self) -> v2.Transform:
        """The evaluation transform of the other policy, then the normalization."""
        return self._then_normalize(self.base.eval())

    def apparent_size_ratio(self) -> float:
        """The ratio of the other policy."""
        return self.base.apparent_size_ratio()

    def to_dict(self) -> dict[str, Any]:
        """The policy's name and arguments as plain values; those of the other policy under "base"."""
        return {"policy": type(self).__name__, "base": self.base.to_dict(), "mean": self.mean, "std": self.std}

    def _then_normalize(self, transform: v2.Transform) -> v2.Transform:
        to_float = v2.ToDtype(torch.float32, scale=True)
        return v2.Compose([transform, v2.ToImage(), to_float, _Normalize(list(self.mean), list(self.std))])

    def _changes_for_size(self, size: tuple[int, int]) -> dict[str, Any]:
        return {"base": self.base.with_size(size)}

    def _summary(self) -> tuple[str, str]:
        train, evaluation = self.base._summary()
        return f"{train}, normalized", f"{evaluation}, normalized"

    def _resize_rule(self) -> dict[str, Any]:
        return self.base._resize_rule()

    def _hint(self) -> str:
        return self.base._hint()


def _numbers(argument: str, values: object, *, above: float | None = None) -> tuple[float, ...]:
    if not is_sequence(values) or not values:
        raise ArgumentError(f"{argument}: expected a number for each channel, got {values!r}")
    return tuple(parse_number(argument, value, above=above) for value in values)
