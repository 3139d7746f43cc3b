"""Report what an input size does to a model, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import Any

from torch import nn

from .. import _tracing
from .._checks import check_positive
from .._errors import ShapeError
from .._sizes import Size, parse_size
from .._text import format_count
from .._tracing import Row, first_layers, trace
from .advice import explain_size, find_suggestions, find_warnings
from .render._html import html_page
from .render._plot import plot_stages
from .render._rich import rich_group
from .render._text import HEADER, format_notes, format_row, format_table, legend


@dataclass(frozen=True)
class GeometryReport:
    """Result of ``report``; ``str()`` is a table for a terminal, and a notebook shows its own.

    Attributes:
        model: the name of the model's class.
        input_size: (height, width) in pixels.
        in_channels: channels of the image.
        rows: one row per module, in the order in which the modules finish.
        warnings: what the size does to the model, in words.
        macs: multiply-accumulates of convolutions and matrix products for one image; FLOPs are twice that.
        params: parameters of the model.
    """

    model: str
    input_size: tuple[int, int]
    in_channels: int
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    macs: int
    params: int
    _suggest: Callable[[], Iterable[str]] = field(repr=False, compare=False)

    @cached_property
    def suggestions(self) -> tuple[str, ...]:
        """Changes to make, as code; each is tried on a copy without values when this attribute is first read."""
        return tuple(self._suggest())

    @property
    def layers(self) -> tuple[Row, ...]:
        """The rows of modules that call no other module."""
        return _tracing.layers(self.rows)

    @property
    def stages(self) -> tuple[Row, ...]:
        """The rows of the table: modules that halve the map at most once, without those that return it unchanged."""
        return _tracing.stages(self.rows)

    @property
    def final(self) -> Row | None:
        """The stage that makes the last map, which may be a pooling in front of the classifier; None without a map."""
        return _tracing.last_map(self.stages)

    @property
    def output_stride(self) -> tuple[int, int] | None:
        """(vertical, horizontal) input pixels between positions of the last map."""
        return self.final.stride if self.final else None

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        """(height, width) in input pixels of the theoretical receptive field of the last map."""
        return self.final.receptive_field if self.final else None

    def table(self, *, layers: bool = False) -> str:
        """Format the report for a terminal: one line per stage, or per layer.

        The columns "kind" and then "parameters" are left out where the table would be wider than 80 columns.
        """
        rows = self.layers if layers else self.stages
        notes = format_notes(self._notes(rows))
        return "\n".join([self._title, "", *format_table(_lines(rows)), *([""] if notes else []), *notes])

    def plot(self) -> Any:
        """Draw each stage: the image, the positions of its map, and the receptive field of the middle one.

        Returns:
            A ``matplotlib.figure.Figure``; ``savefig`` writes it.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
        """
        return plot_stages(self.stages, self.input_size, self._title)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON; stages and layers are given by name."""
        names = ("model", "input_size", "in_channels", "rows", "warnings", "suggestions", "macs", "params")
        return {
            **{name: getattr(self, name) for name in names},
            "rows": [asdict(row) for row in self.rows],
            "stages": [row.name for row in self.stages],
            "layers": [row.name for row in self.layers],
            "output_stride": self.output_stride,
            "receptive_field": self.receptive_field,
        }

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the suggestions instead of the model that they are computed from."""
        return {**vars(self), "suggestions": self.suggestions, "_suggest": tuple}

    def __str__(self) -> str:
        return self.table()

    def __rich__(self) -> Any:
        return rich_group(self._title, _lines(self.stages), self._notes(self.stages))

    def _repr_html_(self) -> str:
        return html_page(self._title, _lines(self.stages), self._notes(self.stages))

    @property
    def _title(self) -> str:
        image = f"{self.in_channels}x{self.input_size[0]}x{self.input_size[1]}"
        return f"{self.model} at {image}: {format_count(self.macs)} MACs, {format_count(self.params)} parameters"

    def _notes(self, rows: Sequence[Row]) -> list[tuple[str, str]]:
        """(mark, text): the legend of the table, warnings, suggestions."""
        return [
            *(("", text) for text in legend(rows)),
            *(("!", text) for text in self.warnings),
            *((">", text) for text in self.suggestions),
        ]


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [HEADER, *map(format_row, rows)]


def report(model: nn.Module, input_size: Size, *, in_channels: int = 3) -> GeometryReport:
    """Report what an input size does to a model: maps, strides, receptive fields, idle taps, MACs and parameters.

    A copy of the model runs in eval mode on meta tensors, which have a shape and no values. Nothing is computed, no
    weight is copied, and the model is not changed. Hooks are not called, except those by which pruning, weight norm
    and spectral norm make weights. MACs are half of torch's FLOP count. "stride" is the distance between positions of
    the map and "field" the side of the receptive field, both in pixels of the image. A tap is one position of a kernel.
    Idle taps are the share of the taps that are multiplied by padding only, at this size.

    Receptive fields are exact through windows, sums, concatenations, slices and changes of layout. A plus marks maps
    that are also scaled or normalized by a layer with a larger receptive field. After attention or global pooling the
    field is "image" if a position sees the whole image. It is "?" if what a position sees is unknown or differs between
    positions, as in window attention.

    Behind a resize that shrinks both sides by whole factors, such as a resizer's, the factor multiplies the stride, and
    fields stay exact. Behind any other resize, positions see windows of different sizes at different distances, so the
    stride is "-" and the field is "?". They are unknown too behind a ``LinearResizer`` whose oversampled size does not
    divide the image's. Behind the copy that ``Resizer.fuse`` returns, only the stride is known, so pass the model with
    the resizer itself to ``report``.

    ``AnySize`` is suggested if both sides of an image must be multiples of a number, which is looked for among powers
    of two and three or seven times these, up to 128. ``adapt``, larger images and dilation are suggested if the last
    map has fewer than 4 positions along an axis and the change enlarges it. Every suggestion is tried on a copy without
    values when ``suggestions`` is first read, for example when the report is printed.

    Args:
        model: a module that takes (B, in_channels, H, W). A ``DataParallel`` or ``DistributedDataParallel`` is
            unwrapped.
        input_size: (height, width) in pixels, or one int for a square.
        in_channels: channels of the image.

    Raises:
        SizeError, ArgumentError: an argument is outside its range.
        ShapeError: the model cannot take an image of this size. The message contains the model's own error and, if the
            sides must be multiples of a number, this number.
        UnsupportedModelError: the model cannot be traced without values: its operations depend on the image's
            content, as in a detector; it is scripted or quantized; it has lazy modules that were never called; it
            cannot be deep-copied; or it takes something other than an image.

    Example:
        >>> import torchvision
        >>> print(report(torchvision.models.resnet18(num_classes=10), 32))
        ResNet at 3x32x32: 37.0 M MACs, 11.2 M parameters
        <BLANKLINE>
        module     map  channels  stride  field  idle taps   MACs  parameters
        conv1    16x16        64       2      7        0 %  2.4 M       9.4 k
        maxpool    8x8        64       4     11          -      0           0
        layer1     8x8        64       4     43        0 %  9.4 M     148.0 k
        layer2     4x4       128       8     99        0 %  8.4 M     525.6 k
        layer3     2x2       256      16    211        0 %  8.4 M       2.1 M
        layer4     1x1       512      32    435       83 %  8.4 M       8.4 M
        fc           -         -       -      -          -  5.1 k       5.1 k
        <BLANKLINE>
        ! layer3: 2x2 map, where a 3x3 kernel never has more than 4 of 9 taps inside;
          19 % of the parameters
        ! layer4: 1x1 map, where a 3x3 kernel never has more than 1 of 9 taps inside;
          75 % of the parameters
        ! layer4.0.conv1 and 3 more: a 3x3 kernel uses 1 of 9 taps and the others only
          ever meet padding; 62 % of the parameters are idle
        ! from layer1.1.conv1 on, the receptive field (35 px) exceeds the image
        ! layer4.0.bn1 and 4 more: 1 value per channel and image, so BatchNorm raises in
          training when the last batch is 1 image; drop_last=True avoids it
        > resizenet.adapt(model, 32): a 4x4 last map, 15.0 times the MACs (555.4 M); for
          training from scratch
        > resizenet.transforms.UpscalePolicy(128): a 4x4 last map, 16.0 times the MACs
          (592.2 M); for pretrained weights
    """
    size = parse_size(input_size, argument="input_size")
    check_positive("in_channels", in_channels)
    model = model.module if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) else model
    try:
        traced = trace(model, in_channels, size)
    except ShapeError as error:
        raise explain_size(error, model, size, in_channels) from error.__cause__
    params = sum(p.numel() for p in model.parameters())
    return GeometryReport(
        model=type(model).__name__,
        input_size=size,
        in_channels=in_channels,
        rows=traced.rows,
        warnings=tuple(find_warnings(traced, first_layers(traced), size, params)),
        macs=traced.macs,
        params=params,
        _suggest=partial(find_suggestions, traced, size, in_channels),
    )
