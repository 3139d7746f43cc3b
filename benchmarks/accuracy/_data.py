"""Images as tensors on a device: CIFAR-10, and folders of images."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from rich.progress import track
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import resizenet as rn

CIFAR10 = (
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
)  # mean and standard deviation of the 50,000 training images
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageData:
    """Images as (N, 3, H, W) uint8 and labels as (N,) int64, for training and for test; or features, (N, D) floating point."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    mean: tuple[float, float, float] = CIFAR10[0]
    std: tuple[float, float, float] = CIFAR10[1]

    def to(self, device: torch.device) -> ImageData:
        """The same data on another device."""
        return replace(
            self, **{name: getattr(self, name).to(device) for name in ("x_train", "y_train", "x_test", "y_test")}
        )

    def fingerprint(self) -> dict[str, int | str]:
        """How many images there are, and the CRC-32 of all pixels and labels (about half a second per GB); of data on the CPU."""
        checksum = 0
        for part in (self.x_train, self.y_train, self.x_test, self.y_test):
            checksum = zlib.crc32(part.numpy(), checksum)
        return {"train": len(self.x_train), "test": len(self.x_test), "hash": f"{checksum:08x}"}

    def normalize(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 255] -> float32 with mean 0 and standard deviation 1 over the data set; features stay as they are."""
        if images.ndim != 4:
            return images
        mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (self.mean, self.std))
        return (images / 255 - mean) / std


def load_cifar10(path: Path) -> ImageData:
    """CIFAR-10 from an .npz (x_train, y_train, x_test, y_test; images N, 32, 32, 3) or from torchvision's cifar-10-batches-py folder.

    Raises:
        SystemExit: with one line that says what is missing or broken.
    """
    try:
        arrays = _from_folder(path) if path.is_dir() else _from_npz(path)
        train, test = (_checked(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    except Exception as error:  # on a broken file pickle and zipfile raise whatever they stumble on
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise SystemExit(f"{path}: not CIFAR-10 as an .npz or a cifar-10-batches-py folder ({reason})") from None
    return ImageData(*train, *test)


def _from_npz(path: Path) -> Mapping[str, np.ndarray]:
    with path.open("rb") as file:
        arrays = np.load(file)
        if not isinstance(arrays, Mapping):
            raise ValueError("one array, not an archive of four")
        return dict(arrays)


def _from_folder(path: Path) -> Mapping[str, np.ndarray]:
    folder = path if (path / "test_batch").is_file() else path / "cifar-10-batches-py"

    def read(name: str) -> dict[bytes, Any]:
        with (folder / name).open("rb") as file:
            batch = pickle.load(file, encoding="bytes")
        _check_rows(name, batch.get(b"data"))
        return batch

    train, test = [read(f"data_batch_{i}") for i in range(1, 6)], read("test_batch")
    as_images = "n (c h w) -> n h w c"
    return {
        "x_train": rearrange(np.concatenate([batch[b"data"] for batch in train]), as_images, c=3, h=32),
        "y_train": np.concatenate([batch[b"labels"] for batch in train]),
        "x_test": rearrange(test[b"data"], as_images, c=3, h=32),
        "y_test": np.array(test[b"labels"]),
    }


def _check_rows(name: str, rows: object) -> None:
    is_array = isinstance(rows, np.ndarray)
    if not is_array or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3 * 32 * 32:
        found = f"{rows.dtype} {rows.shape}" if is_array else type(rows).__name__
        raise ValueError(f"{name}: data of {found}, expected uint8 (N, 3072)")


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3) or len(images) == 0:
        raise ValueError(f"images of {images.dtype} {images.shape}, expected uint8 (N, 32, 32, 3)")
    labels = labels.reshape(-1)
    if len(labels) != len(images) or labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() <= 9:
        raise ValueError(
            f"{len(labels)} labels of {labels.dtype} for {len(images)} images, expected as many, of 0 to 9"
        )
    return rearrange(torch.from_numpy(images), "n h w c -> n c h w").contiguous(), torch.from_numpy(labels).long()


def load_folder(path: Path, size: int) -> ImageData:
    """Images in train/CLASS/ and val/CLASS/, as Imagenette has them, resized to cover ``size`` and cropped to it in the centre.

    Raises:
        SystemExit: with one line that says what is missing or broken.
    """
    try:
        train, test = ImageFolder(path / "train"), ImageFolder(path / "val")
        if train.classes != test.classes or len(train.classes) > 10:
            raise ValueError(
                f"{len(train.classes)} classes in train, {len(test.classes)} in val, expected the same, at most 10"
            )
        parts = [part for folder in (train, test) for part in _decode(folder, size)]
    except (OSError, ValueError) as error:  # PIL's errors are OSErrors
        raise SystemExit(
            f"{path}: not a folder of images in train/CLASS/ and val/CLASS/ ({type(error).__name__}: {error})"
        ) from None
    return ImageData(*parts, *IMAGENET)


def _decode(folder: ImageFolder, size: int) -> tuple[Tensor, Tensor]:
    fit = v2.Compose([v2.PILToTensor(), rn.transforms.UpscalePolicy(size).eval()])
    images = torch.empty(len(folder), 3, size, size, dtype=torch.uint8)
    for i, (file, _) in enumerate(track(folder.samples, Path(folder.root).name, transient=True)):
        with Image.open(file) as image:
            images[i] = fit(image.convert("RGB"))
    return images, torch.tensor(folder.targets)
