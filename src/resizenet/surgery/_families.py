"""Where the stem and the classifier of a model are, by its type."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from .._errors import ArgumentError, UnsupportedModelError


@dataclass(frozen=True)
class Family:
    """Paths of the modules that ``adapt`` changes, as for ``nn.Module.get_submodule``.

    Attributes:
        conv: the first convolution, or a ``nn.Sequential`` that begins with it.
        pool: the pooling after it. None if the family has none; a model may also lack the module at this path.
        classifier: the linear layer that makes the logits.
    """

    conv: str
    pool: str | None
    classifier: str


_RESNET = Family("conv1", "maxpool", "fc")
_DENSENET = Family("features.conv0", "features.pool0", "classifier")
_BUILT_IN = {  # by name, so that timm need not be imported
    "torchvision.models.resnet.ResNet": _RESNET,
    "torchvision.models.densenet.DenseNet": _DENSENET,
    "resizenet.models._resnet.ResNet": Family("stem.conv", "stem.pool", "fc"),
    "timm.models.resnet.ResNet": _RESNET,
    "timm.models.densenet.DenseNet": _DENSENET,
}
_registered: dict[type[nn.Module], Family] = {}


def register_family(kind: type[nn.Module], *, conv: str, classifier: str, pool: str | None = None) -> None:
    """Tell ``adapt`` where a type of model has its stem and its classifier.

    The paths are those of ``nn.Module.get_submodule``. Subclasses are included unless they are registered themselves.
    Registering a type again replaces what was registered before.

    Args:
        kind: the class of the models.
        conv: the first convolution, or a ``nn.Sequential`` that begins with it.
        classifier: the linear layer that makes the logits.
        pool: the pooling after the first convolution, if there is one.

    Raises:
        ArgumentError: ``kind`` is not a subclass of ``nn.Module``, or it is a type that ``adapt`` supports without
            registration. A subclass of such a type may be registered.

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
    if _path(kind) in _BUILT_IN:
        raise ArgumentError(f"kind: adapt supports {_path(kind)} already; register a subclass of it instead")
    _registered[kind] = Family(conv, pool, classifier)


def find_family(kind: type) -> Family | None:
    """Return the family of the type or of its nearest base class, or None."""
    families = (_registered.get(base) or _BUILT_IN.get(_path(base)) for base in kind.__mro__)
    return next((family for family in families if family), None)


def family_of(model: nn.Module) -> Family:
    """Return the family of the model's type or of its nearest base class.

    Raises:
        UnsupportedModelError: no base class has a family.
    """
    family = find_family(type(model))
    if family is None:
        paths = [*_BUILT_IN, *map(_path, _registered)]
        supported = ", ".join(f"{path.partition('.')[0]}'s {path.rpartition('.')[2]}" for path in paths)
        raise UnsupportedModelError(
            f"adapt: {type(model).__name__} is not a supported type of model ({supported}); name its stem and its "
            "classifier with surgery.register_family, or resize the images instead, for example with UpscalePolicy "
            "or Resizer.wrap"
        )
    return family


def find_module(model: nn.Module, path: str) -> nn.Module | None:
    """Return the module at ``path``, or None."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def find_convolution(model: nn.Module, family: Family) -> nn.Conv2d:
    """Return the first convolution.

    Raises:
        UnsupportedModelError: the module at its path is neither a Conv2d nor a Sequential that begins with one.
    """
    part = find_module(model, family.conv)
    first = next(iter(part), None) if isinstance(part, nn.Sequential) else part
    if not isinstance(first, nn.Conv2d):
        raise _unexpected(model, family.conv, "a Conv2d", part)
    return first


def find_classifier(model: nn.Module, family: Family) -> nn.Linear:
    """Return the classifier.

    Raises:
        UnsupportedModelError: the module at its path is not a Linear.
    """
    part = find_module(model, family.classifier)
    if not isinstance(part, nn.Linear):
        raise _unexpected(model, family.classifier, "a Linear", part)
    return part


def _unexpected(model: nn.Module, path: str, expected: str, part: object) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"adapt: expected {type(model).__name__}.{path} to be {expected}, got {type(part).__name__}; replace it by hand"
    )


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
