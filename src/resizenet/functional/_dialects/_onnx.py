"""ONNX's Resize (opset 19) and its attributes."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from ..._checks import check_choice, parse_number
from ._kernels import cubic, triangle
from ._methods import Dialect, Method
from ._taps import Border, Taps, integers, nearest, window

Coordinates = Literal["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]


@dataclass(frozen=True)
class OnnxResize:
    """The attributes of ONNX's Resize, for ``like=``; ``like="onnx"`` has the defaults.

    Source: the operator's description, https://onnx.ai/onnx/operators/onnx__Resize.html.

    Args:
        coordinate_transformation_mode: where the centers of the output pixels lie on the input.
        cubic_coeff_a: the coefficient a of the cubic kernel.
        exclude_outside: give pixels outside the image the weight 0; otherwise they have the value of the border.

    Raises:
        UnknownNameError: an unknown coordinate_transformation_mode.
        ArgumentError: a coefficient that is not a finite number.

    Example:
        >>> import torch
        >>> from resizenet.functional import resize
        >>> corners = OnnxResize(coordinate_transformation_mode="align_corners")
        >>> resize(torch.tensor([[[[0.0, 4.0]]]]), (1, 3), interpolation="linear", like=corners)
        tensor([[[[0., 2., 4.]]]])
    """

    _: KW_ONLY
    coordinate_transformation_mode: Coordinates = "half_pixel"
    cubic_coeff_a: float = -0.75
    exclude_outside: bool = False

    def __post_init__(self) -> None:
        check_choice("coordinate_transformation_mode", self.coordinate_transformation_mode, get_args(Coordinates))
        parse_number("cubic_coeff_a", self.cubic_coeff_a)


def _positions(options: OnnxResize, in_size: int, out_size: int, dtype: torch.dtype) -> Tensor:
    """The centers of the output pixels, counted from the center of the first input pixel."""
    mode = options.coordinate_transformation_mode
    index, scale = integers(out_size).to(dtype), torch.tensor(out_size / in_size, dtype=dtype, device="cpu")
    if mode == "asymmetric":
        return index / scale
    if mode == "align_corners":
        return index * (in_size - 1) / max(1, out_size - 1)
    if mode == "pytorch_half_pixel" and out_size == 1:
        return index
    return (index + 0.5) / scale - 0.5


def _nearest(in_size: int, out_size: int, antialias: bool, *, options: OnnxResize) -> Taps:
    """nearest_mode "round_prefer_floor": the nearest pixel, the left one in a tie; in float32, as in onnxruntime."""
    return nearest((_positions(options, in_size, out_size, torch.float32) - 0.5).ceil(), in_size)


def _window(in_size: int, out_size: int, antialias: bool, *, options: OnnxResize, is_cubic: bool) -> Taps:
    kernel, radius = (partial(cubic, a=options.cubic_coeff_a), 2) if is_cubic else (triangle, 1)
    stretch = max(1.0, in_size / out_size) if antialias else 1.0
    position = _positions(options, in_size, out_size, torch.float64)
    border: Border = "drop" if options.exclude_outside else "clamp"
    if not antialias and not is_cubic:
        position, border = position.clamp(0, in_size - 1), "clamp"
    return window(in_size, position + 0.5, kernel, radius, stretch=stretch, border=border)


def onnx_dialect(options: OnnxResize) -> Dialect:
    """The operator with these attributes."""
    methods = {
        "nearest": Method(partial(_nearest, options=options)),
        "linear": Method(partial(_window, options=options, is_cubic=False)),
        "cubic": Method(partial(_window, options=options, is_cubic=True)),
    }
    return Dialect("onnx", methods, (False, True), {"bilinear": "linear", "bicubic": "cubic"})
