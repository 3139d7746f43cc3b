"""Resizing and cropping every image by itself, as datasets do it, against the collated uint8 batch; one core each, all end on the device."""

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
from ._paired import Bench, Candidate, Jobs, Row, Setting, installed
from ._roofline import Work
from ._timing import LAYOUTS, one_thread

MODE = "1 thread"
_GREY_LEVEL = 1.0


def _stack(pictures: list[Image.Image]) -> Tensor:
    """(B, C, H, W) in the pixels' own order, which is channels_last."""
    return rearrange(torch.from_numpy(np.stack(pictures)), "b h w c -> b c h w")


def _to_levels(images: Tensor) -> Tensor:
    return images.round_().clamp_(0, 255).to(torch.uint8)


def _interpolate(images: Tensor, target: int) -> Tensor:
    """Torch by itself, which takes uint8 on a CPU only."""
    batch = images if images.device.type == "cpu" else images.float()
    resized = functional.interpolate(batch, (target, target), mode="bilinear", antialias=True)
    return resized if resized.dtype == torch.uint8 else _to_levels(resized)


def _kornia(images: Tensor, target: int) -> Tensor:
    from kornia.geometry.transform import resize

    return _to_levels(resize(images.float(), (target, target), align_corners=False, antialias=True))


def _one_by_one(device: torch.device, images: Tensor, pictures: list[Image.Image], target: int) -> list[Candidate]:
    resize = v2.Resize((target, target))

    def from_pil() -> Tensor:
        return torch.stack(
            [F.pil_to_tensor(picture.resize((target, target), Image.Resampling.BILINEAR)) for picture in pictures]
        ).to(device)

    def from_tensors() -> Tensor:
        return torch.stack([resize(image) for image in images]).to(device)

    return [
        Candidate("PIL, one by one", from_pil, MODE, peer=True, baseline=True),
        Candidate("torchvision on tensors, one by one", from_tensors, MODE, peer=True),
    ]


def _with_stacking(device: torch.device, pictures: list[Image.Image], ours: BatchResize) -> list[Candidate]:
    def from_tensors() -> Tensor:
        return ours(torch.stack([F.pil_to_tensor(picture) for picture in pictures]).to(device))

    return [
        Candidate("BatchResize, and stacking PIL images", from_tensors, MODE),
        Candidate(
            "BatchResize, and stacking PIL images as arrays",
            lambda: ours(_stack(pictures).to(device)),
            MODE,
            "channels_last",
        ),
    ]


def _on_the_batch(device: torch.device, images: Tensor, target: int, ours: BatchResize) -> list[Candidate]:
    candidates = []
    for layout, memory_format in LAYOUTS.items():
        stack = images.contiguous(memory_format=memory_format)
        candidates.append(
            Candidate(
                "F.interpolate on the batch",
                lambda stack=stack: _interpolate(stack.to(device), target),
                MODE,
                layout,
                peer=True,
            )
        )
        if installed("kornia"):
            candidates.append(
                Candidate(
                    "kornia on the batch",
                    lambda stack=stack: _kornia(stack.to(device), target),
                    MODE,
                    layout,
                    peer=True,
                )
            )
        candidates.append(Candidate("BatchResize", lambda stack=stack: ours(stack.to(device)), MODE, layout))
    return candidates


def upscaling(bench: Bench, batch: int, size: int, target: int) -> list[Row]:
    """Rows of PIL and of torchvision one by one, of torch, kornia and ours on the stack, and of ours with the stacking included."""
    torch.manual_seed(0)
    images, ours = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8), BatchResize(target)
    pictures = [F.to_pil_image(image) for image in images]
    candidates = [
        *_one_by_one(bench.device, images, pictures, target),
        *_with_stacking(bench.device, pictures, ours),
        *_on_the_batch(bench.device, images, target, ours),
    ]
    work = Work(flops=0, least_bytes=batch * 3 * (size**2 + target**2))
    with one_thread():
        return bench.rows(
            _upscaling(batch, size, target), candidates, tolerance=_GREY_LEVEL, work=work, memory=False
        )  # PIL's is not torch's


def _upscaling(batch: int, size: int, target: int) -> Setting:
    return Setting("upscaling", f"{size} to {target} px", "uint8", batch)


def jobs(bench: Bench, quick: bool) -> Jobs:
    """CIFAR's way to 128 px, and random crops of a batch; ``quick`` leaves out 224 px. PIL has one thread, so torch gets one too."""
    targets = (128,) if quick else (128, 224)
    return {
        **{_upscaling(512, 32, target).title: partial(upscaling, bench, 512, 32, target) for target in targets},
        **_crops.jobs(bench),
    }
