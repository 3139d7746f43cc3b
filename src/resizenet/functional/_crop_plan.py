"""Check the arguments of ``crop_resize`` and collect them in one plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import ArgumentError, DtypeError, ShapeError
from ._interpolation import Interpolation


@dataclass(frozen=True)
class CropPlan:
    """What ``crop_resize`` computes, without the images."""

    boxes: Tensor  # (B, 4): top, left, height, width
    size: tuple[int, int]
    flip: Tensor | None  # (B,), bool
    affine: Tensor | None  # (2, C, 1, 1): multiplier and offset per channel, on the device of the images
    interpolation: Interpolation
    antialias: bool
    dtype: torch.dtype

    def finish(self, resized: Tensor) -> Tensor:
        """Normalize in the dtype of ``affine`` and cast; integers are rounded half to even."""
        if self.dtype == torch.uint8:
            return resized if resized.dtype == torch.uint8 else resized.round().clamp(0, 255).to(torch.uint8)
        if self.affine is not None:
            resized = torch.addcmul(self.affine[1], resized.to(self.affine.dtype), self.affine[0])
        return resized.to(self.dtype)


def check_boxes(boxes: Tensor, images: Tensor) -> None:
    """Raise unless ``boxes`` are (B, 4) integers inside the images; ``torch.compile`` does not check the values."""
    batch, _, height, width = images.shape
    if not isinstance(boxes, Tensor):
        raise DtypeError(f"crop_resize: expected boxes as a tensor, got {type(boxes).__name__}")
    if boxes.ndim != 2 or boxes.shape[0] != batch or boxes.shape[1] != 4:
        raise ShapeError(
            f"crop_resize: expected boxes (top, left, height, width) for each of {batch} images, ({batch}, 4), "
            f"got {tuple(boxes.shape)}"
        )
    if boxes.is_floating_point() or boxes.is_complex() or boxes.dtype == torch.bool:
        raise DtypeError(f"crop_resize: expected boxes in whole pixels, an integer dtype, got {boxes.dtype}")
    if torch.compiler.is_compiling():
        return
    starts, lengths = boxes[:, :2].long(), boxes[:, 2:].long()
    limits = torch.tensor((height, width), device=boxes.device)
    inside = (starts >= 0) & (lengths >= 1) & (starts <= limits - lengths)  # starts + lengths could overflow
    if not inside.all():
        sample = int(inside.all(1).logical_not().nonzero()[0])
        raise ArgumentError(
            f"crop_resize: expected boxes of at least one pixel inside images of {height} x {width}, "
            f"got (top, left, height, width) = {tuple(boxes[sample].tolist())} for image {sample}"
        )


def check_flip(flip: Tensor | None, images: Tensor) -> None:
    """Raise unless ``flip`` is None or (B,), bool."""
    if flip is None:
        return
    if not isinstance(flip, Tensor) or flip.dtype != torch.bool:
        found = flip.dtype if isinstance(flip, Tensor) else type(flip).__name__
        raise DtypeError(f"crop_resize: expected flip to be bool, got {found}")
    if flip.shape != images.shape[:1]:
        raise ShapeError(f"crop_resize: expected flip of shape ({images.shape[0]},), got {tuple(flip.shape)}")


def check_dtype(dtype: torch.dtype, images: Tensor, *, normalize: bool) -> None:
    """Raise unless images of this dtype can give a result of ``dtype``, normalized or not."""
    if not isinstance(dtype, torch.dtype):
        raise DtypeError(f"crop_resize: expected dtype to be a torch.dtype, got {dtype!r}")
    if not dtype.is_floating_point and (dtype != torch.uint8 or images.dtype != torch.uint8):
        raise DtypeError(
            f"crop_resize: expected a floating point dtype, or uint8 from uint8 images, got {images.dtype} -> {dtype}"
        )
    if normalize and not dtype.is_floating_point:
        raise DtypeError(
            f"crop_resize: mean and std need a floating point result, got {dtype}; pass for example dtype=torch.float32"
        )


def _parse_channels(argument: str, values: Sequence[float] | None, channels: int, default: float) -> list[float]:
    """One finite number per channel."""
    if values is None:
        return [default] * channels
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, RuntimeError):  # a tensor of several elements raises RuntimeError
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise ArgumentError(f"crop_resize: expected {argument} to be one number for each channel, got {values!r}")
    if len(numbers) != channels:
        raise ShapeError(f"crop_resize: expected {argument} for {channels} channels, got {len(numbers)}")
    return numbers


def make_affine(
    images: Tensor, dtype: torch.dtype, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Tensor | None:
    """(2, C, 1, 1): multiplier and offset per channel, or None for no change; uint8 becomes 0..1 in floating dtypes."""
    channels = images.shape[1]
    means = _parse_channels("mean", mean, channels, 0.0)
    stds = _parse_channels("std", std, channels, 1.0)
    if min(stds) <= 0:
        raise ArgumentError(f"crop_resize: expected positive std, got {tuple(stds)}")
    levels = 255.0 if images.dtype == torch.uint8 and dtype.is_floating_point else 1.0
    if mean is None and std is None and levels == 1:
        return None
    work = torch.promote_types(torch.promote_types(images.dtype, dtype), torch.float32)
    scale = [1 / (levels * value) for value in stds]
    shift = [-center / value for center, value in zip(means, stds, strict=True)]
    affine = torch.tensor([scale, shift], dtype=work, device="cpu")[:, :, None, None]
    return affine.to(images.device, non_blocking=True)
