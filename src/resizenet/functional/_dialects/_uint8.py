"""How the libraries resize uint8 images: the same sums on every device, because no sum is rounded before its end.

Weights are multiples of a power of two. Sums of bytes times such weights are exact in float64, in any order, as long as
they have at most 53 bits: 8 of the pixel, those of the weights of one axis or of both, and a few for the number of
taps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from ._taps import Taps

_CHUNK = 2**18  # pixels of the input that are resized at a time on a CPU, so that they stay in its cache
Finish = Callable[[Tensor], Tensor]


def _quantize(taps: Taps, bits: int, rounding: Callable[[Tensor], Tensor]) -> Taps:
    return Taps(taps.pixels, rounding(taps.weights * 2**bits) / 2**bits)


def _round_half_away(x: Tensor) -> Tensor:
    return torch.where(x < 0, (x - 0.5).trunc(), (x + 0.5).trunc())


def _to_byte(x: Tensor) -> Tensor:
    """Round half up and clamp; int32 in between, because torch converts floats to bytes slowly (torch 2.15)."""
    return x.add_(0.5).clamp_(0, 255).to(torch.int32).to(torch.uint8)


def _sum_by_bags(planes: Tensor, taps: Taps, axis: int, finish: Finish, dtype: torch.dtype) -> Tensor:
    """``_pass`` for a few planes (N, H, W) on a CPU: torch's embedding bags read only the pixels that have weights."""
    pixels, weights = taps.pixels, taps.weights.to(dtype)
    if axis == -1:
        table = rearrange(planes, "n h w -> w (n h)").contiguous().to(dtype)
        sums = finish(F.embedding_bag(pixels, table, mode="sum", per_sample_weights=weights))
        return rearrange(sums, "w (n h) -> n h w", n=len(planes)).contiguous()
    starts = planes.shape[1] * torch.arange(len(planes), device="cpu")
    rows = rearrange(starts[:, None, None] + pixels, "n h taps -> (n h) taps")
    table = rearrange(planes, "n h w -> (n h) w").to(dtype)
    sums = finish(F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights.repeat(len(planes), 1)))
    return rearrange(sums, "(n h) w -> n h w", n=len(planes))


def _sum_by_matrix(planes: Tensor, taps: Taps, axis: int, finish: Finish) -> Tensor:
    """``_pass`` on any device and under torch.compile."""
    matrix = taps.matrix(planes.shape[axis]).to(planes.device)
    x = planes.to(matrix.dtype)
    return finish(x @ matrix.mT if axis == -1 else matrix @ x)


def _pass(
    planes: Tensor, taps: Taps, axis: int, finish: Finish = _to_byte, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Resize one axis of (N, H, W): ``finish`` of the exact sums, which ``dtype`` can hold."""
    if planes.device.type == "cpu" and not torch.compiler.is_compiling():
        return _sum_by_bags(planes, taps, axis, finish, dtype)
    return _sum_by_matrix(planes, taps, axis, finish)


def _by_chunks(x: Tensor, resize: Callable[[Tensor], Tensor]) -> Tensor:
    """``resize`` of all planes (B * C, H, W) of (B, C, H, W)."""
    planes = rearrange(x, "b c h w -> (b c) h w")
    if x.device.type == "cpu" and not torch.compiler.is_compiling() and len(planes):
        chunks = torch.split(planes, max(1, _CHUNK // planes[0].numel()))
        return rearrange(torch.cat([resize(chunk) for chunk in chunks]), "(b c) h w -> b c h w", b=len(x))
    return rearrange(resize(planes), "(b c) h w -> b c h w", c=x.shape[1])


def _passes(x: Tensor, axes: tuple[Taps, Taps], *, rows_first: bool) -> Tensor:
    """Both axes, with 8 bits between them."""
    order = [(-2, axes[0]), (-1, axes[1])] if rows_first else [(-1, axes[1]), (-2, axes[0])]

    def resize(planes: Tensor) -> Tensor:
        for axis, taps in order:
            planes = _pass(planes, taps, axis)
        return planes

    return _by_chunks(x, resize)


def pillow_12(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """Pillow up to version 12: the horizontal pass, then the vertical one; weights of 32 - 8 - 2 bits."""
    rows, columns = (_quantize(taps, 22, _round_half_away) for taps in axes)
    return _passes(x, (rows, columns), rows_first=False)


def pillow(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """Pillow 13: the vertical pass is the first if it removes more than twice as many rows as the other does columns.

    Source: github.com/python-pillow/Pillow/pull/9549.
    """
    rows, columns = (_quantize(taps, 22, _round_half_away) for taps in axes)
    removed = x.shape[-2] - len(rows.pixels), x.shape[-1] - len(columns.pixels)
    return _passes(x, (rows, columns), rows_first=removed[0] > 2 * max(removed[1], 0))


def matlab(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """MATLAB: the axis that is scaled by the smaller factor first, the rows first in a tie."""
    factors = len(axes[0].pixels) / x.shape[-2], len(axes[1].pixels) / x.shape[-1]
    rows, columns = (_quantize(taps, 30, torch.round) for taps in axes)
    return _passes(x, (rows, columns), rows_first=factors[0] <= factors[1])


def opencv_linear(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """OpenCV, linear: weights of 11 bits; the vertical pass drops bits of each product before it adds them."""
    rows, columns = (_quantize(taps, 11, torch.round) for taps in axes)
    weights = (rows.weights * 2**11).to(torch.int32).to(x.device)
    pixels = rows.pixels.to(x.device)

    def resize(planes: Tensor) -> Tensor:
        # the sums have 8 + 11 bits, which float32 holds; the lowest four are dropped
        wide = _pass(planes, columns, -1, lambda sums: sums.mul_(2**7).to(torch.int32), torch.float32)
        above, below = (wide[:, pixels[:, tap]] * weights[:, tap, None] >> 16 for tap in (0, 1))
        return ((above + below + 2) >> 2).to(torch.uint8)

    return _by_chunks(x, resize)


def opencv_fixed(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """OpenCV, cubic and Lanczos: weights of 11 bits, rounded once at the end."""
    rows, columns = (_quantize(taps, 11, torch.round) for taps in axes)
    return _by_chunks(x, lambda planes: _pass(_pass(planes, columns, -1, lambda sums: sums), rows, -2))


def opencv_area(x: Tensor, axes: tuple[Taps, Taps]) -> Tensor:
    """OpenCV, area: float32 sums in the order of the pixels, or exact sums where both factors are whole."""
    rows, columns = axes
    factors = [divmod(before, len(taps.pixels)) for before, taps in zip(x.shape[-2:], axes, strict=True)]
    if factors[0][1] == factors[1][1] == 0:
        return _mean_of_blocks(x, factors[0][0], factors[1][0])
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
    rows, columns = (_quantize(taps, 20, torch.round) for taps in axes)
    return _by_chunks(x, lambda planes: _pass(_pass(planes, columns, -1, lambda sums: sums), rows, -2))
