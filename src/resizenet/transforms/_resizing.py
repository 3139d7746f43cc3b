"""Resizing any kind of input of a sample to a size, with the faults of torchvision's kernels kept out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from .._checks import check_choice, is_sequence
from .._errors import ArgumentError, ShapeError
from .._sizes import Size, parse_size
from ..functional import INTERPOLATIONS, resize
from ._passes import resize_batch

COORDINATES = tuple(
    getattr(tv_tensors, name) for name in ("BoundingBoxes", "KeyPoints") if hasattr(tv_tensors, name)
)  # KeyPoints came with torchvision 0.23


def parse_interpolation(interpolation: object) -> str | tuple[str, ...]:
    """A name, or the names to draw from; else UnknownNameError or ArgumentError."""
    if not is_sequence(interpolation):
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        return str(interpolation)
    if not interpolation:
        raise ArgumentError("interpolation: expected a name or a list of names to draw from, got an empty list")
    for name in interpolation:
        check_choice("interpolation", name, INTERPOLATIONS)
    return tuple(interpolation)


def first_interpolation(interpolation: str | Sequence[str]) -> str:
    """What evaluation uses: the only name, or the first."""
    return interpolation if isinstance(interpolation, str) else interpolation[0]


def draw_interpolation(interpolation: str | Sequence[str]) -> str:
    """The only name, or one drawn with equal chances."""
    return (
        interpolation if isinstance(interpolation, str) else interpolation[int(torch.randint(len(interpolation), ()))]
    )


def resize_input(inpt: Any, size: tuple[int, int], interpolation: str, *, antialias: bool = True) -> Any:
    """One image, video, mask, set of boxes or set of keypoints at ``size``; the input itself if it has that size.

    - Tensors go through ``functional.resize``, integers as floats: torchvision's kernel gives wrong numbers for results one pixel wide
      (torch 2.15, CPU), and wraps around where bicubic overshoots uint16.
    - Masks are taken at the nearest pixel centre, by index: torchvision shifts them by up to half a pixel against the image (its "nearest"
      ignores the centres) and rounds integers beyond 2^24.
    - Whole-numbered keypoints and corners of boxes are rounded half up; torchvision truncates them, and sides apart from corners. A keypoint
      that indexes a pixel still does: the last row stays a row.
    """
    if tuple(F.get_size(inpt)) == size:
        return inpt
    if isinstance(inpt, tv_tensors.Mask):
        return tv_tensors.wrap(_resize_mask(inpt.as_subclass(Tensor), size), like=inpt)
    if isinstance(inpt, COORDINATES) and not inpt.is_floating_point():
        return _resize_whole_numbers(inpt, size)
    if isinstance(inpt, Tensor) and not isinstance(inpt, COORDINATES):
        return _resize_image(inpt, size, interpolation, antialias)
    return F.resize(inpt, list(size), interpolation=InterpolationMode(interpolation), antialias=antialias)


def _resize_whole_numbers(coordinates: tv_tensors.TVTensor, size: tuple[int, int]) -> tv_tensors.TVTensor:
    """Boxes by their corners, which then lie on whole pixels of the canvas whatever the format; keypoints as they are."""
    points, boxes = coordinates.to(torch.float64), isinstance(coordinates, tv_tensors.BoundingBoxes)
    if boxes:
        points = F.convert_bounding_box_format(points, new_format="XYXY")
    after, before = (torch.tensor(canvas[::-1], device=points.device) for canvas in (size, coordinates.canvas_size))
    pairs = points.as_subclass(Tensor).unflatten(
        -1, (-1, 2)
    )  # (..., x and y); torchvision's factors are float32, and miss halves
    rounded = (pairs * after / before + 0.5).floor()
    if not boxes:
        rounded = torch.where((pairs >= 0) & (pairs < before), rounded.minimum(after - 1), rounded)
    resized = tv_tensors.wrap(rounded.flatten(-2), like=points, canvas_size=size)
    if boxes:
        resized = F.convert_bounding_box_format(resized, new_format=coordinates.format)
    return tv_tensors.wrap(resized.as_subclass(Tensor).add(0.5).floor().to(coordinates.dtype), like=resized)


def _resize_image(image: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    flat = image.as_subclass(Tensor).reshape(-1, *image.shape[-3:])
    if flat.is_floating_point() or flat.dtype == torch.uint8:
        out = resize_batch(flat, size, interpolation, antialias)
    else:
        exact = torch.float32 if flat.dtype.itemsize <= 2 else torch.float64
        out = _to_whole(resize(flat.to(exact), size, interpolation=interpolation, antialias=antialias), flat.dtype)
    out = out.reshape(*image.shape[:-2], *size)
    return tv_tensors.wrap(out, like=image) if isinstance(image, tv_tensors.TVTensor) else out


def _to_whole(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Rounded and kept in the range of an integer dtype, or bool."""
    low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    return x.round().clamp(low, high).to(dtype)


def _resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    rows, columns = (
        _nearest_pixels(before, after, mask.device) for before, after in zip(mask.shape[-2:], size, strict=True)
    )
    return mask[..., rows[:, None], columns]


def _nearest_pixels(before: int, after: int, device: torch.device) -> Tensor:
    """For each pixel after, the one before whose extent holds its centre (``resize_matrix``'s rule for "nearest-exact")."""
    return (2 * torch.arange(after, device=device) + 1) * before // (2 * after)


def sample_size(name: str, flat_inputs: list[Any]) -> tuple[int, int]:
    """(height, width) of everything in the sample that has one; ShapeError if nothing has, or if they differ."""
    try:
        height, width = v2.query_size(flat_inputs)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name}: expected a sample with images, masks and boxes of one size: {error}") from None
    return height, width


def describe_arguments(transform: v2.Transform) -> str:
    """A transform's public attributes, as its constructor takes them."""
    return ", ".join(
        f"{name}={value!r}"
        for name, value in vars(transform).items()
        if not name.startswith("_") and name != "training"
    )


class ResizingTransform(v2.Transform):
    """What the transforms that resize share: a size, an interpolation, or several to draw from, and antialias. Subclasses say which size results."""

    def __init__(self, size: Size, *, interpolation: str | Sequence[str] = "bilinear", antialias: bool = True) -> None:
        super().__init__()
        self.size = parse_size(size)
        self.interpolation = parse_interpolation(interpolation)
        self.antialias = antialias

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after, of a sample that has (height, width) before; may draw."""
        raise NotImplementedError(f"{type(self).__name__} must implement _resized")

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The (height, width) to resize to, from the size of the sample, and the interpolation, drawn if there are several."""
        size = self._resized(*sample_size(self._get_name(), flat_inputs))
        return {"size": size, "interpolation": draw_interpolation(self.interpolation)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input of the sample, resized."""
        return resize_input(inpt, params["size"], params["interpolation"], antialias=self.antialias)

    def extra_repr(self) -> str:
        """The arguments."""
        return describe_arguments(self)
