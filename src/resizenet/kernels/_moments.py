"""Variance and mean of a whole from those of its parts."""

from __future__ import annotations

from torch import Tensor


def merge_moments(count: Tensor, mean: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """Population variance and mean of all values, from those of parts: Chan, Golub & LeVeque, 1979, equation 2.1.

    Args:
        count: (parts, n), how many values each part has.
        mean: (parts, n), their mean.
        squares: (parts, n), the sum of their squared deviations from it.

    Returns:
        The variance and the mean, (n,) each.
    """
    total = count.sum(0)
    merged = (count * mean).sum(0) / total
    return (squares + count * (mean - merged).square()).sum(0) / total, merged
