"""Which of a model's modules are its layers, and which are its stages."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ._trace import Row

_MAX_POOL = 3  # the largest stride of a pooling that does not belong to the classifier


def layers(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows of modules that call no other module."""
    return tuple(row for row, children in _children(rows).items() if not children)


def stages(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the outermost modules that halve the map at most once, without those that only pass it on."""
    children = _children(rows)

    def split(row: Row) -> list[Row]:
        found = [stage for child in children[row] for stage in split(child)] if _halves_more_than_once(row) else []
        return found or [row]

    called = {row.name for row in rows}
    found = [stage for row in rows if _parent(row.name, called) is None for stage in split(row)]
    return tuple(row for row in found if row.macs or (row.output_map and row.output_map != row.input_map))


def last_map(stages: Sequence[Row]) -> Row | None:
    """Return the stage that makes the last map; None if there is none.

    That is the last stage that computes a map, or a pooling behind it that does not belong to the classifier.
    """
    final = next((row for row in reversed(stages) if row.output_map and row.macs), None)
    if final is None or final.stride is None:
        return final
    largest = _MAX_POOL * max(final.stride)
    pools = (row for row in reversed(stages) if row.output_map and row.stride and max(row.stride) <= largest)
    return next(pools)


def _children(rows: Sequence[Row]) -> dict[Row, list[Row]]:
    by_name = {row.name: row for row in rows}
    children: dict[Row, list[Row]] = {row: [] for row in rows}
    for row in rows:
        parent = _parent(row.name, by_name.keys())
        if parent is not None:
            children[by_name[parent]].append(row)
    return children


def _parent(name: str, called: Collection[str]) -> str | None:
    """Return the innermost module around this one that was called; a ModuleList is not called."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in called:
            return name
    return None


def _halves_more_than_once(row: Row) -> bool:
    if row.input_map is None or row.output_map is None:
        return row.input_map is not None
    return any(before > 2 * after for before, after in zip(row.input_map, row.output_map, strict=True))
