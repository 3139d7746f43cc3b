"""What the layers of a resizer are, also those that were put in by hand."""

from __future__ import annotations

from typing import TypeGuard

from torch import Tensor, nn


def has_hooks(module: nn.Module) -> bool:
    """Whether calling ``module`` does more than its ``forward``."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def is_plain_convolution(layer: nn.Module, kernel_size: int | None = None) -> TypeGuard[nn.Conv2d]:
    """Whether ``layer`` is only a convolution of stride 1 that keeps the size of the image, with zeros around it.

    Args:
        layer: any module.
        kernel_size: side of the square kernel, odd; None accepts any.
    """
    if type(layer) is not nn.Conv2d or has_hooks(layer) or layer.padding_mode != "zeros":
        return False
    side = layer.kernel_size[0] if kernel_size is None else kernel_size
    numbers = (layer.kernel_size, layer.stride, layer.dilation, layer.groups)
    same = layer.padding in ("same", (side // 2, side // 2))
    return side % 2 == 1 and same and numbers == ((side, side), (1, 1), (1, 1), 1)


def is_plain_mixing(layer: nn.Module) -> bool:
    """Whether ``layer`` is only a 1x1 convolution without bias, or an Identity."""
    identity = type(layer) is nn.Identity and not has_hooks(layer)
    return identity or (is_plain_convolution(layer, 1) and layer.bias is None)


def is_sequence_of(layers: nn.Module, kernel_sizes: tuple[int | None, ...], channels: int, slope: float) -> bool:
    """Whether ``layers`` are plain convolutions of these sizes to ``channels``, where None is a LeakyReLU."""
    if type(layers) is not nn.Sequential or has_hooks(layers) or len(layers) != len(kernel_sizes):
        return False
    return all(
        type(layer) is nn.LeakyReLU and layer.negative_slope == slope and not has_hooks(layer)
        if kernel_size is None
        else is_plain_convolution(layer, kernel_size) and layer.out_channels == channels
        for layer, kernel_size in zip(layers, kernel_sizes, strict=True)
    )


def head_layers(head: nn.Module) -> tuple[nn.Conv2d, nn.Conv2d, float]:
    """The 7x7 and the 1x1 convolution of a head, and the negative slope of its LeakyReLUs."""
    wide, activation, mix, _ = head.children()
    return wide, mix, float(activation.negative_slope)  # type: ignore[return-value, arg-type]  # as Resizer builds it


def bias_of(convolution: nn.Conv2d) -> Tensor:
    """The bias, or zeros if there is none."""
    return convolution.weight.new_zeros(convolution.out_channels) if convolution.bias is None else convolution.bias
