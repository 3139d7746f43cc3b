"""The published networks by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any

from .._errors import check_choice
from ._blocks import BasicBlock
from ._resnet import ResNet


def resnet20(**kwargs: Any) -> ResNet:
    """CIFAR ResNet-20 of He et al. 2015, section 4.2: 269,722 parameters, 40.6 M MACs at 32 px, published error 8.75 % on CIFAR-10.

    Keyword arguments are those of ``ResNet``; shortcuts are option A unless ``shortcut="projection"``.
    """
    return ResNet(BasicBlock, (3, 3, 3), (16, 32, 64), **{"shortcut": "pad", **kwargs})


def resnet18(**kwargs: Any) -> ResNet:
    """ResNet-18 of He et al. 2015, table 1, with the small stem: 11,173,962 parameters, 555 M MACs at 32 px.

    Keyword arguments are those of ``ResNet``; ``stem="imagenet"`` gives the published network.
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), (64, 128, 256, 512), **kwargs)


_MODELS: dict[str, Callable[..., ResNet]] = {"resnet18": resnet18, "resnet20": resnet20}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models, sorted; ``pattern`` is a shell pattern.

    Example:
        >>> list_models("resnet*")
        ['resnet18', 'resnet20']
    """
    return sorted(fnmatch.filter(_MODELS, pattern))


def create_model(name: str, **kwargs: Any) -> ResNet:
    """The model of that name, with fresh weights; keyword arguments are those of ``ResNet``.

    Raises:
        UnknownNameError: no model of that name; the message lists the names and the closest match.

    Example:
        >>> sum(p.numel() for p in create_model("resnet20").parameters())
        269722
    """
    check_choice("name", name, list_models())
    return _MODELS[name](**kwargs)
