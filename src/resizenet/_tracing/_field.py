"""Receptive-field and padding arithmetic along one axis, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """Input pixels that the first position of a feature map sees along one axis, from ``first`` to ``last``.

    Position i sees equally many pixels, i * stride further on. Pixels beyond the image count, so ``size`` is the
    theoretical receptive field (Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks",
    Distill 2019).
    """

    first: int = 0
    last: int = 0

    @property
    def size(self) -> int:
        """Size of the receptive field in input pixels."""
        return self.last - self.first + 1

    def slide(self, kernel: int, padding: int, dilation: int, *, stride: int) -> Field:
        """Return the field after a convolution or a pooling; ``stride`` is the stride of its input, in pixels."""
        return self.shift(-padding * stride).widen((kernel - 1) * dilation * stride)

    def shift(self, pixels: int) -> Field:
        """Return the field of a position that lies ``pixels`` further on (before, if negative)."""
        return Field(self.first + pixels, self.last + pixels)

    def widen(self, pixels: int) -> Field:
        """Return the field of a sum of positions, of which the last lies ``pixels`` further on."""
        return Field(self.first, self.last + pixels)

    def union(self, other: Field) -> Field:
        """Return the field of a sum or a concatenation."""
        return Field(min(self.first, other.first), max(self.last, other.last))


@dataclass(frozen=True)
class Margin:
    """How many of a feature map's first and last lines along one axis are padding.

    Attributes:
        first, last: number of lines.
        copies: whether the padding consists of copies of lines of the map (reflected or repeated), not of zeros.
    """

    first: int = 0
    last: int = 0
    copies: bool = False

    def slice(self, start: int, length: int, before: int) -> Margin:
        """Return the margin of ``length`` lines from ``start`` on, of ``before`` lines; lines outside are padding."""
        return Margin(max(0, self.first - start), max(0, self.last + start + length - before), self.copies)
