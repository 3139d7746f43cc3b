"""Report what an input size does to a model, without computing with values or copying weights."""

from .._tracing import Row
from ._compare import Comparison, compare
from ._report import GeometryReport, report

__all__ = ["Comparison", "GeometryReport", "Row", "compare", "report"]
