"""Make an existing model fit an input size and keep its weights: a plan, applied."""

from __future__ import annotations

from torch import nn

from .._sizes import Size
from ..functional._positions import Convention
from ._filters import ChannelWeights, StemWeights
from ._plan import OutputStride, plan
from ._stems import Stem


def adapt(
    model: nn.Module,
    input_size: Size,
    *,
    output_stride: OutputStride = "auto",
    in_channels: int | None = None,
    num_classes: int | None = None,
    stem: Stem = "auto",
    stem_weights: StemWeights = "area",
    channel_weights: ChannelWeights = "sum",
    positions: Convention = "timm",
    inplace: bool = False,
) -> nn.Module:
    """Return the model with fewer strides, so that its last map fits the input size.

    Weights are kept, except those of a changed kernel, which are computed from the old ones, and those of a new
    classifier. The last map of a model made for 224 px has one position at 32 px. ``adapt`` removes strides, from the
    first layers on, so that the last map has 4x4 positions. It finds the strides by tracing the model (see ``report``),
    so any network whose strides belong to convolution and pooling modules can be adapted. ``surgery.plan`` takes the
    same arguments and returns the changes without making them.

    The first convolution and the classifier are edited, not replaced, so their hooks, padding, bias, dtype, device,
    mode and ``requires_grad`` are kept. Weights that are drawn at random (a new classifier, a "fresh" stem) require
    gradients. A pooling that is replaced by an Identity loses its hooks. New weights are new parameters, so create the
    optimizer afterwards.

    A pooling that loses its whole stride becomes an Identity. If it is parallel to a convolution and its kernel is odd,
    it keeps its kernel with stride 1 instead. A convolution keeps its kernel, with two exceptions:

    - the first convolution gets a 3x3 kernel when it loses its whole stride;
    - unpadded patches (kernel size equal to the stride) get a kernel of the size of the new stride, by PI-resize
      (``functional.resize_filter`` with "pinv").

    Args:
        model: a network that takes (B, C, H, W), such as the classifiers of torchvision, timm and transformers.
        input_size: (height, width) of the images in pixels, or one int for a square.
        output_stride: pixels of the image between positions of the last map. "auto" is 8 if the shorter side has at
            most 40 px, 16 up to 95 px, and 32 from 96 px on; an output stride that is smaller already is not changed.
            With "auto", the last map is 4x4 at 32, 64 and 128 px, and at least 3x3 from 17 px on. If layers without
            padding leave fewer positions, as in AlexNet and Inception v3, further strides are removed. Strides are
            removed from the first layers on, but that of the pooling behind the first convolution is removed before
            that of the convolution.
        in_channels: channels of the images. Default: unchanged.
        num_classes: size of a new classifier with fresh weights. Default: unchanged. The classifier is the last layer,
            a Linear or a 1x1 Conv2d; auxiliary classifiers get the same size.
        stem: one of

            - "auto": any stride may be removed to reach ``output_stride``;
            - "cifar": the first convolution becomes 3x3 with stride 1, and the pooling behind it is removed, at any
              size; strides of the layers behind them are removed to reach ``output_stride``;
            - "no_pool": the pooling behind the first convolution is removed, and the other strides are kept unless
              ``output_stride`` is a number;
            - "keep": the stem is kept, and the other strides are kept unless ``output_stride`` is a number;
            - "fold": an upscaling of the image by 2 is merged into the first convolution, which gets half its stride
              (``functional.fold_upscale``: 7x7 of stride 2 becomes 5x5 of stride 1). Everything else is kept. A network
              trained on images upscaled to 64 px computes the same on the original 32 px images, except near the
              border. For patches (4x4 of stride 4) the result is exact at the border, too, and they get
              ``padding_mode="replicate"``. Their upscaling is by 4 instead of 2 if ``output_stride`` needs that, or if
              the model has recorded a size of four times the input size. For example, a ViT for 224 px computes at 56
              px what it computes on the same images upscaled to 224 px.

            A pooling with weights, such as timm's ``replace_stem_pool``, keeps its weights and gets the stride 1. In a
            stem of several convolutions, the first one is changed.
        stem_weights: the filter of a new 3x3 kernel: "area", "pinv" or "center" (the middle of the old filter), as in
            ``functional.resize_filter``, or "fresh" (Kaiming normal, fan_out). A trained ResNet-18 is most accurate
            with "area" and "pinv", before and after fine-tuning.
        channel_weights: the weights of new input channels: "sum" (the sum of the old ones divided by their new
            number), "cycle" (the old ones in turn, scaled by old / new number) or "zero" (additional channels start
            at zero).
        positions: how learned position embeddings are resized to the new grid of patches, the convention of
            ``functional.resize_positions``: "timm", "torchvision" or "dinov2". Windows of attention that do not divide
            the new maps become smaller, and their tables of relative positions are resized too.
        inplace: change the model itself instead of a copy.

    Returns:
        The adapted model, which is a copy unless ``inplace`` is set.

    Raises:
        UnsupportedModelError: the model cannot be traced, or a stride, the stem or the classifier cannot be changed as
            requested. The message has the reason and an alternative. The model is unchanged.
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
    planned = plan(
        model,
        input_size,
        output_stride=output_stride,
        in_channels=in_channels,
        num_classes=num_classes,
        stem=stem,
        stem_weights=stem_weights,
        channel_weights=channel_weights,
        positions=positions,
    )
    return planned.apply(model, inplace=inplace)
