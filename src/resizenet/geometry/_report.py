"""``report``: what an input size does to a model, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from .. import _tracing
from .._checks import check_positive
from .._sizes import Size, parse_size
from .._tracing import Row, first_layers, trace
from .advice._suggestions import suggestions
from .advice._warnings import warnings
from .render._html import page
from .render._plot import plot_stages
from .render._rich import group
from .render._text import HEADER, cells, count, legend, table


@dataclass(frozen=True)
class GeometryReport:
    """What ``report`` found; ``str()`` is a table for a terminal, and a notebook shows one of its own.

    Attributes:
        model: the class's name.
        input_size: (height, width) in pixels.
        in_channels: channels of the image.
        rows: one per module, in the order in which they finish.
        warnings: what the size does to the model, in words.
        suggestions: what to do about it, as code.
        macs: multiply-accumulates of convolutions and matrix products for one image; FLOPs are twice that.
        params: parameters of the model.
    """

    model: str
    input_size: tuple[int, int]
    in_channels: int
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    suggestions: tuple[str, ...]
    macs: int
    params: int

    @property
    def layers(self) -> tuple[Row, ...]:
        """The rows of modules that call no other module."""
        return _tracing.layers(self.rows)

    @property
    def stages(self) -> tuple[Row, ...]:
        """The rows of the table: modules are opened until each halves the map at most once; those that only pass it on are left out."""
        return _tracing.stages(self.rows)

    @property
    def final(self) -> Row | None:
        """The stage that makes the last map: the last one with multiply-accumulates and a map; None without any."""
        return _tracing.last_map(self.stages)

    @property
    def output_stride(self) -> tuple[int, int] | None:
        """(vertical, horizontal) input pixels between cells of the last map."""
        return self.final.stride if self.final else None

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        """(height, width) in input pixels that one cell of the last map can see, theoretical."""
        return self.final.receptive_field if self.final else None

    def table(self, *, layers: bool = False) -> str:
        """The report for a terminal: one line per stage, or per layer."""
        notes = [f"{mark} {text}".strip() for mark, text in self._notes(self.layers if layers else self.stages)]
        lines = table(self._lines(self.layers if layers else self.stages), left=2)
        return "\n".join([self._title, "", *lines, *([""] if notes else []), *notes])

    def plot(self) -> Any:
        """A picture: for every stage the image, the cells of its map, and what the middle cell sees.

        Returns:
            A ``matplotlib.figure.Figure``; ``savefig`` writes it.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
        """
        return plot_stages(self.stages, self.input_size, self._title)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON; stages and layers are given by name."""
        names = {"stages": [row.name for row in self.stages], "layers": [row.name for row in self.layers]}
        return {**asdict(self), **names, "output_stride": self.output_stride, "receptive_field": self.receptive_field}

    def __str__(self) -> str:
        return self.table()

    def __rich__(self) -> Any:
        return group(self._title, self._lines(self.stages), self._notes(self.stages), left=2)

    def _repr_html_(self) -> str:
        return page(self._title, self._lines(self.stages), self._notes(self.stages), left=2)

    @property
    def _title(self) -> str:
        height, width = self.input_size
        return f"{self.model} at {self.in_channels}x{height}x{width}: {count(self.macs)} MACs, {count(self.params)} parameters"

    def _lines(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        return [HEADER, *map(cells, rows)]

    def _notes(self, rows: Sequence[Row]) -> list[tuple[str, str]]:
        """(mark, text): what the table's own marks mean, warnings, suggestions."""
        return [
            *(("", text) for text in legend(rows)),
            *(("!", text) for text in self.warnings),
            *((">", text) for text in self.suggestions),
        ]


def report(model: nn.Module, input_size: Size, *, in_channels: int = 3) -> GeometryReport:
    """What an input size does to a model: maps, strides, receptive fields, unused taps, multiply-accumulates and parameters.

    A copy of the model is run in eval mode on meta tensors, which have a shape and no values, so nothing is computed, no weight is
    copied and the model is left as it was. Hooks are not called, except for those by which pruning, weight norm and spectral norm
    make weights. MACs are torch's FLOP count halved. Idle taps are the share of the kernels' weights that only ever meet
    padding at this size.

    Receptive fields are exact through windows, sums, concatenations, slices and changes of layout; a plus is for maps that are
    scaled or normalised by something that sees more. Attention and global pooling give "image", a cell sees everything, or
    "?", what it sees is not known or not the same for all cells, as in windows.

    ``adapt`` is suggested where the model begins with a strided convolution whose windows overlap. Suggestions were tried on a copy
    without values: their maps and MACs are traced too.

    Args:
        model: any module that maps (B, in_channels, H, W) to anything; of a ``DataParallel`` or ``DistributedDataParallel``, the module in it.
        input_size: (height, width) in pixels, or one int for a square.
        in_channels: channels of the image.

    Raises:
        SizeError, ArgumentError: an argument outside its range.
        ShapeError: the model cannot take an image of this size; the message has the model's own error.
        UnsupportedModelError: the model cannot be traced without values: what it does depends on the image's content, as in a detector, it
            is scripted or quantised, has lazy modules that were never called, cannot be deep-copied, or takes something else than an image.

    Example:
        >>> import torchvision
        >>> print(report(torchvision.models.resnet18(num_classes=10), 32))
        ResNet at 3x32x32: 37.0 M MACs, 11.2 M parameters
        <BLANKLINE>
        module   kind          map  channels  stride  field  idle taps   MACs  parameters
        conv1    Conv2d      16x16        64       2      7        0 %  2.4 M       9.4 k
        maxpool  MaxPool2d     8x8        64       4     11          -      0           0
        layer1   Sequential    8x8        64       4     43        0 %  9.4 M     148.0 k
        layer2   Sequential    4x4       128       8     99        0 %  8.4 M     525.6 k
        layer3   Sequential    2x2       256      16    211        0 %  8.4 M       2.1 M
        layer4   Sequential    1x1       512      32    435       83 %  8.4 M       8.4 M
        fc       Linear          -         -       -      -          -  5.1 k       5.1 k
        <BLANKLINE>
        ! layer3: 2x2 map, where a 3x3 kernel never has more than 4 of 9 taps inside; 19 % of the parameters
        ! layer4: 1x1 map, where a 3x3 kernel uses 1 of 9 taps and the others only ever meet padding; 75 % of the parameters
        ! from layer1.1.conv1 on, the receptive field (35 px) exceeds the image
        ! layer4.0.bn1 and 4 more: 1 value per channel and image, so BatchNorm raises in training when the last batch is 1 image; drop_last=True avoids it
        > resizenet.adapt(model, 32, stem="cifar"): the same weights, a 4x4 last map, 15.0 times the MACs (555.4 M)
        > resizenet.transforms.UpscalePolicy(128): a 4x4 last map, 16.0 times the MACs (592.2 M)
    """
    size = parse_size(input_size, argument="input_size")
    check_positive("in_channels", in_channels)
    model = model.module if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) else model
    traced = trace(model, in_channels, size)
    params = sum(p.numel() for p in model.parameters())
    stem = first_layers(traced)
    return GeometryReport(
        model=type(model).__name__,
        input_size=size,
        in_channels=in_channels,
        rows=traced.rows,
        warnings=tuple(warnings(traced, stem, size, params)),
        suggestions=tuple(suggestions(model, traced, stem, size, in_channels)),
        macs=traced.macs,
        params=params,
    )
