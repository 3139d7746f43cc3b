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
    stem_weights: StemWeights = "center",
    channel_weights: ChannelWeights = "sum",
    positions: Convention = "timm",
    inplace: bool = False,
) -> nn.Module:
    """Return the model with strides that fit the input size; all other weights are kept.

    A model made for 224 px shrinks its map to one position at 32 px. ``adapt`` takes out strides from the front, so the
    last map has 4x4 positions again. It finds the strides in a trace of the model (see ``report``), so any network
    whose strides belong to convolution and pooling modules can be adapted. ``surgery.plan`` takes the same arguments
    and says what would change.

    The first convolution and the classifier are edited, not replaced, so their hooks, padding, bias, dtype, device,
    mode and ``requires_grad`` are kept. Weights that are drawn at random (a new classifier, a "fresh" stem) require
    gradients. A pool that is removed loses its hooks. New weights are new parameters: create the optimizer afterwards.

    Where a stride is taken out, a pooling alone becomes an Identity, and one parallel to a convolution keeps its
    kernel. A convolution keeps its kernel, except:

    - the first convolution gets a 3x3 kernel when it loses its whole stride;
    - unpadded patches (kernel size equal to the stride) get a kernel of the size of the new stride, by PI-resize
      (``functional.resize_filter`` with "pinv").

    Args:
        model: a network that takes (B, C, H, W), such as the classifiers of torchvision, timm and transformers.
        input_size: (height, width) of the images in pixels, or one int for a square.
        output_stride: pixels of the image between positions of the last map. "auto" is 8 if the shorter side has at
            most 40 px, 16 up to 95 px, and 32 from 96 px on; a smaller one is never changed. Then the last map is 4x4
            at 32, 64 and 128 px, and at least 3x3 from 17 px on. If layers without padding leave fewer positions, as
            in AlexNet and Inception v3, further strides are taken out. Strides go from the front, but a pool right
            behind the first convolution goes before the stride of this convolution.
        in_channels: channels of the images. Default: unchanged.
        num_classes: size of a new classifier with fresh weights. Default: unchanged. The classifier is the last layer,
            a Linear or a 1x1 Conv2d; auxiliary classifiers get the same size.
        stem: one of

            - "auto": ``output_stride`` decides about all layers;
            - "cifar": the first convolution becomes 3x3 with stride 1, and the pool behind it is removed, at any size;
              ``output_stride`` decides about the layers behind them;
            - "no_pool": the pool behind the first convolution is removed, and the other strides are kept unless
              ``output_stride`` is a number;
            - "keep": the stem is kept, and so are the other strides unless ``output_stride`` is a number;
            - "fold": the first convolution gets half its stride and a filter whose response to the image equals the
              response of the old filter to the image upscaled by 2 (``functional.fold_upscale``: 7x7 of stride 2
              becomes 5x5 of stride 1). Everything else is kept. A network trained at 64 px computes at 32 px what it
              would compute on the same images upscaled to 64 px, except near the border. Patches (4x4 of stride 4)
              are folded exactly, border included, by 2 or, if ``output_stride`` needs that, by 4; they then have
              ``padding_mode="replicate"``. They are folded by 4 too where the model has recorded a size of four times
              the input size: a ViT for 224 px computes at 56 px what it computes on the same images upscaled to 224 px.

            A pool with weights, such as timm's ``replace_stem_pool``, is not removed: it loses its stride and keeps
            its weights. In a stem of several convolutions the first one is changed.
        stem_weights: the filter of a new 3x3 kernel: "center" (the middle of the old filter), "area" or "pinv"
            (``functional.resize_filter``), or "fresh" (Kaiming normal, fan_out).
        channel_weights: the weights of new input channels: "sum" (the sum of the old ones divided by their new
            number), "cycle" (the old ones in turn, scaled by old / new number) or "zero" (additional channels start
            at zero).
        positions: how learned position embeddings are resized to the new grid of patches, the convention of
            ``functional.resize_positions``: "timm", "torchvision" or "dinov2". Windows of attention that do not divide
            the new maps become smaller, and their tables of relative positions are resized too.
        inplace: change the model itself instead of a copy.

    Returns:
        The adapted model: a copy, or ``model`` itself with ``inplace``.

    Raises:
        UnsupportedModelError: the model cannot be traced, or a stride, the stem or the classifier cannot be changed as
            requested. The message says what stands in the way and what to do instead, and the model is unchanged.
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
