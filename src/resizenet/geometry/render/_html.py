"""Format a table for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ._text import to_the_left

_NOTES = {"!": ("Warning", "#d98e04"), ">": ("Suggestion", "#2e8b57")}  # label and color of a mark


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
    if mark not in _NOTES:
        return f"<div>{escape(text)}</div>"
    label, color = _NOTES[mark]
    style = f"border-left: 4px solid {color}; background: {color}26; margin: 3px 0; padding: 2px 8px"
    return f'<div style="{style}"><b>{label}:</b> {escape(text)}</div>'
