"""CIFAR's way to 128 px: every image by itself, as datasets do it, against the collated uint8 batch; one core each, both end on the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from resizenet.transforms import BatchResize

from ._timing import alternate, summary

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def _check(expected: Tensor, got: Tensor) -> None:
    """Raise unless both are the same images, to one grey level."""
    error = int((expected.int() - got.int()).abs().max())
    if expected.shape != got.shape or error > 1:
        raise SystemExit(f"ours and the peer differ by {error} grey levels: nothing was timed")


def _stack(pictures: list[Image.Image]) -> Tensor:
    """(B, C, H, W) in the pixels' own order, which is channels_last."""
    return rearrange(torch.from_numpy(np.stack(pictures)), "b h w c -> b c h w")


def upscaling(device: torch.device, batch: int, size: int, target: int, rounds: int) -> list[dict[str, object]]:
    """Rows of PIL and of torchvision on tensors, one by one and then stacked, and of ours on the stack, and with the stacking included."""
    torch.manual_seed(0)
    images = torch.randint(256, (batch, 3, size, size), dtype=torch.uint8)
    pictures = [F.to_pil_image(image) for image in images]
    resize, ours = v2.Resize((target, target)), BatchResize(target)
    stacks = {name: images.contiguous(memory_format=layout) for name, layout in LAYOUTS.items()}

    def from_pil() -> Tensor:
        return torch.stack([F.pil_to_tensor(picture.resize((target, target), Image.Resampling.BILINEAR)) for picture in pictures]).to(device)

    candidates: dict[tuple[str, str], Callable[[], Tensor]] = {
        ("PIL, one by one", "contiguous"): from_pil,
        ("torchvision on tensors, one by one", "contiguous"): lambda: torch.stack([resize(image) for image in images]).to(device),
        ("BatchResize, and stacking PIL images", "contiguous"): lambda: ours(torch.stack([F.pil_to_tensor(picture) for picture in pictures]).to(device)),
        ("BatchResize, and stacking PIL images as arrays", "channels_last"): lambda: ours(_stack(pictures).to(device)),
        **{("BatchResize", name): lambda stack=stack: ours(stack.to(device)) for name, stack in stacks.items()},
    }
    expected = from_pil()
    for call in candidates.values():
        _check(expected, call())
    seconds = alternate(candidates, device, rounds)
    common = {"task": "upscaling", "case": f"{size} to {target} px", "dtype": "uint8", "batch": batch, "mode": "1 thread"}
    return [{**common, "who": who, "peer": "one by one" in who, "layout": layout, **summary(seconds[who, layout])} for who, layout in candidates]


def suite(device: torch.device, quick: bool) -> list[dict[str, object]]:
    """All rows; ``quick`` leaves out 224 px. PIL has one thread, so torch gets one too."""
    threads, rounds = torch.get_num_threads(), 15 if quick else 31
    torch.set_num_threads(1)
    try:
        return [row for target in ([128] if quick else [128, 224]) for row in upscaling(device, 512, 32, target, rounds)]
    finally:
        torch.set_num_threads(threads)
