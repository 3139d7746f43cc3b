"""What a model begins with, told from the windows that slide over the image first."""

from __future__ import annotations

from dataclasses import dataclass

from ._field import Field
from ._trace import Trace

_CONVOLUTIONS = 3  # at most, before a stem's pool: the deep stems of ResNet-C and -D have three


@dataclass(frozen=True)
class Stem:
    """The first convolution, and the pool behind it if there is one.

    Attributes:
        conv: path of the first convolution.
        kernel, conv_stride: of that convolution.
        pool: path of the pool; None without one.
        pool_stride: (1, 1) without one.
        field: (height, width) in pixels that a cell behind the stem sees.
    """

    conv: str
    kernel: tuple[int, int]
    conv_stride: tuple[int, int]
    pool: str | None
    pool_stride: tuple[int, int]
    field: tuple[int, int]

    @property
    def shrinks(self) -> bool:
        """Whether it is one that ``adapt`` can change: a strided convolution with an odd kernel whose windows overlap; patches do not."""
        odd = self.kernel[0] == self.kernel[1] and self.kernel[0] % 2 == 1
        return odd and self.conv_stride[0] == self.conv_stride[1] and 1 < self.conv_stride[0] < self.kernel[0]


def stem_of(trace: Trace) -> Stem | None:
    """None of a model that does not begin with a convolution."""
    windows = trace.windows
    if not windows or windows[0].weight is None:
        return None
    first = windows[0]
    places = [
        i for i, window in enumerate(windows[: _CONVOLUTIONS + 1]) if window.weight is None and max(window.stride) > 1
    ]
    pool = windows[places[0]] if places and max(first.stride) > 1 else None
    fields = []
    for axis in (0, 1):
        field, stride = Field(), 1
        for window in windows[: places[0] + 1 if pool else 1]:
            field = field.slide(window.kernel[axis], window.padding[axis], window.dilation[axis], stride=stride)
            stride *= window.stride[axis]
        fields.append(field.size)
    return Stem(
        first.module,
        first.kernel,
        first.stride,
        pool.module if pool else None,
        pool.stride if pool else (1, 1),
        (fields[0], fields[1]),
    )
