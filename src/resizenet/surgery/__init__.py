"""Change an existing model to fit the images that you have."""

from ._adapt import adapt
from ._any_size import AnySize
from ._families import register_family
from ._resolution import adapt_to_resolution
from ._switch_norms import switch_norms

__all__ = ["AnySize", "adapt", "adapt_to_resolution", "register_family", "switch_norms"]
