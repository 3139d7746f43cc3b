"""Image-to-image modules in front of a model; all have ``forward(x, size=None)``, ``wrap(model)`` and ``fuse()``."""

from ._fixed import FixedResizer
from ._fused import FusedResizer
from ._laplacian import LaplacianResizer
from ._learned import Resizer
from ._linear import LinearResizer
from ._wrap import ResizedModel

__all__ = ["FixedResizer", "FusedResizer", "LaplacianResizer", "LinearResizer", "ResizedModel", "Resizer"]
