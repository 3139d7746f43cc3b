"""What a report warns of, and what it suggests instead."""

from ._suggestions import explain_size, find_suggestions
from ._warnings import find_warnings

__all__ = ["explain_size", "find_suggestions", "find_warnings"]
