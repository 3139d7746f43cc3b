"""The random half of our resize policies, for a batch of images on its device: one draw per image, all images at once."""

from __future__ import annotations

import math

import torch
from einops import einsum, rearrange
from torch import Tensor
from torch.nn import functional as F

from resizenet.transforms import NativePolicy, RandomResizedCropPolicy, ResizePolicy

_TRIES = 10  # per image before the centre is taken, as in torchvision


def draw(policy: ResizePolicy | None, height: int, width: int, count: int, generator: torch.Generator) -> Tensor:
    """(count, 5) int64 on the CPU: top, left, height and width of a crop, and whether it is flipped; for images of height x width."""
    if policy is None:
        boxes = torch.tensor([0, 0, height, width]).expand(count, 4)
        return torch.cat([boxes, torch.zeros(count, 1, dtype=torch.int64)], 1)
    flip = torch.randint(0, 2, (count, 1), generator=generator)
    if isinstance(policy, NativePolicy):
        corner = torch.randint(-policy.padding, policy.padding + 1, (count, 2), generator=generator)
        return torch.cat([corner, torch.tensor([height, width]).expand(count, 2), flip], 1)
    if isinstance(policy, RandomResizedCropPolicy):
        return torch.cat([_random_boxes(policy, height, width, count, generator), flip], 1)
    raise TypeError(f"{type(policy).__name__} has no random half in batch")


def _random_boxes(
    policy: RandomResizedCropPolicy, height: int, width: int, count: int, generator: torch.Generator
) -> Tensor:
    """As torchvision draws a RandomResizedCrop: the first of ten draws that fits, else the largest centred box of a ratio in the range."""
    uniform = torch.rand(4, count, _TRIES, generator=generator)
    low, high = policy.scale
    area = height * width * (low + (high - low) * uniform[0])
    low, high = (math.log(value) for value in policy.ratio)
    ratio = torch.exp(low + (high - low) * uniform[1])
    w, h = torch.sqrt(area * ratio).round().long(), torch.sqrt(area / ratio).round().long()
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.int().argmax(1, keepdim=True)
    w, h, row, column = (values.gather(1, first)[:, 0] for values in (w, h, uniform[2], uniform[3]))
    top, left = ((row * (height - h + 1)).long(), (column * (width - w + 1)).long())
    centred = torch.tensor(_centred(policy, height, width))
    return torch.where(fits.any(1)[:, None], torch.stack([top, left, h, w], 1), centred)


def _centred(policy: RandomResizedCropPolicy, height: int, width: int) -> tuple[int, int, int, int]:
    low, high = policy.ratio
    ratio = min(max(width / height, low), high)
    w, h = (width, round(width / ratio)) if width / height < ratio else (round(height * ratio), height)
    w, h = min(w, width), min(h, height)
    return (height - h) // 2, (width - w) // 2, h, w


def apply(policy: ResizePolicy | None, images: Tensor, draws: Tensor) -> Tensor:
    """The crops that were drawn: (N, C, H, W) uint8 -> (N, C, *policy.train_size), uint8 or float32 in [0, 255]."""
    if policy is None:
        return images
    boxes, flip = draws.to(images.device, non_blocking=True).split([4, 1], 1)
    if isinstance(policy, NativePolicy):
        return crop_and_flip(images, boxes, flip.bool(), policy.padding)
    return crop_and_resize(images, boxes, flip.bool(), policy.train_size)


def crop_and_flip(images: Tensor, boxes: Tensor, flip: Tensor, padding: int) -> Tensor:
    """Crops of the image's own size, up to ``padding`` pixels outside, where it is black."""
    count, _, height, width = images.shape
    padded = F.pad(images, [padding] * 4)
    rows = boxes[:, :1] + padding + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = boxes[:, 1:2] + padding + torch.where(flip, columns.flip(0), columns)
    sample = torch.arange(count, device=images.device)[:, None, None]
    return rearrange(padded[sample, :, rows[:, :, None], columns[:, None, :]], "n h w c -> n c h w")


def crop_and_resize(images: Tensor, boxes: Tensor, flip: Tensor, size: tuple[int, int]) -> Tensor:
    """Each image's box resized to ``size``, bilinear and antialiased: one matrix per image and axis, zero outside the box."""
    top, left, height, width = boxes[:, :, None].float().unbind(1)
    rows = _matrices(top, height, images.shape[2], size[0])
    columns = _matrices(left, width, images.shape[3], size[1])
    columns = torch.where(flip[:, :, None], columns.flip(1), columns)
    halfway = einsum(rows, images.float(), "n k h, n c h w -> n c k w")
    return einsum(columns, halfway, "n l w, n c k w -> n c k l")


def _matrices(start: Tensor, length: Tensor, in_size: int, out_size: int) -> Tensor:
    """(N, out, in): a triangle as wide as an output pixel, at least as wide as an input one, cut at the box and normalised."""
    scale = length / out_size
    centres = start + (torch.arange(out_size, device=start.device) + 0.5) * scale
    pixels = torch.arange(in_size, device=start.device) + 0.5
    support = scale.clamp(min=1)[:, :, None]
    weights = (1 - (pixels - centres[:, :, None]).abs() / support).clamp(min=0)
    inside = (pixels > start) & (pixels < start + length)
    weights = weights * inside[:, None, :]
    return weights / weights.sum(2, keepdim=True)
