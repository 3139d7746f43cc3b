"""``report``: what an input size does to a model, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from .._errors import check_positive
from .._sizes import Size, parse_size
from ._trace import Row, trace

_SMALL_MAP = 2  # cells per side; at 2x2 a 3x3 kernel meets padding in every position
_GOOD_MAP = 4  # cells per side of the last map of a CIFAR ResNet-18 at 32 px


@dataclass(frozen=True)
class GeometryReport:
    """What ``report`` found; ``str()`` is a table.

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
    def final(self) -> Row | None:
        """The module that makes the last map: the last one with multiply-accumulates and a map; None without any."""
        return _final(self.stages)

    @property
    def stages(self) -> tuple[Row, ...]:
        """The rows of the table: modules are opened until each halves the map at most once; those that only pass it on are left out."""
        return _stages(self.rows)

    @property
    def output_stride(self) -> tuple[int, int] | None:
        """(vertical, horizontal) input pixels between cells of the last map."""
        return self.final.stride if self.final else None

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        """(height, width) in input pixels that one cell of the last map can see, theoretical."""
        return self.final.receptive_field if self.final else None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON."""
        return {**asdict(self), "output_stride": self.output_stride, "receptive_field": self.receptive_field}

    def __str__(self) -> str:
        height, width = self.input_size
        title = f"{self.model} at {self.in_channels}x{height}x{width}: {_count(self.macs)} MACs, {_count(self.params)} parameters"
        header = ("module", "kind", "map", "channels", "stride", "field", "MACs", "parameters")
        cells = [header, *(_cells(row) for row in self.stages)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))) for line in cells]
        notes = [*(f"! {warning}" for warning in self.warnings), *(f"> {suggestion}" for suggestion in self.suggestions)]
        return "\n".join(line.rstrip() for line in [title, "", *lines, *([""] if notes else []), *notes])


def report(model: nn.Module, input_size: Size, *, in_channels: int = 3) -> GeometryReport:
    """What an input size does to a model: maps, strides, receptive fields, multiply-accumulates and parameters.

    The model is run once in eval mode on meta tensors, which have a shape and no values, so nothing is computed and the
    model is left as it was. MACs are torch's FLOP count halved.

    Args:
        model: any module that maps (B, in_channels, H, W) to anything.
        input_size: (height, width) in pixels, or one int for a square.
        in_channels: channels of the image.

    Raises:
        SizeError, ArgumentError: an argument outside its range.
        ShapeError: the model cannot take an image of this size; the message has the model's own error.

    Example:
        >>> import torchvision
        >>> print(report(torchvision.models.resnet18(num_classes=10), 32))
        ResNet at 3x32x32: 37.0 M MACs, 11.2 M parameters
        <BLANKLINE>
        module   kind                 map  channels  stride  field    MACs  parameters
        conv1    Conv2d             16x16        64       2      7   2.4 M       9.4 k
        maxpool  MaxPool2d            8x8        64       4     11       0           0
        layer1   Sequential           8x8        64       4     43   9.4 M     148.0 k
        layer2   Sequential           4x4       128       8     99   8.4 M     525.6 k
        layer3   Sequential           2x2       256      16    211   8.4 M       2.1 M
        layer4   Sequential           1x1       512      32    435   8.4 M       8.4 M
        fc       Linear                 -         -       -      -   5.1 k       5.1 k
        <BLANKLINE>
        ! layer3: 2x2 map, where a 3x3 kernel uses 4 of 9 taps; 19 % of the parameters
        ! layer4: 1x1 map, where a 3x3 kernel uses 1 of 9 taps; 75 % of the parameters
        ! from layer1 on, the receptive field (43 px) exceeds the image
        > resizenet.adapt(model, 32): same weights, a stem that keeps the last map large
        > resizenet.transforms.UpscalePolicy(128): a 4x4 last map, up to 16 times the MACs
    """
    size = parse_size(input_size, argument="input_size")
    check_positive("in_channels", in_channels)
    rows, macs = trace(model, in_channels, size)
    params = sum(p.numel() for p in model.parameters())
    stages = _stages(tuple(rows))
    return GeometryReport(
        model=type(model).__name__,
        input_size=size,
        in_channels=in_channels,
        rows=tuple(rows),
        warnings=tuple(_warnings(stages, size, params)),
        suggestions=tuple(_suggestions(stages, size)),
        macs=macs,
        params=params,
    )


def _stages(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    def visit(parent: str) -> list[Row]:
        found: list[Row] = []
        for row in rows:
            if row.parent == parent:
                inside = visit(row.name) if _halves_more_than_once(row) else []
                found.extend(inside or [row])
        return found

    return tuple(row for row in visit("") if row.macs or (row.output_map and row.output_map != row.input_map))


def _halves_more_than_once(row: Row) -> bool:
    if row.input_map is None or row.output_map is None:
        return row.input_map is not None
    return any(before > 2 * after for before, after in zip(row.input_map, row.output_map, strict=True))


def _final(stages: tuple[Row, ...]) -> Row | None:
    return next((row for row in reversed(stages) if row.output_map and row.macs), None)


def _warnings(stages: tuple[Row, ...], size: tuple[int, int], params: int) -> list[str]:
    warnings = []
    for row in stages:
        if row.output_map and row.macs and max(row.output_map) <= _SMALL_MAP:
            cells = row.output_map[0] * row.output_map[1]  # as many taps of a 3x3 kernel meet the map, whichever cell it is centred on
            share = 100 * row.params / max(params, 1)
            warnings.append(f"{row.name}: {_by(row.output_map)} map, where a 3x3 kernel uses {cells} of 9 taps; {share:.0f} % of the parameters")
    seeing = (row for row in stages if row.receptive_field and row.macs)
    wide = next((row for row in seeing if row.receptive_field and max(row.receptive_field) > max(size)), None)
    if wide and wide.receptive_field:
        warnings.append(f"from {wide.name} on, the receptive field ({max(wide.receptive_field)} px) exceeds the image")
    return warnings


def _suggestions(stages: tuple[Row, ...], size: tuple[int, int]) -> list[str]:
    final = _final(stages)
    if final is None or final.output_map is None or min(final.output_map) >= _GOOD_MAP:
        return []
    factor = -(-_GOOD_MAP // min(final.output_map))
    larger, larger_map = (tuple(factor * side for side in sides) for sides in (size, final.output_map))
    return [
        f"resizenet.adapt(model, {_argument(size)}): same weights, a stem that keeps the last map large",
        f"resizenet.transforms.UpscalePolicy({_argument(larger)}): a {_by(larger_map)} last map, up to {factor**2} times the MACs",
    ]


def _argument(size: tuple[int, ...]) -> str:
    return str(size[0]) if size[0] == size[1] else str(size)


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _one(pair: tuple[int, int] | None) -> str:
    if pair is None:
        return "-"
    return str(pair[0]) if pair[0] == pair[1] else _by(pair)


def _count(number: int) -> str:
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return str(number)


def _cells(row: Row) -> tuple[str, ...]:
    size = _by(row.output_map) if row.output_map else "-"
    channels = str(row.channels) if row.channels else "-"
    return row.name, row.kind, size, channels, _one(row.stride), _one(row.receptive_field), _count(row.macs), _count(row.params)
