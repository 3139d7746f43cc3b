"""Resizing every image by itself, as datasets do it, against the collated uint8 batch."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from resizenet.transforms import BatchResize

from . import _crops
from ._compare import Candidate, Comparison, Jobs, Setting, installed
from ._roofline import Work
from ._timing import LAYOUTS

_MODE = "1 thread"
_GRAY_LEVEL = 1.0


def _stack(pictures: list[Image.Image]) -> Tensor:
    """(B, C, H, W) in the pixels' own order, which is channels_last."""
    return rearrange(torch.from_numpy(np.stack(pictures)), "b h w c -> b c h w")


def _to_levels(images: Tensor) -> Tensor:
    return images.round_().clamp_(0, 255).to(torch.uint8)


def _interpolate(images: Tensor, target: int) -> Tensor:
    """Resize with torch, which takes uint8 on a CPU only."""
    batch = images if images.device.type == "cpu" else images.float()
    resized = functional.interpolate(batch, (target, target), mode="bilinear", antialias=True)
    return resized if resized.dtype == torch.uint8 else _to_levels(resized)


def _kornia(images: Tensor, target: int) -> Tensor:
    from kornia.geometry.transform import resize

    return _to_levels(resize(images.float(), (target, target), align_corners=False, antialias=True))


def _image_by_image(device: torch.device, images: Tensor, pictures: list[Image.Image], target: int) -> list[Candidate]:
    size, resize = (target, target), v2.Resize((target, target))

    def from_pil() -> Tensor:
        resized = [picture.resize(size, Image.Resampling.BILINEAR) for picture in pictures]
        return torch.stack([F.pil_to_tensor(picture) for picture in resized]).to(device)

    def from_tensors() -> Tensor:
        return torch.stack([resize(image) for image in images]).to(device)

    return [
        Candidate("PIL, one by one", from_pil, mode=_MODE, peer=True, baseline=True),
        Candidate("torchvision on tensors, one by one", from_tensors, mode=_MODE, peer=True),
    ]


def _with_stacking(device: torch.device, pictures: list[Image.Image], ours: BatchResize) -> list[Candidate]:
    def from_tensors() -> Tensor:
        return ours(torch.stack([F.pil_to_tensor(picture) for picture in pictures]).to(device))

    def from_arrays() -> Tensor:
        return ours(_stack(pictures).to(device))

    arrays = "BatchResize, and stacking PIL images as arrays"
    return [
        Candidate("BatchResize, and stacking PIL images", from_tensors, mode=_MODE),
        Candidate(arrays, from_arrays, mode=_MODE, layout="channels_last"),
    ]


def _on_the_batch(device: torch.device, images: Tensor, target: int, ours: BatchResize) -> list[Candidate]:
    resizers = {"F.interpolate on the batch": lambda stack: _interpolate(stack, target)}
    if installed("kornia"):
        resizers["kornia on the batch"] = lambda stack: _kornia(stack, target)
    resizers["BatchResize"] = ours
    candidates = []
    for layout, memory_format in LAYOUTS.items():
        stack = images.contiguous(memory_format=memory_format)
        for who, resize in resizers.items():
            call = lambda resize=resize, stack=stack: resize(stack.to(device))  # noqa: E731
            candidates.append(Candidate(who, call, mode=_MODE, layout=layout, peer=resize is not ours))
    return candidates


def upscaling(device: torch.device, batch: int, size: int, target: int) -> Comparison:
    """Compare PIL and torchvision image by image, torch, kornia and ours on the batch, and ours with the stacking."""
    torch.manual_seed(0)
    images, ours = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8), BatchResize(target)
    pictures = [F.to_pil_image(image) for image in images]
    candidates = [
        *_image_by_image(device, images, pictures, target),
        *_with_stacking(device, pictures, ours),
        *_on_the_batch(device, images, target, ours),
    ]
    work = Work(flops=0, least_bytes=batch * 3 * (size**2 + target**2))
    # PIL's memory is not torch's. PIL has one thread, so torch gets one, too.
    return Comparison(candidates, _GRAY_LEVEL, work, memory=False, threads=1)


def jobs(device: torch.device, *, quick: bool) -> Jobs:
    """CIFAR's images to 128 px and, but for the quick suite, to 224 px, and random crops of a batch."""
    found: Jobs = {}
    for target in (128,) if quick else (128, 224):
        setting = Setting("upscaling", f"32 to {target} px", "uint8", 512)
        found[setting] = partial(upscaling, device, 512, 32, target)
    return found | _crops.jobs(device)
