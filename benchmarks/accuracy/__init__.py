"""Accuracy experiments: every arm gets the same epochs, recipe, augmentation and seeds; the last epoch counts."""

from ._docs import write_docs

__all__ = ["write_docs"]
