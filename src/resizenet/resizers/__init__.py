"""Image-to-image modules that go in front of a model; all share ``forward(x, size=None)``, ``wrap(model)`` and ``fuse()``."""

from ._fixed import FixedResizer
from ._learned import Resizer
from ._linear import LinearResizer
from ._wrap import ResizedModel

__all__ = ["FixedResizer", "LinearResizer", "ResizedModel", "Resizer"]
