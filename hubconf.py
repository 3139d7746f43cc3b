"""Entry points of ``torch.hub``: every published network, under the name that ``create_model`` takes.

    model = torch.hub.load("path/to/a/clone", "resnet20", source="local", num_classes=10)

``torch.hub.list`` and ``torch.hub.help`` list them and show their arguments.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from resizenet import list_models, models

dependencies = ["torch", "torchvision", "einops"]

globals().update({name: getattr(models, name) for name in list_models()})
