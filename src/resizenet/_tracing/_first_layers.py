"""The first convolution of a model and the pooling behind it."""

from __future__ import annotations

from dataclasses import dataclass

from ._field import Field
from ._table import Window
from ._trace import Trace

_MAX_WINDOWS = 6  # up to the pooling: three convolutions in deep stems, and a max pool (with two outputs) before a blur


@dataclass(frozen=True)
class FirstLayers:
    """The convolution with which a model begins, and the pooling behind it.

    Attributes:
        conv: the call of the convolution.
        pool: the call of the pooling that has a stride; None without one. It may be a blur, or a convolution in a
            module that the model calls its pool (timm's ``replace_stem_pool``).
        field: (height, width) in pixels, the receptive field behind these layers; without the pool if the convolution
            has no stride.
    """

    conv: Window
    pool: Window | None
    field: tuple[int, int]


def first_layers(trace: Trace) -> FirstLayers | None:
    """Return the first layers; None for a model that does not begin with a convolution."""
    windows = trace.windows[:_MAX_WINDOWS]
    if not windows or windows[0].weight is None:
        return None
    conv, pool = windows[0], next((window for window in windows[1:] if _is_pool(window, trace)), None)
    sizes = []
    for axis in (0, 1):
        field, stride = Field(), 1
        for window in windows[: windows.index(pool) + 1 if pool and max(conv.stride) > 1 else 1]:
            field = field.slide(window.kernel[axis], window.padding[axis], window.dilation[axis], stride=stride)
            stride *= window.stride[axis]
        sizes.append(field.size)
    return FirstLayers(conv, pool, (sizes[0], sizes[1]))


def _is_pool(window: Window, trace: Trace) -> bool:
    """Whether it has a stride, and no weights that are trained or a module that is named pool."""
    trained = any(row.name == window.module and row.params for row in trace.rows)
    is_pool = window.weight is None or not trained or "pool" in window.module
    return is_pool and max(window.stride) > 1
