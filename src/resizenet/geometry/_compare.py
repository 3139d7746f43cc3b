"""Compare one model at several input sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from .._errors import ArgumentError
from .._sizes import Size
from .._text import format_count, format_pair, format_percent, format_size
from .._tracing import Row
from ._report import GeometryReport, report
from .render._html import html_page
from .render._rich import rich_group
from .render._text import format_table


@dataclass(frozen=True)
class Comparison:
    """Result of ``compare``; ``str()`` is a table for a terminal, and a notebook shows its own.

    Attributes:
        reports: one per size, in the order in which the sizes were given.
    """

    reports: tuple[GeometryReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the reports as plain values, ready for JSON."""
        return {"reports": [found.to_dict() for found in self.reports]}

    def __str__(self) -> str:
        return "\n".join([self._title, "", *format_table(self._lines())])

    def __rich__(self) -> Any:
        return rich_group(self._title, self._lines())

    def _repr_html_(self) -> str:
        return html_page(self._title, self._lines())

    @property
    def _title(self) -> str:
        return f"{self.reports[0].model}: {format_count(self.reports[0].params)} parameters"

    def _lines(self) -> list[tuple[str, ...]]:
        """The map of each stage at each size; the stages are those of the largest image."""
        header = ("module", *(format_pair(found.input_size) for found in self.reports))
        largest = max(self.reports, key=lambda found: found.input_size[0] * found.input_size[1])
        by_name = [{row.name: row for row in found.rows} for found in self.reports]
        maps = [
            (stage.name, *(_map(rows.get(stage.name)) for rows in by_name))
            for stage in largest.stages
            if stage.output_map
        ]
        return [header, *maps, ("MACs", *(format_count(found.macs) for found in self.reports))]


def _map(row: Row | None) -> str:
    """Format the size of the map, and the share of idle taps if there are any; a dash if the module is not called."""
    if row is None or row.output_map is None:
        return "-"
    return format_size(row.output_map) + (f" ({format_percent(row.idle_taps)} idle)" if row.idle_taps else "")


def compare(model: nn.Module, sizes: Iterable[Size], *, in_channels: int = 3) -> Comparison:
    """Report on a model at several input sizes, side by side.

    Args:
        model: a module that takes (B, in_channels, H, W).
        sizes: each (height, width) in pixels, or one int for a square.
        in_channels: channels of the images.

    Raises:
        SizeError, ArgumentError: an argument is outside its range, or there is no size.
        ShapeError: the model cannot take an image of one of the sizes.
        UnsupportedModelError: the model cannot be traced; see ``report``.

    Example:
        >>> import torchvision
        >>> print(compare(torchvision.models.resnet18(num_classes=10), [32, 64, 224]))
        ResNet: 11.2 M parameters
        <BLANKLINE>
        module                32       64      224
        conv1              16x16    32x32  112x112
        maxpool              8x8    16x16    56x56
        layer1               8x8    16x16    56x56
        layer2               4x4      8x8    28x28
        layer3               2x2      4x4    14x14
        layer4   1x1 (83 % idle)      2x2      7x7
        MACs              37.0 M  148.1 M    1.8 G
    """
    try:
        sizes = list(sizes)
    except TypeError:
        raise ArgumentError(
            f"sizes: expected several sizes, such as [32, 64], got {sizes!r}; report takes a single one"
        ) from None
    reports = tuple(report(model, size, in_channels=in_channels) for size in sizes)
    if not reports:
        raise ArgumentError("sizes: expected one size or more, got none")
    return Comparison(reports)
