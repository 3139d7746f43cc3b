"""Random crops of a batch of uint8 images, flipped and normalized: ``functional.crop_resize`` and its peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as F

from resizenet.functional import crop_resize
from resizenet.transforms import BatchRandomResizedCrop

from ._compare import Candidate, Comparison, Jobs, Setting, installed
from ._roofline import Work
from ._timing import DTYPES

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TOLERANCE = 7e-3  # a gray level relative to the largest normalized value: 1 / 255 / 0.224 / 2.64
# kornia's warp reads pixels outside the box, where the others repeat the pixels inside. No box is below a quarter of
# the result, so this margin holds all pixels that differ.
_KORNIA_MARGIN = 2


@dataclass(frozen=True)
class Crops:
    """Images, and the crops that are made of them."""

    images: Tensor  # (B, 3, H, W), uint8, on the device
    boxes: Tensor  # (B, 4): top, left, height, width; on the CPU
    flip: Tensor  # (B,), bool; on the CPU
    target: int  # side of the results in pixels
    dtype: torch.dtype  # of the results
    antialias: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the results."""
        return self.target, self.target

    def least_bytes(self) -> int:
        """Count the pixels of the boxes, which are read, and the results, which are written."""
        read = 3 * int(self.boxes[:, 2:].prod(1).sum())
        return read + 3 * len(self.boxes) * self.target**2 * self.dtype.itemsize


def draw(device: torch.device, batch: int, size: int, target: int, dtype: str, *, antialias: bool) -> Crops:
    """Return random images, and boxes as RandomResizedCrop draws them."""
    torch.manual_seed(0)
    images = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
    boxes, flip, _ = BatchRandomResizedCrop(target, flip_probability=0.5).draw(batch, size, size)
    return Crops(images.to(device), boxes, flip, target, DTYPES[dtype], antialias)


def torchvision_one_by_one(crops: Crops, images: Tensor) -> Tensor:
    """Crop image by image, as a dataset does."""
    results = []
    for image, box, flipped in zip(images, crops.boxes.tolist(), crops.flip.tolist(), strict=True):
        crop = F.resized_crop(image, *box, size=list(crops.size), antialias=crops.antialias)
        crop = F.to_dtype(F.horizontal_flip(crop) if flipped else crop, scale=True)
        results.append(F.normalize(crop, MEAN, STD).to(crops.dtype))
    return torch.stack(results).to(crops.images.device)


def interpolate_one_by_one(crops: Crops) -> Tensor:
    """Crop and resize slice by slice; the rest is done on the batch."""
    results = []
    for image, (top, left, height, width) in zip(crops.images.split(1), crops.boxes.tolist(), strict=True):
        crop = image[:, :, top : top + height, left : left + width].float()
        results.append(functional.interpolate(crop, crops.size, mode="bilinear", antialias=crops.antialias))
    return _finish(crops, torch.cat(results) / 255)


def _finish(crops: Crops, images: Tensor) -> Tensor:
    """Flip and normalize."""
    mean, std = (rearrange(torch.tensor(values, device=images.device), "c -> c 1 1") for values in (MEAN, STD))
    flip = rearrange(crops.flip.to(images.device, non_blocking=True), "b -> b 1 1 1")
    return ((torch.where(flip, images.flip(-1), images) - mean) / std).to(crops.dtype)


def _corners(boxes: Tensor, inset: Tensor) -> Tensor:
    """Return the corners (B, 4, 2) in x and y, clockwise from the top left.

    ``inset`` (B, 2) in y and x counts from the centers of the outermost pixels.
    """
    top, left, bottom, right = torch.cat([boxes[:, :2] + inset, boxes[:, :2] + boxes[:, 2:] - 1 - inset], 1).unbind(1)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return torch.stack([torch.stack(corner, 1) for corner in corners], 1)


def kornia_slices(crops: Crops) -> Tensor:
    """Crop as kornia's RandomResizedCrop does in the mode "slice"."""
    from kornia.geometry.transform import crop_by_indices

    boxes, images = crops.boxes.float(), crops.images.float() / 255
    return _finish(crops, crop_by_indices(images, _corners(boxes, 0 * boxes[:, :2]), crops.size, align_corners=False))


def kornia_warp(crops: Crops) -> Tensor:
    """Crop as it does in the mode "resample", all images at once.

    The corners are where the centers of the result's outermost pixels lie in the image.
    """
    from kornia.geometry.transform import crop_and_resize

    boxes, images = crops.boxes.float(), crops.images.float() / 255
    corners = _corners(boxes, boxes[:, 2:] / (2 * crops.target) - 0.5).to(images.device, non_blocking=True)
    return _finish(crops, crop_and_resize(images, corners, crops.size, align_corners=True))


def ours(crops: Crops, *, kernels: Literal["never", "auto"]) -> Tensor:
    """Do all of it in one call."""
    moments = {"mean": MEAN, "std": STD, "dtype": crops.dtype}
    options = {"flip": crops.flip, "antialias": crops.antialias, "kernels": kernels}
    return crop_resize(crops.images, crops.boxes, crops.target, **options, **moments)


def candidates_of(crops: Crops) -> list[Candidate]:
    """Return the peers and ours. kornia's crops have no antialias. The Triton kernel is for CUDA only."""
    mode, in_memory = "1 thread", crops.images.cpu()

    def peer(who: str, call: Callable[[], object], **options: object) -> Candidate:
        return Candidate(who, call, mode=mode, peer=True, **options)

    one_by_one = "torchvision v2, one by one"
    found = [
        peer(one_by_one, lambda: torchvision_one_by_one(crops, in_memory), baseline=True),
        peer("F.interpolate, one by one", lambda: interpolate_one_by_one(crops)),
    ]
    if crops.images.is_cuda:
        found.append(peer(f"{one_by_one}, on the device", lambda: torchvision_one_by_one(crops, crops.images)))
    if not crops.antialias and installed("kornia"):
        warp = peer("kornia on the batch, warp", lambda: kornia_warp(crops), margin=_KORNIA_MARGIN)
        found += [peer("kornia on the batch, slices", lambda: kornia_slices(crops)), warp]
    found.append(Candidate("crop_resize", lambda: ours(crops, kernels="never"), mode=mode))
    if crops.images.is_cuda:
        found.append(Candidate("crop_resize, kernels", lambda: ours(crops, kernels="auto"), mode=mode))
    return found


def cropping(device: torch.device, batch: int, size: int, target: int, dtype: str, *, antialias: bool) -> Comparison:
    """Compare all of them with the images on the device, except for torchvision's crops on the CPU."""
    crops = draw(device, batch, size, target, dtype, antialias=antialias)
    return Comparison(candidates_of(crops), TOLERANCE, Work(flops=0, least_bytes=crops.least_bytes()), threads=1)


def jobs(device: torch.device) -> Jobs:
    """ImageNet's images after a resize of the short side, with and without antialias."""
    batch, dtypes = (256, ("float32", "float16")) if device.type == "cuda" else (64, ("float32",))
    found: Jobs = {}
    for dtype in dtypes:
        for antialias in (True, False):
            case = f"256 to 224 px{'' if antialias else ' without antialias'}"
            setting = Setting("random crops", case, f"uint8 to {dtype}", batch)
            found[setting] = partial(cropping, device, batch, 256, 224, dtype, antialias=antialias)
    return found
