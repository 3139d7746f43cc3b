"""Random crops of a batch of uint8 images, mirrored and normalised, each image with a box of its own: ``functional.crop_resize`` and its peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as F

from resizenet.functional import crop_resize
from resizenet.transforms import BatchRandomResizedCrop

from ._paired import Bench, Candidate, Jobs, Row, Setting, installed
from ._roofline import Work
from ._timing import DTYPES, one_thread

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TOLERANCE = 7e-3  # a grey level, of the largest normalised value: 1 / 255 / 0.224 / 2.64
_KORNIA_MARGIN = 2  # kornia's warp reads across the sides of a box, the others repeat the pixels there; no box is below a quarter of the result


@dataclass(frozen=True)
class Crops:
    """Images, and what is to be made of them.

    Attributes:
        images: (B, 3, H, W), uint8, on the device.
        boxes: (B, 4): top, left, height, width; on the CPU.
        flip: (B,), bool; on the CPU.
        target: side of the results in pixels.
        dtype: of the results.
        antialias: low-pass before shrinking.
    """

    images: Tensor
    boxes: Tensor
    flip: Tensor
    target: int
    dtype: torch.dtype
    antialias: bool


def draw(device: torch.device, batch: int, size: int, target: int, dtype: str, *, antialias: bool) -> Crops:
    """Random images, and boxes by the law of RandomResizedCrop."""
    torch.manual_seed(0)
    images = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
    boxes, flip, _ = BatchRandomResizedCrop(target, flip_probability=0.5).draw(batch, size, size)
    return Crops(images.to(device), boxes, flip, target, DTYPES[dtype], antialias)


def _moments(crops: Crops) -> tuple[Tensor, Tensor]:
    mean, std = (rearrange(torch.tensor(values, device=crops.images.device), "c -> c 1 1") for values in (MEAN, STD))
    return mean, std


def torchvision_one_by_one(crops: Crops, images: Tensor) -> Tensor:
    """As in a dataset."""
    results = []
    for image, box, flipped in zip(images, crops.boxes.tolist(), crops.flip.tolist(), strict=True):
        crop = F.resized_crop(image, *box, size=[crops.target, crops.target], antialias=crops.antialias)
        results.append(
            F.normalize(F.to_dtype(F.horizontal_flip(crop) if flipped else crop, scale=True), MEAN, STD).to(crops.dtype)
        )
    return torch.stack(results).to(crops.images.device)


def interpolate_one_by_one(crops: Crops) -> Tensor:
    """Crops and resizes by slices, the rest on the batch."""
    results = []
    for image, (top, left, height, width) in zip(crops.images.split(1), crops.boxes.tolist(), strict=True):
        crop = image[:, :, top : top + height, left : left + width].float()
        results.append(
            functional.interpolate(crop, (crops.target, crops.target), mode="bilinear", antialias=crops.antialias)
        )
    return _finish(crops, torch.cat(results) / 255)


def _finish(crops: Crops, images: Tensor) -> Tensor:
    """Mirrored where asked for, and normalised."""
    flip = rearrange(crops.flip.to(images.device, non_blocking=True), "b -> b 1 1 1")
    mean, std = _moments(crops)
    return ((torch.where(flip, images.flip(-1), images) - mean) / std).to(crops.dtype)


def _corners(boxes: Tensor, inset: Tensor) -> Tensor:
    """(B, 4, 2): x and y of the corners, clockwise from the top left, ``inset`` (B, 2) in y and x from the centres of the outermost pixels."""
    top, left, bottom, right = torch.cat([boxes[:, :2] + inset, boxes[:, :2] + boxes[:, 2:] - 1 - inset], 1).unbind(1)
    return torch.stack(
        [torch.stack(corner, 1) for corner in ((left, top), (right, top), (right, bottom), (left, bottom))], 1
    )


def kornia_slices(crops: Crops) -> Tensor:
    """What its RandomResizedCrop does in the mode "slice"."""
    from kornia.geometry.transform import crop_by_indices

    boxes = crops.boxes.float()
    images = crop_by_indices(
        crops.images.float() / 255, _corners(boxes, 0 * boxes[:, :2]), (crops.target, crops.target), align_corners=False
    )
    return _finish(crops, images)


def kornia_warp(crops: Crops) -> Tensor:
    """What it does in the mode "resample", on all images at once; the corners are where the centres of the result's outermost pixels lie in the image."""
    from kornia.geometry.transform import crop_and_resize

    boxes = crops.boxes.float()
    inset = boxes[:, 2:] / (2 * crops.target) - 0.5
    corners = _corners(boxes, inset).to(crops.images.device, non_blocking=True)
    return _finish(
        crops, crop_and_resize(crops.images.float() / 255, corners, (crops.target, crops.target), align_corners=True)
    )


def ours(crops: Crops, *, kernels: str) -> Tensor:
    """All of it in one call."""
    return crop_resize(
        crops.images,
        crops.boxes,
        crops.target,
        flip=crops.flip,
        antialias=crops.antialias,
        mean=MEAN,
        std=STD,
        dtype=crops.dtype,
        kernels=kernels,
    )


def candidates_of(crops: Crops) -> list[Candidate]:
    """Peers, and ours; kornia's crops have no antialias."""
    mode = "1 thread"
    in_memory = crops.images.cpu()

    def peer(who: str, call: Callable[[], object], **options: object) -> Candidate:
        return Candidate(who, call, mode, peer=True, **options)

    found = [
        peer("torchvision v2, one by one", lambda: torchvision_one_by_one(crops, in_memory), baseline=True),
        peer("F.interpolate, one by one", lambda: interpolate_one_by_one(crops)),
    ]
    if crops.images.is_cuda:
        found.append(
            peer("torchvision v2, one by one, on the device", lambda: torchvision_one_by_one(crops, crops.images))
        )
    if not crops.antialias and installed("kornia"):
        found += [
            peer("kornia on the batch, slices", lambda: kornia_slices(crops)),
            peer("kornia on the batch, warp", lambda: kornia_warp(crops), margin=_KORNIA_MARGIN),
        ]
    found.append(Candidate("crop_resize", lambda: ours(crops, kernels="never"), mode))
    if crops.images.is_cuda:
        found.append(Candidate('crop_resize, kernels="auto"', lambda: ours(crops, kernels="auto"), mode))
    return found


def least_bytes(crops: Crops) -> int:
    """The pixels of the boxes are read, the results written."""
    read = 3 * int(crops.boxes[:, 2:].prod(1).sum())
    return read + 3 * len(crops.boxes) * crops.target**2 * crops.dtype.itemsize


def cropping(bench: Bench, batch: int, size: int, target: int, dtype: str, *, antialias: bool) -> list[Row]:
    """Rows of all of them, the images already on the device, except for those that torchvision crops on the CPU."""
    with one_thread():
        crops = draw(bench.device, batch, size, target, dtype, antialias=antialias)
        work = Work(flops=0, least_bytes=least_bytes(crops))
        return bench.rows(
            _setting(batch, size, target, dtype, antialias), candidates_of(crops), tolerance=TOLERANCE, work=work
        )


def _setting(batch: int, size: int, target: int, dtype: str, antialias: bool) -> Setting:
    return Setting(
        "random crops", f"{size} to {target} px{'' if antialias else ' without antialias'}", f"uint8 to {dtype}", batch
    )


def jobs(bench: Bench) -> Jobs:
    """ImageNet's images after a resize of the short side."""
    cuda = bench.device.type == "cuda"
    batch, dtypes = (256, ("float32", "float16")) if cuda else (64, ("float32",))
    return {
        _setting(batch, 256, 224, dtype, antialias).title: partial(
            cropping, bench, batch, 256, 224, dtype, antialias=antialias
        )
        for dtype in dtypes
        for antialias in (True, False)
    }
