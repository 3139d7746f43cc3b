"""Calling a pipeline with the kind of image that it takes, and reading its result as levels of the input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from ..._errors import ArgumentError
from . import _probes as probes

Inputs = Literal["auto", "pil", "numpy", "tensor", "batch", "floats"]
_CONVERTERS: dict[str, Callable[[Tensor], Any]] = {
    "pil": F.to_pil_image,
    "numpy": lambda image: image.permute(1, 2, 0).contiguous().numpy(),
    "tensor": lambda image: image.clone(),
    "batch": lambda image: image[None].clone(),
    "floats": lambda image: image[None].float() / 255,
}


class UnreadableError(Exception):
    """What a pipeline does cannot be read; the message says why."""


def to_image(result: Any) -> Tensor:
    """A result as (C, h, w): PIL, NumPy (h, w) or (h, w, C), tensor (C, h, w) or (1, C, h, w), or a dict with one."""
    if isinstance(result, Mapping):
        result = next((result[key] for key in ("image", "pixel_values") if key in result), None)
    if isinstance(result, (list, tuple)) and len(result) == 1:
        result = result[0]
    if hasattr(result, "getbands"):
        result = F.pil_to_tensor(result)
    image = result if isinstance(result, Tensor) else torch.as_tensor(result) if hasattr(result, "__array__") else None
    if image is None:
        raise UnreadableError(f"its result is no image but {type(result).__name__}")
    image = image.detach().cpu()
    if image.ndim == 4 and len(image) == 1:
        image = image[0]
    if image.ndim == 2 and min(image.shape) > 1:
        image = image[None]
    if image.ndim != 3 or 0 in image.shape:
        raise UnreadableError(f"its result is no image but has the shape {tuple(image.shape)}")
    return image if image.shape[0] in (1, 3) else image.permute(2, 0, 1)


@dataclass(frozen=True)
class Pipeline:
    """A pipeline, and the kind of image that it takes."""

    call: Callable[[Any], Any]
    kind: str

    def __call__(self, image: Tensor) -> Tensor:
        """The result for a uint8 image (3, H, W), as (C, h, w)."""
        with torch.no_grad():
            return to_image(self.call(_CONVERTERS[self.kind](image)))


def open_pipeline(call: Any, size: tuple[int, int], inputs: Inputs) -> Pipeline:
    """The pipeline with the first kind of image that it takes; raise ArgumentError if it takes none of them."""
    if not callable(call):
        raise ArgumentError(f"audit: expected a callable, or text such as 'opencv area', got {call!r}")
    problems = []
    for kind in _CONVERTERS if inputs == "auto" else (inputs,):
        pipeline = Pipeline(call, kind)
        try:
            pipeline(probes.noise(size))
        except UnreadableError:
            return pipeline  # it takes this kind of image, but returns something else
        except Exception as error:  # whatever somebody else's code raises for a kind of image that it does not take
            problems.append(f"{kind}: {type(error).__name__}: {error}".partition("\n")[0][:200])
            continue
        return pipeline
    raise ArgumentError(f"audit: the pipeline raises for every kind of image; {'; '.join(problems)}")


@dataclass(frozen=True)
class Values:
    """How a pipeline maps the levels of the input to the values of its result, apart from the resize.

    Args:
        scale: (3,), the change of the result by one level of its channel.
        offset: (3,), the result for black.
        order: the channel of the input that each channel of the result shows.
        content: (top, left, height, width) of the image in the result; the rest is filled.
    """

    scale: Tensor
    offset: Tensor
    order: tuple[int, ...]
    content: tuple[int, int, int, int]

    def levels(self, result: Tensor) -> Tensor:
        """The first channel of the input in a result, in levels, without the padding: (h, w), float64."""
        top, left, height, width = self.content
        channel = self.order.index(0)
        values = result[channel, top : top + height, left : left + width].double()
        return (values - self.offset[channel]) / self.scale[channel]


def read_values(pipeline: Pipeline, size: tuple[int, int]) -> Values:
    """Read them off results for images of one color; raise UnreadableError if they are not linear."""
    black, white = (pipeline(probes.constant(size, (level, level, level))).double() for level in (0, 255))
    if black.shape != white.shape or black.shape[0] != 3:
        raise UnreadableError(f"its results have the shape {tuple(black.shape)}, not three channels")
    content = _content(black != white)
    top, left, height, width = content
    area = (slice(None), slice(top, top + height), slice(left, left + width))
    offset = black[area].flatten(1).median(1).values
    scale = (white[area].flatten(1).median(1).values - offset) / 255
    if (scale <= 0).any():
        raise UnreadableError("its results for white are not brighter than those for black")
    between = (pipeline(probes.constant(size, (51, 51, 51))).double()[area] - offset[:, None, None]) / scale[
        :, None, None
    ]
    if (between - 51).abs().median() > 0.6:
        raise UnreadableError("its results are not linear in the levels of the image")
    return Values(scale, offset, _order(pipeline, size, Values(scale, offset, (0, 1, 2), content)), content)


def _content(changes: Tensor) -> tuple[int, int, int, int]:
    mask = changes.any(0)
    if not mask.any():
        raise UnreadableError("its results for black and for white are the same")
    rows, columns = (mask.any(axis).nonzero().flatten() for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left


def _order(pipeline: Pipeline, size: tuple[int, int], values: Values) -> tuple[int, ...]:
    order = [-1, -1, -1]
    for channel in range(3):
        color = tuple(255 * (index == channel) for index in range(3))
        result = pipeline(probes.constant(size, (color[0], color[1], color[2]))).double()
        shown = (result.flatten(1).max(1).values - values.offset) / values.scale > 127
        if shown.sum() != 1:
            raise UnreadableError("it mixes the channels")
        order[int(shown.nonzero())] = channel
    return tuple(order)
