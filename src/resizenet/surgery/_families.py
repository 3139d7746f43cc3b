"""Where the stem and the classifier are in the models that ``adapt`` knows, by type."""

from __future__ import annotations

from dataclasses import dataclass

import torchvision
from torch import nn

from .. import models
from .._errors import UnsupportedModelError


@dataclass(frozen=True)
class Family:
    """Paths of the parts that ``adapt`` changes, as for ``nn.Module.get_submodule``.

    Attributes:
        conv: the first convolution.
        pool: the pooling after it, which some members of the family may lack.
        classifier: the linear layer that makes the logits.
    """

    conv: str
    pool: str
    classifier: str


_FAMILIES: dict[type[nn.Module], Family] = {
    torchvision.models.ResNet: Family("conv1", "maxpool", "fc"),
    models.ResNet: Family("stem.conv", "stem.pool", "fc"),
}


def family_of(model: nn.Module) -> Family:
    """The family of the model's type or of the nearest base class.

    Raises:
        UnsupportedModelError: no base class is known.
    """
    for base in type(model).__mro__:
        if base in _FAMILIES:
            return _FAMILIES[base]
    known = ", ".join(f"{base.__module__.partition('.')[0]}'s {base.__name__}" for base in _FAMILIES)
    raise UnsupportedModelError(
        f"adapt: {type(model).__name__} is not a model that adapt knows ({known}); resize the images instead, for example with UpscalePolicy or Resizer.wrap"
    )
