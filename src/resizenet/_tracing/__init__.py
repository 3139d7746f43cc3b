"""What a model does to the feature map at an input size, computed on tensors without values.

``trace`` runs a copy of the model (``skeleton``) and returns a ``Trace``. The other
functions answer questions about it.
"""

from ._first_layers import FirstLayers, first_layers
from ._multiples import side_multiple
from ._skeleton import skeleton
from ._stages import last_map, layers, stages
from ._table import Window
from ._taps import dropped_lines
from ._trace import Row, Trace, trace

__all__ = [
    "FirstLayers",
    "Row",
    "Trace",
    "Window",
    "dropped_lines",
    "first_layers",
    "last_map",
    "layers",
    "side_multiple",
    "skeleton",
    "stages",
    "trace",
]
