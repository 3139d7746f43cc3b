"""What the transforms share: the sample's size, the interpolation argument, and the base class for resizing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from .._checks import is_sequence
from .._errors import ArgumentError, DtypeError, ShapeError
from .._sizes import Size, parse_size
from ..functional import OnnxResize
from ..functional._inputs import check_dense
from ..functional._interpolation import AnyInterpolation, Like, is_torch, parse_rule
from ._resize_input import COORDINATES, resize_input

_COORDINATE_DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.int16, torch.int32, torch.int64),
)
Interpolations = AnyInterpolation | Sequence[AnyInterpolation]
"""One name, or the names to draw from."""


def parse_interpolation(
    interpolation: object, *, antialias: object = None, like: object = "torch"
) -> AnyInterpolation | tuple[AnyInterpolation, ...]:
    """Return the name, or the names to draw from as a tuple.

    Raises:
        UnknownNameError: no such library, or the library has no such interpolation.
        ArgumentError: no name, or the library has no such setting of antialias.
    """
    names = tuple(interpolation) if is_sequence(interpolation) else (interpolation,)
    if not names:
        raise ArgumentError("interpolation: expected a name or a list of names to draw from, got an empty list")
    for name in names:
        parse_rule(name, antialias, like)
    found = names if is_sequence(interpolation) else names[0]
    return cast("AnyInterpolation | tuple[AnyInterpolation, ...]", found)


def parse_like(like: object) -> Like:
    """The library; the attributes of ``OnnxResize`` may come as a dict, as in ``to_dict`` of a policy."""
    if not isinstance(like, Mapping):
        return cast("Like", like)
    try:
        return OnnxResize(**like)
    except TypeError as error:
        raise ArgumentError(f"like: {error}") from None


def first_interpolation(interpolation: Interpolations) -> AnyInterpolation:
    """Return the only name or the first, which is what evaluation uses."""
    return interpolation if isinstance(interpolation, str) else interpolation[0]


def draw_interpolation(interpolation: Interpolations) -> AnyInterpolation:
    """Return the only name, or one drawn with equal probability."""
    if isinstance(interpolation, str):
        return interpolation
    return interpolation[int(torch.randint(len(interpolation), (), device="cpu"))]


def is_image(inpt: Any) -> bool:
    """Whether an input that v2 transforms is an image or a video: plain tensors and images of PIL are."""
    return not isinstance(inpt, tv_tensors.TVTensor) or isinstance(inpt, (tv_tensors.Image, tv_tensors.Video))


def sample_size(name: str, flat_inputs: list[Any]) -> tuple[int, int]:
    """Return the (height, width) of the inputs that have one.

    Raises:
        ShapeError: none has one, they differ, there is no pixel, or an image has no channel dimension.
        DtypeError: a sparse or nested tensor, or boxes or keypoints of a dtype that differences and enlarged
            coordinates overflow.
    """
    for inpt in flat_inputs:
        if isinstance(inpt, Tensor):
            check_dense(name, inpt, "(..., C, H, W)")
    try:
        height, width = v2.query_size(flat_inputs)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name}: expected a sample with images, masks and boxes of one size: {error}") from None
    if height < 1 or width < 1:
        raise ShapeError(f"{name}: expected at least one pixel, got images of {height} x {width}")
    for inpt in flat_inputs:
        if is_image(inpt) and isinstance(inpt, Tensor) and inpt.ndim < 3:
            expected = "expected images of at least three dimensions, (C, H, W)"
            raise ShapeError(f"{name}: {expected}, got {tuple(inpt.shape)}")
        if isinstance(inpt, COORDINATES) and inpt.dtype not in _COORDINATE_DTYPES:
            expected = "expected coordinates in a floating point dtype, int16, int32 or int64"
            raise DtypeError(f"{name}: {expected}, got {inpt.dtype}; convert them, for example with .long()")
    return height, width


def describe_arguments(module: nn.Module) -> str:
    """Return a module's public attributes in the form in which its constructor takes them."""
    arguments = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items() if name != "training")


class ResizingTransform(v2.Transform):
    """Base class with a size and a rule for resizing; a subclass says which size an image gets."""

    def __init__(
        self,
        size: Size,
        *,
        interpolation: Interpolations = "bilinear",
        antialias: bool | None = None,
        like: Like = "torch",
    ) -> None:
        super().__init__()
        self.size = parse_size(size)
        self.interpolation = parse_interpolation(interpolation, antialias=antialias, like=like)
        self.antialias = True if antialias is None and is_torch(like) else antialias
        self.like = like

    def _output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the new (height, width) of a sample of size (height, width); may draw."""
        raise NotImplementedError(f"{type(self).__name__} must implement _output_size")

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The new size, computed from the size of the sample, and the interpolation, drawn if there are several."""
        size = self._output_size(*sample_size(self._get_name(), flat_inputs))
        return {"size": size, "interpolation": draw_interpolation(self.interpolation)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input of the sample, resized."""
        return resize_input(inpt, params["size"], params["interpolation"], antialias=self.antialias, like=self.like)

    def extra_repr(self) -> str:
        """The arguments."""
        return describe_arguments(self)
