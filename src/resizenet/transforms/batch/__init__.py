"""Transforms of whole batches, on any device."""

from ._crop import BatchRandomResizedCrop
from ._resize import BatchResize

__all__ = ["BatchRandomResizedCrop", "BatchResize"]
