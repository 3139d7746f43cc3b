"""A table for rich, which asks for it by the method ``__rich__`` and is loaded by then."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

_STYLES = {"!": "yellow", ">": "green"}


def group(title: str, lines: Sequence[Sequence[str]], notes: Sequence[tuple[str, str]] = (), *, left: int) -> Any:
    """Cells below a header, and notes with a mark before each. Of the first ``left`` columns only the name is shown, so that 80 columns suffice."""
    consoles, tables, texts = (importlib.import_module(f"rich.{name}") for name in ("console", "table", "text"))
    (name, *header), *body = [[line[0], *line[left:]] for line in lines]
    table = tables.Table(name, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in header:
        table.add_column(column, justify="right", no_wrap=True)
    for line in body:
        table.add_row(*map(texts.Text, line))
    words = [texts.Text(f"{mark} {text}".strip(), style=_STYLES.get(mark, "")) for mark, text in notes]
    return consoles.Group(texts.Text(title, style="bold"), "", table, "", *words)
