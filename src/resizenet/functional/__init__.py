"""Stateless tensor functions: resizing, and the filters that go with it."""

from ._filter import resize_filter
from ._matrix import INTERPOLATIONS, resize_matrix
from ._resize import resize

__all__ = ["INTERPOLATIONS", "resize", "resize_filter", "resize_matrix"]
