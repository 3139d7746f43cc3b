"""Format numbers and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from ..._tracing import Row

HEADER = ("module", "kind", "map", "channels", "stride", "field", "idle taps", "MACs", "parameters")


def format_size(size: tuple[int, ...]) -> str:
    """Format (3, 5) as 3x5."""
    return "x".join(map(str, size))


def format_pair(pair: tuple[int, int] | None) -> str:
    """Format a pair of equal numbers as one number."""
    if pair is None:
        return "-"
    return str(pair[0]) if pair[0] == pair[1] else format_size(pair)


def format_count(number: int) -> str:
    """Format with at most four digits and a unit, such as 37.0 M."""
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return str(number)


def format_percent(share: float) -> str:
    """Round to a percentage; 0 and 100 only when exact."""
    return f"{min(max(round(100 * share), 1 if share > 0 else 0), 99 if share < 1 else 100)} %"


def format_field(row: Row) -> str:
    """Format the receptive field, with a plus if a gate sees more; "image" for everything, "?" for unknown."""
    if row.receptive_field:
        return format_pair(row.receptive_field) + ("+" if row.reach == "gated" else "")
    return {"image": "image", "unknown": "?"}.get(row.reach or "", "-")


def format_row(row: Row) -> tuple[str, ...]:
    """Format the values below ``HEADER``."""
    return (
        row.name,
        row.kind,
        format_size(row.output_map) if row.output_map else "-",
        str(row.channels) if row.channels else "-",
        format_pair(row.stride),
        format_field(row),
        "-" if row.idle_taps is None else format_percent(row.idle_taps),
        format_count(row.macs),
        format_count(row.params),
    )


def legend(rows: Sequence[Row]) -> list[str]:
    """Explain the plus sign if a row has one."""
    gated = any(row.receptive_field and row.reach == "gated" for row in rows)
    return ["+ : and more, through a gate or a norm over the whole map"] if gated else []


def format_table(lines: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Align columns; the first ``left`` ones to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def align(cells: Sequence[str]) -> str:
        columns = enumerate(zip(cells, widths, strict=True))
        return "  ".join(cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in columns)

    return [align(cells).rstrip() for cells in lines]
