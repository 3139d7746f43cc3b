"""Where the stem and the classifier are in the models that ``adapt`` knows, by type."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torchvision
from torch import nn

from .. import models
from .._errors import ArgumentError, UnsupportedModelError


@dataclass(frozen=True)
class Family:
    """Paths of the parts that ``adapt`` changes, as for ``nn.Module.get_submodule``.

    Attributes:
        conv: the first convolution, or a ``nn.Sequential`` that begins with it.
        pool: the pooling after it; None, or a path that a member of the family lacks, where there is none.
        classifier: the linear layer that makes the logits.
    """

    conv: str
    pool: str | None
    classifier: str


_RESNET = Family("conv1", "maxpool", "fc")
_DENSENET = Family("features.conv0", "features.pool0", "classifier")
_FAMILIES: dict[type[nn.Module], Family] = {
    torchvision.models.ResNet: _RESNET,
    torchvision.models.DenseNet: _DENSENET,
    models.ResNet: Family("stem.conv", "stem.pool", "fc"),
}
# Types of packages that are not imported here: who has such a model has loaded the module that it comes from.
_ELSEWHERE = {("timm.models.resnet", "ResNet"): _RESNET, ("timm.models.densenet", "DenseNet"): _DENSENET}


def register_family(kind: type[nn.Module], *, conv: str, classifier: str, pool: str | None = None) -> None:
    """Tell ``adapt`` where the parts of a type of model are; they are paths as for ``nn.Module.get_submodule``.

    Holds for subclasses too, unless one of them is registered itself. What was registered for the type before is replaced.

    Args:
        kind: the type.
        conv: the first convolution, or a ``nn.Sequential`` that begins with it.
        classifier: the linear layer that makes the logits.
        pool: the pooling after the first convolution, if there is one.

    Raises:
        ArgumentError: ``kind`` is not a subclass of ``nn.Module``.

    Example:
        >>> import torchvision
        >>> from resizenet import adapt
        >>> register_family(torchvision.models.GoogLeNet, conv="conv1.conv", pool="maxpool1", classifier="fc")
        >>> model = torchvision.models.GoogLeNet(aux_logits=False, init_weights=False)
        >>> adapt(model, 32, num_classes=10).conv1.conv
        Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ArgumentError(f"kind: expected a subclass of nn.Module, got {kind!r}")
    _FAMILIES[kind] = Family(conv, pool, classifier)


def family_of(model: nn.Module) -> Family:
    """The family of the model's type or of the nearest base class.

    Raises:
        UnsupportedModelError: no base class is known.
    """
    families = {**_loaded_elsewhere(), **_FAMILIES}
    for base in type(model).__mro__:
        if base in families:
            return families[base]
    names = [*((base.__module__, base.__name__) for base in _FAMILIES), *_ELSEWHERE]
    known = ", ".join(f"{module.partition('.')[0]}'s {name}" for module, name in names)
    raise UnsupportedModelError(
        f"adapt: {type(model).__name__} is not a model that adapt knows ({known}); say where its parts are with surgery.register_family, or "
        "resize the images instead, for example with UpscalePolicy or Resizer.wrap"
    )


def _loaded_elsewhere() -> dict[type[nn.Module], Family]:
    modules = {module: sys.modules[module] for module, _ in _ELSEWHERE if module in sys.modules}
    return {getattr(modules[module], name): family for (module, name), family in _ELSEWHERE.items() if module in modules}
