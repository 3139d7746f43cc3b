"""What an input size does to any model, computed without computing: no image, no arithmetic, no copy of the weights."""

from .._tracing import Row
from ._compare import Comparison, compare
from ._report import GeometryReport, report

__all__ = ["Comparison", "GeometryReport", "Row", "compare", "report"]
