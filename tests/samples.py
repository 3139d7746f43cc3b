"""Samples with every kind of input that the transforms take, and the pieces that they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

SOURCE = (29, 37)
NEWER = hasattr(tv_tensors, "KeyPoints")  # torchvision 0.23, which also has rotated boxes
COORDINATES = (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints) if NEWER else (tv_tensors.BoundingBoxes,)
UNTOUCHED = ("number", "fraction", "text", "nothing", "path", "array", "labels", "object", "unknown")


class Unknown(tv_tensors.TVTensor):
    """A type without kernels, which torchvision's transforms pass through."""


def boxes(corners: Any, size: tuple[int, int] = SOURCE, box_format: str = "XYXY") -> tv_tensors.BoundingBoxes:
    """Boxes given by (left, top, right, bottom), in another format."""
    box = tv_tensors.BoundingBoxes(torch.as_tensor(corners), format="XYXY", canvas_size=size)
    return F.convert_bounding_box_format(box, new_format=box_format)


def pil(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def batch_of(length: int = 5, size: tuple[int, int] = (31, 43), dtype: torch.dtype = torch.uint8) -> Tensor:
    """(B, 3, H, W) of levels from 0 to 255."""
    return torch.randint(256, (length, 3, *size), dtype=torch.uint8).to(dtype)


def big_sample() -> dict[str, Any]:
    """One of everything, of SOURCE; the image is first, so that the plain tensor of labels is not taken for one."""
    pixels, corners = torch.randint(256, (5, 3, *SOURCE), dtype=torch.uint8), [[3.0, 5, 30, 20], [0, 0, 37, 29]]
    sample = {
        "image": tv_tensors.Image(pixels[0]),
        "float image": tv_tensors.Image(torch.rand(1, *SOURCE)),
        "video": tv_tensors.Video(pixels),
        "pil": pil(pixels[1]),
        "whole boxes": boxes(torch.tensor(corners).long()),
        "mask": tv_tensors.Mask(torch.rand(SOURCE) > 0.5),
        "masks": tv_tensors.Mask(torch.randint(5, (4, *SOURCE))),
        **{name: boxes(corners, box_format=name) for name in ("XYXY", "XYWH", "CXCYWH")},
    }
    if NEWER:
        upright = tv_tensors.BoundingBoxes([[16.0, 14, 10, 6, 20]], format="CXCYWHR", canvas_size=SOURCE)
        for name in ("CXCYWHR", "XYWHR", "XYXYXYXY"):
            sample[name] = F.convert_bounding_box_format(upright, new_format=name)
        sample["keypoints"] = tv_tensors.KeyPoints([[3.0, 5], [30, 20]], canvas_size=SOURCE)
    others = (
        7,
        0.5,
        "cat",
        None,
        Path("cat.png"),
        np.zeros((29, 37, 3)),
        torch.tensor([3, 1]),
        object(),
        torch.tensor([3, 1]).as_subclass(Unknown),
    )
    return {**sample, **dict(zip(UNTOUCHED, others, strict=True))}
