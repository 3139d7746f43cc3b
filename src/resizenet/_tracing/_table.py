"""What is known of the tensors that a model makes from the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from ._field import Margin
from ._layout import Layout


@dataclass(frozen=True, eq=False)
class Window:
    """One call of a 2-D convolution or pooling; pairs are (vertical, horizontal).

    Attributes:
        module: path of the module that called it.
        weight: of a convolution; None of a pooling.
        before: size of the map that the window slides over.
        after: size of the map that comes out.
        kernel, stride, padding, dilation: in cells of the map before.
        margins: padding among the cells of the map before, of the model's own.
    """

    module: str
    weight: Tensor | None
    before: tuple[int, int]
    after: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    margins: tuple[Margin, Margin]

    @property
    def map(self) -> tuple[int, int]:
        """Size of the map before, without padding."""
        down, across = (
            side - margin.first - margin.last for side, margin in zip(self.before, self.margins, strict=True)
        )
        return down, across


class Known:
    """The layout of every tensor that depends on the image, and every window that slid over one."""

    def __init__(self) -> None:
        self.module = ""  # path of the module that is running
        self.windows: list[Window] = []
        self._layouts: dict[int, tuple[Tensor, Layout]] = {}  # by id; the tensor is kept so that its id stays its own

    def __contains__(self, value: object) -> bool:
        return id(value) in self._layouts

    def __getitem__(self, tensor: Tensor) -> Layout:
        return self._layouts[id(tensor)][1]

    def __setitem__(self, tensor: Tensor, layout: Layout) -> None:
        self._layouts[id(tensor)] = (tensor, layout)

    def get(self, value: object) -> Layout | None:
        """None of what does not depend on the image."""
        return self._layouts[id(value)][1] if value in self else None

    def among(self, values: Any) -> list[Layout]:
        """Of all tensors among the values that depend on the image."""
        return [self[leaf] for leaf in tree_leaves(values) if leaf in self]


Rule = Callable[[Known, Sequence[Any], Tensor], Layout]
"""The layout of an operation's output, from its arguments."""
