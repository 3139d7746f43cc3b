"""Accuracy experiments: every arm gets the same epochs, recipe, augmentation and seeds; the last epoch counts."""

from ._tables import write_docs

__all__ = ["write_docs"]
