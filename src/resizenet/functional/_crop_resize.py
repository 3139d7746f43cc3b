"""``crop_resize``: of each image of a batch another box, all resized to one size, on the device where the batch is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from .._checks import check_choice
from .._errors import ArgumentError, DtypeError, ShapeError
from .._sizes import Size, parse_size
from ._matrix import INTERPOLATIONS, box_matrix
from ._memory_format import memory_format_of
from ._resize import _check_image, _result_dtype, resize

_AGREED: dict[Hashable, bool] = {}  # whether the kernel computes what it should, by device and dtypes


def _check_boxes(boxes: Tensor, images: Tensor) -> None:
    """Raise unless ``boxes`` are (B, 4) whole numbers and, where their values may be looked at, lie inside the images."""
    batch, _, height, width = images.shape
    if boxes.ndim != 2 or boxes.shape[0] != batch or boxes.shape[1] != 4:
        raise ShapeError(
            f"crop_resize: expected boxes (top, left, height, width) for each of {batch} images, ({batch}, 4), got {tuple(boxes.shape)}"
        )
    if boxes.is_floating_point() or boxes.is_complex() or boxes.dtype == torch.bool:
        raise DtypeError(f"crop_resize: expected boxes in whole pixels, an integer dtype, got {boxes.dtype}")
    if torch.compiler.is_compiling():
        return
    starts, lengths = boxes[:, :2].long(), boxes[:, 2:].long()
    inside = (starts >= 0) & (lengths >= 1) & (starts + lengths <= torch.tensor((height, width), device=boxes.device))
    if not inside.all():
        sample = int(inside.all(1).logical_not().nonzero()[0])
        raise ArgumentError(
            f"crop_resize: expected boxes of at least one pixel inside images of {height} x {width}, "
            f"got (top, left, height, width) = {tuple(boxes[sample].tolist())} for image {sample}"
        )


def _check_flip(flip: Tensor, images: Tensor) -> None:
    if flip.dtype != torch.bool:
        raise DtypeError(f"crop_resize: expected flip to be bool, got {flip.dtype}")
    if flip.shape != images.shape[:1]:
        raise ShapeError(f"crop_resize: expected flip of shape ({images.shape[0]},), got {tuple(flip.shape)}")


def _check_dtype(dtype: torch.dtype, images: Tensor, *, normalised: bool) -> None:
    if not dtype.is_floating_point and (dtype != torch.uint8 or images.dtype != torch.uint8):
        raise DtypeError(
            f"crop_resize: expected a floating point dtype, or uint8 from uint8 images, got {images.dtype} -> {dtype}"
        )
    if normalised and not dtype.is_floating_point:
        raise DtypeError(
            f"crop_resize: mean and std need a floating point result, got {dtype}; ask for one, for example dtype=torch.float32"
        )


def _parse_moments(argument: str, values: Sequence[float] | None, channels: int, default: float) -> list[float]:
    if values is None:
        return [default] * channels
    try:
        numbers = [float(value) for value in values]
    except TypeError:
        raise ArgumentError(
            f"crop_resize: expected {argument} to be one number for each channel, got {values!r}"
        ) from None
    if len(numbers) != channels:
        raise ShapeError(f"crop_resize: expected {argument} for {channels} channels, got {len(numbers)}")
    return numbers


def _affine(
    images: Tensor, dtype: torch.dtype, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Tensor | None:
    """(2, C, 1, 1): what resized pixels are multiplied by, and what is added then; uint8 becomes 0..1 in floating dtypes. None for no change."""
    means, stds = (
        _parse_moments(name, values, images.shape[1], default)
        for name, values, default in (("mean", mean, 0.0), ("std", std, 1.0))
    )
    if not all(value > 0 for value in stds):
        raise ArgumentError(f"crop_resize: expected positive std, got {tuple(stds)}")
    levels = 255.0 if images.dtype == torch.uint8 and dtype.is_floating_point else 1.0
    if mean is None and std is None and levels == 1:
        return None
    work = torch.promote_types(torch.promote_types(images.dtype, dtype), torch.float32)
    moments = [
        [1 / (levels * value) for value in stds],
        [-centre / value for centre, value in zip(means, stds, strict=True)],
    ]
    return rearrange(torch.tensor(moments, dtype=work), "moments c -> moments c 1 1").to(
        images.device, non_blocking=True
    )


def _finish(resized: Tensor, affine: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Normalised by ``affine``, (2, C, 1, 1), in its dtype, and cast; whole numbers are rounded half to even."""
    if dtype == torch.uint8:
        return resized if resized.dtype == dtype else resized.round().clamp(0, 255).to(dtype)
    if affine is not None:
        resized = torch.addcmul(affine[1], resized.to(affine.dtype), affine[0])
    return resized.to(dtype)


def _resize_each(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    flip: Tensor | None,
    affine: Tensor | None,
    interpolation: str,
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    """One resize per image: on a CPU torch's kernels are many times faster than matrices."""
    if images.shape[0] == 0:
        return images.new_empty((0, images.shape[1], *size), dtype=dtype)
    work = images.dtype if images.dtype == torch.uint8 else torch.promote_types(images.dtype, torch.float32)
    flips = [False] * images.shape[0] if flip is None else flip.tolist()
    results = []
    for image, (top, left, height, width), flipped in zip(torch.split(images, 1), boxes.tolist(), flips, strict=True):
        crop = image[:, :, top : top + height, left : left + width].to(work)
        resized = resize(crop, size, interpolation=interpolation, antialias=antialias)
        results.append(_finish(resized.flip(-1) if flipped else resized, affine, dtype))  # while it is in the cache
    return torch.cat(results)


def _resize_by_matrices(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    flip: Tensor | None,
    affine: Tensor | None,
    interpolation: str,
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    """Two batched matrix products, without a look at the values of the boxes."""
    boxes = boxes.to(images.device, torch.int64, non_blocking=True)
    work = torch.promote_types(images.dtype, torch.float32)
    rows, columns = (
        box_matrix(
            boxes[:, axis],
            boxes[:, axis + 2],
            images.shape[axis + 2],
            size[axis],
            interpolation=interpolation,
            antialias=antialias,
        ).to(work)
        for axis in (0, 1)
    )
    if flip is not None:
        columns = torch.where(
            rearrange(flip.to(images.device, non_blocking=True), "b -> b 1 1"), columns.flip(1), columns
        )
    resized = rearrange(rows, "b h i -> b 1 h i") @ (images.to(work) @ rearrange(columns, "b w j -> b 1 j w"))
    return _finish(resized, affine, dtype)


def _resize_by_kernel(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    flip: Tensor | None,
    affine: Tensor | None,
    interpolation: str,
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor | None:
    """The whole of ``crop_resize`` in one kernel, or None where that is not to be had."""
    from ..kernels import agrees, objection_to_crops, pattern
    from ..kernels import crop_resize as launch

    if objection_to_crops(images, size, dtype, interpolation=interpolation, antialias=antialias) is not None:
        return None
    if affine is None:
        affine = (
            torch.tensor([1.0, 0.0])
            .view(2, 1, 1, 1)
            .repeat(1, images.shape[1], 1, 1)
            .to(images.device, non_blocking=True)
        )
    scale, shift = affine.flatten(1)
    boxes = boxes.to(images.device, torch.int64, non_blocking=True)
    flip = None if flip is None else flip.to(images.device, non_blocking=True)

    def by_kernel(images: Tensor, boxes: Tensor, flip: Tensor | None) -> Tensor:
        return launch(images, boxes, size, flip=flip, scale=scale, shift=shift, antialias=antialias, dtype=dtype)

    key, box, mirrored = (images.device, images.dtype, dtype), boxes[:1], None if flip is None else flip[:1]
    by_matrices = partial(
        _resize_by_matrices,
        size=size,
        flip=mirrored,
        affine=affine,
        interpolation=interpolation,
        antialias=antialias,
        dtype=dtype,
    )
    if not agrees(
        _AGREED,
        key,
        lambda: by_kernel(pattern(images[:1]), box, mirrored),
        lambda: by_matrices(pattern(images[:1]), box),
    ):
        return None
    return by_kernel(images, boxes, flip)


def crop_resize(
    images: Tensor,
    boxes: Tensor,
    size: Size,
    *,
    flip: Tensor | None = None,
    interpolation: str = "bilinear",
    antialias: bool = True,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    dtype: torch.dtype | None = None,
    kernels: str = "auto",
) -> Tensor:
    """Cut a box of its own out of each image of a batch, and resize all of them to one size.

    Each result is that of ``resize`` on the crop, as in torchvision's ``resized_crop``: pixels outside the box have no say. With ``flip`` the crop is
    mirrored left to right; with ``mean`` and ``std`` the result is normalised as by torchvision's ``normalize``. Differentiable in ``images`` for
    floating dtypes.

    On a CPU each crop is resized by torch's kernels, which round uint8 to whole levels even where the result is floating, and clamp bicubic between
    the axes; elsewhere a floating result is not rounded, two batched matrix products make it, and a pixel that is not finite spreads over its rows and
    columns.

    Boxes are looked at before they are used, which waits for the GPU where they are on one: leave them on the CPU, their copy does not wait. In
    ``torch.compile`` they are not looked at, and boxes that leave the image give wrong numbers.

    Convention: boxes are whole pixels, (top, left, height, width), the arguments of torchvision's ``resized_crop`` in its order.

    Args:
        images: (B, C, H, W), floating point or uint8, any device and memory format; B may be 0.
        boxes: (B, 4), an integer dtype, inside the image and of at least one pixel; on the device of the images or a CPU.
        size: (height, width) of the results in pixels, or one int for a square.
        flip: (B,), bool: which results are mirrored.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking; has no meaning for "nearest-exact".
        mean: for each channel, taken from the result; of uint8 images on the scale of 0 to 1.
        std: for each channel, by which the result is then divided.
        kernels: "auto" takes one Triton kernel for all of it where that applies: images on a CUDA device, triton installed, no gradient needed,
            bilinear, no side shrunk to less than an eighth, not in ``torch.compile``. The first such call on a device computes an image by both
            ways, and plain PyTorch takes over, with a warning, should they differ. "never" is plain PyTorch. The kernel has run in Triton's
            interpreter, not on a GPU yet.
        dtype: of the result, that of the images unless given. uint8 images are scaled to 0..1 where it is floating, as by torchvision's ``to_dtype``.

    Returns:
        (B, C, height, width) with the device and memory format of ``images``; under autocast, and without ``dtype``, in autocast's dtype.

    Raises:
        SizeError: a size that is not positive or not whole.
        ShapeError: images that are not four-dimensional or have no pixel; boxes, flip, mean or std that do not fit them.
        DtypeError: images neither floating point nor uint8, boxes not whole, flip not bool, a dtype that the images cannot have.
        ArgumentError: a box that is empty or leaves the image; a std that is not positive.
        UnknownNameError: an unknown interpolation, or another word for ``kernels``.

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
    _check_image(images)
    _check_boxes(boxes, images)
    if flip is not None:
        _check_flip(flip, images)
    dtype = _result_dtype(images) if dtype is None else dtype
    _check_dtype(dtype, images, normalised=mean is not None or std is not None)
    affine = _affine(images, dtype, mean, std)
    antialias = antialias and interpolation != "nearest-exact"
    with torch.autocast(images.device.type, enabled=False):
        result = None
        if kernels == "auto" and images.is_cuda and not torch.compiler.is_compiling():
            result = _resize_by_kernel(images, boxes, target, flip, affine, interpolation, antialias, dtype)
        if result is None:
            each = images.device.type == "cpu" and not torch.compiler.is_compiling()
            result = (_resize_each if each else _resize_by_matrices)(
                images, boxes, target, flip, affine, interpolation, antialias, dtype
            )
    return result.contiguous(memory_format=memory_format_of(images))
