"""Change an existing model to fit the images that you have."""

from ._adapt import adapt
from ._families import register_family
from ._resolution import adapt_to_resolution

__all__ = ["adapt", "adapt_to_resolution", "register_family"]
