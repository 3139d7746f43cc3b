"""Random resized crops of a collated batch, one for each image, on the device where the batch is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from ..._checks import parse_range
from ..._errors import ShapeError
from ..._sizes import Size, parse_size
from ...functional import crop_resize
from .._keep_ratio import parse_share
from .._resizing import parse_interpolation, resize_input, sample_size

_ATTEMPTS = 10  # torchvision's, before it takes the centre crop
_PICTURES = (tv_tensors.Image, tv_tensors.Video)


def _centre_crop(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the largest crop in the middle whose ratio is allowed: what torchvision takes when it has drawn no crop that fits."""
    crop_height, crop_width = height, width
    if width / height < ratio[0]:
        crop_height = max(1, round(width / ratio[0]))
    elif width / height > ratio[1]:
        crop_width = max(1, round(height * ratio[1]))
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def _draw_boxes(
    draws: Tensor, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """(B, 22) numbers in [0, 1) -> (B, 4): of ten areas and ratios the first that fit, at a place with equal chances."""
    areas, ratios, places = torch.split(draws, [_ATTEMPTS, _ATTEMPTS, 2], dim=1)
    areas = (scale[0] + areas * (scale[1] - scale[0])) * (height * width)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    ratios = torch.exp(low + ratios * (high - low))
    sides = torch.stack(
        [(areas / ratios).sqrt(), (areas * ratios).sqrt()], dim=2
    ).round()  # (B, attempts, 2), half to even as Python's round
    canvas = torch.tensor((height, width), dtype=sides.dtype, device=sides.device)
    fits = ((sides >= 1) & (sides <= canvas)).all(2)
    first = fits.to(torch.uint8).argmax(1)  # the first of several largest
    sides = sides[torch.arange(len(first), device=first.device), first]
    starts = torch.minimum(
        (places * (canvas - sides + 1)).floor(), canvas - sides
    )  # the minimum is for draws that round up to 1
    fallback = torch.tensor(_centre_crop(height, width, ratio), dtype=sides.dtype, device=sides.device)
    return torch.where(fits.any(1, keepdim=True), torch.cat([starts, sides], 1), fallback).long()


class BatchRandomResizedCrop(nn.Module):
    """Crops each image of a collated batch at random and resizes all to ``size``, on the device where the batch is.

    The law is that of torchvision's ``RandomResizedCrop`` (Szegedy et al. 2014, section 6), which draws one crop for a whole batch; here each image has
    its own. A tensor (B, C, H, W) goes through ``functional.crop_resize``, and compiles; a list of interpolations to draw from breaks the graph. In a
    dict, list or tuple the first such tensor is cropped, and with it whatever is wrapped in ``tv_tensors``: a batch of masks (B, H, W) or of videos,
    or for each image, in their order, a set of boxes, keypoints or masks; labels and all else stay. ``default_collate`` unwraps masks, so wrap them
    again.

    Convention: ``scale`` is a share of the AREA, as in ``RandomResizedCropPolicy``.

    Args:
        size: (height, width) in pixels, or one int for a square.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height of the crop.
        flip_probability: with which an image is mirrored left to right, in [0, 1].
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list of them to draw from for each batch; masks are resized by
            nearest.
        antialias: low-pass before shrinking.
        mean: of each channel, as in ``functional.crop_resize``; for images only, like ``std`` and ``dtype``.
        std: of each channel.
        dtype: of the resulting images, their own unless given; a floating one scales uint8 to 0..1.

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: a range or a probability outside its bounds; a std that is not positive.
        UnknownNameError: an unknown interpolation.
        ShapeError: on a tensor that is not (B, C, H, W), or a batch without images, whose images, masks and boxes have several sizes, or whose
            masks, boxes or keypoints are not as many as the images.
        DtypeError: on a tensor that is neither floating point nor uint8, and for ``mean`` or ``std`` with a result in uint8.

    Example:
        >>> import torch
        >>> crop = BatchRandomResizedCrop(224, flip_probability=0.5, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), dtype=torch.float16)
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
        interpolation: str | Sequence[str] = "bilinear",
        antialias: bool = True,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.size = parse_size(size)
        self.scale = parse_range("scale", scale, upper=1.0)
        self.ratio = parse_range("ratio", ratio)
        self.flip_probability = parse_share("flip_probability", flip_probability)
        self.interpolation = parse_interpolation(interpolation)
        self.antialias = antialias
        self.mean = mean
        self.std = std
        self.dtype = dtype

    def make_params(
        self, batch: int, height: int, width: int, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, str]:
        """All the randomness of a call: for each of ``batch`` images of (height, width) a box, and whether it is mirrored; and the interpolation.

        Args:
            batch: number of images.
            height: of the images in pixels.
            width: of the images in pixels.
            generator: to draw from, torch's own for the CPU unless given.

        Returns:
            (batch, 4) of (top, left, height, width), int64; (batch,), bool; a name. The tensors are on the generator's device.
        """
        source: dict[str, Any] = (
            {} if generator is None else {"generator": generator, "device": generator.device}
        )  # compiled code takes no generator, not even None
        draws = torch.rand(batch, 2 * _ATTEMPTS + 3, dtype=torch.float64, **source)
        boxes = _draw_boxes(draws[:, :-1], height, width, self.scale, self.ratio)
        flip = draws[:, -1] < self.flip_probability
        if isinstance(self.interpolation, str):
            return boxes, flip, self.interpolation
        return boxes, flip, self.interpolation[int(torch.randint(len(self.interpolation), (), **source))]

    def forward(self, batch: Any, size: Size | None = None, *, generator: torch.Generator | None = None) -> Any:
        """Crop and resize ``batch`` to ``size``, for this call only, or to the module's own size.

        Args:
            batch: (B, C, H, W), or a dict, list or tuple with such a tensor.
            size: (height, width) in pixels, or one int for a square.
            generator: to draw from, torch's own for the CPU unless given.

        Returns:
            The same nesting; a tensor alone as (B, C, height, width).
        """
        target = self.size if size is None else parse_size(size)
        if isinstance(batch, Tensor) and not isinstance(batch, tv_tensors.TVTensor):
            if batch.ndim != 4:
                raise ShapeError(f"BatchRandomResizedCrop: expected (B, C, H, W), got {tuple(batch.shape)}")
            return self._crop_images(
                batch, target, *self.make_params(batch.shape[0], *batch.shape[-2:], generator=generator)
            )
        leaves, spec = tree_flatten(batch)
        kinds = _kinds_of(leaves)
        height, width = sample_size(
            "BatchRandomResizedCrop", [leaves[place] for places in kinds.values() for place in places]
        )
        images = _batch_of_images(leaves, kinds)
        params = self.make_params(images.shape[0], height, width, generator=generator)
        for places in kinds.values():
            inputs = [leaves[place] for place in places]
            results = (
                [self._crop_images(images, target, *params)]
                if inputs[0] is images
                else _crop_others(inputs, target, *params[:2])
            )
            for place, result in zip(places, results, strict=True):
                leaves[place] = result
        return tree_unflatten(leaves, spec)

    def _crop_images(
        self, images: Tensor, size: tuple[int, int], boxes: Tensor, flip: Tensor, interpolation: str
    ) -> Tensor:
        """A batch of images (B, C, H, W) or of videos (B, T, C, H, W), whose frames share a box."""
        flat = images.as_subclass(Tensor) if isinstance(images, tv_tensors.TVTensor) else images
        if images.ndim > 4:
            frames = math.prod(images.shape[1:-3])
            flat, boxes, flip = flat.flatten(0, -4), boxes.repeat_interleave(frames, 0), flip.repeat_interleave(frames)
        rule: dict[str, Any] = {
            "interpolation": interpolation,
            "antialias": self.antialias,
            "mean": self.mean,
            "std": self.std,
            "dtype": self.dtype,
        }
        out = crop_resize(flat, boxes, size, flip=flip, **rule)
        out = out.reshape(*images.shape[:-3], *out.shape[1:]) if images.ndim > 4 else out
        return tv_tensors.wrap(out, like=images) if isinstance(images, tv_tensors.TVTensor) else out

    def extra_repr(self) -> str:
        """The arguments."""
        names = ("size", "scale", "ratio", "flip_probability", "interpolation", "antialias", "mean", "std", "dtype")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)


def _kinds_of(leaves: list[Any]) -> dict[type, list[int]]:
    """Where the inputs to be cropped stand, by their kind; a plain tensor is one only where no image or video is wrapped, and the first of its kind."""
    kinds: dict[type, list[int]] = {}
    for place, leaf in enumerate(leaves):
        if isinstance(leaf, tv_tensors.TVTensor):
            kinds.setdefault(type(leaf), []).append(place)
    if not any(issubclass(kind, _PICTURES) for kind in kinds):
        plain = [
            place
            for place, leaf in enumerate(leaves)
            if isinstance(leaf, Tensor) and not isinstance(leaf, tv_tensors.TVTensor) and leaf.ndim >= 4
        ]
        kinds.update({Tensor: plain[:1]} if plain else {})
    return kinds


def _batch_of_images(leaves: list[Any], kinds: dict[type, list[int]]) -> Tensor:
    """The images, or the videos; ShapeError unless they are one tensor with a batch dimension."""
    places = [
        place for kind, found in kinds.items() for place in found if kind is Tensor or issubclass(kind, _PICTURES)
    ]
    shapes = [tuple(leaves[place].shape) for place in places]
    if len(shapes) != 1 or len(shapes[0]) < 4:
        raise ShapeError(
            f"BatchRandomResizedCrop: expected one tensor of images, (B, C, H, W), in the batch, got {shapes}"
        )
    images: Tensor = leaves[places[0]]
    return images


def _crop_others(inputs: list[Any], size: tuple[int, int], boxes: Tensor, flip: Tensor) -> list[Any]:
    """One mask of the whole batch, or a mask or a set of boxes or keypoints for each image, each with the crop of its image."""
    whole = (
        len(inputs) == 1
        and isinstance(inputs[0], tv_tensors.Mask)
        and inputs[0].ndim > 2
        and len(inputs[0]) == len(boxes)
    )
    samples = [tv_tensors.wrap(mask, like=inputs[0]) for mask in inputs[0].as_subclass(Tensor)] if whole else inputs
    if len(samples) != len(boxes):
        got = f"{len(inputs)} of shape {tuple(inputs[0].shape)}"
        raise ShapeError(
            f"BatchRandomResizedCrop: expected {type(inputs[0]).__name__} for each of {len(boxes)} images, got {got}"
        )
    results = []
    for sample, box, flipped in zip(samples, boxes.tolist(), flip.tolist(), strict=True):
        result = resize_input(
            F.crop(sample, *box), size, "bilinear"
        )  # for pixels; masks and coordinates have rules of their own
        results.append(F.horizontal_flip(result) if flipped else result)
    return (
        [tv_tensors.wrap(torch.stack([result.as_subclass(Tensor) for result in results]), like=inputs[0])]
        if whole
        else results
    )
