"""Format a table for rich, which calls ``__rich__`` and is only imported then."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

_STYLES = {"!": "yellow", ">": "green"}


def rich_group(title: str, lines: Sequence[Sequence[str]], notes: Sequence[tuple[str, str]] = (), *, left: int) -> Any:
    """Format a header line, lines of cells, and notes as (mark, text).

    Of the first ``left`` columns only the first is shown, so that the table fits in 80 columns.
    """
    consoles, tables, texts = (importlib.import_module(f"rich.{name}") for name in ("console", "table", "text"))
    (name, *header), *body = [[line[0], *line[left:]] for line in lines]
    table = tables.Table(name, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in header:
        table.add_column(column, justify="right", no_wrap=True)
    for line in body:
        table.add_row(*map(texts.Text, line))
    listed = [texts.Text(f"{mark} {text}".strip(), style=_STYLES.get(mark, "")) for mark, text in notes]
    return consoles.Group(texts.Text(title, style="bold"), "", table, "", *listed)
