"""A small network for fast training: whitened input, six convolutions, three pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import check_positive, parse_number
from .._errors import ArgumentError
from ..functional._fx import fx_leaf
from ._blocks import BlockOptions
from ._layers import MakeAct, MakeNorm, ScaledLinear, check_callable, conv
from ._resnet import ResNet, check_images
from ._stems import Stem

_SMALLEST = 9  # px: the 2x2 convolution and three pools leave one position of 9x9


@fx_leaf
def _at_least_smallest(x: Tensor) -> Tensor:
    """``x``, with its border repeated if a side is shorter than ``_SMALLEST``."""
    height, width = x.shape[2:]
    if min(height, width) < _SMALLEST:
        return F.pad(x, (0, max(0, _SMALLEST - width), 0, max(0, _SMALLEST - height)), mode="replicate")
    return x


class WhiteningStem(Stem):
    """2x2 convolution that decorrelates the pixels of a patch, without padding, then an activation.

    (B, in_channels, H, W) -> (B, 8 in_channels, H - 1, W - 1). ``initialize_from`` computes the weights from images;
    the weights are not trained, and the bias is. A side below 9 px is extended to 9 px by replicating the border.

    Args:
        in_channels: channels of the image.
        act: a class or function that makes an activation.
    """

    def __init__(self, in_channels: int, *, act: MakeAct = nn.GELU) -> None:
        check_positive("in_channels", in_channels)
        check_callable("act", act)
        super().__init__(in_channels, 8 * in_channels, activate=False)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, 8 in_channels, H - 1, W - 1)."""
        out: Tensor = self.act(self.conv(_at_least_smallest(x)))
        return out

    def _add_convolution(self, in_channels: int, out_channels: int) -> None:
        self.conv = nn.Conv2d(in_channels, out_channels, 2)
        self.conv.weight.requires_grad_(False)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def initialize_from(self, images: Tensor, *, eps: float = 5e-4) -> None:
        """Set the weights to the whitening transform of the 2x2 patches of ``images``, and to its negative.

        The filters are the eigenvectors of the patches' covariance, largest eigenvalue first, each divided by the
        square root of its eigenvalue. On the images given, their responses are uncorrelated and have unit variance.

        Args:
            images: (B, in_channels, H, W), normalized as in training; a few thousand are enough.
            eps: added to each eigenvalue, so that directions without variance are not amplified.

        Raises:
            ShapeError: not (B, in_channels, H, W).
            DtypeError: not a tensor, or not floating point.
            ArgumentError: images without 2x2 patches, with values that are not finite, or an ``eps``
                that is not positive.
        """
        eps = parse_number("eps", eps, above=0)
        check_images("initialize_from", images, self.conv.in_channels)
        if min(images.shape[2:]) < 2 or not len(images) or not images.isfinite().all():
            raise ArgumentError(f"images: expected finite images of at least 2x2 pixels, got {tuple(images.shape)}")
        patches = images.unfold(2, 2, 1).unfold(3, 2, 1)
        rows = rearrange(patches, "b c h w y x -> (b h w) (c y x)").double()
        rows = rows - rows.mean(0)
        values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
        filters = (vectors / (values.clamp(min=0) + eps).sqrt()).T.flip(0)
        weight = filters.view(-1, *self.conv.weight.shape[1:])
        self.conv.weight.copy_(torch.cat([weight, -weight]))


class _ConvGroup(nn.Sequential):
    """3x3 convolution, max pool, norm, activation, 3x3 convolution, norm, activation.

    (B, in_channels, H, W) -> (B, out_channels, floor(H / stride), floor(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        o = BlockOptions(**options)
        self.conv1 = _dirac(conv(in_channels, out_channels, 3))
        self.pool = nn.MaxPool2d(o.stride)
        self.norm1 = o.norm(out_channels)
        self.act1 = o.act()
        self.conv2 = _dirac(conv(out_channels, out_channels, 3))
        self.norm2 = o.norm(out_channels)
        self.act2 = o.act()


def _make_stem(in_channels: int, out_channels: int, *, activate: bool, norm: MakeNorm, act: MakeAct) -> WhiteningStem:
    return WhiteningStem(in_channels, act=act)


def _dirac(layer: nn.Conv2d) -> nn.Conv2d:
    """Let the first output channels start as the identity of the input channels."""
    nn.init.dirac_(layer.weight.data[: layer.in_channels])
    return layer


def _norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with a bias and a fixed scale of 1; its statistics follow the last few batches."""
    norm = nn.BatchNorm2d(channels, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


class AirNet(ResNet):
    """Eight layers that train fast: whitened patches, three groups of two convolutions, max pooling, a linear layer.

    Follows the ideas of cifar10-airbench (Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv
    2404.00498, section 3): a frozen whitening convolution, convolutions that start as partial identities, BatchNorm
    without a learned scale, scaled logits. Call ``initialize_from`` on training images before training. (B,
    in_channels, H, W) -> (B, num_classes), any H and W; the methods are those of ``ResNet``.

    Args:
        widths: output channels of the three groups.
        in_channels: channels of the image.
        num_classes: outputs of the classifier; 0 leaves it out, and the pooled features are returned.
        act: a class or function that makes an activation.

    Example:
        >>> import torch
        >>> images = torch.randn(100, 3, 32, 32)
        >>> model = AirNet()
        >>> model.initialize_from(images)
        >>> model(images[:2]).shape
        torch.Size([2, 10])
    """

    stem: WhiteningStem

    def __init__(
        self,
        *,
        widths: Sequence[int] = (64, 256, 256),
        in_channels: int = 3,
        num_classes: int = 10,
        act: MakeAct = nn.GELU,
    ) -> None:
        check_positive("in_channels", in_channels)
        super().__init__(
            _ConvGroup,
            (1, 1, 1),
            widths,
            stem=_make_stem,
            stem_width=8 * in_channels,
            strides=(2, 2, 2),
            in_channels=in_channels,
            num_classes=num_classes,
            norm=_norm,
            act=act,
        )

    def initialize_from(self, images: Tensor, *, eps: float = 5e-4) -> None:
        """Compute the weights of the first convolution from ``images``; see ``WhiteningStem.initialize_from``."""
        self.stem.initialize_from(images, eps=eps)

    def _largest_single_position(self) -> int:
        return 2 * self.output_stride

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> the last map, (B, num_features, (H - 1) // 8, (W - 1) // 8), at least one position.

        Raises:
            ShapeError: not four dimensions, no pixel, the wrong number of channels, or in train mode a single image
                that is too small for BatchNorm.
            DtypeError: not a tensor, or not floating point.
        """
        return super().forward_features(x)

    def forward_head(self, features: Tensor) -> Tensor:
        """The last map, (B, num_features, H', W') -> (B, num_classes), or (B, num_features) without a classifier."""
        logits: Tensor = self.fc(features.amax((2, 3)))
        return logits

    def _make_classifier(self, num_classes: int) -> nn.Module:
        return ScaledLinear(self.num_features, num_classes, scale=1 / self.num_features)
