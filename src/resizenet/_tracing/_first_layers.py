"""The first convolution of a model and the pooling behind it."""

from __future__ import annotations

from dataclasses import dataclass

from ._field import Field
from ._trace import Trace

_MAX_CONVOLUTIONS = 3  # in front of the pooling: the deep stems of ResNet-C and ResNet-D have three


@dataclass(frozen=True)
class FirstLayers:
    """The convolution with which a model begins, and the strided pooling behind it.

    Attributes:
        conv: path of the convolution.
        kernel, stride: kernel size and stride of that convolution.
        pool: path of the pooling; None without one.
        field: (height, width) in pixels, the receptive field behind these layers.
    """

    conv: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pool: str | None
    field: tuple[int, int]

    @property
    def shrinks(self) -> bool:
        """Whether it is a strided convolution with an odd kernel whose windows overlap; patch embeddings are not."""
        odd = self.kernel[0] == self.kernel[1] and self.kernel[0] % 2 == 1
        return odd and self.stride[0] == self.stride[1] and 1 < self.stride[0] < self.kernel[0]


def first_layers(trace: Trace) -> FirstLayers | None:
    """Return the first layers; None for a model that does not begin with a convolution."""
    windows = trace.windows[: _MAX_CONVOLUTIONS + 1]
    if not windows or windows[0].weight is None:
        return None
    conv, pool = windows[0], None
    if max(conv.stride) > 1:
        pool = next((window for window in windows if window.weight is None and max(window.stride) > 1), None)
    sizes = []
    for axis in (0, 1):
        field, stride = Field(), 1
        for window in windows[: windows.index(pool) + 1 if pool else 1]:
            field = field.slide(window.kernel[axis], window.padding[axis], window.dilation[axis], stride=stride)
            stride *= window.stride[axis]
        sizes.append(field.size)
    return FirstLayers(conv.module, conv.kernel, conv.stride, pool.module if pool else None, (sizes[0], sizes[1]))
