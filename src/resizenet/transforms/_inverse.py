"""Map what is on the canvas of a transform back to the source image: boxes, keypoints, masks, maps, images, video."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from .._checks import check_choice
from .._errors import ShapeError
from .._sizes import Placement, View
from ._base import sample_size
from ._fill import Fill, check_fills, pad_input, parse_fill, parse_mask_fill
from ._resize_input import COORDINATES, call_kernel, has_kernel, is_of_user, resize_input

BoxFormat = Literal["XYXY", "XYWH", "CXCYWH"]
_FLIPS: tuple[Callable[..., Any], Callable[..., Any]] = (F.vertical_flip, F.horizontal_flip)


class Inverse:
    """Maps samples on the canvas of ``view`` back to its source.

    ``Invertible.inverse`` describes the arguments. ``rule`` has the keyword arguments of ``resize_input`` by which maps
    are resized.
    """

    def __init__(
        self,
        view: View,
        *,
        name: str,
        clamp: bool = True,
        fill: Fill = 0,
        mask_fill: int = 0,
        rule: Mapping[str, Any],
    ) -> None:
        self.view = view
        self.name = name
        self.clamp = clamp
        self.fill = parse_fill(fill)
        self.mask_fill = parse_mask_fill(mask_fill)
        self.rule = rule

    def __call__(self, sample: Any, box_format: BoxFormat | None) -> Any:
        """Map a sample back; with a format, plain tensors (N, 4) in it are boxes."""
        if box_format is not None:
            check_choice("format", box_format, get_args(BoxFormat))
        leaves, spec = tree_flatten(sample)
        plain = [i for i, leaf in enumerate(leaves) if box_format is not None and _is_plain_boxes(leaf)]
        for i in plain:
            leaves[i] = tv_tensors.BoundingBoxes(leaves[i], format=box_format, canvas_size=self.view.canvas)
        places = [i for i, leaf in enumerate(leaves) if _is_on_canvas(leaf)]
        self._check([leaves[i] for i in places])
        for i in places:
            leaves[i] = self._one_back(leaves[i])
        for i in plain:
            leaves[i] = leaves[i].as_subclass(Tensor)
        return tree_unflatten(leaves, spec)

    def _check(self, inputs: list[Any]) -> None:
        canvas = sample_size(self.name, inputs)
        if canvas != self.view.canvas:
            expected = f"expected a canvas of {self.view.canvas} for a source of {self.view.source}"
            raise ShapeError(f"{self.name}: {expected}, got {canvas}")
        check_fills(self.name, self.fill, self.mask_fill, inputs)

    def _one_back(self, inpt: Any) -> Any:
        if isinstance(inpt, COORDINATES):
            return _coordinates_back(inpt, self.view, clamp=self.clamp)
        if isinstance(inpt, tv_tensors.Mask) and not is_of_user(F.resize, inpt):
            return _mask_back(inpt, self.view, self.mask_fill)
        return self._image_back(inpt)

    def _image_back(self, image: Any) -> Any:
        view = self.view
        for axis, flip in enumerate(_FLIPS):
            if view.scale[axis] < 0:
                image, view = call_kernel(flip, image), view.flip(axis)
        visible, before, size, after = zip(*(_resize_plan(view, axis) for axis in (0, 1)), strict=True)
        image = call_kernel(F.crop, image, visible[0][0], visible[1][0], visible[0][1], visible[1][1])
        resized = resize_input(_extend(image, before), size, **self.rule)
        return self._fill_unseen(_extend(resized, after), view)

    def _fill_unseen(self, image: Any, view: View) -> Any:
        (top, height), (left, width) = view.seen(0), view.seen(1)
        seen = call_kernel(F.crop, image, top, left, height, width) if (height, width) != view.source else image
        return pad_input(seen, Placement((height, width), view.source, top, left), self.fill, self.mask_fill)


def _is_plain_boxes(leaf: Any) -> bool:
    return _is_plain(leaf) and leaf.ndim == 2 and leaf.shape[1] == 4


def _is_on_canvas(leaf: Any) -> bool:
    """Whether a value has a place on the canvas; plain tensors of fewer than three dimensions are labels or scores."""
    return has_kernel(F.resize, type(leaf)) and not (_is_plain(leaf) and leaf.ndim < 3)


def _is_plain(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and not isinstance(leaf, tv_tensors.TVTensor)


def _resize_plan(view: View, axis: int) -> tuple[tuple[int, int], tuple[int, int], int, tuple[int, int]]:
    """How one axis of an image comes back: by a crop, a padding, a resize and another padding.

    Returns:
        (start, length) of the window on the canvas that is resized; how much its border is extended before the resize,
        in canvas pixels; the length to resize to; how much the border is extended behind it, in source pixels, where a
        negative number cuts off. If the whole source has whole pixels on the canvas, it is extended to all of them
        first, so that the resize is exact. Otherwise the window is resized to the nearest whole pixels of the source.
    """
    canvas, source, content = view.canvas[axis], view.source[axis], view.content(axis)
    if content is not None:
        start, end = max(content[0], 0), min(sum(content), canvas)
        return (start, end - start), (start - content[0], sum(content) - end), source, (0, 0)
    scale, offset = view.scale[axis], view.offset[axis]
    start, end = max(math.floor(offset), 0), min(math.ceil(offset + source * scale), canvas)
    first, last = (round((edge - offset) / scale) for edge in (start, end))
    return (start, end - start), (0, 0), max(last - first, 1), (first, source - max(last, first + 1))


def _extend(image: Any, margins: tuple[tuple[int, int], tuple[int, int]]) -> Any:
    """Repeat the border by ((top, bottom), (left, right)) pixels; negative margins cut off."""
    (top, bottom), (left, right) = margins
    if min(top, bottom, left, right) < 0:
        height, width = F.get_size(image)
        cut = [max(-margin, 0) for margin in (top, bottom, left, right)]
        image = call_kernel(F.crop, image, cut[0], cut[2], height - cut[0] - cut[1], width - cut[2] - cut[3])
    padding = [max(margin, 0) for margin in (left, top, right, bottom)]
    return call_kernel(F.pad, image, padding, padding_mode="edge") if any(padding) else image


def _mask_back(mask: tv_tensors.Mask, view: View, fill: int) -> tv_tensors.Mask:
    """Take the label of the canvas pixel under the center of each source pixel."""
    plain = mask.as_subclass(Tensor)
    lines, inside = [], []
    for axis in (0, 1):
        centers = torch.arange(view.source[axis], dtype=torch.float64, device="cpu") + 0.5
        pixels = (centers * view.scale[axis] + view.offset[axis] + 1e-9).floor().long()
        inside.append(((pixels >= 0) & (pixels < view.canvas[axis])).to(plain.device))
        lines.append(pixels.clamp(0, view.canvas[axis] - 1).to(plain.device))
    labels = plain[..., lines[0][:, None], lines[1]]
    seen = inside[0][:, None] & inside[1]
    return tv_tensors.wrap(labels.masked_fill(~seen, fill), like=mask)


def _coordinates_back(coordinates: tv_tensors.TVTensor, view: View, *, clamp: bool) -> tv_tensors.TVTensor:
    """Map the corners of boxes, or keypoints; integers are rounded half up."""
    points, boxes = coordinates.to(torch.float64), isinstance(coordinates, tv_tensors.BoundingBoxes)
    upright = boxes and coordinates.format.value in get_args(BoxFormat)
    if boxes:
        points = F.convert_bounding_box_format(points, new_format="XYXY" if upright else "XYXYXYXY")
    scale, offset = (
        torch.tensor(pair[::-1], dtype=torch.float64).to(points.device) for pair in (view.scale, view.offset)
    )
    pairs = (points.as_subclass(Tensor).unflatten(-1, (-1, 2)) - offset) / scale  # (..., points, 2): x and y
    if upright and min(view.scale) < 0:
        pairs = torch.stack([pairs.amin(-2), pairs.amax(-2)], -2)
    is_whole = not coordinates.is_floating_point()
    pairs = (pairs + 0.5).floor() if is_whole else pairs
    mapped = tv_tensors.wrap(pairs.flatten(-2), like=points, canvas_size=view.source)
    if boxes:
        mapped = F.clamp_bounding_boxes(mapped) if clamp else mapped
        mapped = F.convert_bounding_box_format(mapped, new_format=coordinates.format)
    mapped = (mapped.as_subclass(Tensor) + 0.5).floor() if is_whole else mapped
    return tv_tensors.wrap(mapped.as_subclass(Tensor).to(coordinates.dtype), like=coordinates, canvas_size=view.source)
