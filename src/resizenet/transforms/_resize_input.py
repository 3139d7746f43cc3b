"""Resizing and cropping one input of a sample, of any kind, with workarounds for faults of torchvision's kernels.

A user's own types go through torchvision's dispatch: registered kernels are called, other inputs are not changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F
from torchvision.transforms.v2.functional._utils import _get_kernel  # there is no public way to find a kernel

from .._errors import ArgumentError
from ..functional import resize
from ..functional._interpolation import AnyInterpolation, Like
from ._uint8_upscale import resize_batch

COORDINATES = tuple(
    getattr(tv_tensors, name) for name in ("BoundingBoxes", "KeyPoints") if hasattr(tv_tensors, name)
)  # KeyPoints came with torchvision 0.23
_BUILT_IN_TYPES = (tv_tensors.Image, tv_tensors.Video, tv_tensors.Mask, *COORDINATES)
_FLOAT_FOR = {  # the dtype in which an integer image is resized
    **dict.fromkeys((torch.bool, torch.int8, torch.int16, torch.uint16), torch.float32),
    **dict.fromkeys((torch.int32, torch.uint32, torch.int64, torch.uint64), torch.float64),
}


@cache
def _built_in_kernels(functional: Callable[..., Any]) -> set[Callable[..., Any]]:
    return {_get_kernel(functional, kind) for kind in _BUILT_IN_TYPES}


def has_kernel(functional: Callable[..., Any], kind: type) -> bool:
    """Whether torchvision or the user has registered a kernel of ``functional`` for the type."""
    try:
        _get_kernel(functional, kind)
    except TypeError:
        return False
    return True


def call_kernel(functional: Callable[..., Any], inpt: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the registered kernel for the type of ``inpt``, as v2's own transforms do; without one return ``inpt``."""
    return _get_kernel(functional, type(inpt), allow_passthrough=True)(inpt, *args, **kwargs)


def is_of_user(functional: Callable[..., Any], inpt: Any) -> bool:
    """Whether the kernel for the type of ``inpt`` is not one of torchvision's."""
    kernel = _get_kernel(functional, type(inpt), allow_passthrough=True)
    return isinstance(inpt, tv_tensors.TVTensor) and kernel not in _built_in_kernels(functional)


class GeometryOnly(tv_tensors.TVTensor):
    """A type whose kernels need no interpolation, whoever's resize it is."""


def _torchvision_options(inpt: Any, interpolation: str, antialias: bool | None, like: Like) -> dict[str, Any]:
    """The same rule in torchvision's words; raise ArgumentError if a user's kernel cannot be told the library."""
    if isinstance(inpt, GeometryOnly):
        return {}
    if like in ("torch", "pillow"):
        return {
            "interpolation": InterpolationMode(interpolation),
            "antialias": True if antialias is None else antialias,
        }
    expected = "expected 'torch' for a type with a kernel of its own"
    raise ArgumentError(f"like: {expected}, got {like!r} for {type(inpt).__name__}")


def crop_and_resize_input(
    inpt: Any,
    box: Sequence[int],
    size: tuple[int, int],
    interpolation: AnyInterpolation,
    *,
    antialias: bool | None = True,
    like: Like = "torch",
) -> Any:
    """Cut ``box``, (top, left, height, width), out of one input and resize it with ``resize_input``."""
    if is_of_user(F.resized_crop, inpt):
        options = _torchvision_options(inpt, interpolation, antialias, like)
        return call_kernel(F.resized_crop, inpt, *box, size=list(size), **options)
    return resize_input(F.crop(inpt, *box), size, interpolation, antialias=antialias, like=like)


def resize_input(
    inpt: Any,
    size: tuple[int, int],
    interpolation: AnyInterpolation,
    *,
    antialias: bool | None = True,
    like: Like = "torch",
) -> Any:
    """Resize an image, video, mask, set of boxes or set of keypoints; return the input itself if it has that size.

    - Tensors go through ``functional.resize``, integers as floats: torchvision's kernel gives wrong numbers for
      results one pixel wide (torch 2.15, CPU), and wraps around where bicubic overshoots uint16.
    - Masks take the label of the nearest pixel center, by index: torchvision shifts them by up to half a pixel
      against the image (its "nearest" ignores the centers) and rounds integers beyond 2^24.
    - Integer keypoints and corners of boxes are rounded half up; torchvision truncates them, and truncates the sides of
      a box apart from its corners. A keypoint that indexes a pixel still indexes one: the last row maps to a row inside
      the result.
    """
    if is_of_user(F.resize, inpt):
        options = _torchvision_options(inpt, interpolation, antialias, like)
        return call_kernel(F.resize, inpt, list(size), max_size=None, **options)
    if tuple(F.get_size(inpt)) == size:
        return inpt
    if isinstance(inpt, tv_tensors.Mask):
        return tv_tensors.wrap(_resize_mask(inpt.as_subclass(Tensor), size), like=inpt)
    if isinstance(inpt, COORDINATES) and not inpt.is_floating_point():
        return _resize_integer_coordinates(inpt, size)
    if isinstance(inpt, COORDINATES):
        return F.resize(inpt, list(size))
    if isinstance(inpt, Tensor):
        return _resize_image(inpt, size, interpolation, antialias=antialias, like=like)
    if like in ("torch", "pillow"):
        return F.resize(inpt, list(size), **_torchvision_options(inpt, interpolation, antialias, like))
    resized = _resize_image(F.pil_to_tensor(inpt), size, interpolation, antialias=antialias, like=like)
    return F.to_pil_image(resized, mode=inpt.mode)


def _resize_integer_coordinates(coordinates: tv_tensors.TVTensor, size: tuple[int, int]) -> tv_tensors.TVTensor:
    """Resize boxes by their corners, which then lie on whole pixels in every format, and keypoints directly."""
    points, boxes = coordinates.to(torch.float64), isinstance(coordinates, tv_tensors.BoundingBoxes)
    if boxes:
        points = F.convert_bounding_box_format(points, new_format="XYXY")
    after, before = (torch.tensor(canvas[::-1], device=points.device) for canvas in (size, coordinates.canvas_size))
    pairs = points.as_subclass(Tensor).unflatten(-1, (-1, 2))  # (..., 2): x and y
    rounded = (pairs * after / before + 0.5).floor()  # torchvision's float32 factors round some halves down
    if not boxes:
        rounded = torch.where((pairs >= 0) & (pairs < before), rounded.minimum(after - 1), rounded)
    resized = tv_tensors.wrap(rounded.flatten(-2), like=points, canvas_size=size)
    if boxes:
        resized = F.convert_bounding_box_format(resized, new_format=coordinates.format)
    return tv_tensors.wrap(resized.as_subclass(Tensor).add(0.5).floor().to(coordinates.dtype), like=resized)


def _resize_image(
    image: Tensor, size: tuple[int, int], interpolation: AnyInterpolation, *, antialias: bool | None, like: Like
) -> Tensor:
    image_or_video = image.as_subclass(Tensor)
    batch = image_or_video.flatten(0, -4) if image.ndim > 3 else image_or_video[None]
    if batch.dtype in _FLOAT_FOR:
        exact = batch.to(_FLOAT_FOR[batch.dtype])
        out = _round_to_dtype(resize(exact, size, interpolation=interpolation, antialias=antialias), batch.dtype)
    else:
        out = resize_batch(batch, size, interpolation, antialias=antialias, like=like)
    out = out.reshape(*image.shape[:-2], *size)
    return tv_tensors.wrap(out, like=image) if isinstance(image, tv_tensors.TVTensor) else out


def _round_to_dtype(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Round, and clamp to the range of an integer dtype or bool; float64 holds 64-bit integers to 53 bits."""
    low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    largest = float(high) if float(high) <= high else math.nextafter(float(high), 0)  # 2**63 would wrap around
    return x.round().clamp(low, largest).to(dtype)


def _resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    rows, columns = (
        _nearest_pixels(before, after, mask.device) for before, after in zip(mask.shape[-2:], size, strict=True)
    )
    return mask[..., rows[:, None], columns]


def _nearest_pixels(before: int, after: int, device: torch.device) -> Tensor:
    """For each new pixel, the old one that holds its center (``resize_matrix``'s rule for "nearest-exact")."""
    return (2 * torch.arange(after, device=device) + 1) * before // (2 * after)
