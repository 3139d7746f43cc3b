"""What is recorded while a model runs on the image: layouts, windows and multiply-accumulates."""

from __future__ import annotations

from collections import Counter, defaultdict
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
        weight: weight of the convolution; None for a pooling.
        before: size of the map that the window slides over.
        after: size of the resulting map.
        kernel, stride, padding, dilation: in positions of the map before.
        margins: padding in the map before, which an earlier layer of the model added.
        scale: input pixels between positions of the map before; None where unknown.
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
    scale: tuple[int, int] | None

    @property
    def map(self) -> tuple[int, int]:
        """Size of the map before, without padding."""
        height, width = (n - margin.first - margin.last for n, margin in zip(self.before, self.margins, strict=True))
        return height, width


class LayoutTable:
    """The layout of every tensor that depends on the image, and what was counted on the way.

    Attributes:
        active: paths of the modules that are running, from the model ("") to the innermost.
        windows: the windows that slid over a tensor in the table, by the path of every module that was running.
        macs: multiply-accumulates, also by the path of every module that was running.
    """

    def __init__(self) -> None:
        self.active = [""]
        self.windows: defaultdict[str, list[Window]] = defaultdict(list)
        self.macs: Counter[str] = Counter()
        self._layouts: dict[int, tuple[Tensor, Layout]] = {}  # by id; holding the tensor keeps its id unique

    def __contains__(self, value: object) -> bool:
        return id(value) in self._layouts

    def __getitem__(self, tensor: Tensor) -> Layout:
        return self._layouts[id(tensor)][1]

    def __setitem__(self, tensor: Tensor, layout: Layout) -> None:
        self._layouts[id(tensor)] = (tensor, layout)

    def get(self, value: object) -> Layout | None:
        """Return the layout; None for a value that does not depend on the image."""
        return self[value] if isinstance(value, Tensor) and value in self else None

    def layouts_in(self, values: Any) -> list[Layout]:
        """Return the layouts of all tensors among the values that depend on the image."""
        return [self[leaf] for leaf in tree_leaves(values) if leaf in self]

    def add_macs(self, macs: int) -> None:
        """Count multiply-accumulates for every module that is running."""
        self.macs.update(dict.fromkeys(self.active, macs))

    def add_window(self, window: Window) -> None:
        """Record a window for every module that is running."""
        for module in dict.fromkeys(self.active):
            self.windows[module].append(window)


Rule = Callable[[LayoutTable, Sequence[Any], Tensor], Layout]
"""Returns the layout of an operation's output, from its arguments."""
