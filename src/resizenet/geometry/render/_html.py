"""Format a table for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def html_page(title: str, lines: Sequence[Sequence[str]], notes: Sequence[tuple[str, str]] = (), *, left: int) -> str:
    """Format a header, lines of cells, and notes as (mark, text); ``left`` columns are aligned to the left."""
    header, *body = lines
    rows = [_row("th", header, left), *(_row("td", line, left) for line in body)]
    listed = "".join(f"<div>{escape(mark)} {escape(note)}</div>" for mark, note in notes)
    return f"<div><b>{escape(title)}</b><table>{''.join(rows)}</table>{listed}</div>"


def _row(tag: str, cells: Sequence[str], left: int) -> str:
    formatted = (
        f'<{tag} style="text-align: {"left" if i < left else "right"}">{escape(cell)}</{tag}>'
        for i, cell in enumerate(cells)
    )
    return f"<tr>{''.join(formatted)}</tr>"
