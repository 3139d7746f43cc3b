# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="import-untyped, assignment"

"""The kernel of ``crop_resize``: a different box of each image of a batch, resized in one pass over the box.

A program of one warp computes a strip of rows of one plane of one result. It walks down the box, resizes each row
horizontally once, and keeps the last few of these rows in registers; a row of the result is their weighted sum. The
pixels of the next row are loaded meanwhile. Weights are exact: 2 * out_size times the distance between a pixel and a
center is an integer.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .._support import max_crop_taps
from ._launch import launch_of


@triton.jit
def _first_pixel(position, start, length, in_size, out_size, TAPS: tl.constexpr, ANTIALIAS: tl.constexpr):
    """The first of the TAPS pixels that output ``position`` reads, and its center in 1 / (2 out_size) of a pixel.

    If float32 rounds the floor of an integer wrongly, the pixel that is missed has the weight 0.
    """
    center = (2 * position + 1) * length - out_size
    reach = tl.maximum(length, out_size) if ANTIALIAS else out_size
    first = tl.floor((center - 2 * reach).to(tl.float32) * (0.5 / out_size)).to(tl.int32) + 1
    return tl.minimum(tl.maximum(start + first, 0), in_size - TAPS), center


@triton.jit
def _weights(first, center, start, length, out_size, TAPS: tl.constexpr, ANTIALIAS: tl.constexpr):
    """The triangle at the TAPS pixels from ``first`` on, 0 outside the box, and the reciprocal of the sum."""
    narrow = 0.5 / (tl.maximum(length, out_size) if ANTIALIAS else out_size)
    distance = (2 * out_size * (first - start) - center).to(tl.float32) * narrow
    weights = ()
    total = 0.0
    for tap in tl.static_range(TAPS):
        # as unsigned integers, negative ones are too large
        inside = (first + tap - start).to(tl.uint32) < length.to(tl.uint32)
        weight = tl.where(inside, tl.maximum(1.0 - tl.abs(distance + tap * (2.0 * narrow * out_size)), 0.0), 0.0)
        weights = weights + (weight,)
        total += weight
    return weights, 1.0 / total


@triton.jit
def _load(pixels, stride, TAPS: tl.constexpr):
    """TAPS neighbors; uint8 as int32, which the compiler does not pack and unpack."""
    values = ()
    for tap in tl.static_range(TAPS):
        value = tl.load(pixels + tap * stride)
        values = values + (value.to(tl.int32) if value.dtype == tl.uint8 else value,)
    return values


@triton.jit
def _weighted_sum(values, weights, TAPS: tl.constexpr, FINITE: tl.constexpr):
    """The sum of the products; a value whose weight is 0 does not contribute, even if it is not finite."""
    total = values[0].to(tl.float32) * weights[0] if FINITE else _product(values[0], weights[0])
    for tap in tl.static_range(1, TAPS):
        if FINITE:
            total += values[tap].to(tl.float32) * weights[tap]
        else:
            total += _product(values[tap], weights[tap])
    return total


@triton.jit
def _product(value, weight):
    return tl.where(weight == 0, 0.0, value.to(tl.float32) * weight)


@triton.jit
def _scaled(weights, factor, TAPS: tl.constexpr):
    products = ()
    for tap in tl.static_range(TAPS):
        products = products + (weights[tap] * factor,)
    return products


@triton.jit
def _shifted(window, value, TAPS: tl.constexpr):
    """``window`` without its first element and with ``value`` as its last."""
    values = ()
    for tap in tl.static_range(1, TAPS):
        values = values + (window[tap],)
    return values + (value,)


@triton.jit
def _crop_resize_kernel(
    images, boxes, flip, scale, shift, out, height, width, out_height, out_width, planes,
    stride_b, stride_c, stride_h, stride_w,
    DEPTH: tl.constexpr, FLIP: tl.constexpr, ANTIALIAS: tl.constexpr, TAPS_H: tl.constexpr, TAPS_W: tl.constexpr,
    TILE_H: tl.constexpr, TILE_W: tl.constexpr,
):  # fmt: skip
    blocks, strips = tl.cdiv(out_width * DEPTH, TILE_W), tl.cdiv(out_height, TILE_H)
    program = tl.program_id(0)
    block, strip, image = program % blocks, program // blocks % strips, program // blocks // strips
    plane, b = image % planes, (image // planes).to(tl.int64)
    top, left = tl.load(boxes + 4 * b).to(tl.int32), tl.load(boxes + 4 * b + 1).to(tl.int32)
    box_height, box_width = tl.load(boxes + 4 * b + 2).to(tl.int32), tl.load(boxes + 4 * b + 3).to(tl.int32)

    number = block * TILE_W + tl.arange(0, TILE_W)
    x, channel = tl.minimum(number // DEPTH, out_width - 1), plane * DEPTH + number % DEPTH
    if FLIP:
        x = tl.where(tl.load(flip + b) != 0, out_width - 1 - x, x)
    first_x, center_x = _first_pixel(x, left, box_width, width, out_width, TAPS_W, ANTIALIAS)
    weights_x, inverse_sum_x = _weights(first_x, center_x, left, box_width, out_width, TAPS_W, ANTIALIAS)
    pixels = images + b * stride_b + channel * stride_c + first_x * stride_w
    weights_x = _scaled(weights_x, inverse_sum_x * tl.load(scale + channel), TAPS_W)
    offset = tl.load(shift + channel)
    results = out + image.to(tl.int64) * out_height * out_width * DEPTH + number

    FINITE: tl.constexpr = images.dtype.element_ty == tl.uint8
    low = strip * TILE_H
    row, _ = _first_pixel(low, top, box_height, height, out_height, TAPS_H, ANTIALIAS)  # the next row to be resized
    next_pixels = _load(pixels + row * stride_h, stride_w, TAPS_W)
    window = (tl.zeros([TILE_W], tl.float32),) * TAPS_H
    for y in range(low, tl.minimum(low + TILE_H, out_height)):
        first_y, center_y = _first_pixel(y, top, box_height, height, out_height, TAPS_H, ANTIALIAS)
        if not ANTIALIAS:  # noqa: SIM102, a constant of the compiler and a value of the device
            if first_y > row:  # skip rows that no output reads
                row = first_y
                next_pixels = _load(pixels + row * stride_h, stride_w, TAPS_W)
        for current in range(row, first_y + TAPS_H):
            window = _shifted(window, _weighted_sum(next_pixels, weights_x, TAPS_W, FINITE), TAPS_H)
            next_pixels = _load(pixels + tl.minimum(current + 1, height - 1) * stride_h, stride_w, TAPS_W)
        row = first_y + TAPS_H
        weights_y, inverse_sum_y = _weights(first_y, center_y, top, box_height, out_height, TAPS_H, ANTIALIAS)
        value = _weighted_sum(window, _scaled(weights_y, inverse_sum_y, TAPS_H), TAPS_H, FINITE) + offset
        if out.dtype.element_ty == tl.uint8:
            value = (value + 12582912.0) - 12582912.0  # 1.5 * 2**23, where float32 rounds to integers, half to even
        tl.store(results + y * out_width * DEPTH, value.to(out.dtype.element_ty), mask=number < out_width * DEPTH)


def launch(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    flip: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    *,
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    """``kernels.launch_crop_resize``, which documents the arguments."""
    batch, channels, height, width = images.shape
    channels_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    planes, depth = (1, channels) if channels_last else (channels, 1)
    out = torch.empty(
        (batch, channels, *size),
        dtype=dtype,
        device=images.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )
    taps_h, taps_w = (
        max_crop_taps(before, after, antialias=antialias) for before, after in zip((height, width), size, strict=True)
    )
    tuned = launch_of("crop_resize", images.device)
    rows, values = tuned.tile
    columns = min(triton.next_power_of_2(size[1] * depth), values // triton.next_power_of_2(max(taps_h, taps_w, 4)))
    grid = (triton.cdiv(size[1] * depth, columns) * triton.cdiv(size[0], rows) * planes * batch,)
    flips = boxes if flip is None else flip.contiguous().view(torch.uint8)
    with torch.cuda.device_of(images):
        _crop_resize_kernel[grid](
            images, boxes.contiguous(), flips, scale, shift, out, height, width, *size, planes, *images.stride(),
            DEPTH=depth, FLIP=flip is not None, ANTIALIAS=antialias, TAPS_H=taps_h, TAPS_W=taps_w,
            **(tuned.options | {"TILE_W": columns}),
        )  # fmt: skip
    return out
