"""Numbers as words, and a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..._tracing import Row

HEADER = ("module", "kind", "map", "channels", "stride", "field", "idle taps", "MACs", "parameters")
GATED = "+ : and more, through a gate or a norm over the whole map"


def by(size: tuple[int, ...]) -> str:
    """(3, 5) as 3x5."""
    return "x".join(map(str, size))


def one(pair: tuple[int, int] | None) -> str:
    """A pair as one number where both are equal."""
    if pair is None:
        return "-"
    return str(pair[0]) if pair[0] == pair[1] else by(pair)


def count(number: int) -> str:
    """Four digits at most, and a unit: 37.0 M."""
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return str(number)


def percent(share: float) -> str:
    """0.861 as 86 %; what is not nothing and not all never reads 0 or 100."""
    return f"{min(max(round(100 * share), 1 if share > 0 else 0), 99 if share < 1 else 100)} %"


def field(row: Row) -> str:
    """The receptive field, with a plus where a gate sees more; "image" where a cell sees everything, "?" where it is not known."""
    if row.receptive_field:
        return one(row.receptive_field) + ("+" if row.reach == "gated" else "")
    return {"image": "image", "unknown": "?"}.get(row.reach or "", "-")


def cells(row: Row) -> tuple[str, ...]:
    """The row below ``HEADER``."""
    size = by(row.output_map) if row.output_map else "-"
    channels = str(row.channels) if row.channels else "-"
    idle = "-" if row.idle_taps is None else percent(row.idle_taps)
    return row.name, row.kind, size, channels, one(row.stride), field(row), idle, count(row.macs), count(row.params)


def legend(rows: Sequence[Row]) -> list[str]:
    """What the table's marks mean, if it has any."""
    return [GATED] if any(row.receptive_field and row.reach == "gated" for row in rows) else []


def table(lines: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Lines of cells as lines of text, the first ``left`` columns aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = (
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return [line.rstrip() for line in aligned]
