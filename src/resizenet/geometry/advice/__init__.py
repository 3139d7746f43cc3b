"""What a report warns of, and what it suggests instead."""

from ._suggestions import find_suggestions, needs_suggestions
from ._warnings import find_warnings

__all__ = ["find_suggestions", "find_warnings", "needs_suggestions"]
