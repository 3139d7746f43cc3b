"""Where the stem and the classifier are in the models that ``adapt`` knows, by type."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ._errors import ArgumentError


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


def family_of(kind: type) -> Family | None:
    """The family of the type or of its nearest base class; None where none is known."""
    return next((family for base in kind.__mro__ if (family := _registered.get(base) or BUILT_IN.get(_path(base)))), None)


def known() -> list[str]:
    """The types with a family, in words."""
    paths = [*BUILT_IN, *map(_path, _registered)]
    return [f"{path.partition('.')[0]}'s {path.rpartition('.')[2]}" for path in paths]


def register(kind: type[nn.Module], family: Family) -> None:
    """Note the family of a type.

    Raises:
        ArgumentError: it is built in, and what holds for all its models is not for one of them to say.
    """
    if _path(kind) in BUILT_IN:
        raise ArgumentError(f"kind: adapt knows {_path(kind)} already, for all models of that type; register a subclass of it instead")
    _registered[kind] = family


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
