"""Format a table for rich, which calls ``__rich__`` and is only imported then."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ._text import fit_to_terminal, to_the_left

_STYLES = {"!": "yellow", ">": "green"}


def rich_group(title: str, lines: Sequence[Sequence[str]], notes: Sequence[tuple[str, str]] = ()) -> Any:
    """Format a header, lines of cells, and notes as (mark, text)."""
    consoles, tables, texts = (importlib.import_module(f"rich.{name}") for name in ("console", "table", "text"))
    header, *body = fit_to_terminal(lines)
    table = tables.Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for i, (name, left) in enumerate(zip(header, to_the_left(header), strict=True)):
        table.add_column(name, justify="left" if left else "right", no_wrap=i > 0, overflow="fold")
    for line in body:
        table.add_row(*map(texts.Text, line))
    listed = [texts.Text(f"{mark} {text}".strip(), style=_STYLES.get(mark, "")) for mark, text in notes]
    return consoles.Group(texts.Text(title, style="bold"), "", table, "", *listed)
