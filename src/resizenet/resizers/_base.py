"""The base classes of the resizers: size, interpolation, input checks, ``wrap`` and ``fuse``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .._checks import check_choice, check_positive
from .._errors import ArgumentError, DtypeError, ShapeError
from .._modules import copy_model
from .._sizes import Size, parse_size
from ..functional import INTERPOLATIONS, resize
from ..functional._fx import fx_leaf, is_proxy
from ..functional._inputs import FLOATS, check_dense
from ..functional._interpolation import Interpolation
from ..functional._memory_format import is_channels_last
from ._wrap import ResizedModel


class BaseResizer(nn.Module):
    """(B, C, H, W) -> (B, C, *size), with any H and W in each call. Subclasses implement ``_forward``."""

    lr_divisor = (
        1  # ``parameter_groups`` divides the model's learning rate by this; measured in docs/measured/resizing.md
    )

    def __init__(self, size: Size, *, interpolation: Interpolation, antialias: bool) -> None:
        super().__init__()
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        self.size = parse_size(size)  # torch would register a module as a child, without calling the setter
        self.interpolation = interpolation
        self.antialias = antialias

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result in pixels; it can be set, to one int too."""
        return self._size

    @size.setter
    def size(self, size: Size) -> None:
        self._size = parse_size(size)

    def forward(self, x: Tensor, size: Size | None = None) -> Tensor:
        """Resize ``x`` to ``size``, for this call only, or to the resizer's own size.

        Args:
            x: (B, C, H, W), any H and W.
            size: (height, width) in pixels, or one int for a square.

        Returns:
            (B, C', height, width), with the dtype and device of ``x``, or under autocast with autocast's dtype; in
            channels_last if ``x`` or the resizer's weights are, otherwise contiguous.

        Raises:
            SizeError: a size that is not positive or not whole.
            ShapeError: not four dimensions, no pixel, or the wrong number of channels.
            DtypeError: a dtype that the resizer does not support.
        """
        if not is_proxy(x):
            self._check_input(x)
        if is_proxy(size):
            _check_no_size(size)
            size = None
        return self._forward(x, self.size if size is None else parse_size(size))

    def _check_input(self, x: Tensor) -> None:
        """Check what ``functional.resize`` does not check."""

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must implement _forward")

    def _plain(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """The fixed resize that every resizer starts from."""
        return resize(x, size, interpolation=self.interpolation, antialias=self.antialias)

    def wrap(self, model: nn.Module) -> ResizedModel:
        """Return one module that applies this resizer and then ``model``; neither is copied."""
        return ResizedModel(self, model)

    def fuse(self) -> BaseResizer:
        """Return a copy for inference, in eval mode and without gradients, with fewer operations if possible."""
        return copy_model(self, operation="fuse").eval().requires_grad_(False)

    def extra_repr(self) -> str:
        return f"size={self.size}, interpolation={self.interpolation!r}, antialias={self.antialias}"


@fx_leaf
def _check_no_size(size: Size | None) -> None:
    """Raise ArgumentError if a graph of torch.fx, which has the resizer's own size, is called with another."""
    if size is not None:
        raise ArgumentError(f"size: expected None, because a graph of torch.fx has a fixed size, got {size!r}")


@fx_leaf
def _in_format(out: Tensor, x: Tensor, *, channels_last: bool) -> Tensor:
    wanted = channels_last or is_channels_last(x)
    return out.contiguous(memory_format=torch.channels_last if wanted else torch.contiguous_format)


class LearnedResizer(BaseResizer):
    """A resizer with weights: it takes floating point images of ``in_channels`` channels and returns ``out_channels``.

    If these two numbers differ, the fixed resize is followed by a learned 1x1 convolution, which starts with output
    channel i as a copy of input channel ``i % in_channels``.
    """

    def __init__(
        self, size: Size, *, in_channels: int, out_channels: int | None, interpolation: Interpolation, antialias: bool
    ) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias)
        out_channels = in_channels if out_channels is None else out_channels
        check_positive("in_channels", in_channels)
        check_positive("out_channels", out_channels)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.skip: nn.Module = (
            nn.Identity() if in_channels == out_channels else _channel_copy(in_channels, out_channels)
        )

    def _check_input(self, x: Tensor) -> None:
        check_floating(self, x)
        if x.ndim != 4 or x.shape[1] != self.in_channels or x.shape[2] == 0 or x.shape[3] == 0:
            expected = f"(B, {self.in_channels}, H, W) with at least one pixel"
            raise ShapeError(f"{type(self).__name__}: expected {expected}, got {tuple(x.shape)}")

    def _in_format_for(self, out: Tensor, x: Tensor) -> Tensor:
        """``out`` in channels_last if ``x`` or the resizer's weights are, otherwise contiguous."""
        return _in_format(out, x, channels_last=self._has_channels_last_weights())

    def _has_channels_last_weights(self) -> bool:
        return any(map(is_channels_last, self.parameters()))

    def _skip_matrix(self, like: Tensor) -> Tensor:
        """(out_channels, in_channels): how the skip mixes the channels, with the dtype and device of ``like``."""
        if isinstance(self.skip, nn.Conv2d):
            return self.skip.weight.detach()[:, :, 0, 0]
        return torch.eye(self.in_channels, dtype=like.dtype, device=like.device)

    def _plain(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        skip: Tensor = self.skip(super()._plain(x, size))
        return skip


def check_floating(module: nn.Module, x: Tensor) -> None:
    """Raise DtypeError unless ``x`` is a dense tensor in a floating point dtype that ``resize`` supports."""
    name = type(module).__name__
    if isinstance(x, Tensor) and x.dtype not in FLOATS:
        hint = "scale it first, for example x.float() / 255"
        raise DtypeError(f"{name}: expected a floating point image, got {x.dtype}; {hint}")
    check_dense(name, x, "(B, C, H, W)")


def _channel_copy(in_channels: int, out_channels: int) -> nn.Conv2d:
    convolution = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    nn.init.zeros_(convolution.weight)
    for channel in range(out_channels):
        nn.init.ones_(convolution.weight[channel, channel % in_channels])
    return convolution
