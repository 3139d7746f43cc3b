"""Stateless tensor functions: resizing, and the filters that go with it."""

from ._crop_resize import crop_resize
from ._dialects._onnx import OnnxResize
from ._filter import resize_filter
from ._fold import fold_upscale
from ._interpolation import INTERPOLATIONS
from ._matrix import resize_matrix
from ._positions import resize_positions
from ._resize import resize

__all__ = [
    "INTERPOLATIONS",
    "OnnxResize",
    "crop_resize",
    "fold_upscale",
    "resize",
    "resize_filter",
    "resize_matrix",
    "resize_positions",
]
