"""``adapt``: an existing model made to fit an input size, its weights kept."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from .._checks import check_choice, check_positive
from .._sizes import Size, parse_size
from ._adapt_stem import adapt_channels, adapt_stem, stem_strides
from ._families import Family, family_of
from ._stems import check_stem, submodule, unexpected

_SMALL_STEM_UP_TO = (
    40  # px: a small stem keeps the last of four stages at 4x4 or more at 32 px, an ImageNet stem leaves 1x1
)
_ONE_STRIDE_UP_TO = 95  # px: without the pool a 64 px image has the last map that 128 px have with it


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

    Everything that is not replaced survives: weights, padding, bias, dtype, device, train or eval mode, ``requires_grad``, hooks. The
    first convolution and the classifier are edited, not replaced, so theirs survive too, except that what is drawn at random - a new
    classifier, a "fresh" stem - requires gradients. A pool that is taken out leaves with its hooks. New weights are new parameters:
    make the optimizer afterwards.

    Args:
        model: torchvision's ResNet, ResNeXt, Wide ResNet or DenseNet, ``resizenet.models.ResNet``, timm's ResNet family
            (``timm.models.resnet``: deep stems, SE, blur pools and all else) or DenseNet, or a type that ``surgery.register_family`` was
            told of.
        input_size: (height, width) of the images in pixels, or one int for a square. It decides what "auto" means, nothing else.
        in_channels: channels of the images; as they are unless given.
        num_classes: a new, freshly initialised classifier; as it is unless given.
        stem: one of

            - "cifar": the first convolution 3x3 with stride 1, no pool;
            - "no_pool": the convolution as it is, no pool;
            - "keep": as it is;
            - "fold": the convolution at half its stride, with the filter that answers the image as the old one answers the image
              upscaled by 2 (``functional.fold_upscale``: 7x7 of stride 2 becomes 5x5 of stride 1), the pool kept. A network trained on
              64 px, fed 32 px, computes what it would on the same images upscaled to 64 px, away from the border;
            - "auto": by the shorter side, "cifar" up to 40 px, "no_pool" up to 95 px, "keep" from 96 px on. The last of a ResNet's four
              maps is then 4x4 at 32, 64 and 128 px, and never below 3x3 from 17 px on.

            A pool with weights, as timm's ``replace_stem_pool``, is not taken out: it loses its stride and keeps its weights. Of a
            stem of several convolutions the first is changed.
        stem_weights: of the "cifar" stem's convolution: "center" (the middle of the old filter), "area" or "pinv"
            (``functional.resize_filter``), or "fresh" (Kaiming normal, fan_out).
        channel_weights: of new input channels: "sum" (the sum of the old ones over their new number), "cycle" (the old ones in
            turn, scaled by old / new number) or "zero" (channels beyond the old ones start at zero).
        inplace: change the model itself instead of a copy.

    Returns:
        The adapted model: a copy, or ``model`` itself with ``inplace``.

    Raises:
        UnsupportedModelError: a model of another family, or a stem or classifier that cannot be changed in the wanted way; the message
            says what to do instead, and nothing has changed.
        SizeError, ArgumentError, UnknownNameError: an argument outside its range.

    Example:
        What 32 px do to a ResNet-50, and after it was adapted:

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
    check_choice("stem", stem, ("auto", "keep", "cifar", "no_pool", "fold"))
    check_choice("stem_weights", stem_weights, ("center", "area", "pinv", "fresh"))
    check_choice("channel_weights", channel_weights, ("sum", "cycle", "zero"))
    for name, value in {"in_channels": in_channels, "num_classes": num_classes}.items():
        if value is not None:
            check_positive(name, value)
    family = family_of(model)
    stem = _auto_stem(min(size)) if stem == "auto" else stem
    check_stem(model, family, stem, in_channels)  # before anything is changed
    if num_classes is not None:
        _classifier(model, family)
    adapted = model if inplace else _copied(model)
    strides = stem_strides(adapted, family)
    adapt_stem(adapted, family, stem, stem_weights)
    if in_channels is not None:
        adapt_channels(adapted, family, in_channels, channel_weights)
    if num_classes is not None:
        _adapt_classifier(_classifier(adapted, family), num_classes)
    _note_strides(adapted, strides, stem_strides(adapted, family))
    _note(adapted, in_channels=in_channels, in_chans=in_channels, num_classes=num_classes)
    return adapted


def _copied(model: nn.Module) -> nn.Module:
    """A deep copy; tensors with a history, such as the weight that a pruned layer made in its last call, are copied without it."""
    held = [
        leaf
        for module in model.modules()
        for leaf in tree_leaves(vars(module))
        if isinstance(leaf, Tensor) and not leaf.is_leaf
    ]
    return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in held})


def _auto_stem(side: int) -> str:
    if side <= _SMALL_STEM_UP_TO:
        return "cifar"
    return "no_pool" if side <= _ONE_STRIDE_UP_TO else "keep"


def _classifier(model: nn.Module, family: Family) -> nn.Linear:
    part = submodule(model, family.classifier)
    if not isinstance(part, nn.Linear):
        raise unexpected(model, family.classifier, "a Linear", part)
    if not isinstance(part.weight, nn.Parameter):
        raise unexpected(model, f"{family.classifier}.weight", "a Parameter", part.weight)
    return part


def _adapt_classifier(classifier: nn.Linear, num_classes: int) -> None:
    """A fresh layer in the same module, to be trained; torch's initialisation of a linear layer."""
    classifier.out_features = num_classes
    for name in ("weight", "bias"):
        old = getattr(classifier, name)
        if old is not None:
            setattr(classifier, name, nn.Parameter(old.new_empty(num_classes, *old.shape[1:])))
    classifier.reset_parameters()


def _note(model: Any, **values: int | None) -> None:
    """Write the numbers where the model keeps them: ``in_channels`` (ours) or ``in_chans`` (timm's), and ``num_classes``."""
    for name, value in values.items():
        if value is not None and hasattr(model, name):
            setattr(model, name, value)


def _note_strides(model: Any, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Correct timm's ``feature_info``, a dict per map; a map of the first convolution's stride is one before the pool."""
    info = getattr(model, "feature_info", None)
    if isinstance(info, list):
        strides = [
            after[0] if entry["reduction"] == before[0] else entry["reduction"] * after[1] // before[1]
            for entry in info
        ]
        model.feature_info = [{**entry, "reduction": stride} for entry, stride in zip(info, strides, strict=True)]
