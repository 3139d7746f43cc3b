"""Make an existing model fit the images that you have."""

from ._adapt import adapt

__all__ = ["adapt"]
