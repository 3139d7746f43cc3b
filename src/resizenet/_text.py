"""Format sizes and counts as text."""

from __future__ import annotations


def format_size(size: tuple[int, ...]) -> str:
    """Format (3, 5) as 3x5."""
    return "x".join(map(str, size))


def format_pair(pair: tuple[int, int] | None) -> str:
    """Format a pair of equal numbers as one number."""
    if pair is None:
        return "-"
    return str(pair[0]) if pair[0] == pair[1] else format_size(pair)


def format_count(number: int) -> str:
    """Format with at most four digits and a unit, such as 37.0 M."""
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return str(number)


def format_percent(share: float) -> str:
    """Round to a percentage; 0 and 100 only when exact."""
    return f"{min(max(round(100 * share), 1 if share > 0 else 0), 99 if share < 1 else 100)} %"
