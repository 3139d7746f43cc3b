"""Tables for the docs."""

from __future__ import annotations

from collections.abc import Iterable


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]], *, left: int = 1) -> str:
    """A table; every column after the first ``left`` is right-aligned."""
    header = list(header)
    lines = [header, [":--" if index < left else "--:" for index in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
