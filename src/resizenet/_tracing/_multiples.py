"""Find the number of pixels of which both sides of an image must be multiples."""

from __future__ import annotations

from itertools import count, islice
from math import gcd

from torch import nn

from .._errors import ShapeError, UnsupportedModelError
from ._taps import dropped_lines
from ._trace import Trace, trace

_PRIMES = 2 * 3 * 7
_CANDIDATES = sorted(factor << power for factor in (1, 3, 7) for power in range(8) if factor << power <= 128)
_NEAR = 192  # pixels: small enough to be fast, and larger than the smallest image of most models


def side_multiple(model: nn.Module, in_channels: int, *, near: int = _NEAR, keep_lines: bool = False) -> int | None:
    """Return the smallest number such that the model takes images whose sides are multiples of it.

    The candidates are powers of two, and three or seven times these, up to 128. Each is tried on one image whose sides
    are multiples of no larger candidate.

    Args:
        model: a module that takes (B, in_channels, H, W).
        in_channels: channels of the image.
        near: the tried sides are at least this long, and at least 192, in pixels.
        keep_lines: whether patch embeddings and poolings without overlap must also read every line of their map.

    Returns:
        None if no candidate works, or if a size that is no multiple works as well, as for a model that only has a
        smallest size.
    """
    for candidate in _CANDIDATES:
        height, width = _sides(candidate, max(near, _NEAR))
        if _takes(model, in_channels, (height, width), keep_lines):
            alone = candidate == 1 or not _takes(model, in_channels, (height + 1, width + 1), keep_lines)
            return candidate if alone else None
    return None


def _sides(multiple: int, near: int) -> tuple[int, int]:
    """Return the two smallest multiples that are not below ``near`` and not multiples of a larger candidate."""
    factors = (factor for factor in count(-(-near // multiple)) if gcd(factor, _PRIMES) == 1)
    first, second = islice(factors, 2)
    return multiple * first, multiple * second


def _takes(model: nn.Module, in_channels: int, size: tuple[int, int], keep_lines: bool) -> bool:
    try:
        traced = trace(model, in_channels, size)
    except (ShapeError, UnsupportedModelError):
        return False
    return not (keep_lines and _drops_lines(traced))


def _drops_lines(traced: Trace) -> bool:
    return any(any(dropped_lines(window)) for window in traced.windows if window.kernel == window.stride)
