"""Residual blocks: a branch of convolutions and a shortcut, added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation, StochasticDepth

from .._checks import MAX_COUNT, check_choice, check_non_negative, check_positive, parse_number
from .._sizes import round_half_up
from ._layers import MakeAct, MakeNorm, check_callable, conv
from ._shortcuts import Downsample, Shortcut, make_shortcut


@dataclass(frozen=True, kw_only=True)
class BlockOptions:
    """The keyword arguments that every block takes.

    Attributes:
        stride: stride of the block, applied by the first 3x3 convolution and by the shortcut.
        dilation: dilation of the 3x3 convolutions.
        first_dilation: dilation of the 3x3 convolution that has the stride; ``dilation`` unless given. Where dilation
            replaces a stage's stride, that convolution still has the dilation of the stage before.
        shortcut: used where the branch changes the map's size or channels: "projection" (option B of He et al. 2015,
            section 3.3: a 1x1 convolution), "pad" (option A: subsampled, zero channels before and after its own) or
            "pad_after" (option A, all zero channels after).
        downsample: how the shortcut reduces the map: "stride" (every stride-th pixel, as published), "average" (an
            average pool, then stride 1: ResNet-D of He et al. 2018, "Bag of Tricks", section 4.2) or "blur" (Zhang
            2019, "Making Convolutional Networks Shift-Invariant Again": [1, 2, 1] / 4 before subsampling).
        se_reduction: reduction ratio of squeeze-excitation on the branch (Hu et al. 2018, section 3); 0 leaves it out.
            Published: 16.
        stochastic_depth: probability, per sample, that the branch is dropped in training (Huang et al. 2016, section
            3).
        zero_init: start as the shortcut alone, with zeros in the branch's last norm, or in its last convolution where
            no norm follows (Goyal et al. 2017, section 5.1).
        norm: a class or function that makes a norm from a number of channels.
        act: a class or function that makes an activation.

    Raises:
        ArgumentError: a number outside its range, or a norm or activation that cannot be called.
        UnknownNameError: an unknown shortcut or downsample.
    """

    stride: int = 1
    dilation: int = 1
    first_dilation: int | None = None
    shortcut: Shortcut = "projection"
    downsample: Downsample = "stride"
    se_reduction: int = 0
    stochastic_depth: float = 0.0
    zero_init: bool = False
    norm: MakeNorm = nn.BatchNorm2d
    act: MakeAct = nn.ReLU

    def __post_init__(self) -> None:
        check_positive("stride", self.stride)
        check_positive("dilation", self.dilation)
        if self.first_dilation is not None:
            check_positive("first_dilation", self.first_dilation)
        check_non_negative("se_reduction", self.se_reduction)
        check_choice("shortcut", self.shortcut, get_args(Shortcut))
        check_choice("downsample", self.downsample, get_args(Downsample))
        parse_number("stochastic_depth", self.stochastic_depth, at_least=0, below=1)
        check_callable("norm", self.norm)
        check_callable("act", self.act)

    @property
    def changes_resolution(self) -> bool:
        """Whether the block has a stride, or dilation in its place; the shortcut has the same weights in both cases."""
        return self.stride > 1 or self.first_dilation not in (None, self.dilation)

    def make_strided_conv(self, in_channels: int, out_channels: int, *, groups: int = 1) -> nn.Conv2d:
        """The 3x3 convolution that has the block's stride."""
        dilation = self.first_dilation or self.dilation
        return conv(in_channels, out_channels, 3, stride=self.stride, dilation=dilation, groups=groups)


class ResidualBlock(nn.Module):
    """The base class of all blocks; subclasses implement ``branch``.

    (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).

    Attributes:
        preactivated: whether norm and activation come before the convolutions. A network of such blocks begins with a
            convolution without norm and ends with norm and activation (He et al. 2016, "Identity Mappings", appendix).
    """

    preactivated: ClassVar[bool] = False

    def __init__(self, in_channels: int, out_channels: int, options: BlockOptions) -> None:
        super().__init__()
        check_positive("in_channels", in_channels)
        check_positive("out_channels", out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if options.changes_resolution or in_channels != out_channels:
            self.shortcut = make_shortcut(
                options.shortcut,
                in_channels,
                out_channels,
                stride=options.stride,
                downsample=options.downsample,
                norm=None if self.preactivated else options.norm,
            )
        self.se: nn.Module = nn.Identity()
        if options.se_reduction:
            self.se = SqueezeExcitation(out_channels, max(1, out_channels // options.se_reduction))
        self.drop = StochasticDepth(options.stochastic_depth, "row") if options.stochastic_depth else nn.Identity()
        self.act = nn.Identity() if self.preactivated else options.act()

    def branch(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        raise NotImplementedError(f"{type(self).__name__} must implement branch")

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        out: Tensor = self.act(self.drop(self.se(self.branch(x))) + self.shortcut(x))
        return out


def _zero_last(*layers: nn.Module) -> None:
    """Set the weight of the last of the layers that has one to zero."""
    weights = [layer.weight for layer in layers if isinstance(getattr(layer, "weight", None), nn.Parameter)]
    nn.init.zeros_(weights[-1])  # type: ignore[arg-type]


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions, activation after the sum (He et al. 2015, figure 2).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        **options: see ``BlockOptions``.
    """

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        o = BlockOptions(**options)
        super().__init__(in_channels, out_channels, o)
        self.conv1 = o.make_strided_conv(in_channels, out_channels)
        self.norm1 = o.norm(out_channels)
        self.act1 = o.act()
        self.conv2 = conv(out_channels, out_channels, 3, dilation=o.dilation)
        self.norm2 = o.norm(out_channels)
        if o.zero_init:
            _zero_last(self.conv2, self.norm2)

    def branch(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        out: Tensor = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        return out


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions, activation after the sum (He et al. 2015, figure 5).

    The 3x3 convolution has the stride.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bottleneck_ratio: channels of the 3x3 convolution as a share of ``out_channels``, rounded half up: 1/4 as
            published, 1/2 or 1 where small maps need more. For ResNeXt: cardinality times width over ``out_channels``.
        groups: groups of the 3x3 convolution, ResNeXt's cardinality (Xie et al. 2017, figure 3c).
        **options: see ``BlockOptions``.

    Raises:
        ArgumentError: a middle width that the groups do not divide, or a ratio that is not positive.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, bottleneck_ratio: float = 0.25, groups: int = 1, **options: Any
    ) -> None:
        o = BlockOptions(**options)
        super().__init__(in_channels, out_channels, o)
        middle = _middle_channels(out_channels, bottleneck_ratio)
        self.conv1 = conv(in_channels, middle, 1)
        self.norm1 = o.norm(middle)
        self.act1 = o.act()
        self.conv2 = o.make_strided_conv(middle, middle, groups=groups)
        self.norm2 = o.norm(middle)
        self.act2 = o.act()
        self.conv3 = conv(middle, out_channels, 1)
        self.norm3 = o.norm(out_channels)
        if o.zero_init:
            _zero_last(self.conv3, self.norm3)

    def branch(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        y = self.act1(self.norm1(self.conv1(x)))
        out: Tensor = self.norm3(self.conv3(self.act2(self.norm2(self.conv2(y)))))
        return out


def _middle_channels(out_channels: int, bottleneck_ratio: float) -> int:
    most = MAX_COUNT / out_channels
    return round_half_up(out_channels * parse_number("bottleneck_ratio", bottleneck_ratio, above=0, at_most=most))


class PreActivated(ResidualBlock):
    """A block that begins with norm and activation and ends with the sum (He et al. 2016, figure 1b).

    An identity shortcut passes the input unchanged. Any other shortcut takes the activated input, as the branch does.
    """

    preactivated = True

    def __init__(self, in_channels: int, out_channels: int, options: BlockOptions) -> None:
        super().__init__(in_channels, out_channels, options)
        self.norm1 = options.norm(in_channels)
        self.act1 = options.act()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H', W')."""
        y = self.act1(self.norm1(x))
        skip: Tensor = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(y)
        out: Tensor = self.drop(self.se(self.branch(y))) + skip
        return out


class PreActBlock(PreActivated):
    """Two 3x3 convolutions, each after norm and activation (He et al. 2016, figure 1b).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        **options: see ``BlockOptions``.
    """

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        o = BlockOptions(**options)
        super().__init__(in_channels, out_channels, o)
        self.conv1 = o.make_strided_conv(in_channels, out_channels)
        self.norm2 = o.norm(out_channels)
        self.act2 = o.act()
        self.conv2 = conv(out_channels, out_channels, 3, dilation=o.dilation)
        if o.zero_init:
            _zero_last(self.conv2)

    def branch(self, x: Tensor) -> Tensor:
        """The activated input, (B, in_channels, H, W) -> (B, out_channels, H', W')."""
        out: Tensor = self.conv2(self.act2(self.norm2(self.conv1(x))))
        return out


class WideBlock(PreActBlock):
    """``PreActBlock`` with dropout between its convolutions (Zagoruyko & Komodakis 2016, figure 1d).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        dropout: probability that a value is dropped in training. Published: 0.3 on CIFAR.
        **options: see ``BlockOptions``.

    Raises:
        ArgumentError: a probability outside [0, 1).
    """

    def __init__(self, in_channels: int, out_channels: int, *, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(in_channels, out_channels, **options)
        self.dropout = nn.Dropout(parse_number("dropout", dropout, at_least=0, below=1))

    def branch(self, x: Tensor) -> Tensor:
        """The activated input, (B, in_channels, H, W) -> (B, out_channels, H', W')."""
        out: Tensor = self.conv2(self.dropout(self.act2(self.norm2(self.conv1(x)))))
        return out


class PreActBottleneck(PreActivated):
    """1x1, 3x3 and 1x1 convolutions, each after norm and activation (He et al. 2016).

    The 3x3 convolution has the stride.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bottleneck_ratio: as in ``Bottleneck``.
        groups: groups of the 3x3 convolution.
        **options: see ``BlockOptions``.

    Raises:
        ArgumentError: as in ``Bottleneck``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, bottleneck_ratio: float = 0.25, groups: int = 1, **options: Any
    ) -> None:
        o = BlockOptions(**options)
        super().__init__(in_channels, out_channels, o)
        middle = _middle_channels(out_channels, bottleneck_ratio)
        self.conv1 = conv(in_channels, middle, 1)
        self.norm2 = o.norm(middle)
        self.act2 = o.act()
        self.conv2 = o.make_strided_conv(middle, middle, groups=groups)
        self.norm3 = o.norm(middle)
        self.act3 = o.act()
        self.conv3 = conv(middle, out_channels, 1)
        if o.zero_init:
            _zero_last(self.conv3)

    def branch(self, x: Tensor) -> Tensor:
        """The activated input, (B, in_channels, H, W) -> (B, out_channels, H', W')."""
        y = self.conv2(self.act2(self.norm2(self.conv1(x))))
        out: Tensor = self.conv3(self.act3(self.norm3(y)))
        return out
