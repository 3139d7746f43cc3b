"""The images of the demo: scikit-learn's digits or CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """(N, 3, H, W) float images in [0, 1] and (N,) labels, for training and for test."""

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.x_train.shape[-1]

    def first(self, training: int, test: int) -> Images:
        """Keep at most so many images for training and for test."""
        return Images(
            self.name, self.x_train[:training], self.y_train[:training], self.x_test[:test], self.y_test[:test]
        )


def load(data: Path | None) -> Images:
    """Load CIFAR-10 from ``data``, or the digits. Raise SystemExit with one line if CIFAR-10 cannot be read."""
    if data is None:
        return load_digits()
    try:
        return load_cifar10(data)
    except Exception as error:  # a broken file raises errors of any kind
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        expected = "expected an .npz or the folder that holds cifar-10-batches-py"
        raise SystemExit(f"demo: cannot read CIFAR-10 from {data}: {reason}; {expected}") from None


def load_digits() -> Images:
    """Load scikit-learn's digits, repeated over three channels; every fifth image of a fixed shuffle is for test."""
    from sklearn.datasets import load_digits as load

    digits = load()
    x = torch.from_numpy(digits.images).float()[:, None].expand(-1, 3, -1, -1) / 16
    y = torch.from_numpy(digits.target).long()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    test, train = order[::5], torch.cat([order[i::5] for i in range(1, 5)])
    return Images("scikit-learn digits", x[train], y[train], x[test], y[test])


def load_cifar10(path: Path) -> Images:
    """Load CIFAR-10 from an .npz (x_train, y_train, x_test, y_test) or from torchvision's folder."""
    if path.is_dir():
        root = path.parent if path.name == "cifar-10-batches-py" else path
        train, test = (torchvision.datasets.CIFAR10(root, train=flag) for flag in (True, False))
        images, labels = [train.data, test.data], [np.array(train.targets), np.array(test.targets)]
    else:
        arrays = np.load(path, allow_pickle=False)
        images, labels = ([arrays[f"{kind}_{part}"] for part in ("train", "test")] for kind in "xy")
    x_train, x_test = (torch.from_numpy(part).permute(0, 3, 1, 2) / 255 for part in images)
    y_train, y_test = (torch.from_numpy(part).long() for part in labels)
    return Images("CIFAR-10", x_train, y_train, x_test, y_test)
