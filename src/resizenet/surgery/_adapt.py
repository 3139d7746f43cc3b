"""``adapt``: an existing model made to fit an input size, its weights kept."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import Tensor, nn

from .._errors import UnsupportedModelError, check_choice, check_positive
from .._sizes import Size, parse_size
from ..functional import resize_filter
from ._channels import change_channels
from ._families import Family, family_of

_SMALL_STEM_UP_TO = 40  # px: a small stem keeps the last of four stages at 4x4 or more at 32 px, an ImageNet stem leaves 1x1
_ONE_STRIDE_UP_TO = 95  # px: without the pool a 64 px image has the last map that 128 px have with it

_Kind = TypeVar("_Kind", bound=nn.Module)


def adapt(
    model: nn.Module,
    input_size: Size,
    *,
    in_channels: int | None = None,
    num_classes: int | None = None,
    stem: str = "auto",
    stem_weights: str = "center",
    channel_weights: str = "sum",
    inplace: bool = False,
) -> nn.Module:
    """The model with a stem that fits the input size, all other weights kept.

    Everything that is not replaced survives: weights, dtype, device, train or eval mode, ``requires_grad``, hooks.

    Args:
        model: torchvision's ResNet, ResNeXt or Wide ResNet, or ``resizenet.models.ResNet``.
        input_size: (height, width) of the images in pixels, or one int for a square.
        in_channels: channels of the images; as they are unless given.
        num_classes: a new, freshly initialised classifier; as it is unless given.
        stem: "cifar" (3x3 convolution of stride 1, no pool), "no_pool" (the convolution as it is, no pool), "keep", or "auto":
            by the shorter side, "cifar" up to 40 px, "no_pool" up to 95 px and "keep" from 96 px on.
        stem_weights: of a new 3x3 convolution: "center" (the middle of the old filter) or "fresh" (Kaiming normal, fan_out).
        channel_weights: of new input channels: "sum" (the sum of the old ones over their new number), "cycle" (the old ones in
            turn, scaled by old / new number) or "zero" (channels beyond the old ones start at zero).
        inplace: change the model itself instead of a copy.

    Returns:
        The adapted model: a copy, or ``model`` itself with ``inplace``.

    Raises:
        UnsupportedModelError: a model of another family.
        SizeError, ArgumentError, UnknownNameError: an argument outside its range.

    Example:
        >>> import torch, torchvision
        >>> model = adapt(torchvision.models.resnet18(), 32, num_classes=10)
        >>> model.conv1
        Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
        >>> model(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    size = parse_size(input_size, argument="input_size")
    check_choice("stem", stem, ("auto", "keep", "cifar", "no_pool"))
    check_choice("stem_weights", stem_weights, ("center", "fresh"))
    check_choice("channel_weights", channel_weights, ("sum", "cycle", "zero"))
    for name, value in {"in_channels": in_channels, "num_classes": num_classes}.items():
        if value is not None:
            check_positive(name, value)
    family = family_of(model)
    _part(model, family.conv, nn.Conv2d)  # before anything is changed
    if num_classes is not None:
        _part(model, family.classifier, nn.Linear)
    adapted: Any = model if inplace else copy.deepcopy(model)
    _adapt_stem(adapted, family, _auto_stem(min(size)) if stem == "auto" else stem, stem_weights)
    if in_channels is not None:
        _adapt_channels(_part(adapted, family.conv, nn.Conv2d), in_channels, channel_weights)
        if hasattr(adapted, "in_channels"):
            adapted.in_channels = in_channels
    if num_classes is not None:
        _adapt_classifier(_part(adapted, family.classifier, nn.Linear), num_classes)
        if hasattr(adapted, "num_classes"):
            adapted.num_classes = num_classes
    return adapted  # type: ignore[no-any-return]


def _auto_stem(side: int) -> str:
    if side <= _SMALL_STEM_UP_TO:
        return "cifar"
    return "no_pool" if side <= _ONE_STRIDE_UP_TO else "keep"


def _part(model: nn.Module, path: str, kind: type[_Kind]) -> _Kind:
    try:
        part = model.get_submodule(path)
    except AttributeError:
        part = None
    if not isinstance(part, kind):
        raise UnsupportedModelError(f"adapt: expected {type(model).__name__}.{path} to be a {kind.__name__}, got {type(part).__name__}; replace it by hand")
    return part


def _adapt_stem(model: nn.Module, family: Family, stem: str, stem_weights: str) -> None:
    if stem == "keep":
        return
    parent, _, pool = family.pool.rpartition(".")
    holder = model.get_submodule(parent)
    old = getattr(holder, pool, None)
    if isinstance(old, nn.Module):
        setattr(holder, pool, nn.Identity().train(old.training))
    convolution = _part(model, family.conv, nn.Conv2d)
    if stem == "cifar" and (convolution.kernel_size, convolution.stride) != ((3, 3), (1, 1)):
        _set_weight(convolution, resize_filter(convolution.weight.detach(), 3, method="center"))
        convolution.stride = (1, 1)
        if stem_weights == "fresh":
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")


def _adapt_channels(convolution: nn.Conv2d, in_channels: int, channel_weights: str) -> None:
    if in_channels != convolution.in_channels:
        _set_weight(convolution, change_channels(convolution.weight.detach(), in_channels, channel_weights))


def _set_weight(convolution: nn.Conv2d, weight: Tensor) -> None:
    """A new filter in the same module, so that its hooks and flags stay; the padding keeps an odd filter centred."""
    convolution.weight = nn.Parameter(weight, requires_grad=convolution.weight.requires_grad)
    convolution.in_channels = weight.shape[1]
    convolution.kernel_size = (weight.shape[2], weight.shape[3])
    convolution.padding = (weight.shape[2] // 2, weight.shape[3] // 2)


def _adapt_classifier(classifier: nn.Linear, num_classes: int) -> None:
    """A fresh layer in the same module; torch's initialisation of a linear layer."""
    classifier.out_features = num_classes
    for name in ("weight", "bias"):
        old = getattr(classifier, name)
        if old is not None:
            setattr(classifier, name, nn.Parameter(old.new_empty(num_classes, *old.shape[1:]), requires_grad=old.requires_grad))
    classifier.reset_parameters()
