"""CIFAR-10 as tensors on a device, and its augmentation in batch."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the 50,000 training images


@dataclass(frozen=True)
class ImageData:
    """Images as (N, 3, H, W) uint8 and labels as (N,) int64, for training and for test."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor

    def to(self, device: torch.device) -> ImageData:
        """The same data on another device."""
        return ImageData(*(getattr(self, name).to(device) for name in ("x_train", "y_train", "x_test", "y_test")))


def load_cifar10(path: Path) -> ImageData:
    """CIFAR-10 from an .npz (x_train, y_train, x_test, y_test; images N, 32, 32, 3) or from torchvision's cifar-10-batches-py folder.

    Raises:
        SystemExit: with one line that says what is missing or broken.
    """
    try:
        arrays = _from_folder(path) if path.is_dir() else dict(np.load(path))
        x_train, y_train, x_test, y_test = (torch.from_numpy(arrays[name]) for name in ("x_train", "y_train", "x_test", "y_test"))
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise SystemExit(f"{path}: not CIFAR-10 as an .npz or a cifar-10-batches-py folder ({type(error).__name__}: {error})") from None
    return ImageData(rearrange(x_train, "n h w c -> n c h w"), y_train.long(), rearrange(x_test, "n h w c -> n c h w"), y_test.long())


def _from_folder(path: Path) -> dict[str, np.ndarray]:
    folder = path if (path / "test_batch").is_file() else path / "cifar-10-batches-py"

    def read(name: str) -> dict[bytes, object]:
        with (folder / name).open("rb") as file:
            return pickle.load(file, encoding="bytes")

    train, test = [read(f"data_batch_{i}") for i in range(1, 6)], read("test_batch")
    as_images = "n (c h w) -> n h w c"
    return {
        "x_train": rearrange(np.concatenate([batch[b"data"] for batch in train]), as_images, c=3, h=32),
        "y_train": np.concatenate([batch[b"labels"] for batch in train]),
        "x_test": rearrange(test[b"data"], as_images, c=3, h=32),
        "y_test": np.array(test[b"labels"]),
    }


def normalize(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 -> float32 with the training set's mean 0 and standard deviation 1."""
    mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (MEAN, STD))
    return (images / 255 - mean) / std


def crop_and_flip(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Pad with black, crop at random, flip half of them: one draw per image, (N, C, H, W) -> the same shape."""
    count, _, height, width = images.shape
    padded = F.pad(images, [padding] * 4)
    top, left = (torch.randint(0, 2 * padding + 1, (count, 1), generator=generator).to(images.device) for _ in range(2))
    flip = torch.rand(count, 1, generator=generator).to(images.device) < 0.5
    columns = torch.arange(width, device=images.device)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.where(flip, columns.flip(0), columns)
    sample = torch.arange(count, device=images.device)[:, None, None]
    return rearrange(padded[sample, :, rows[:, :, None], columns[:, None, :]], "n h w c -> n c h w")
