"""Make an existing model fit the images that you have."""

from ._adapt import adapt
from ._families import Family as Family
from ._families import find_family as find_family
from ._families import register_family
from ._resolution import adapt_to_resolution
from ._stems import check_stem as check_stem
from ._stems import shrink_stem as shrink_stem

__all__ = ["adapt", "adapt_to_resolution", "register_family"]
