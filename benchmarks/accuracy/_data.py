"""Images as tensors on a device: CIFAR-10, and folders of images."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from rich.progress import track
from torch import Tensor
from torchvision.datasets import CIFAR10, ImageFolder
from torchvision.transforms import v2

import resizenet as rn

CIFAR10_MOMENTS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the 50,000 training images
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageData:
    """Images (N, 3, H, W) of uint8, or features (N, D), and labels (N,) of int64, for training and for test."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    mean: tuple[float, float, float] = CIFAR10_MOMENTS[0]
    std: tuple[float, float, float] = CIFAR10_MOMENTS[1]

    def to(self, device: torch.device) -> ImageData:
        """Return the same data on another device."""
        names = ("x_train", "y_train", "x_test", "y_test")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def fingerprint(self) -> dict[str, int | str]:
        """Return the numbers of images and the CRC-32 of all pixels and labels, for data on the CPU."""
        checksum = 0
        for part in (self.x_train, self.y_train, self.x_test, self.y_test):
            checksum = zlib.crc32(part.numpy(), checksum)
        return {"train": len(self.x_train), "test": len(self.x_test), "hash": f"{checksum:08x}"}

    def normalize(self, images: Tensor) -> Tensor:
        """Scale images in [0, 255] to mean 0 and standard deviation 1 over the data set; features stay as they are."""
        if images.ndim != 4:
            return images
        mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (self.mean, self.std))
        return (images / 255 - mean) / std


def load_cifar10(path: Path, *, train: slice = slice(None), test: slice = slice(None)) -> ImageData:
    """Read CIFAR-10 from an .npz (x_train, y_train, x_test, y_test) or from torchvision's cifar-10-batches-py folder.

    The images come in random order, so that a slice of them is a sample.

    Raises:
        SystemExit: with one line, if the data are missing or broken.
    """
    try:
        arrays = _from_folder(path) if path.is_dir() else _from_npz(path)
        x_train, y_train = _checked(arrays["x_train"], arrays["y_train"])
        x_test, y_test = _checked(arrays["x_test"], arrays["y_test"])
    except Exception as error:  # a broken archive raises errors of any kind
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise SystemExit(f"{path}: not CIFAR-10 as an .npz or a cifar-10-batches-py folder ({reason})") from None
    return ImageData(x_train[train], y_train[train], x_test[test], y_test[test])


def _from_npz(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        return dict(np.load(file))


def _from_folder(path: Path) -> dict[str, np.ndarray]:
    """Read torchvision's folder, whose checksums torchvision verifies."""
    root = path.parent if (path / "test_batch").is_file() else path
    train, test = CIFAR10(root, train=True), CIFAR10(root, train=False)
    labels = {"y_train": np.array(train.targets), "y_test": np.array(test.targets)}
    return {"x_train": train.data, "x_test": test.data, **labels}


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (32, 32, 3) or len(images) == 0:
        raise ValueError(f"images of {images.dtype} {images.shape}, expected uint8 (N, 32, 32, 3)")
    labels = labels.reshape(-1)
    if len(labels) != len(images) or labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() <= 9:
        found = f"{len(labels)} labels of {labels.dtype} for {len(images)} images"
        raise ValueError(f"{found}, expected one of 0 to 9 for each image")
    return rearrange(torch.from_numpy(images), "n h w c -> n c h w").contiguous(), torch.from_numpy(labels).long()


def load_folder(path: Path, size: int) -> ImageData:
    """Read images from train/CLASS/ and val/CLASS/, as Imagenette has them; each is resized and center-cropped.

    Raises:
        SystemExit: if the two have other classes, or more than 10.
    """
    train, test = ImageFolder(path / "train"), ImageFolder(path / "val")
    if train.classes != test.classes or len(train.classes) > 10:
        raise SystemExit(f"{path}: expected the same classes in train/ and val/, at most 10")
    return ImageData(*_decode(train, size), *_decode(test, size), *IMAGENET)


def _decode(folder: ImageFolder, size: int) -> tuple[Tensor, Tensor]:
    fit = v2.Compose([v2.PILToTensor(), rn.transforms.UpscalePolicy(size).eval()])
    images = torch.empty(len(folder), 3, size, size, dtype=torch.uint8)
    for i, (file, _) in enumerate(track(folder.samples, Path(folder.root).name, transient=True)):
        with Image.open(file) as image:
            images[i] = fit(image.convert("RGB"))
    return images, torch.tensor(folder.targets)
