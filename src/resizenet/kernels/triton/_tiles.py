"""Shared by the kernels: which pixels a program works on, and the activation."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def tile_of(program, height, width, TILE_H: tl.constexpr, TILE_W: tl.constexpr):
    """The image (int64, for offsets of large batches), rows and columns of a tile, each (TILE_H * TILE_W,)."""
    across = tl.cdiv(width, TILE_W)
    tiles = tl.cdiv(height, TILE_H) * across
    tile = program % tiles
    m = tl.arange(0, TILE_H * TILE_W)
    return (program // tiles).to(tl.int64), tile // across * TILE_H + m // TILE_W, tile % across * TILE_W + m % TILE_W


@triton.jit
def inside(row, column, height, width):
    """Whether a pixel is within the image. Cast to unsigned, a negative number is too large."""
    return (row.to(tl.uint32) < height.to(tl.uint32)) & (column.to(tl.uint32) < width.to(tl.uint32))


@triton.jit
def leaky(x, slope):
    """LeakyReLU with a slope from 0 to 1; with 1, the identity."""
    return tl.maximum(x, x * slope)


@triton.jit
def leaky_slope(x, slope):
    """The derivative of ``leaky``, which is ``slope`` at 0 as in torch."""
    return tl.where(x > 0, 1.0, slope)


@triton.jit
def window_of(image, row, column, height, width, start, COUNT: tl.constexpr, PLANES: tl.constexpr, DEPTH: tl.constexpr):
    """Elements start to start + COUNT of the windows around 2x2 blocks of a (2 height, 2 width) image, zeros outside.

    A window is 8x10, one column more on either side than the block's 7x7 filters reach, so that it starts at an
    even pixel and two pixels are loaded at once. Its elements are in the order of memory. Returns (blocks, COUNT).
    """
    k = start + tl.arange(0, COUNT)
    plane = k // (80 * DEPTH)
    y = k // (10 * DEPTH) % 8
    x = k % (10 * DEPTH)
    length = 2 * width * DEPTH
    top = 2 * row - 3
    left = (2 * column - 4) * DEPTH
    corner = image + (top * length + left)  # outside of a loop over chunks, the compiler computes it once
    offset = (plane * 2 * height + y) * length + x
    if 80 * PLANES * DEPTH % COUNT:
        y = tl.where(plane < PLANES, y, 2 * height + 3)  # below the image
    valid = inside(top[:, None] + y[None, :], left[:, None] + x[None, :], 2 * height, length)
    return tl.load(corner[:, None] + offset[None, :], mask=valid, other=0.0)


@triton.jit
def taps_of(start, COUNT: tl.constexpr, PLANES: tl.constexpr, DEPTH: tl.constexpr):
    """The rows of ``pack_head``, which are ordered by channel, row and column, for the same elements. (COUNT,)."""
    k = start + tl.arange(0, COUNT)
    x = k % (10 * DEPTH)
    tap = ((k // (80 * DEPTH) + x % DEPTH) * 8 + k // (10 * DEPTH) % 8) * 10 + x // DEPTH
    return tl.where(k < 80 * PLANES * DEPTH, tap, k)


def number_of_tiles(batch: int, height: int, width: int, tile: tuple[int, int]) -> int:
    """How many tiles cover a batch of images."""
    return batch * -(-height // tile[0]) * -(-width // tile[1])


def planes_and_depth(image: Tensor) -> tuple[Tensor, int, int]:
    """The image, its planes and the channels of each; copied unless it is contiguous or in channels_last."""
    channels = image.shape[1]
    if not image.is_contiguous() and image.is_contiguous(memory_format=torch.channels_last):
        return image, 1, channels
    return image.contiguous(), channels, 1
