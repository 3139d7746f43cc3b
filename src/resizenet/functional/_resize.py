"""``resize``: torch's ``interpolate`` with antialias by default, and with support for cases that its kernels lack."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from .._sizes import Size, parse_size
from ._dialects._apply import resize_like
from ._dialects._table import find_dialect
from ._fx import fx_leaf
from ._inputs import check_image, result_dtype
from ._interpolation import AnyInterpolation, Interpolation, Like, is_torch, parse_rule
from ._matrix import apply_matrices, resize_matrix
from ._memory_format import to_memory_format_of

# torch's CUDA kernel keeps the antialias window in shared memory and raises beyond a factor of about 90 (bilinear,
# float32): github.com/pytorch/pytorch/issues/103589. This limit can go when that is fixed.
_CUDA_MAX_ANTIALIAS_FACTOR = 16


def _resize_by_matrices(x: Tensor, size: tuple[int, int], interpolation: Interpolation) -> Tensor:
    rows, columns = (
        resize_matrix(before, after, interpolation=interpolation, dtype=x.dtype, device=x.device)
        for before, after in zip(x.shape[-2:], size, strict=True)
    )
    with torch.autocast(x.device.type, enabled=False):
        return apply_matrices(rows, x, columns)


def _interpolate(x: Tensor, size: tuple[int, int], interpolation: Interpolation, *, antialias: bool) -> Tensor:
    align_corners = None if interpolation == "nearest-exact" else False
    out = F.interpolate(x, size, mode=interpolation, align_corners=align_corners, antialias=antialias)
    # torch.compile's decomposition for CUDA returns contiguous results of fewer than four channels:
    # github.com/pytorch/pytorch/pull/89528
    return to_memory_format_of(out, x)


def resize_float(x: Tensor, size: tuple[int, int], interpolation: Interpolation, *, antialias: bool) -> Tensor:
    """Resize (B, C, H, W) of a floating dtype for which torch has a kernel."""
    # The factor is compared on CUDA only: elsewhere an exported module would be guarded by it.
    if antialias and x.is_cuda and max(x.shape[-2] / size[0], x.shape[-1] / size[1]) > _CUDA_MAX_ANTIALIAS_FACTOR:
        return to_memory_format_of(_resize_by_matrices(x, size, interpolation), x)
    if antialias and x.device.type == "cpu" and size[1] == 1 and size[0] > 1:
        # torch's CPU kernel gives wrong numbers for results one pixel wide, but not for results one pixel high. Seen in
        # torch 2.15, no upstream issue found; this case can go when test_a_result_one_pixel_wide_is_right
        # passes without it.
        row = _interpolate(x.mT, (1, size[0]), interpolation, antialias=True)
        return to_memory_format_of(row.squeeze(2).unsqueeze(3), x)  # mT would leave another W stride than 1
    return _interpolate(x, size, interpolation, antialias=antialias)


def _resize_uint8(x: Tensor, size: tuple[int, int], interpolation: Interpolation, *, antialias: bool) -> Tensor:
    if x.is_cuda or (x.device.type == "cpu" and size[1] == 1):  # no CUDA kernel; the CPU kernel is wrong or raises
        out = resize_float(x.float(), size, interpolation, antialias=antialias)
        return out.round_().clamp_(0, 255).to(torch.uint8)
    if x.shape[3] == 1:
        # torch's vectorized uint8 kernel reads out of bounds if the W stride is neither 1 nor that of channels_last, as
        # in a transposed row, which counts as contiguous. Seen in torch 2.15, no upstream issue found; this copy can go
        # when test_the_strides_of_an_image_do_not_matter passes without it.
        copy = x.clone(memory_format=torch.contiguous_format)
        return to_memory_format_of(_interpolate(copy, size, interpolation, antialias=antialias), x)
    return _interpolate(x, size, interpolation, antialias=antialias)


@fx_leaf
def resize(
    x: Tensor,
    size: Size,
    *,
    interpolation: AnyInterpolation = "bilinear",
    antialias: bool | None = None,
    like: Like = "torch",
) -> Tensor:
    """Resize a batch of images.

    Differentiable in ``x`` for floating dtypes. If torch has no kernel (half precision with antialias on a CPU, uint8
    on a GPU), the result is computed in float32. For antialiased downscales by more than 16 on a GPU, where torch's
    kernel can fail, the resize is done as two matrix products, and results that read a non-finite pixel are NaN.

    On a GPU a uint8 image is resized in float32, then rounded half to even and clamped to 0..255. torch's CPU kernel
    for uint8 computes in fixed point and also rounds and clamps between the two axes. Bilinear results of the two
    differ by one level; bicubic results differ by tens of levels where they overshoot at edges between black and white.
    The CPU kernel is within two levels of Pillow up to 12. Pillow 13 resizes the vertical axis first if that removes
    more than twice as many rows as the image loses columns. Bicubic results then differ by up to about 30 levels, and
    bilinear ones still by at most two. For results
    that equal Pillow's and do not depend on the device, take ``like="pillow"``.

    ``like`` reproduces the resize of another library for batches on any device, and is differentiable for floating
    dtypes. Results for uint8 are then the same on all devices. With "pillow" they equal those of Pillow 13 bit for bit.
    "pillow-12" reproduces older versions, which never resize the vertical axis first. With "opencv" they equal those of
    OpenCV 5 bit for bit, except for "cubic", where they may differ by one level.

    ==============  ==============================================================================  =================
    like            interpolation                                                                   antialias
    ==============  ==============================================================================  =================
    "torch"         "nearest-exact", "bilinear", "bicubic"                                          True, False
    "pillow"        "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"                   True
    "opencv"        "nearest", "nearest-exact", "linear", "cubic", "area", "lanczos4"               False
    "tensorflow"    "nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5",               False, True
                    "mitchellcubic", "gaussian"
    "onnx"          "nearest", "linear", "cubic"                                                    False, True
    "scikit-image"  "nearest", "bilinear", "biquadratic", "bicubic"                                 True, False
    "matlab"        "nearest", "bilinear", "bicubic", "lanczos2", "lanczos3"                        True, False
    ==============  ==============================================================================  =================

    ``torch.export`` with dynamic heights and widths needs sizes that all shrink or all grow with ``like``. Where
    uint8 has a rule for some sizes, as the order of the axes in Pillow 13 and whole factors of OpenCV's area, one
    exported program has one of the rules. ``torch.compile`` has no such limits.

    The libraries with "linear" and "cubic" also accept "bilinear" and "bicubic" for them. TensorFlow, ONNX and
    scikit-image return floats for uint8 images; here, their results are rounded half up and clamped to 0..255.

    Convention: pixel centers are at half-integers (``align_corners=False``), and ``antialias=True`` is the default. The
    other libraries have their own conventions and defaults. The first value in the column "antialias" is the default,
    except for "nearest" of "matlab", whose default is False.

    Args:
        x: (B, C, H, W), floating point or uint8, any device and memory format; B may be 0.
        size: (height, width) in pixels, or one int for a square.
        interpolation: one of the names in the table for the library.
        antialias: low-pass before shrinking; has no effect on "nearest-exact" and on bilinear enlarging. None is the
            library's default, which is True for "torch".
        like: the library whose resize is computed; ``OnnxResize(...)`` is "onnx" with other attributes.

    Returns:
        (B, C, height, width) with the dtype, device and memory format of ``x``; under autocast, autocast's dtype.

    Raises:
        SizeError: a size that is not positive, not whole, above 2**31 - 1, or of more than 2**57 pixels.
        ShapeError: not four dimensions, or no pixel.
        DtypeError: neither floating point nor uint8, or not a dense tensor.
        UnknownNameError: an unknown library, or an interpolation that it does not have.
        ArgumentError: antialias is not a bool, or the library does not have this setting.

    Example:
        >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> resize(image, 2)
        tensor([[[[ 3.5714,  5.1429],
                  [ 9.8571, 11.4286]]]])
        >>> resize(image, 2, interpolation="area", like="opencv")
        tensor([[[[ 2.5000,  4.5000],
                  [10.5000, 12.5000]]]])
    """
    target = parse_size(size)
    rule = parse_rule(interpolation, antialias, like)
    check_image("resize", x)
    if is_torch(like):
        return _resize_as_torch(x, target, cast("Interpolation", interpolation), antialias=rule)
    return resize_like(find_dialect(like), x, target, interpolation, rule)


def _resize_as_torch(x: Tensor, size: tuple[int, int], interpolation: Interpolation, *, antialias: bool) -> Tensor:
    antialias = antialias and interpolation != "nearest-exact"
    if x.dtype == torch.uint8:
        return _resize_uint8(x, size, interpolation, antialias=antialias)
    dtype = result_dtype(x)
    # torch has no antialiased CPU kernel for half precision: github.com/pytorch/pytorch/issues/175489. float32 can go
    # when the lowest supported torch has one.
    no_kernel = antialias and x.dtype in (torch.float16, torch.bfloat16) and x.device.type == "cpu"
    return resize_float(x.float() if no_kernel else x, size, interpolation, antialias=antialias).to(dtype)
