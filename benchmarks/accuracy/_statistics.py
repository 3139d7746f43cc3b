"""Means over seeds, and how far they can be trusted: 95 % intervals by Student's t."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import stats

_UPPER = 0.975  # of a two-sided 95 % interval


def half_width(values: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the mean; None for a single value."""
    if len(values) < 2:
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
    freedom = sum(errors) ** 2 / sum(error**2 / (len(sample) - 1) for error, sample in zip(errors, (values, reference), strict=True))
    return gain, float(stats.t.ppf(_UPPER, freedom)) * math.sqrt(sum(errors))


def mean_text(values: Sequence[float]) -> str:
    """The mean with its interval and every value: "74.0 ± 0.9 (74.1, 73.7, 74.2)"."""
    half = half_width(values)
    if half is None:
        return f"{values[0]:.1f} (one seed)"
    return f"{statistics.mean(values):.1f} ± {half:.1f} ({', '.join(f'{value:.1f}' for value in values)})"


def difference_text(values: Sequence[float], reference: Sequence[float]) -> str:
    """The difference with its interval: "+0.3 ± 0.8"."""
    gain, half = difference(values, reference)
    return f"{gain:+.1f}" if half is None else f"{gain:+.1f} ± {half:.1f}"
