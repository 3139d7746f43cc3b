"""A convolution of stride 1 with zeros around the image, its bias, an activation and a residual in one kernel.

As in the head, one row of the matrix product is a 2x2 block of pixels. Its window (4x4 for a 3x3 filter, 8x8 for a
7x7) is multiplied by a matrix with one column per channel of each of the four pixels. This needs fewer loads per
pixel than one window per pixel, and gives the matrix units at least 16 columns, even if the result has 3 channels.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor, library

from ._launch import launch_of
from ._tiles import inside, leaky, number_of_tiles, tile_of

CHUNK = 64


@triton.jit(do_not_specialize=["height", "width"])
def _conv_kernel(
    features, weight, bias, residual, out, height, width, slope,
    IN: tl.constexpr, WINDOW: tl.constexpr, OUT: tl.constexpr, OUT_PAD: tl.constexpr, CHUNK: tl.constexpr,
    RESIDUAL: tl.constexpr, PLANAR: tl.constexpr, TILE_H: tl.constexpr, TILE_W: tl.constexpr,
):  # fmt: skip
    CHUNKS: tl.constexpr = WINDOW * IN // CHUNK
    batch, row, column = tile_of(tl.program_id(0), (height + 1) // 2, (width + 1) // 2, TILE_H, TILE_W)
    top = (2 * row - (WINDOW // 2 - 1))[:, None]
    left = (2 * column - (WINDOW // 2 - 1))[:, None]
    k = tl.arange(0, CHUNK)
    corner = features + batch * height * width * IN + (top * width + left) * IN + k[None, :]
    j = tl.arange(0, 4 * OUT_PAD)
    matrix = weight + k[:, None] * (4 * OUT_PAD) + j[None, :]
    total = tl.zeros((TILE_H * TILE_W, 4 * OUT_PAD), tl.float32) + tl.load(bias + j)[None, :]
    for step in range(WINDOW * CHUNKS):
        y = step // CHUNKS
        x = step % CHUNKS * CHUNK
        valid = inside(top + y, left + (x + k)[None, :] // IN, height, width)
        window = tl.load(corner + (y * width * IN + x), mask=valid, other=0.0)
        total = tl.dot(window, tl.load(matrix + step * (CHUNK * 4 * OUT_PAD)), total, input_precision="ieee")
    total = leaky(total, slope)
    phase = j // OUT_PAD
    channel = (j % OUT_PAD)[None, :]
    y = 2 * row[:, None] + (phase // 2)[None, :]
    x = 2 * column[:, None] + (phase % 2)[None, :]
    valid = inside(y, x, height, width) & (channel < OUT)
    if RESIDUAL:
        total += tl.load(
            residual + batch * height * width * OUT + (y * width + x) * OUT + channel, mask=valid, other=0.0
        )
    place = channel * height * width + y * width + x if PLANAR else (y * width + x) * OUT + channel
    tl.store(out + batch * height * width * OUT + place, total.to(out.dtype.element_ty), mask=valid)


@library.custom_op("resizenet::conv", mutates_args=())
def conv(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    slope: float,
    out_channels: int,
    planar: bool,
) -> Tensor:
    """leaky(convolution + bias) + residual, (B, H, W, I) -> (B, H, W, O) or, if ``planar``, (B, O, H, W).

    ``weight`` and ``bias`` are packed by ``pack_conv`` and ``pack_bias``.
    """
    out: Tensor = _conv_result(features, weight, bias, residual, slope, out_channels, planar)
    batch, height, width, in_channels = features.shape
    window = round((weight.shape[0] / in_channels) ** 0.5)
    launch = launch_of("conv" if window == 4 else "tail", features.device)
    with torch.cuda.device_of(features):
        _conv_kernel[(number_of_tiles(batch, -(-height // 2), -(-width // 2), launch.tile),)](
            features, weight, bias, features if residual is None else residual, out, height, width, slope,
            IN=in_channels, WINDOW=window, OUT=out_channels, OUT_PAD=weight.shape[1] // 4, CHUNK=CHUNK,
            RESIDUAL=residual is not None, PLANAR=planar, **launch.options,
        )  # fmt: skip
    return out


@conv.register_fake
def _conv_result(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    slope: float,
    out_channels: int,
    planar: bool,
) -> Tensor:
    batch, height, width, _ = features.shape
    return features.new_empty((batch, out_channels, height, width) if planar else (batch, height, width, out_channels))
