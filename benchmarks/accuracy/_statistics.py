"""Means over seeds, and how far they can be trusted: 95 % intervals by Student's t. None is a value of a run that diverged."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import stats

_UPPER = 0.975  # of a two-sided 95 % interval


def mean(values: Sequence[float | None]) -> float | None:
    """The mean; None if a run diverged."""
    return None if None in values else statistics.mean(values)


def half_width(values: Sequence[float | None]) -> float | None:
    """Half of the 95 % interval of the mean; None for a single value, or if a run diverged."""
    if len(values) < 2 or None in values:
        return None
    return float(stats.t.ppf(_UPPER, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def difference(values: Sequence[float], reference: Sequence[float]) -> tuple[float, float | None]:
    """Mean minus mean, and half of its 95 % interval (Welch's, for unequal variances); None where either has a single value."""
    gain = statistics.mean(values) - statistics.mean(reference)
    if min(len(values), len(reference)) < 2:
        return gain, None
    errors = [statistics.variance(sample) / len(sample) for sample in (values, reference)]
    if not any(errors):
        return gain, 0.0
    freedom = sum(errors) ** 2 / sum(
        error**2 / (len(sample) - 1) for error, sample in zip(errors, (values, reference), strict=True)
    )
    return gain, float(stats.t.ppf(_UPPER, freedom)) * math.sqrt(sum(errors))


def value_text(value: float | None) -> str:
    """With one digit behind the point: "74.0"."""
    return "diverged" if value is None else f"{value:.1f}"


def mean_text(values: Sequence[float | None]) -> str:
    """The mean with its interval and every value: "74.0 ± 0.9 (74.1, 73.7, 74.2)"."""
    if len(values) == 1:
        return f"{value_text(values[0])} (one seed)"
    half = half_width(values)
    interval = "" if half is None else f" ± {half:.1f}"
    return f"{value_text(mean(values))}{interval} ({', '.join(map(value_text, values))})"


def difference_text(values: Sequence[float | None], reference: Sequence[float | None]) -> str:
    """The difference with its interval: "+0.3 ± 0.8"."""
    if None in (*values, *reference):
        return "diverged"
    if not (values and reference):
        return "no seed in common"
    gain, half = difference(values, reference)
    return f"{gain:+.1f}" if half is None else f"{gain:+.1f} ± {half:.1f}"
