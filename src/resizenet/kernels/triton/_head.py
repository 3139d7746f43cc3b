"""The head and the fixed resize, both by exactly 2, in one kernel that reads the image once.

One program computes a tile of low-resolution pixels. The window of one such pixel is 8x8, with one column more on
either side so that it starts at an even pixel and two pixels are loaded at once. Multiplied by a matrix with 4 n
columns it gives the 7x7 convolution at the four pixels of the 2x2 block. The 1x1 convolution follows as a
block-diagonal matrix. Bilinear by exactly 2 without antialias is the mean of the four pixels.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor, library

from ._launch import launch_of
from ._tiles import inside, leaky, number_of_tiles, planes_and_depth, taps_of, tile_of, window_of


@triton.jit(do_not_specialize=["height", "width"])
def _head_kernel(
    image, weight, bias, mix, mix_bias, scale, shift, skip_weight, features, skip, height, width, slope,
    PLANES: tl.constexpr, DEPTH: tl.constexpr, N: tl.constexpr, OUT: tl.constexpr, ANTIALIAS: tl.constexpr,
    TILE_H: tl.constexpr, TILE_W: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    batch, row, column = tile_of(tl.program_id(0), height, width, TILE_H, TILE_W)
    image += batch * (4 * PLANES * DEPTH * height * width)
    j = tl.arange(0, 4 * N)
    o = tl.arange(0, 16)
    dtype = weight.dtype.element_ty
    first = tl.zeros((TILE_H * TILE_W, 4 * N), tl.float32) + tl.load(bias + j)[None, :]
    plain = tl.zeros((TILE_H * TILE_W, 16), tl.float32)
    CHUNKS: tl.constexpr = (80 * PLANES * DEPTH + 63) // 64
    for start in tl.range(0, 64 * CHUNKS, 64, loop_unroll_factor=CHUNKS if UNROLL else 1):
        window = window_of(image, row, column, height, width, start, 64, PLANES, DEPTH).to(dtype)
        tap = taps_of(start, 64, PLANES, DEPTH)[:, None]
        first = tl.dot(window, tl.load(weight + tap * (4 * N) + j[None, :]), first, input_precision="ieee")
        plain = tl.dot(window, tl.load(skip_weight + tap * 16 + o[None, :]), plain, input_precision="ieee")
    second = tl.zeros((TILE_H * TILE_W, 4 * N), tl.float32) + tl.load(mix_bias + j)[None, :]
    second = tl.dot(
        leaky(first, slope).to(dtype), tl.load(mix + j[:, None] * (4 * N) + j[None, :]), second, input_precision="ieee"
    )
    mean = tl.sum(tl.reshape(leaky(second, slope), (TILE_H * TILE_W, 4, N)), 1) * 0.25
    n = tl.arange(0, N)
    mean = mean * tl.load(scale + n)[None, :] + tl.load(shift + n)[None, :]
    if ANTIALIAS:
        lost_rows = (row == 0).to(tl.float32) + (row == height - 1).to(tl.float32)
        lost_columns = (column == 0).to(tl.float32) + (column == width - 1).to(tl.float32)
        plain *= (1 / ((1 - lost_rows / 8) * (1 - lost_columns / 8)))[:, None]
    valid = inside(row, column, height, width)[:, None]
    pixel = ((batch * height + row) * width + column)[:, None]
    tl.store(features + pixel * N + n[None, :], mean.to(features.dtype.element_ty), mask=valid)
    tl.store(skip + pixel * OUT + o[None, :], plain.to(skip.dtype.element_ty), mask=valid & (o < OUT)[None, :])


@library.custom_op("resizenet::head", mutates_args=())
def head(
    image: Tensor, weight: Tensor, bias: Tensor, mix: Tensor, mix_bias: Tensor, scale: Tensor, shift: Tensor,
    skip_weight: Tensor, slope: float, out_channels: int, antialias: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(B, I, 2 h, 2 w), any floating dtype -> features (B, h, w, n) and the fixed resize (B, h, w, O)."""
    features, skip = _head_results(
        image, weight, bias, mix, mix_bias, scale, shift, skip_weight, slope, out_channels, antialias
    )
    image, planes, depth = planes_and_depth(image)
    batch, height, width, channels = features.shape
    launch = launch_of("head", image.device)
    options = launch.options if channels == 16 else launch.options | {"maxnreg": None}  # 32 channels need more
    with torch.cuda.device_of(image):
        _head_kernel[(number_of_tiles(batch, height, width, launch.tile),)](
            image, weight, bias, mix, mix_bias, scale, shift, skip_weight, features, skip, height, width, slope,
            PLANES=planes, DEPTH=depth, N=channels, OUT=out_channels, ANTIALIAS=antialias,
            UNROLL=launch.num_stages == 1, **options,
        )  # fmt: skip
    return features, skip


@head.register_fake
def _head_results(
    image: Tensor, weight: Tensor, bias: Tensor, mix: Tensor, mix_bias: Tensor, scale: Tensor, shift: Tensor,
    skip_weight: Tensor, slope: float, out_channels: int, antialias: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    batch, _, height, width = image.shape
    features = weight.new_empty(batch, height // 2, width // 2, weight.shape[1] // 4)
    return features, weight.new_empty(batch, height // 2, width // 2, out_channels)
