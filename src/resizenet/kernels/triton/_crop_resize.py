# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators, disable-error-code="import-untyped, assignment"

"""Per-sample crops of a batch, resized in one kernel that streams each box once.

A program, one warp, makes a strip of rows of one plane of one result. It walks down the box: each row that it meets is resized across,
once, and the last few of those stay in registers; a row of the result is their weighted sum. The next row's pixels are on their way
meanwhile. Weights come from the box: 2 * out_size times a pixel's distance from a centre is a whole number, so they are exact.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .._crop_resize import taps_of

ROWS = 32  # of the result in a strip; the rows of the image between two strips are read twice
_HELD = 1024  # numbers of each row, times rows, that a warp holds: 32 registers of each thread, and as many for the row on its way


@triton.jit
def _first_pixel(position, start, length, in_size, out_size, TAPS: tl.constexpr, ANTIALIAS: tl.constexpr):
    """The first of TAPS pixels of an axis that hold all that ``position`` reads, and its centre in the box, in units of 1 / (2 out_size) pixels.

    Where rounding takes the floor of a whole number for the next one, the pixel that is left out has the weight 0.
    """
    centre = (2 * position + 1) * length - out_size
    reach = tl.maximum(length, out_size) if ANTIALIAS else out_size
    first = tl.floor((centre - 2 * reach).to(tl.float32) * (0.5 / out_size)).to(tl.int32) + 1
    return tl.minimum(tl.maximum(start + first, 0), in_size - TAPS), centre


@triton.jit
def _weights(first, centre, start, length, out_size, TAPS: tl.constexpr, ANTIALIAS: tl.constexpr):
    """The triangle at TAPS pixels from ``first`` on, 0 outside the box, and one over their sum."""
    narrow = 0.5 / (tl.maximum(length, out_size) if ANTIALIAS else out_size)
    distance = (2 * out_size * (first - start) - centre).to(tl.float32) * narrow
    weights = ()
    total = 0.0
    for tap in tl.static_range(TAPS):
        inside = (first + tap - start).to(tl.uint32) < length.to(
            tl.uint32
        )  # as unsigned numbers, negative ones are too large
        weight = tl.where(inside, tl.maximum(1.0 - tl.abs(distance + tap * (2.0 * narrow * out_size)), 0.0), 0.0)
        weights = weights + (weight,)
        total += weight
    return weights, 1.0 / total


@triton.jit
def _load(pixels, stride, TAPS: tl.constexpr):
    """TAPS neighbours; uint8 as int32, which the compiler does not pack and unpack."""
    values = ()
    for tap in tl.static_range(TAPS):
        value = tl.load(pixels + tap * stride)
        values = values + (value.to(tl.int32) if value.dtype == tl.uint8 else value,)
    return values


@triton.jit
def _sum(values, weights, TAPS: tl.constexpr):
    total = values[0].to(tl.float32) * weights[0]
    for tap in tl.static_range(1, TAPS):
        total += values[tap].to(tl.float32) * weights[tap]
    return total


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
    images, boxes, flip, scale, shift, out, height, width, out_height, out_width, planes, stride_b, stride_c, stride_h, stride_w,
    DEPTH: tl.constexpr, FLIP: tl.constexpr, ANTIALIAS: tl.constexpr, TAPS_H: tl.constexpr, TAPS_W: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    across, strips = tl.cdiv(out_width * DEPTH, COLUMNS), tl.cdiv(out_height, ROWS)
    program = tl.program_id(0)
    block, strip, image = program % across, program // across % strips, program // across // strips
    plane, b = image % planes, (image // planes).to(tl.int64)
    top, left = tl.load(boxes + 4 * b).to(tl.int32), tl.load(boxes + 4 * b + 1).to(tl.int32)
    box_height, box_width = tl.load(boxes + 4 * b + 2).to(tl.int32), tl.load(boxes + 4 * b + 3).to(tl.int32)

    number = block * COLUMNS + tl.arange(0, COLUMNS)
    x, channel = tl.minimum(number // DEPTH, out_width - 1), plane * DEPTH + number % DEPTH
    if FLIP:
        x = tl.where(tl.load(flip + b) != 0, out_width - 1 - x, x)
    first_x, centre_x = _first_pixel(x, left, box_width, width, out_width, TAPS_W, ANTIALIAS)
    weights_x, normal_x = _weights(first_x, centre_x, left, box_width, out_width, TAPS_W, ANTIALIAS)
    pixels = images + b * stride_b + channel * stride_c + first_x * stride_w
    weights_x = _scaled(weights_x, normal_x * tl.load(scale + channel), TAPS_W)
    term = tl.load(shift + channel)
    results = out + image.to(tl.int64) * out_height * out_width * DEPTH + number

    low = strip * ROWS
    row, _ = _first_pixel(
        low, top, box_height, height, out_height, TAPS_H, ANTIALIAS
    )  # the next row to be resized across
    ahead = _load(pixels + row * stride_h, stride_w, TAPS_W)
    window = (tl.zeros([COLUMNS], tl.float32),) * TAPS_H
    for y in range(low, tl.minimum(low + ROWS, out_height)):
        first_y, centre_y = _first_pixel(y, top, box_height, height, out_height, TAPS_H, ANTIALIAS)
        if not ANTIALIAS:  # noqa: SIM102, a constant and a number of the device
            if first_y > row:  # rows between that nothing reads
                row = first_y
                ahead = _load(pixels + row * stride_h, stride_w, TAPS_W)
        for known in range(row, first_y + TAPS_H):
            window = _shifted(window, _sum(ahead, weights_x, TAPS_W), TAPS_H)
            ahead = _load(pixels + tl.minimum(known + 1, height - 1) * stride_h, stride_w, TAPS_W)
        row = first_y + TAPS_H
        weights_y, normal_y = _weights(first_y, centre_y, top, box_height, out_height, TAPS_H, ANTIALIAS)
        value = _sum(window, _scaled(weights_y, normal_y, TAPS_H), TAPS_H) + term
        if out.dtype.element_ty == tl.uint8:
            value = (
                value + 12582912.0
            ) - 12582912.0  # 1.5 * 2**23: float32 rounds to whole numbers there, half to even
        tl.store(results + y * out_width * DEPTH, value.to(out.dtype.element_ty), mask=number < out_width * DEPTH)


def launch(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    flip: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    batch, channels, height, width = images.shape
    deep = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    planes, depth = (1, channels) if deep else (channels, 1)
    out = torch.empty(
        (batch, channels, *size),
        dtype=dtype,
        device=images.device,
        memory_format=torch.channels_last if deep else torch.contiguous_format,
    )
    taps_h, taps_w = (
        taps_of(before, after, antialias=antialias) for before, after in zip((height, width), size, strict=True)
    )
    columns = min(triton.next_power_of_2(size[1] * depth), _HELD // triton.next_power_of_2(max(taps_h, taps_w, 4)))
    grid = (triton.cdiv(size[1] * depth, columns) * triton.cdiv(size[0], ROWS) * planes * batch,)
    with torch.cuda.device_of(images):
        _crop_resize_kernel[grid](
            images, boxes.contiguous(), boxes if flip is None else flip.contiguous().view(torch.uint8), scale, shift, out,
            height, width, *size, planes, *images.stride(),
            DEPTH=depth, FLIP=flip is not None, ANTIALIAS=antialias, TAPS_H=taps_h, TAPS_W=taps_w, ROWS=ROWS, COLUMNS=columns,
            num_warps=1, enable_fp_fusion=True,
        )  # fmt: skip
    return out
