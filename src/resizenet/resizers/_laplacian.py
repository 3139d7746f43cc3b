"""The Laplacian resizer: the fixed resize plus detail layers, each scaled and bounded by tanh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._checks import MAX_REPEATS, check_choice, check_positive, parse_number
from .._errors import ArgumentError
from .._sizes import Size
from ..functional._fx import fx_leaf
from ..functional._interpolation import Interpolation
from ._base import BaseResizer, check_floating

if TYPE_CHECKING:
    from typing_extensions import Self

PaddingMode = Literal["reflect", "replicate", "zeros"]
# Weights and biases, by the backbone that they were trained with.
_PUBLISHED = {"resnet50": ((1.892, -11.295), (-0.014, 0.003))}


class LaplacianResizer(BaseResizer):
    """The fixed resize plus detail layers, each scaled and bounded by tanh: MULLER (Tu, Milanfar & Talebi, ICCV 2023).

    "Multilayer Laplacian Resizer for Vision", arXiv 2304.02859, section 3::

        net = resize(x)
        for each layer k:
            blur = gaussian(x)
            net  = net + tanh(weight[k] * resize(blur - x) + bias[k])
            x    = blur

    Weights and biases start at zero, so it starts as the fixed resize. US patent application 2024/0331091 covers the
    method.

    Convention: the resizes are those of ``functional.resize``. The published network pads with zeros, which brightens
    the border; "reflect" keeps a constant image constant.

    Args:
        size: (height, width) in pixels, or one int for a square; each call may ask for another.
        num_layers: L of the paper, the number of detail layers.
        kernel_size: width of the Gaussian, odd, in pixels.
        sigma: standard deviation of the Gaussian, positive, in pixels.
        padding_mode: padding for the Gaussian: "reflect", "replicate" or "zeros" (as published).
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking.

    Raises:
        SizeError, ArgumentError, UnknownNameError: an argument outside its range.

    Example:
        >>> resizer = LaplacianResizer(224)
        >>> resizer(torch.rand(1, 3, 300, 400)).shape
        torch.Size([1, 3, 224, 224])
        >>> sum(p.numel() for p in resizer.parameters())
        4
    """

    def __init__(
        self,
        size: Size,
        *,
        num_layers: int = 2,
        kernel_size: int = 5,
        sigma: float = 1.0,
        padding_mode: PaddingMode = "reflect",
        interpolation: Interpolation = "bilinear",
        antialias: bool = True,
    ) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias)
        check_positive("num_layers", num_layers, at_most=MAX_REPEATS)
        check_positive("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ArgumentError(f"kernel_size: expected an odd number, got {kernel_size}")
        sigma = parse_number("sigma", sigma, above=0)
        check_choice("padding_mode", padding_mode, get_args(PaddingMode))
        self.padding_mode: PaddingMode = padding_mode
        self.num_layers = num_layers
        distance = torch.arange(kernel_size, dtype=torch.float64) - kernel_size // 2
        self.kernel: list[float] = torch.softmax(-((distance / sigma) ** 2) / 2, 0).tolist()  # a normalized Gaussian
        self.weight = nn.Parameter(torch.zeros(num_layers))
        self.bias = nn.Parameter(torch.zeros(num_layers))

    @classmethod
    def paper(cls, size: Size = 224, *, weights: str = "resnet50", **kwargs: Any) -> Self:
        """Return the published resizer with the published weights: zero padding, no antialias, for images in [0, 1].

        Args:
            size: as for the class.
            weights: the backbone that the weights were trained with: "resnet50".
            **kwargs: as for the class.

        Raises:
            UnknownNameError: there are no published weights of that name.
            ArgumentError: ``num_layers`` is not that of the published weights.

        Example:
            >>> LaplacianResizer.paper().weight.tolist()
            [1.891..., -11.295...]
        """
        check_choice("weights", weights, _PUBLISHED)
        resizer = cls(size, **{"padding_mode": "zeros", "antialias": False, **kwargs})
        if len(resizer.weight) != 2:
            raise ArgumentError(f"num_layers: expected 2, as the published weights have, got {len(resizer.weight)}")
        with torch.no_grad():
            for parameter, values in zip((resizer.weight, resizer.bias), _PUBLISHED[weights], strict=True):
                parameter.copy_(torch.tensor(values))
        return resizer

    def _check_input(self, x: Tensor) -> None:
        check_floating(self, x)

    def _forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        out = self._plain(x, size)
        for layer in range(self.num_layers):
            weight, bias = self.weight[layer], self.bias[layer]
            blurred = self._blur(x)
            detail = self._plain(blurred - x, size)
            out = out + torch.tanh(weight.to(out.dtype) * detail + bias.to(out.dtype))
            x = blurred
        return out

    def _blur(self, x: Tensor) -> Tensor:
        """The separable Gaussian as a sum of shifted images, which autocast leaves in the dtype of ``x``."""
        for dim in (2, 3):
            padded = _pad(x, dim, len(self.kernel) // 2, self.padding_mode)
            x = sum(
                (k * padded.narrow(dim, shift, x.shape[dim]) for shift, k in enumerate(self.kernel)),
                start=torch.zeros_like(x),
            )
        return x

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{super().extra_repr()}, kernel_size={len(self.kernel)}, padding_mode={self.padding_mode!r}"


@fx_leaf
def _pad(x: Tensor, dim: int, margin: int, mode: PaddingMode) -> Tensor:
    """Pad both ends of one axis; unlike in ``F.pad``, a reflected margin may exceed the image."""
    margins = (0, 0, margin, margin) if dim == 2 else (margin, margin, 0, 0)
    last = x.shape[dim] - 1
    if mode == "zeros":
        return F.pad(x, margins)
    if not torch.compiler.is_compiling() and (mode == "replicate" or margin <= last):  # would guard an exported graph
        return F.pad(x, margins, mode)
    index = torch.arange(-margin, last + 1 + margin, device=x.device)
    if mode == "reflect":
        index = last - (last - index.abs()).abs()
    return x.index_select(dim, index.clamp(0, last))
