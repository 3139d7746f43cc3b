"""``register_family``: where the stem and the classifier are in a type of model that ``adapt`` does not know by itself."""

from __future__ import annotations

from torch import nn

from .. import _families
from .._errors import ArgumentError, UnsupportedModelError
from .._families import Family


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
    _families.register(kind, Family(conv, pool, classifier))


def family_of(model: nn.Module) -> Family:
    """The family of the model's type or of the nearest base class.

    Raises:
        UnsupportedModelError: no base class is known.
    """
    family = _families.family_of(type(model))
    if family is None:
        raise UnsupportedModelError(
            f"adapt: {type(model).__name__} is not a model that adapt knows ({', '.join(_families.known())}); say where its parts are with "
            "surgery.register_family, or resize the images instead, for example with UpscalePolicy or Resizer.wrap"
        )
    return family
