"""Change an existing model to fit the images that you have."""

from ._adapt import adapt
from ._adaptation import Adaptation
from ._any_size import AnySize
from ._changes import Change
from ._plan import plan
from ._resolution import adapt_to_resolution
from ._switch_norms import switch_norms

__all__ = ["Adaptation", "AnySize", "Change", "adapt", "adapt_to_resolution", "plan", "switch_norms"]
