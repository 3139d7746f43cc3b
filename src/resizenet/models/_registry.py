"""Networks by name: how one is registered, listed and built."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, NamedTuple

from .._checks import did_you_mean
from .._errors import ArgumentError, UnknownNameError
from ._blocks import BlockOptions
from ._pretrained import find_weights, load_weights
from ._resnet import ResNet

Builder = Callable[..., ResNet]


class Facts(NamedTuple):
    """What is known about a network before it is built.

    Attributes:
        params: trainable parameters, for 10 classes.
        macs: multiply-accumulates of convolutions and linear layers, for 10 classes and one image of 3x32x32.
        error: published test errors, in words.
    """

    params: int
    macs: int
    error: str = ""


BUILDERS: dict[str, Builder] = {}
FACTS: dict[str, Facts] = {}


def register(
    name: str, title: str, source: str, facts: Facts, *, network: type[ResNet] = ResNet, **settings: Any
) -> Builder:
    """Add a network to the registry and return the function that builds it."""
    known = _keywords(network, settings.get("block"))

    def build(**kwargs: Any) -> ResNet:
        if "block" not in kwargs:  # another block may have other options
            _check_keywords(name, kwargs, known)
        return network(**{**settings, **kwargs})

    shown = ", ".join(f"{key}={getattr(value, '__name__', repr(value))}" for key, value in settings.items())
    arguments = f"those of ``{network.__name__}``"
    arguments += f" and of its block; the defaults are ``{shown}``" if shown else ""
    published = f"\n\n    Published test error: {facts.error}." if facts.error else ""
    build.__name__ = build.__qualname__ = name
    build.__module__ = "resizenet.models"
    build.__doc__ = f"""{title}.

    {source}.

    {facts.params:,} parameters and {facts.macs:,} multiply-accumulates, for 10 classes and one image of
    3x32x32.{published}

    Args:
        **kwargs: {arguments}.

    Raises:
        UnknownNameError: an unknown keyword argument.
    """
    BUILDERS[name], FACTS[name] = build, facts
    return build


def _keywords(network: type[ResNet], block: Callable[..., Any] | None) -> list[str]:
    """The keyword arguments of a network and of its block, without those that the network sets per block."""
    names = [*inspect.signature(network).parameters]
    if block is not None:
        of_block = inspect.signature(block).parameters.values()
        names += [parameter.name for parameter in of_block if parameter.kind is parameter.KEYWORD_ONLY]
        names += [field.name for field in fields(BlockOptions)]
    set_by_network = {"block_options", "stride", "dilation", "first_dilation"}
    return sorted(set(names) - set_by_network)


def _check_keywords(name: str, given: Iterable[str], known: list[str]) -> None:
    for keyword in given:
        if keyword in ("pretrained", "weights"):
            raise UnknownNameError(
                f"{name}: unexpected argument {keyword!r}: create_model(name, weights=...) loads the weights that "
                "models.list_weights() lists, models.load_checkpoint those of well-known repositories"
            )
        if keyword not in known:
            options = ", ".join(known)
            hint = did_you_mean(keyword, known)
            raise UnknownNameError(f"{name}: unexpected argument {keyword!r}{hint}; the arguments are {options}")


def list_models(pattern: str = "*") -> list[str]:
    """The names of the models, sorted.

    Args:
        pattern: a shell pattern that the names must match.

    Raises:
        ArgumentError: a pattern that is not a string.

    Example:
        >>> list_models("wrn*")
        ['wrn_16_4', 'wrn_16_8', 'wrn_28_10', 'wrn_40_4']
    """
    if not isinstance(pattern, str):
        raise ArgumentError(f"pattern: expected a string such as 'wrn*', got {pattern!r}")
    return sorted(fnmatch.filter(BUILDERS, pattern))


def create_model(name: str, *, weights: str | None = None, **kwargs: Any) -> ResNet:
    """Build the model of that name, newly initialized or with trained weights.

    Args:
        name: one of ``list_models()``.
        weights: the name of trained weights that come with the package, such as "cifar10"; see ``list_weights``.
            The ``transforms()`` of the weights in that list is the policy that resizes and normalizes their images.
        **kwargs: keyword arguments of ``ResNet`` and of the model's block. With ``weights``, a ``num_classes`` that
            differs from that of the weights gives a classifier with random weights.

    Raises:
        UnknownNameError: an unknown name, keyword argument or weights; the message has the closest match.
        CheckpointError: the weights do not fit because an argument changes the layers, or their file is damaged.

    Example:
        >>> sum(p.numel() for p in create_model("resnet20").parameters())
        269722
    """
    if not isinstance(name, str) or name not in BUILDERS:
        hint = did_you_mean(name, BUILDERS)
        raise UnknownNameError(
            f"name: expected one of the {len(BUILDERS)} names that list_models() lists, got {name!r}{hint}"
        )
    if weights is None:
        return BUILDERS[name](**kwargs)
    trained = find_weights(name, weights)
    model = BUILDERS[name](**kwargs | {"num_classes": len(trained.classes)})
    load_weights(model, trained)
    if "num_classes" in kwargs and kwargs["num_classes"] != len(trained.classes):
        model.reset_classifier(kwargs["num_classes"])
    return model
