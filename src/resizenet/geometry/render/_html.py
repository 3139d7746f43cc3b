"""Format a table for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ._text import to_the_left

_BARS = {"!": "#d98e04", ">": "#2e8b57"}  # colors of the bars beside warnings and suggestions


def html_page(title: str, lines: Sequence[Sequence[str]], notes: Sequence[tuple[str, str]] = ()) -> str:
    """Format a header, lines of cells, and notes as (mark, text)."""
    header, *body = lines
    left = to_the_left(header)
    rows = [_row("th", header, left), *(_row("td", line, left) for line in body)]
    listed = "".join(_note(mark, text) for mark, text in notes)
    return f"<div><b>{escape(title)}</b><table>{''.join(rows)}</table>{listed}</div>"


def _row(tag: str, cells: Sequence[str], left: Sequence[bool]) -> str:
    sides = ["left" if is_left else "right" for is_left in left]
    formatted = (
        f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>' for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr>{''.join(formatted)}</tr>"


def _note(mark: str, text: str) -> str:
    style = f"border-left: 4px solid {_BARS.get(mark, 'transparent')}; margin: 2px 0; padding-left: 8px"
    return f'<div style="{style}">{escape(text)}</div>'
