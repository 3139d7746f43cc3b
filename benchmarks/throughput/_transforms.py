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


def upscaling(device: torch.device, batch: int, size: int, target: int) -> Comparison:
    """Compare PIL and torchvision image by image, torch, kornia and ours on the batch, and ours with the stacking."""
    torch.manual_seed(0)
    images, ours = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8), BatchResize(target)
    pictures, resize = [F.to_pil_image(image) for image in images], v2.Resize((target, target))

    def pil() -> Tensor:
        resized = [picture.resize((target, target), Image.Resampling.BILINEAR) for picture in pictures]
        return torch.stack([F.pil_to_tensor(picture) for picture in resized]).to(device)

    def one_by_one() -> Tensor:
        return torch.stack([resize(image) for image in images]).to(device)

    def stacking() -> Tensor:
        return ours(torch.stack([F.pil_to_tensor(picture) for picture in pictures]).to(device))

    def stacking_arrays() -> Tensor:
        return ours(_stack(pictures).to(device))

    arrays = "BatchResize, and stacking PIL images as arrays"
    candidates = [
        Candidate("PIL, one by one", pil, mode=_MODE, peer=True, baseline=True),
        Candidate("torchvision on tensors, one by one", one_by_one, mode=_MODE, peer=True),
        Candidate("BatchResize, and stacking PIL images", stacking, mode=_MODE),
        Candidate(arrays, stacking_arrays, mode=_MODE, layout="channels_last"),
        *_on_the_batch(device, images, target, ours),
    ]
    work = Work(flops=0, least_bytes=batch * 3 * (size**2 + target**2))
    # PIL's memory is not torch's. PIL has one thread, so torch gets one, too.
    return Comparison(candidates, _GRAY_LEVEL, work, memory=False, threads=1)


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


def jobs(device: torch.device, *, quick: bool) -> Jobs:
    """CIFAR's images to 128 px and, but for the quick suite, to 224 px, and random crops of a batch."""
    found: Jobs = {}
    for target in (128,) if quick else (128, 224):
        setting = Setting("upscaling", f"32 to {target} px", "uint8", 512)
        found[setting] = partial(upscaling, device, 512, 32, target)
    return found | _crops.jobs(device)
