"""The names of the interpolations, and whose resize they belong to."""

from __future__ import annotations

from typing import Literal, get_args

from .._checks import check_choice
from .._errors import ArgumentError
from ._dialects._onnx import OnnxResize
from ._dialects._table import find_dialect

Interpolation = Literal["nearest-exact", "bilinear", "bicubic"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
AnyInterpolation = (
    Interpolation
    | Literal["nearest", "box", "linear", "hamming", "biquadratic", "cubic", "area", "mitchellcubic", "gaussian"]
    | Literal["lanczos", "lanczos2", "lanczos3", "lanczos4", "lanczos5"]
)
"""The interpolations of all libraries; each library has some of them."""
Like = Literal["torch", "pillow", "pillow-12", "opencv", "tensorflow", "onnx", "scikit-image", "matlab"] | OnnxResize
"""The library whose resize is reproduced."""


def is_torch(like: object) -> bool:
    """Whether the resize is torch's own."""
    return isinstance(like, str) and like == "torch"


def parse_rule(interpolation: object, antialias: object, like: object) -> bool:
    """Check that the library has this interpolation and this setting of antialias; return the setting.

    Raises:
        UnknownNameError: no such library, or the library has no such interpolation.
        ArgumentError: antialias is not a bool, or the library has no such setting.
    """
    if is_torch(like):
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        if antialias is not None and not isinstance(antialias, bool):
            raise ArgumentError(f"antialias: expected True, False or None, got {antialias!r}")
        return True if antialias is None else antialias
    return find_dialect(like).parse_rule(interpolation, antialias)
