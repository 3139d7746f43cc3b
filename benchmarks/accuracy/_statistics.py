"""Means over seeds with 95 % intervals by Student's t. None is a value of a run that diverged."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import stats

_UPPER = 0.975  # of a two-sided 95 % interval

Values = Sequence[float | None]


def mean(values: Values) -> float | None:
    """Return the mean, or None if a run diverged."""
    return None if None in values else statistics.mean(values)


def half_width(values: Values) -> float | None:
    """Return half of the 95 % interval of the mean, or None for a single value or if a run diverged."""
    if len(values) < 2 or None in values:
        return None
    return float(stats.t.ppf(_UPPER, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def difference(values: Sequence[float], reference: Sequence[float]) -> tuple[float, float | None]:
    """Return the difference of the means and half of its 95 % interval by Welch; None if either has a single value."""
    gain = statistics.mean(values) - statistics.mean(reference)
    if min(len(values), len(reference)) < 2:
        return gain, None
    errors = [(statistics.variance(sample) / len(sample), len(sample) - 1) for sample in (values, reference)]
    total = sum(error for error, _ in errors)
    if total == 0:
        return gain, 0.0
    freedom = total**2 / sum(error**2 / degrees for error, degrees in errors)
    return gain, float(stats.t.ppf(_UPPER, freedom)) * math.sqrt(total)


def value_text(value: float | None) -> str:
    """Return the value with one decimal: "74.0"."""
    return "diverged" if value is None else f"{value:.1f}"


def mean_text(values: Values) -> str:
    """Return the mean with its interval and every value: "74.0 ± 0.9 (74.1, 73.7, 74.2)"."""
    if len(values) == 1:
        return f"{value_text(values[0])} (one seed)"
    half = half_width(values)
    interval = "" if half is None else f" ± {half:.1f}"
    return f"{value_text(mean(values))}{interval} ({', '.join(map(value_text, values))})"


def difference_text(values: Values, reference: Values) -> str:
    """Return the difference with its interval: "+0.3 ± 0.8"."""
    if None in (*values, *reference):
        return "diverged"
    if not (values and reference):
        return "no seed in common"
    gain, half = difference(values, reference)
    return f"{gain:+.1f}" if half is None else f"{gain:+.1f} ± {half:.1f}"
