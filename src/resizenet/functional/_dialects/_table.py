"""The libraries whose resizes ``like=`` reproduces, each as a row: interpolations, antialias, rounding of uint8."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..._checks import check_choice
from . import _kernels as kernels
from . import _opencv as opencv
from . import _tensorflow as tensorflow
from . import _uint8 as uint8
from ._kernels import Kernel
from ._methods import Axes, Dialect, Method
from ._onnx import OnnxResize, onnx_dialect
from ._scikit import spline
from ._taps import Border, Taps, centers, integers, nearest, overlaps, window


def _kernel(
    in_size: int, out_size: int, antialias: bool, *, kernel: Kernel, radius: float, border: Border = "drop"
) -> Taps:
    stretch = max(1.0, in_size / out_size) if antialias else 1.0
    return window(in_size, centers(in_size, out_size), kernel, radius, stretch=stretch, border=border)


def _accumulated(in_size: int, out_size: int, antialias: bool) -> Taps:
    """The pixel under each center, whose position is a running sum in float64 as in Pillow and in OpenCV 5."""
    step = in_size / out_size
    steps = torch.where(integers(out_size) == 0, 0.5, 1.0).double() * step
    return nearest(steps.cumsum(0).floor(), in_size)


def _pillow(name: str, rule: Callable[[Tensor, Axes], Tensor]) -> Dialect:
    kernel_of: dict[str, tuple[Kernel, float]] = {
        "box": (kernels.box_right, 0.5),
        "bilinear": (kernels.triangle, 1),
        "hamming": (kernels.hamming, 1),
        "bicubic": (partial(kernels.cubic, a=-0.5), 2),
        "lanczos": (partial(kernels.lanczos, radius=3), 3),
    }
    methods = {
        word: Method(partial(_kernel, kernel=kernel, radius=radius), uint8=rule)
        for word, (kernel, radius) in kernel_of.items()
    }
    return Dialect(name, {"nearest": Method(_accumulated), **methods}, (True,))


def _opencv_weights(in_size: int, out_size: int, antialias: bool, *, weights: Callable[[int, int], Taps]) -> Taps:
    return weights(in_size, out_size)


def _opencv() -> Dialect:
    linear, linear_area, cubic, lanczos4, area, nearest_left = (
        partial(_opencv_weights, weights=weights)
        for weights in (
            opencv.linear,
            opencv.linear_area,
            opencv.cubic,
            opencv.lanczos4,
            opencv.area,
            opencv.nearest_left,
        )
    )
    methods = {
        "nearest": Method(nearest_left),
        "nearest-exact": Method(_accumulated),
        "linear": Method(linear, uint8=uint8.opencv_linear),
        "cubic": Method(cubic, uint8=uint8.opencv_fixed),
        "area": Method(area, linear_area, uint8.opencv_area, uint8.opencv_linear),
        "lanczos4": Method(lanczos4, uint8=uint8.opencv_fixed),
    }
    return Dialect("opencv", methods, (False,), {"bilinear": "linear", "bicubic": "cubic"})


def _tensorflow() -> Dialect:
    kernel_of: dict[str, tuple[Kernel, float]] = {
        "lanczos3": (partial(kernels.lanczos, radius=3), 3),
        "lanczos5": (partial(kernels.lanczos, radius=5), 5),
        "mitchellcubic": (kernels.mitchell, 2),
        "gaussian": (kernels.gaussian, 1.5),
    }
    methods = {
        word: Method(partial(tensorflow.scale_and_translate, kernel=kernel, radius=radius))
        for word, (kernel, radius) in kernel_of.items()
    }
    others = {
        "nearest": Method(tensorflow.nearest_pixel),
        "bilinear": Method(tensorflow.bilinear),
        "bicubic": Method(tensorflow.bicubic),
        "area": Method(lambda in_size, out_size, antialias: overlaps(in_size, out_size)),
    }
    return Dialect("tensorflow", {**others, **methods}, (False, True))


def _matlab_nearest(in_size: int, out_size: int, antialias: bool) -> Taps:
    """The pixel nearest to each center, or with antialias the mean of those whose centers lie in the output pixel."""
    if antialias and in_size > out_size:
        return _mean_of_centers(in_size, out_size)
    scale = out_size / in_size
    position = (integers(out_size) + 1) / scale + 0.5 * (1 - 1 / scale)
    return nearest((position - 0.5).floor(), in_size)


def _mean_of_centers(in_size: int, out_size: int) -> Taps:
    """Computed in integers; a center on the edge of two output pixels counts for the left one."""
    edges = (2 * in_size * torch.arange(out_size + 1, device="cpu") - out_size) // (2 * out_size) + 1
    pixels = edges[:-1, None] + torch.arange(-(-in_size // out_size), device="cpu")
    shares = (pixels < edges[1:, None]).double()
    return Taps(pixels.clamp(max=in_size - 1), shares / shares.sum(1, keepdim=True))


def _matlab() -> Dialect:
    kernel_of: dict[str, tuple[Kernel, float]] = {
        "bilinear": (kernels.triangle, 1),
        "bicubic": (partial(kernels.cubic, a=-0.5), 2),
        "lanczos2": (partial(kernels.lanczos, radius=2), 2),
        "lanczos3": (partial(kernels.lanczos, radius=3), 3),
    }
    methods = {
        word: Method(partial(_kernel, kernel=kernel, radius=radius, border="symmetric"), uint8=uint8.matlab)
        for word, (kernel, radius) in kernel_of.items()
    }
    return Dialect(
        "matlab", {"nearest": Method(_matlab_nearest, uint8=uint8.matlab, antialias=False), **methods}, (True, False)
    )


def _scikit() -> Dialect:
    names = ("nearest", "bilinear", "biquadratic", "bicubic")
    methods = {name: Method(partial(spline, order=order)) for order, name in enumerate(names)}
    return Dialect("scikit-image", methods, (True, False), clips=True)


DIALECTS = {
    "pillow": _pillow("pillow", uint8.pillow),
    "pillow-12": _pillow("pillow-12", uint8.pillow_12),
    "opencv": _opencv(),
    "tensorflow": _tensorflow(),
    "onnx": onnx_dialect(OnnxResize()),
    "scikit-image": _scikit(),
    "matlab": _matlab(),
}


def find_dialect(like: object) -> Dialect:
    """The dialect of a library other than torch; raise UnknownNameError if there is none."""
    if isinstance(like, OnnxResize):
        return onnx_dialect(like)
    check_choice("like", like, ("torch", *DIALECTS))
    return DIALECTS[str(like)]
