"""``crop_resize``: a different box of each image of a batch, all resized to one size on the device of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor

from .._checks import check_choice
from .._sizes import Size, parse_size
from ..kernels import DEFAULT, launch_crop_resize, why_unsupported_crops
from ._crop_plan import CropPlan, check_boxes, check_dtype, check_flip, make_affine
from ._inputs import check_image, result_dtype
from ._interpolation import INTERPOLATIONS, Interpolation
from ._matrix import apply_matrices, box_matrix
from ._memory_format import memory_format_of
from ._resize import resize


def _resize_each(images: Tensor, plan: CropPlan) -> Tensor:
    """One resize per image: on a CPU torch's kernels are many times faster than matrices."""
    if images.shape[0] == 0:
        return images.new_empty((0, images.shape[1], *plan.size), dtype=plan.dtype)
    work = images.dtype if images.dtype == torch.uint8 else torch.promote_types(images.dtype, torch.float32)
    flips = [False] * images.shape[0] if plan.flip is None else plan.flip.tolist()
    results = []
    for image, box, flipped in zip(torch.split(images, 1), plan.boxes.tolist(), flips, strict=True):
        top, left, height, width = box
        crop = image[:, :, top : top + height, left : left + width].to(work)
        resized = resize(crop, plan.size, interpolation=plan.interpolation, antialias=plan.antialias)
        results.append(plan.finish(resized.flip(-1) if flipped else resized))  # while it is in the cache
    return torch.cat(results)


def _resize_by_matrices(images: Tensor, plan: CropPlan) -> Tensor:
    """Two batched matrix products, which never read the values of the boxes on the host."""
    boxes = plan.boxes.to(images.device, torch.int64, non_blocking=True)
    work = torch.promote_types(images.dtype, torch.float32)
    rows, columns = (
        box_matrix(
            boxes[:, axis],
            boxes[:, axis + 2],
            images.shape[axis + 2],
            plan.size[axis],
            interpolation=plan.interpolation,
            antialias=plan.antialias,
        ).to(work)
        for axis in (0, 1)
    )
    if plan.flip is not None:
        flip = rearrange(plan.flip.to(images.device, non_blocking=True), "b -> b 1 1")
        columns = torch.where(flip, columns.flip(1), columns)
    return plan.finish(
        apply_matrices(rearrange(rows, "b h i -> b 1 h i"), images, rearrange(columns, "b w j -> b 1 w j"))
    )


def _resize_by_kernel(images: Tensor, plan: CropPlan) -> Tensor | None:
    """All of ``crop_resize`` in one kernel, or None if the kernel does not support the call."""
    reason = why_unsupported_crops(
        images, plan.size, plan.dtype, interpolation=plan.interpolation, antialias=plan.antialias
    )
    if reason is not None:
        return None
    if plan.affine is None:
        ones = torch.ones(images.shape[1], device=images.device)
        scale, shift = ones, torch.zeros_like(ones)
    else:
        scale, shift = plan.affine.flatten(1)
    return launch_crop_resize(
        images,
        plan.boxes.to(images.device, torch.int64, non_blocking=True),
        plan.size,
        flip=None if plan.flip is None else plan.flip.to(images.device, non_blocking=True),
        scale=scale,
        shift=shift,
        antialias=plan.antialias,
        dtype=plan.dtype,
    )


def crop_resize(
    images: Tensor,
    boxes: Tensor,
    size: Size,
    *,
    flip: Tensor | None = None,
    interpolation: Interpolation = "bilinear",
    antialias: bool = True,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    dtype: torch.dtype | None = None,
    kernels: Literal["auto", "never"] = DEFAULT,
) -> Tensor:
    """Cut a different box out of each image of a batch, and resize all of them to one size.

    Each result is that of ``resize`` on the crop, as in torchvision's ``resized_crop``: pixels outside the box do not
    contribute. With ``flip`` the crop is mirrored left to right; with ``mean`` and ``std`` the result is normalized as
    by torchvision's ``normalize``. Differentiable in ``images`` for floating dtypes.

    On a CPU each crop is resized by torch's kernels, which round uint8 to whole levels even if the result is floating,
    and clamp bicubic between the axes. Elsewhere two batched matrix products compute the result: a floating result is
    not rounded, and results that read a non-finite pixel are NaN.

    The values of the boxes are checked before they are used. If the boxes are on a GPU, this check waits for the GPU.
    So leave the boxes on the CPU: copying them to the GPU does not wait. Under ``torch.compile`` the values are not
    checked, and boxes that leave the image give wrong numbers.

    Convention: boxes are whole pixels, (top, left, height, width), the arguments of torchvision's ``resized_crop`` in
    its order.

    Args:
        images: (B, C, H, W), floating point or uint8, any device and memory format; B may be 0.
        boxes: (B, 4), an integer dtype, inside the image and of at least one pixel; on the device of the images or a
            CPU.
        size: (height, width) of the results in pixels, or one int for a square.
        flip: (B,), bool: True where the result is mirrored left to right.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking; has no effect on "nearest-exact".
        mean: one number per channel, subtracted from the result; for uint8 images on the scale of 0 to 1.
        std: one number per channel, by which the result is then divided.
        dtype: dtype of the result, that of the images if None. uint8 images are scaled to 0..1 if it is floating, as by
            torchvision's ``to_dtype``.
        kernels: "never" uses plain PyTorch. "auto" uses one Triton kernel for the whole computation where it applies:
            images on a CUDA device, triton installed, no gradient needed, bilinear, no side shrunk to less than an
            eighth, not in ``torch.compile``. The kernel has run in Triton's interpreter, but not on a GPU yet.

    Returns:
        (B, C, height, width) with the device and memory format of ``images``; under autocast, and without ``dtype``, in
        autocast's dtype.

    Raises:
        SizeError: a size that is not positive, not whole, above 2**31 - 1, or of more than 2**57 pixels.
        ShapeError: images that are not four-dimensional or have no pixel; boxes, flip, mean or std of another shape.
        DtypeError: images neither floating point nor uint8, boxes not whole, flip not bool, a dtype that the images
            cannot have, or not a tensor.
        ArgumentError: a box that is empty or leaves the image; a mean or std that is not a number, or a std that is not
            positive.
        UnknownNameError: an unknown interpolation or an unknown value of ``kernels``.

    Example:
        >>> images = torch.arange(32.0).reshape(2, 1, 4, 4)
        >>> boxes = torch.tensor([[0, 0, 4, 4], [1, 2, 2, 2]])
        >>> crop_resize(images, boxes, (1, 2), flip=torch.tensor([False, True]))
        tensor([[[[ 6.7143,  8.2857]]],
        <BLANKLINE>
        <BLANKLINE>
                [[[25.0000, 24.0000]]]])
    """
    target = parse_size(size)
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    check_choice("kernels", kernels, ("auto", "never"))
    check_image("crop_resize", images)
    check_boxes(boxes, images)
    check_flip(flip, images)
    dtype = result_dtype(images) if dtype is None else dtype
    check_dtype(dtype, images, normalize=mean is not None or std is not None)
    affine = make_affine(images, dtype, mean, std)
    antialias = antialias and interpolation != "nearest-exact"
    plan = CropPlan(boxes, target, flip, affine, interpolation, antialias, dtype)
    with torch.autocast(images.device.type, enabled=False):
        result = _execute(images, plan, kernels=kernels)
    return result.contiguous(memory_format=memory_format_of(images))


def _execute(images: Tensor, plan: CropPlan, *, kernels: str) -> Tensor:
    if torch.compiler.is_compiling():
        return _resize_by_matrices(images, plan)
    if images.device.type == "cpu":
        return _resize_each(images, plan)
    result = _resize_by_kernel(images, plan) if kernels == "auto" and images.is_cuda else None
    return _resize_by_matrices(images, plan) if result is None else result
