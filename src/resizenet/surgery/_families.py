"""Where the stem and the classifier are in the models that ``adapt`` knows, by type."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

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
BUILT_IN = {  # by name: packages are not imported here for their types
    "torchvision.models.resnet.ResNet": _RESNET,
    "torchvision.models.densenet.DenseNet": _DENSENET,
    "resizenet.models._resnet.ResNet": Family("stem.conv", "stem.pool", "fc"),
    "timm.models.resnet.ResNet": _RESNET,
    "timm.models.densenet.DenseNet": _DENSENET,
}
_registered: dict[type[nn.Module], Family] = {}


def find_family(kind: type) -> Family | None:
    """The family of the type or of its nearest base class; None where none is known."""
    return next(
        (family for base in kind.__mro__ if (family := _registered.get(base) or BUILT_IN.get(_path(base)))), None
    )


def known() -> list[str]:
    """The types with a family, in words."""
    paths = [*BUILT_IN, *map(_path, _registered)]
    return [f"{path.partition('.')[0]}'s {path.rpartition('.')[2]}" for path in paths]


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def register_family(kind: type[nn.Module], *, conv: str, classifier: str, pool: str | None = None) -> None:
    """Tell ``adapt`` where the parts of a type of model are; they are paths as for ``nn.Module.get_submodule``.

    Holds for subclasses too, unless one of them is registered itself. What was registered for the type before is replaced.

    Args:
        kind: the type.
        conv: the first convolution, or a ``nn.Sequential`` that begins with it.
        classifier: the linear layer that makes the logits.
        pool: the pooling after the first convolution, if there is one.

    Raises:
        ArgumentError: ``kind`` is not a subclass of ``nn.Module``, or a type that ``adapt`` knows by itself; a subclass of that may be
            registered.

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
    if _path(kind) in BUILT_IN:
        raise ArgumentError(
            f"kind: adapt knows {_path(kind)} already, for all models of that type; register a subclass of it instead"
        )
    _registered[kind] = Family(conv, pool, classifier)


def family_of(model: nn.Module) -> Family:
    """The family of the model's type or of the nearest base class.

    Raises:
        UnsupportedModelError: no base class is known.
    """
    family = find_family(type(model))
    if family is None:
        raise UnsupportedModelError(
            f"adapt: {type(model).__name__} is not a model that adapt knows ({', '.join(known())}); say where its parts are with "
            "surgery.register_family, or resize the images instead, for example with UpscalePolicy or Resizer.wrap"
        )
    return family
