"""Random crops and flips of a batch on its device, by the parameters of a resize policy, with a draw per image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from resizenet.functional import crop_resize
from resizenet.transforms import BatchRandomResizedCrop, NativePolicy, RandomResizedCropPolicy, ResizePolicy


def augment(policy: ResizePolicy | None, images: Tensor, generator: torch.Generator) -> Tensor:
    """Crop and flip images (N, C, H, W) of uint8, to uint8 or to float32 in [0, 255]; no policy changes nothing."""
    if policy is None:
        return images
    if isinstance(policy, NativePolicy):
        return _crop_padded(images, policy.padding, generator)
    if isinstance(policy, RandomResizedCropPolicy):
        crop = BatchRandomResizedCrop(policy.train_size, scale=policy.scale, ratio=policy.ratio, flip_probability=0.5)
        return crop(images.float(), generator=generator)  # not rounded to uint8
    raise TypeError(f"{type(policy).__name__} cannot be applied to a batch")


def _crop_padded(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Crop each image at its own size, up to ``padding`` pixels outside, where it is black."""
    count, _, height, width = images.shape
    flip = torch.randint(0, 2, (count,), generator=generator).bool()
    corners = torch.randint(0, 2 * padding + 1, (count, 2), generator=generator)
    boxes = torch.cat([corners, torch.tensor([height, width]).expand(count, 2)], 1)
    return crop_resize(F.pad(images, [padding] * 4), boxes, (height, width), flip=flip, kernels="never")
