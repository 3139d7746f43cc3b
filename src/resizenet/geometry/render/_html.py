"""A table for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def page(title: str, lines: Sequence[Sequence[str]], notes: Sequence[tuple[str, str]] = (), *, left: int) -> str:
    """Cells below a header, and notes with a mark before each; the first ``left`` columns are aligned to the left."""
    header, *body = lines
    rows = [_row("th", header, left), *(_row("td", line, left) for line in body)]
    listed = "".join(f"<div>{escape(mark)} {escape(note)}</div>" for mark, note in notes)
    return f"<div><b>{escape(title)}</b><table>{''.join(rows)}</table>{listed}</div>"


def _row(tag: str, cells: Sequence[str], left: int) -> str:
    sides = ["left" if i < left else "right" for i in range(len(cells))]
    return (
        "<tr>"
        + "".join(
            f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>' for side, cell in zip(sides, cells, strict=True)
        )
        + "</tr>"
    )
