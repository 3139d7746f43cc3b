"""What a report warns of, and what it suggests instead."""

from ._suggestions import suggestions
from ._warnings import warnings

__all__ = ["suggestions", "warnings"]
