"""Resizing a uint8 batch as another library does, against that library image by image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torch.nn import functional

from resizenet.functional import resize

from ._compare import Candidate, Comparison, Jobs, Setting
from ._roofline import Work
from ._timing import LAYOUTS

_MODE = "1 thread"
_PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def _library(like: str, interpolation: str, target: int) -> Callable[[np.ndarray], np.ndarray]:
    """The library's resize of an image (H, W, 3), on one thread."""
    if like == "pillow":
        return lambda image: np.asarray(Image.fromarray(image).resize((target, target), _PILLOW[interpolation]))
    import cv2

    cv2.setNumThreads(1)
    flag = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}[interpolation]
    return lambda image: cv2.resize(image, (target, target), interpolation=flag)


def resizing(
    device: torch.device, like: str, interpolation: str, batch: int, size: int, target: int, *, with_torch: bool = False
) -> Comparison:
    """Compare the library image by image with ours on the batch, which has to give the same levels.

    ``with_torch`` adds torch's own antialiased kernel, whose levels are others.
    """
    torch.manual_seed(0)
    images = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
    arrays = [np.ascontiguousarray(rearrange(image, "c h w -> h w c").numpy()) for image in images]
    one = _library(like, interpolation, target)

    def library() -> Tensor:
        return rearrange(torch.from_numpy(np.stack([one(array) for array in arrays])), "b h w c -> b c h w").to(device)

    candidates = [
        Candidate(f"{like} {interpolation}, one by one", library, mode=_MODE, layout="channels_last", baseline=True)
    ]
    for layout, memory_format in LAYOUTS.items():
        stack = images.contiguous(memory_format=memory_format)
        ours = partial(resize, size=target, interpolation=interpolation, like=like)
        call = lambda stack=stack, ours=ours: ours(stack.to(device))  # noqa: E731
        candidates.append(Candidate(f'resize(like="{like}")', call, mode=_MODE, layout=layout))
        if with_torch:
            interpolate = partial(functional.interpolate, size=target, mode=interpolation, antialias=True)
            call = lambda stack=stack, interpolate=interpolate: interpolate(stack).to(device)  # noqa: E731
            candidates.append(Candidate("F.interpolate", call, mode=_MODE, layout=layout, peer=True, group="torch"))
    work = Work(flops=0, least_bytes=batch * 3 * (size**2 + target**2))
    tolerance = 1.0 if (like, interpolation) == ("opencv", "cubic") else 0.0
    return Comparison(candidates, tolerance, work, memory=False, threads=1)


def jobs(device: torch.device, *, quick: bool) -> Jobs:
    """A batch of 64 images from 256 to 224 px; all but the two bilinear ones are left out of the quick suite."""
    rules = [("pillow", "bilinear"), ("opencv", "linear")]
    rules += [] if quick else [("pillow", "bicubic"), ("opencv", "area"), ("opencv", "cubic")]
    found: Jobs = {}
    for like, interpolation in rules:
        setting = Setting(f"as {like}", f"{interpolation}, 256 to 224 px", "uint8", 64)
        with_torch = like == "pillow" and device.type == "cpu"
        found[setting] = partial(resizing, device, like, interpolation, 64, 256, 224, with_torch=with_torch)
    return found
