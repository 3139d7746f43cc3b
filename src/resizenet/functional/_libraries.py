"""The rules of all libraries other than torch, for those who compare them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._dialects._table import DIALECTS


def library_rules() -> Iterator[tuple[Any, str, bool, bool]]:
    """(library, interpolation, antialias, whether the library has both settings of antialias)."""
    for name, dialect in DIALECTS.items():
        for interpolation in dialect.methods:
            for antialias in dialect.antialias:
                yield name, interpolation, antialias, len(dialect.antialias) > 1
