"""Receptive-field arithmetic along one axis, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """Which input pixels a map's cells see along one axis: cell i sees first + i * stride .. last + i * stride.

    Pixels beyond the image count, so ``size`` is the theoretical receptive field (Araujo et al., "Computing Receptive Fields
    of Convolutional Neural Networks", Distill 2019).
    """

    first: int = 0
    last: int = 0
    stride: int = 1

    @property
    def size(self) -> int:
        """Width of the receptive field in input pixels."""
        return self.last - self.first + 1

    def slide(self, kernel: int, stride: int, padding: int, dilation: int) -> Field:
        """The field after a window slides over the map: a convolution or a pooling."""
        before = padding * self.stride
        after = ((kernel - 1) * dilation - padding) * self.stride
        return Field(self.first - before, self.last + after, self.stride * stride)

    def union(self, other: Field) -> Field | None:
        """The field of a sum or a concatenation; None when the two maps have different strides."""
        if self.stride != other.stride:
            return None
        return Field(min(self.first, other.first), max(self.last, other.last), self.stride)
