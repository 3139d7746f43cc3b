"""Receptive-field and padding arithmetic along one axis, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """Which input pixels the first cell of a map sees along one axis, from ``first`` to ``last``; cell i sees as many, i * stride further.

    Pixels beyond the image count, so ``size`` is the theoretical receptive field (Araujo et al., "Computing Receptive Fields
    of Convolutional Neural Networks", Distill 2019).
    """

    first: int = 0
    last: int = 0

    @property
    def size(self) -> int:
        """Width of the receptive field in input pixels."""
        return self.last - self.first + 1

    def slide(self, kernel: int, padding: int, dilation: int, *, stride: int) -> Field:
        """The field after a window slides over the map, a convolution or a pooling; ``stride`` is the map's, in pixels."""
        return self.shift(-padding * stride).widen((kernel - 1) * dilation * stride)

    def shift(self, pixels: int) -> Field:
        """The field of a cell that lies so much further, or before it where negative."""
        return Field(self.first + pixels, self.last + pixels)

    def widen(self, pixels: int) -> Field:
        """The field of a cell merged with those up to so much further."""
        return Field(self.first, self.last + pixels)

    def union(self, other: Field) -> Field:
        """The field of a sum or a concatenation."""
        return Field(min(self.first, other.first), max(self.last, other.last))


@dataclass(frozen=True)
class Margin:
    """How many of a map's lines along one axis, the first and the last, are padding of the model's own; ``copies``: of lines of the map."""

    first: int = 0
    last: int = 0
    copies: bool = False

    def crop(self, start: int, length: int, before: int) -> Margin:
        """Of ``length`` of ``before`` lines, from ``start`` on; what lies outside is padding."""
        return Margin(max(0, self.first - start), max(0, self.last + start + length - before), self.copies)
