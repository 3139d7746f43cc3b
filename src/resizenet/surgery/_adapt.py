"""Make an existing model fit an input size and keep its weights."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal, get_args

from torch import nn

from .._checks import check_choice, parse_int
from .._modules import check_model, copy_model
from .._sizes import Size, parse_size
from ._channels import change_channels
from ._classifier import new_classifier, set_classifier
from ._families import family_of, find_classifier, find_convolution
from ._stems import StemWeights, change_stem, check_stem, new_filter, stem_strides

Stem = Literal["auto", "keep", "cifar", "no_pool", "fold"]
ChannelWeights = Literal["sum", "cycle", "zero"]

_CIFAR_STEM_UP_TO = 40  # px: at 32 px the last of four stages has a 4x4 map, and 1x1 behind an ImageNet stem
_NO_POOL_UP_TO = 95  # px: without the pool, 64 px give the last map that 128 px give with it


def adapt(
    model: nn.Module,
    input_size: Size,
    *,
    in_channels: int | None = None,
    num_classes: int | None = None,
    stem: Stem = "auto",
    stem_weights: StemWeights = "center",
    channel_weights: ChannelWeights = "sum",
    inplace: bool = False,
) -> nn.Module:
    """Return the model with a stem that fits the input size; all other weights are kept.

    The first convolution and the classifier are edited, not replaced, so their hooks, padding, bias, dtype, device,
    mode and ``requires_grad`` are kept. Weights that are drawn at random (a new classifier, a "fresh" stem) require
    gradients. A pool that is removed loses its hooks. New weights are new parameters: create the optimizer afterwards.

    Args:
        model: torchvision's ResNet, ResNeXt, Wide ResNet or DenseNet, ``resizenet.models.ResNet``, timm's ResNet family
            (``timm.models.resnet``, with deep stems, squeeze-and-excitation, blur pools and other options) or
            DenseNet, or a type registered with ``surgery.register_family``.
        input_size: (height, width) of the images in pixels, or one int for a square. Only "auto" depends on it.
        in_channels: channels of the images. Default: unchanged.
        num_classes: size of a new classifier with fresh weights. Default: unchanged.
        stem: one of

            - "cifar": the first convolution becomes 3x3 with stride 1, and the pool is removed;
            - "no_pool": the pool is removed;
            - "keep": no change;
            - "fold": the convolution gets half its stride and a filter whose response to the image equals the response
              of the old filter to the image upscaled by 2 (``functional.fold_upscale``: 7x7 of stride 2 becomes 5x5 of
              stride 1). The pool is kept. A network trained at 64 px computes at 32 px what it would compute on the
              same images upscaled to 64 px, except near the border;
            - "auto": "cifar" if the shorter side is at most 40 px, "no_pool" up to 95 px, "keep" from 96 px. The last
              of a ResNet's four maps is then 4x4 at 32, 64 and 128 px, and at least 3x3 from 17 px.

            A pool with weights, such as timm's ``replace_stem_pool``, is not removed: it loses its stride and keeps
            its weights. In a stem of several convolutions the first one is changed.
        stem_weights: the filter of the "cifar" stem: "center" (the middle of the old filter), "area" or "pinv"
            (``functional.resize_filter``), or "fresh" (Kaiming normal, fan_out).
        channel_weights: the weights of new input channels: "sum" (the sum of the old ones divided by their new
            number), "cycle" (the old ones in turn, scaled by old / new number) or "zero" (additional channels start
            at zero).
        inplace: change the model itself instead of a copy.

    Returns:
        The adapted model: a copy, or ``model`` itself with ``inplace``.

    Raises:
        UnsupportedModelError: the model's type is not supported, or its stem or classifier cannot be changed as
            requested. The message says what to do instead, and the model is unchanged.
        SizeError, ArgumentError, UnknownNameError: an argument is outside its range.

    Example:
        A ResNet-50 at 32 px, before and after:

        >>> import torch, torchvision
        >>> from resizenet import report
        >>> model = torchvision.models.resnet50()
        >>> report(model, 32).final.output_map
        (1, 1)
        >>> adapted = adapt(model, 32, num_classes=10)
        >>> report(adapted, 32).final.output_map
        (4, 4)
        >>> adapted.conv1
        Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
        >>> adapted(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    size = parse_size(input_size, argument="input_size")
    check_choice("stem", stem, get_args(Stem))
    check_choice("stem_weights", stem_weights, get_args(StemWeights))
    check_choice("channel_weights", channel_weights, get_args(ChannelWeights))
    in_channels, num_classes = _parse("in_channels", in_channels), _parse("num_classes", num_classes)
    check_model(model, operation="adapt")
    family = family_of(model)
    chosen = _auto_stem(min(size)) if stem == "auto" else stem
    check_stem(model, family, chosen, in_channels)
    # Every check and every new tensor comes before the first change.
    convolution = find_convolution(model, family)
    weight = new_filter(convolution, chosen, stem_weights)
    if in_channels is not None and in_channels != convolution.in_channels:
        old = convolution.weight.detach() if weight is None else weight
        weight = change_channels(old, in_channels, channel_weights)
    classifier = None if num_classes is None else new_classifier(model, family, num_classes)
    adapted = model if inplace else copy_model(model, operation="adapt")
    before = stem_strides(adapted, family)
    change_stem(adapted, family, chosen, weight)
    if classifier is not None:
        set_classifier(find_classifier(adapted, family), classifier)
    _sync_attributes(adapted, in_channels=in_channels, in_chans=in_channels, num_classes=num_classes)
    _sync_feature_info(adapted, before, stem_strides(adapted, family))
    return adapted


def _parse(name: str, number: int | None) -> int | None:
    return None if number is None else parse_int(name, number, at_least=1, at_most=2**31 - 1)


def _auto_stem(side: int) -> str:
    if side <= _CIFAR_STEM_UP_TO:
        return "cifar"
    return "no_pool" if side <= _NO_POOL_UP_TO else "keep"


def _sync_attributes(model: Any, **values: int | None) -> None:
    """Update the numbers that models keep: ``in_channels`` (ours), ``in_chans`` (timm's) and ``num_classes``."""
    for name, value in values.items():
        if value is not None and hasattr(model, name):
            with suppress(AttributeError):  # a read-only property
                setattr(model, name, value)


def _sync_feature_info(model: Any, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Update timm's ``feature_info``, a dict per map, for new strides behind the first convolution and the pool."""

    def stride(old: int) -> int:
        return after[0] if old == before[0] else old * after[1] // before[1]  # the first lies before the pool

    info = getattr(model, "feature_info", None)
    if isinstance(info, list) and all(isinstance(entry, dict) and "reduction" in entry for entry in info):
        model.feature_info = [{**entry, "reduction": stride(entry["reduction"])} for entry in info]
