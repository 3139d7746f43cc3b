"""Find out what a plan needs to know about a model as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from .._errors import ShapeError, UnsupportedModelError
from .._modules import check_model
from .._tracing import FirstLayers, Trace, first_layers, last_map, stages, trace
from ._halvings import Step, find_steps

INSTEAD = "resize the images instead, for example with UpscalePolicy or Resizer.wrap"
_OTHER_SIDES = (224, 256, 299, 384)  # px, where a model is traced that cannot take the input size as it is


@dataclass(frozen=True)
class Inspection:
    """A model as it is.

    Attributes:
        name: the name of its class.
        skeleton: a copy without values.
        input_size: (height, width) of the images to adapt to, in pixels.
        in_channels: channels of the images that it takes.
        recorded: sizes of images in pixels for which its modules have recorded that they were made.
        runs: whether it takes images of this size as it is.
        traced: its trace at this size, or at another one if it does not take this one.
        first: its first layers.
        steps: where it shrinks the map, in the order in which they are taken out.
        stride: pixels of the image between positions of its last map.
    """

    name: str
    skeleton: nn.Module
    input_size: tuple[int, int]
    in_channels: int
    recorded: tuple[tuple[int, int], ...]
    runs: bool
    traced: Trace
    first: FirstLayers | None
    steps: tuple[Step, ...]
    stride: int


def inspect_model(model: nn.Module, size: tuple[int, int]) -> Inspection:
    """Trace the model at the input size, or at another size if it cannot take this one.

    Raises:
        UnsupportedModelError: it cannot be traced, or the stride of its last map is unknown.
    """
    check_model(model, operation="adapt")
    name = type(model).__name__
    in_channels, traced_size, traced = _first_trace(model, size)
    first, head = first_layers(traced), last_map(stages(traced.rows))
    if head is None or head.stride is None:
        raise UnsupportedModelError(f"adapt: {name} has no feature map whose stride is known; {INSTEAD}")
    stride = max(head.stride)
    steps = tuple(step for step in find_steps(traced, first) if step.start < stride)
    recorded, runs = tuple(recorded_sizes(model)), traced_size == size
    return Inspection(name, traced.skeleton, size, in_channels, recorded, runs, traced, first, steps, stride)


def _first_trace(model: nn.Module, size: tuple[int, int]) -> tuple[int, tuple[int, int], Trace]:
    """Return the channels and the size of images that the model takes, and the trace of one."""
    reasons = []
    for other in dict.fromkeys([size, *recorded_sizes(model), *((side, side) for side in _OTHER_SIDES)]):
        for in_channels in _image_channels(model):
            try:
                return in_channels, other, trace(model, in_channels, other, operation="adapt")
            except ShapeError as error:
                reasons.append(str(error))
    raise UnsupportedModelError(f"{reasons[0]}; it takes no image of 224, 256, 299 or 384 px either")


def recorded_sizes(model: nn.Module) -> Iterator[tuple[int, int]]:
    """Yield the sizes of images for which patch embeddings and models have recorded that they were made."""
    for module in model.modules():
        size: Any = getattr(module, "img_size", getattr(module, "image_size", None))
        sides = size if isinstance(size, (tuple, list)) else (size, size)
        if len(sides) == 2 and all(isinstance(length, int) and length > 0 for length in sides):
            yield sides[0], sides[1]


def _image_channels(model: Any) -> Iterator[int]:
    """Yield the numbers of channels that the images may have, the likeliest first."""
    named = [getattr(model, name, None) for name in ("in_channels", "in_chans", "num_channels")]
    convolved = next((module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d)), 3)
    yield from dict.fromkeys([*(n for n in named if isinstance(n, int) and n > 0), convolved, 3])
