"""Random resized crops of a collated batch, one for each image, on the batch's device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from ..._checks import check_non_negative, check_positive, parse_number, parse_range
from ..._errors import ArgumentError, ShapeError
from ..._sizes import Size, parse_size
from ...functional import crop_resize
from ...functional._inputs import check_dense
from ...functional._interpolation import Interpolation
from .._base import Interpolations, describe_arguments, parse_interpolation, sample_size
from .._resize_input import call_kernel, crop_and_resize_input, has_kernel

_ATTEMPTS = 10  # of torchvision, before it takes the center crop
_IMAGES = (tv_tensors.Image, tv_tensors.Video)


def _center_crop(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the largest center crop of an allowed ratio, as torchvision computes it."""
    crop_height, crop_width = height, width
    if width / height < ratio[0]:
        crop_height = max(1, round(width / ratio[0]))
    elif width / height > ratio[1]:
        crop_width = max(1, round(height * ratio[1]))
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def _draw_boxes(
    draws: Tensor, height: int, width: int, *, scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """(B, 22) numbers in [0, 1) -> (B, 4): the first of ten areas and ratios that fits, placed uniformly."""
    areas, ratios, places = torch.split(draws, [_ATTEMPTS, _ATTEMPTS, 2], dim=1)
    areas = (scale[0] + areas * (scale[1] - scale[0])) * (height * width)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    ratios = torch.exp(low + ratios * (high - low))
    sides = torch.stack([(areas / ratios).sqrt(), (areas * ratios).sqrt()], dim=2)  # (B, attempts, 2)
    sides = sides.round()  # half to even, as Python's round
    canvas = torch.tensor((height, width), dtype=sides.dtype, device=sides.device)
    fits = ((sides >= 1) & (sides <= canvas)).all(2)
    first = fits.to(torch.uint8).argmax(1)  # the first of several maxima
    sides = sides[torch.arange(len(first), device=first.device), first]
    starts = (places * (canvas - sides + 1)).floor().minimum(canvas - sides)  # minimum: a product may round up
    fallback = torch.tensor(_center_crop(height, width, ratio), dtype=sides.dtype, device=sides.device)
    return torch.where(fits.any(1, keepdim=True), torch.cat([starts, sides], 1), fallback).long()


class BatchRandomResizedCrop(nn.Module):
    """Crops each image of a collated batch at random and resizes all to ``size``, on the batch's device.

    The distribution is that of torchvision's ``RandomResizedCrop`` (Szegedy et al. 2014, section 6). torchvision draws
    one crop for a whole batch; this module draws one for each image. A tensor (B, C, H, W) goes through
    ``functional.crop_resize``, and compiles; a list of interpolations causes a graph break.

    In a dict, list or tuple the first such tensor is cropped, and with it all inputs in ``tv_tensors``: a batch
    of masks (B, H, W) or of videos, or for each image, in order, its boxes, keypoints or masks. Labels and other values
    are not changed. ``default_collate`` unwraps masks, so wrap them again.

    Convention: ``scale`` is a share of the AREA, as in ``RandomResizedCropPolicy``.

    Args:
        size: (height, width) in pixels, or one int for a square.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height of the crop.
        flip_probability: probability that an image is mirrored left to right, in [0, 1].
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list from which one is drawn for
            each batch; masks are resized by nearest.
        antialias: low-pass before shrinking.
        mean: mean of each channel, as in ``functional.crop_resize``. ``mean``, ``std`` and ``dtype`` apply to images
            only.
        std: standard deviation of each channel.
        dtype: dtype of the resulting images, by default that of the input; a floating dtype scales uint8 to 0..1.

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: a range or a probability outside its bounds; a std that is not positive.
        UnknownNameError: an unknown interpolation.
        ShapeError: on a tensor that is not (B, C, H, W); on a batch without images, whose images, masks and boxes have
            several sizes, or with another number of masks, boxes or keypoints than images.
        DtypeError: on a tensor that is neither floating point nor uint8; for ``mean`` or ``std`` with a uint8 result.

    Example:
        >>> import torch
        >>> moments = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        >>> crop = BatchRandomResizedCrop(224, flip_probability=0.5, dtype=torch.float16, **moments)
        >>> images, labels = crop((torch.zeros(8, 3, 256, 256, dtype=torch.uint8), torch.arange(8)))
        >>> images.shape, images.dtype
        (torch.Size([8, 3, 224, 224]), torch.float16)
    """

    def __init__(
        self,
        size: Size,
        *,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip_probability: float = 0.0,
        interpolation: Interpolations = "bilinear",
        antialias: bool = True,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.size = parse_size(size)
        self.scale = parse_range("scale", scale, upper=1.0)
        self.ratio = parse_range("ratio", ratio)
        self.flip_probability = parse_number("flip_probability", flip_probability, at_least=0, at_most=1)
        self.interpolation = cast("Interpolation | tuple[Interpolation, ...]", parse_interpolation(interpolation))
        self.antialias = antialias
        self.mean = mean
        self.std = std
        self.dtype = dtype

    def draw(
        self, batch: int, height: int, width: int, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Interpolation]:
        """Draw everything that is random in a call: a box and a flip for each image, and the interpolation.

        Args:
            batch: number of images in the batch.
            height: height of the images in pixels.
            width: width of the images in pixels.
            generator: to draw from, by default torch's own for the CPU.

        Returns:
            Boxes (top, left, height, width) of shape (batch, 4), int64; flips of shape (batch,), bool; a name. The
            tensors are on the generator's device.

        Raises:
            ArgumentError: a number outside its range, or something other than a generator.
        """
        check_non_negative("batch", batch)
        check_positive("height", height)
        check_positive("width", width)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ArgumentError(f"generator: expected a torch.Generator, got {generator!r}")
        # Compiled code takes no generator argument, not even None.
        source: dict[str, Any] = {"device": "cpu"}
        if generator is not None:
            source = {"generator": generator, "device": generator.device}
        draws = torch.rand(batch, 2 * _ATTEMPTS + 3, dtype=torch.float64, **source)
        boxes = _draw_boxes(draws[:, :-1], height, width, scale=self.scale, ratio=self.ratio)
        flip = draws[:, -1] < self.flip_probability
        if isinstance(self.interpolation, str):
            return boxes, flip, self.interpolation
        return boxes, flip, self.interpolation[int(torch.randint(len(self.interpolation), (), **source))]

    def forward(self, batch: Any, size: Size | None = None, *, generator: torch.Generator | None = None) -> Any:
        """Crop and resize ``batch`` to ``size``, for this call only, or to the module's own size.

        Args:
            batch: (B, C, H, W), or a dict, list or tuple with such a tensor.
            size: (height, width) in pixels, or one int for a square.
            generator: to draw from, by default torch's own for the CPU.

        Returns:
            The same nesting; a tensor alone as (B, C, height, width).
        """
        target = self.size if size is None else parse_size(size)
        if isinstance(batch, Tensor) and not isinstance(batch, tv_tensors.TVTensor):
            check_dense("BatchRandomResizedCrop", batch, "(B, C, H, W)")
            if batch.ndim != 4 or 0 in batch.shape[1:]:
                expected = "expected (B, C, H, W) with at least one channel and one pixel"
                raise ShapeError(f"BatchRandomResizedCrop: {expected}, got {tuple(batch.shape)}")
            drawn = self.draw(len(batch), *batch.shape[-2:], generator=generator)
            return self._crop_images(batch, target, *drawn)
        leaves, spec = tree_flatten(batch)
        kinds = _group_by_kind(leaves)
        inputs = [leaves[index] for indices in kinds.values() for index in indices]
        height, width = sample_size("BatchRandomResizedCrop", inputs)
        images = _find_images(leaves, kinds)
        boxes, flip, interpolation = self.draw(len(images), height, width, generator=generator)
        for indices in kinds.values():
            if leaves[indices[0]] is images:
                results = [self._crop_images(images, target, boxes, flip, interpolation)]
            else:
                results = _crop_others([leaves[index] for index in indices], target, boxes, flip)
            for index, result in zip(indices, results, strict=True):
                leaves[index] = result
        return tree_unflatten(leaves, spec)

    def _crop_images(
        self, images: Tensor, size: tuple[int, int], boxes: Tensor, flip: Tensor, interpolation: Interpolation
    ) -> Tensor:
        """Crop a batch of images (B, C, H, W) or of videos (B, T, C, H, W), whose frames share a box."""
        flat = images.as_subclass(Tensor) if isinstance(images, tv_tensors.TVTensor) else images
        if images.ndim > 4:
            frames = math.prod(images.shape[1:-3])
            flat, boxes, flip = flat.flatten(0, -4), boxes.repeat_interleave(frames, 0), flip.repeat_interleave(frames)
        out = crop_resize(
            flat,
            boxes,
            size,
            flip=flip,
            interpolation=interpolation,
            antialias=self.antialias,
            mean=self.mean,
            std=self.std,
            dtype=self.dtype,
        )
        out = out.reshape(*images.shape[:-3], *out.shape[1:]) if images.ndim > 4 else out
        return tv_tensors.wrap(out, like=images) if isinstance(images, tv_tensors.TVTensor) else out

    def extra_repr(self) -> str:
        """The arguments."""
        return describe_arguments(self)


def _group_by_kind(leaves: list[Any]) -> dict[type, list[int]]:
    """The indices of the inputs to crop, by type; the first plain (B, C, H, W) only if no image or video is wrapped."""
    kinds: dict[type, list[int]] = {}
    plain: list[int] = []
    for index, leaf in enumerate(leaves):
        if isinstance(leaf, tv_tensors.TVTensor):
            if has_kernel(F.resized_crop, type(leaf)):
                kinds.setdefault(type(leaf), []).append(index)
        elif isinstance(leaf, Tensor) and leaf.ndim >= 4:
            plain.append(index)
    if plain and not any(issubclass(kind, _IMAGES) for kind in kinds):
        kinds[Tensor] = plain[:1]
    return kinds


def _find_images(leaves: list[Any], kinds: dict[type, list[int]]) -> Tensor:
    """The images, or the videos; ShapeError unless they are one tensor with a batch dimension."""
    found: list[Tensor] = [
        leaves[index]
        for kind, indices in kinds.items()
        for index in indices
        if kind is Tensor or issubclass(kind, _IMAGES)
    ]
    if len(found) != 1 or found[0].ndim < 4:
        got = [tuple(images.shape) for images in found]
        raise ShapeError(
            f"BatchRandomResizedCrop: expected one tensor of images, (B, C, H, W), in the batch, got {got}"
        )
    return found[0]


def _crop_others(inputs: list[Any], size: tuple[int, int], boxes: Tensor, flip: Tensor) -> list[Any]:
    """Crop one mask of the whole batch; or, for each image, its mask or its set of boxes or keypoints."""
    first = inputs[0]
    is_batch = len(inputs) == 1 and isinstance(first, tv_tensors.Mask) and first.ndim > 2 and len(first) == len(boxes)
    samples = [tv_tensors.wrap(mask, like=first) for mask in first.as_subclass(Tensor)] if is_batch else inputs
    if len(samples) != len(boxes):
        expected = f"expected {type(first).__name__} for each of {len(boxes)} images"
        raise ShapeError(f"BatchRandomResizedCrop: {expected}, got {len(inputs)} of shape {tuple(first.shape)}")
    results = []
    for sample, box, flipped in zip(samples, boxes.tolist(), flip.tolist(), strict=True):
        result = crop_and_resize_input(sample, box, size, "bilinear")  # masks and coordinates do not use the name
        results.append(call_kernel(F.horizontal_flip, result) if flipped else result)
    if is_batch:
        masks = [result.as_subclass(Tensor) for result in results]
        stacked = torch.stack(masks) if masks else first.as_subclass(Tensor).new_empty((*first.shape[:-2], *size))
        return [tv_tensors.wrap(stacked, like=first)]
    return results
