"""Format tables and notes as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ..._text import format_count, format_pair, format_percent, format_size
from ..._tracing import Row

HEADER = ("module", "kind", "map", "channels", "stride", "field", "idle taps", "MACs", "parameters")
_TO_THE_LEFT = ("module", "kind", "model")  # the other columns are aligned to the right
_DROPPED_FIRST = ("kind", "parameters")  # from tables that are wider than a terminal
_WIDTH = 80  # columns of a terminal


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


def to_the_left(header: Sequence[str]) -> list[bool]:
    """Return for each column whether it is aligned to the left."""
    return [name in _TO_THE_LEFT for name in header]


def fit_to_terminal(lines: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return a header and lines of cells without the columns that make them wider than a terminal."""
    lines = list(lines)
    for name in _DROPPED_FIRST:
        if name in lines[0] and sum(widths := _widths(lines)) + 2 * (len(widths) - 1) > _WIDTH:
            i = lines[0].index(name)
            lines = [[*line[:i], *line[i + 1 :]] for line in lines]
    return lines


def format_table(lines: Sequence[Sequence[str]]) -> list[str]:
    """Align the columns of a header and lines of cells, in the width of a terminal if possible."""
    lines = fit_to_terminal(lines)
    columns = list(zip(_widths(lines), to_the_left(lines[0]), strict=True))

    def align(cells: Sequence[str]) -> str:
        aligned = zip(cells, columns, strict=True)
        return "  ".join(cell.ljust(width) if left else cell.rjust(width) for cell, (width, left) in aligned)

    return [align(cells).rstrip() for cells in lines]


def format_notes(notes: Sequence[tuple[str, str]]) -> list[str]:
    """Wrap notes, given as (mark, text), in the width of a terminal; a number stays with its percent sign."""
    wrapper = textwrap.TextWrapper(_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    texts = (f"{mark} {text}".strip().replace(" %", "\N{NO-BREAK SPACE}%") for mark, text in notes)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for text in texts for line in wrapper.wrap(text)]


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]
