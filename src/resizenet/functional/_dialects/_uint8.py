"""How the libraries resize uint8 images: the same sums on every device, because no sum is rounded before its end.

Weights are multiples of a power of two, and are kept as whole numbers. Sums of bytes times such weights are exact in
int32, or in float64 as long as they have at most 53 bits: 8 of the pixel, those of the weights of one axis or of both,
and a few for the number of taps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor

from ._sums import Axis, by_chunks, contiguous
from ._taps import Taps


def _whole(taps: Taps, bits: int, rounding: Callable[[Tensor], Tensor] = torch.round) -> Taps:
    return Taps(taps.pixels, rounding(taps.weights * 2**bits))


def _round_half_away(x: Tensor) -> Tensor:
    return torch.where(x < 0, (x - 0.5).trunc(), (x + 0.5).trunc())


def _to_levels(sums: Tensor, bits: int) -> Tensor:
    """Divide by 2**bits, round half up and clamp to 0..255; int32."""
    if sums.dtype == torch.int32:
        return sums.add_(2 ** (bits - 1)).bitwise_right_shift_(bits).clamp_(0, 255)
    return sums.mul_(2.0**-bits).add_(0.5).clamp_(0, 255).to(torch.int32)


def _size(axes: tuple[Taps, Taps]) -> tuple[int, int]:
    return axes[0].pixels.shape[0], axes[1].pixels.shape[0]


def _two_passes(x: Tensor, axes: tuple[Taps, Taps], bits: int, dtype: torch.dtype, *, rows_first: bool) -> Tensor:
    """Both axes, with 8 bits between them."""
    rows, columns = Axis(axes[0], -2, dtype), Axis(axes[1], -1, dtype)
    order = (rows, columns) if rows_first else (columns, rows)

    def resize(planes: Tensor) -> Tensor:
        for axis in order:
            planes = _to_levels(axis.sums(planes), bits)
        return planes

    return by_chunks(x, _size(axes), resize)


def _one_rounding(x: Tensor, axes: tuple[Taps, Taps], bits: int) -> Tensor:
    """Both axes, with weights of ``bits`` bits each, rounded half up and clamped at the end."""
    rows, columns = (Axis(_whole(taps, bits), dim, torch.float64) for taps, dim in zip(axes, (-2, -1), strict=True))
    return by_chunks(x, _size(axes), lambda planes: _to_levels(rows.sums(columns.sums(planes)), 2 * bits))


def _pillow(x: Tensor, axes: tuple[Taps, Taps], *, rows_first: bool) -> Tensor:
    """Weights of 32 - 8 - 2 bits, so that int32 holds the sums of all of Pillow's kernels."""
    rows, columns = (_whole(taps, 22, _round_half_away) for taps in axes)
    return _two_passes(x, (rows, columns), 22, torch.int32, rows_first=rows_first)


def pillow_12(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """Pillow up to version 12: the horizontal pass, then the vertical one."""
    return _pillow(x, axes, rows_first=False)


def pillow(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """Pillow 13: the vertical pass is the first if it removes more than twice as many rows as the other does columns.

    Source: github.com/python-pillow/Pillow/pull/9549.
    """
    removed = [before - after for before, after in zip(x.shape[-2:], _size(axes), strict=True)]
    return _pillow(x, axes, rows_first=removed[0] > 2 * max(removed[1], 0))


def matlab(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """MATLAB: the axis that is scaled by the smaller factor first, the rows first in a tie."""
    factors = [after / before for before, after in zip(x.shape[-2:], _size(axes), strict=True)]
    rows, columns = (_whole(taps, 30) for taps in axes)
    return _two_passes(x, (rows, columns), 30, torch.float64, rows_first=factors[0] <= factors[1])


def opencv_linear(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """OpenCV, linear: weights of 11 bits; the vertical pass drops bits of each product before it adds them."""
    rows, columns = (_whole(taps, 11) for taps in axes)
    horizontal = Axis(columns, -1, torch.int32)
    pixels, weights = rows.pixels.to(x.device), rows.weights.to(x.device, torch.int32)

    def resize(planes: Tensor) -> Tensor:
        wide = contiguous(horizontal.sums(planes).to(torch.int32) >> 4)
        above, below = (
            wide.index_select(1, pixels[:, tap]).mul_(weights[:, tap, None]).bitwise_right_shift_(16) for tap in (0, 1)
        )
        return above.add_(below).add_(2).bitwise_right_shift_(2)

    return by_chunks(x, _size(axes), resize)


def opencv_fixed(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """OpenCV, cubic and Lanczos: weights of 11 bits, rounded once at the end."""
    return _one_rounding(x, axes, 11)


def opencv_area(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """OpenCV, area: float32 sums in the order of the pixels, or exact sums where both factors are whole."""
    rows, columns = axes
    height, width = x.shape[-2:]
    after = _size(axes)
    if height % after[0] == 0 and width % after[1] == 0:
        return _mean_of_blocks(x, height // after[0], width // after[1])
    wide = _sum_in_order(x.to(torch.float32), columns, -1)
    return _sum_in_order(wide, rows, -2).round_().clamp_(0, 255).to(torch.uint8)


def _mean_of_blocks(x: Tensor, height: int, width: int) -> Tensor:
    sums = rearrange(x, "b c (h p) (w q) -> b c h w p q", p=height, q=width).sum((-2, -1), dtype=torch.int32)
    if height == width == 2:
        return ((sums + 2) >> 2).to(torch.uint8)
    share = torch.tensor(1 / (height * width), dtype=torch.float32, device=x.device)
    return (sums * share).round_().to(torch.uint8)


def _sum_in_order(x: Tensor, taps: Taps, axis: int) -> Tensor:
    pixels, weights = taps.pixels.to(x.device), taps.weights.to(x.device, x.dtype)
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    for tap in range(pixels.shape[1]):
        weight = weights[:, tap] if axis == -1 else weights[:, tap, None]
        total = total + x.index_select(axis, pixels[:, tap]) * weight
    return total


def round_once(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """For libraries whose results are floating: rounded half up and clamped once at the end; weights of 20 bits."""
    return _one_rounding(x, axes, 20)
