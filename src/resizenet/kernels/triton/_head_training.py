"""The head in training: its output resized by exactly 2, and the moments of that output before the resize, in one pass.

A BatchNorm of the head's output z followed by a resize equals an affine map of the resized z, computed from the
moments of z. So z, which has four times the pixels, is never stored: forward sums its moments while it computes the
resized features, and backward recomputes z from the image.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, library

from .._moments import merge_moments
from ._launch import launch_of
from ._tiles import inside, leaky, leaky_slope, number_of_tiles, planes_and_depth, taps_of, tile_of, window_of


@triton.jit(do_not_specialize=["height", "width"])
def _moments_kernel(
    image, weight, bias, mix, mix_bias, resized, partial, height, width, slope,
    PLANES: tl.constexpr, DEPTH: tl.constexpr, N: tl.constexpr,
    TILE_H: tl.constexpr, TILE_W: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    batch, row, column = tile_of(program, height, width, TILE_H, TILE_W)
    image += batch * (4 * PLANES * DEPTH * height * width)
    j = tl.arange(0, 4 * N)
    n = tl.arange(0, N)
    dtype = weight.dtype.element_ty
    first = tl.zeros((TILE_H * TILE_W, 4 * N), tl.float32) + tl.load(bias + j)[None, :]
    CHUNKS: tl.constexpr = (80 * PLANES * DEPTH + 63) // 64
    for start in tl.range(0, 64 * CHUNKS, 64, loop_unroll_factor=CHUNKS if UNROLL else 1):
        window = window_of(image, row, column, height, width, start, 64, PLANES, DEPTH).to(dtype)
        matrix = tl.load(weight + taps_of(start, 64, PLANES, DEPTH)[:, None] * (4 * N) + j[None, :])
        first = tl.dot(window, matrix, first, input_precision="ieee")
    second = tl.zeros((TILE_H * TILE_W, 4 * N), tl.float32) + tl.load(mix_bias + j)[None, :]
    second = tl.dot(
        leaky(first, slope).to(dtype), tl.load(mix + j[:, None] * (4 * N) + j[None, :]), second, input_precision="ieee"
    )
    valid = inside(row, column, height, width)
    z = tl.reshape(tl.where(valid[:, None], leaky(second, slope), 0.0), (TILE_H * TILE_W, 4, N))
    total = tl.sum(z, 1)
    pixel = (batch * height + row) * width + column
    tl.store(
        resized + pixel[:, None] * N + n[None, :], (total * 0.25).to(resized.dtype.element_ty), mask=valid[:, None]
    )
    count = 4 * tl.sum(valid.to(tl.float32), 0)
    mean = tl.sum(total, 0) / count
    deviation = tl.where(valid[:, None, None], z - mean[None, None, :], 0.0)
    squares = tl.sum(tl.sum(deviation * deviation, 1), 0)
    partial += program * 3 * N + n
    tl.store(partial, tl.zeros((N,), tl.float32) + count)
    tl.store(partial + N, mean)
    tl.store(partial + 2 * N, squares)


@triton.jit(do_not_specialize=["height", "width", "tiles"])
def _backward_kernel(
    image, weight, bias, mix, mix_bias, gradient, z_slope, z_offset, weight_sums, mix_sums, bias_sums,
    height, width, tiles, slope, PLANES: tl.constexpr, DEPTH: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
    TILE_H: tl.constexpr, TILE_W: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    j = tl.arange(0, 4 * N)
    tap = taps_of(0, K, PLANES, DEPTH)[:, None]
    dtype = weight.dtype.element_ty
    weight_sum = tl.zeros((K, 4 * N), tl.float32)
    mix_sum = tl.zeros((4 * N, 4 * N), tl.float32)
    first_bias_sum = tl.zeros((4 * N,), tl.float32)
    second_bias_sum = tl.zeros((4 * N,), tl.float32)
    matrix = tl.load(weight + tap * (4 * N) + j[None, :])
    mixing = tl.load(mix + j[:, None] * (4 * N) + j[None, :])
    for tile in range(program, tiles, tl.num_programs(0)):
        batch, row, column = tile_of(tile, height, width, TILE_H, TILE_W)
        window = window_of(
            image + batch * (4 * PLANES * DEPTH * height * width), row, column, height, width, 0, K, PLANES, DEPTH
        ).to(dtype)
        first = tl.dot(window, matrix, input_precision="ieee") + tl.load(bias + j)[None, :]
        hidden = leaky(first, slope).to(dtype)
        second = tl.dot(hidden, mixing, input_precision="ieee") + tl.load(mix_bias + j)[None, :]
        valid = inside(row, column, height, width)[:, None]
        pixel = ((batch * height + row) * width + column)[:, None]
        resized_gradient = tl.load(gradient + pixel * N + (j % N)[None, :], mask=valid, other=0.0).to(tl.float32)
        z_gradient = (
            0.25 * resized_gradient
            + tl.load(z_slope + j % N)[None, :] * leaky(second, slope)
            + tl.load(z_offset + j % N)[None, :]
        )
        second_gradient = tl.where(valid, z_gradient * leaky_slope(second, slope), 0.0)
        second_bias_sum += tl.sum(second_gradient, 0)
        second_gradient = second_gradient.to(dtype)
        mix_sum = tl.dot(tl.trans(hidden), second_gradient, mix_sum, input_precision="ieee")
        first_gradient = tl.dot(second_gradient, tl.trans(mixing), input_precision="ieee") * leaky_slope(first, slope)
        first_bias_sum += tl.sum(first_gradient, 0)
        weight_sum = tl.dot(tl.trans(window), first_gradient.to(dtype), weight_sum, input_precision="ieee")
    tl.store(weight_sums + program * (K * 4 * N) + tap * (4 * N) + j[None, :], weight_sum)
    tl.store(mix_sums + program * (16 * N * N) + j[:, None] * (4 * N) + j[None, :], mix_sum)
    tl.store(bias_sums + program * (8 * N) + j, first_bias_sum)
    tl.store(bias_sums + program * (8 * N) + 4 * N + j, second_bias_sum)


@library.custom_op("resizenet::head_moments", mutates_args=())
def head_moments(
    image: Tensor, weight: Tensor, bias: Tensor, mix: Tensor, mix_bias: Tensor, slope: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """(B, I, 2 h, 2 w) -> the resized output (B, h, w, n), and its variance and mean before the resize, (n,).

    The packed weights and their gradients are float32; the matrix products and the first result are in ``dtype``.
    """
    resized, _, _ = _moments_results(image, weight, bias, mix, mix_bias, slope, dtype)
    weight, mix = weight.to(dtype), mix.to(dtype)
    image, planes, depth = planes_and_depth(image)
    batch, height, width, channels = resized.shape
    launch = launch_of("moments", image.device)
    programs = number_of_tiles(batch, height, width, launch.tile)
    partial = weight.new_empty(programs, 3, channels, dtype=torch.float32)
    with torch.cuda.device_of(image):
        _moments_kernel[(programs,)](
            image, weight, bias, mix, mix_bias, resized, partial, height, width, slope,
            PLANES=planes, DEPTH=depth, N=channels, UNROLL=launch.num_stages == 1, **launch.options,
        )  # fmt: skip
    return resized, *merge_moments(*partial.unbind(1))


@head_moments.register_fake
def _moments_results(
    image: Tensor, weight: Tensor, bias: Tensor, mix: Tensor, mix_bias: Tensor, slope: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    batch, _, height, width = image.shape
    channels = weight.shape[1] // 4
    variance, mean = (weight.new_empty(channels, dtype=torch.float32) for _ in range(2))
    return weight.new_empty(batch, height // 2, width // 2, channels, dtype=dtype), variance, mean


@library.custom_op("resizenet::head_moments_backward", mutates_args=())
def head_moments_backward(
    image: Tensor, weight: Tensor, bias: Tensor, mix: Tensor, mix_bias: Tensor,
    gradient: Tensor, z_slope: Tensor, z_offset: Tensor, slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of weight, bias, mix and mix_bias, if that of z is gradient / 4 + z_slope * z + z_offset."""
    weight, mix = weight.to(gradient.dtype), mix.to(gradient.dtype)
    image, planes, depth = planes_and_depth(image)
    batch, height, width, channels = gradient.shape
    launch = launch_of("backward", image.device)
    tiles = number_of_tiles(batch, height, width, launch.tile)
    processors = torch.cuda.get_device_properties(image.device).multi_processor_count if image.is_cuda else 2
    programs = min(tiles, launch.programs * processors)
    shapes = (weight.shape, mix.shape, (2, 4 * channels))
    weight_sums, mix_sums, bias_sums = (weight.new_empty(programs, *shape, dtype=torch.float32) for shape in shapes)
    with torch.cuda.device_of(image):
        _backward_kernel[(programs,)](
            image, weight, bias, mix, mix_bias, gradient, z_slope, z_offset, weight_sums, mix_sums, bias_sums,
            height, width, tiles, slope, PLANES=planes, DEPTH=depth, N=channels, K=weight.shape[0],
            **launch.options,
        )  # fmt: skip
    return weight_sums.sum(0), bias_sums[:, 0].sum(0), mix_sums.sum(0), bias_sums[:, 1].sum(0)


@head_moments_backward.register_fake
def _backward_results(
    image: Tensor, weight: Tensor, bias: Tensor, mix: Tensor, mix_bias: Tensor,
    gradient: Tensor, z_slope: Tensor, z_offset: Tensor, slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(weight), torch.empty_like(bias), torch.empty_like(mix), torch.empty_like(mix_bias)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, ctx.slope, _ = inputs
    ctx.save_for_backward(*tensors, output[2])


def _backward(
    ctx: Any, resized_gradient: Tensor, variance_gradient: Tensor, mean_gradient: Tensor
) -> tuple[Tensor | None, ...]:
    image, weight, bias, mix, mix_bias, mean = ctx.saved_tensors
    if ctx.needs_input_grad[0]:
        raise NotImplementedError("head_moments: the image needs a gradient, which this kernel does not compute")
    count = image.numel() / image.shape[1]
    z_slope = 2 / count * variance_gradient
    z_offset = (mean_gradient - 2 * mean * variance_gradient) / count
    gradients = head_moments_backward(
        image, weight, bias, mix, mix_bias, resized_gradient.contiguous(), z_slope, z_offset, ctx.slope
    )
    return None, *gradients, None, None


head_moments.register_autograd(_backward, setup_context=_save)
