"""What a model does to the feature map at an input size, computed on tensors without values."""

from ._skeleton import skeleton
from ._stages import last_map, layers, stages
from ._stem import Stem, stem_of
from ._taps import dropped
from ._trace import Row, Trace, trace

__all__ = ["Row", "Stem", "Trace", "dropped", "last_map", "layers", "skeleton", "stages", "stem_of", "trace"]
