"""Make image models work at the resolution you have."""

from . import functional, models, resizers, transforms
from ._errors import (
    ArgumentError,
    CheckpointError,
    DtypeError,
    ResizenetError,
    ShapeError,
    SizeError,
    UnknownNameError,
    UnsupportedModelError,
)
from .geometry import GeometryReport, report
from .models import create_model, list_models
from .resizers import FixedResizer, LaplacianResizer, LinearResizer, ResizedModel, Resizer
from .surgery import AnySize, adapt, adapt_to_resolution
from .transforms import ResizeAudit, audit

__version__ = "0.1.0"

__all__ = [
    "AnySize",
    "ArgumentError",
    "CheckpointError",
    "DtypeError",
    "FixedResizer",
    "GeometryReport",
    "LaplacianResizer",
    "LinearResizer",
    "ResizeAudit",
    "ResizedModel",
    "ResizenetError",
    "Resizer",
    "ShapeError",
    "SizeError",
    "UnknownNameError",
    "UnsupportedModelError",
    "__version__",
    "adapt",
    "adapt_to_resolution",
    "audit",
    "create_model",
    "functional",
    "list_models",
    "models",
    "report",
    "resizers",
    "transforms",
]
