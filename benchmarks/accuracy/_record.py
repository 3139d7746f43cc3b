"""AirNet's recipe for training on a CPU, and what each part of it is worth."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet.functional import crop_resize
from resizenet.models import AirNet
from resizenet.transforms import NativePolicy, ResolutionSchedule

from ._data import ImageData
from ._experiment import Arm, Experiment
from ._muon import Muon
from ._train import Recipe, Training, accuracy, as_input, autocast


@dataclass(frozen=True)
class FastRecipe(Recipe):
    """Muon and progressive resizing; all learning rates fall linearly to zero.

    Attributes:
        lr: of Muon, for the convolutions.
        bias_lr: of SGD, for the biases of the norms and of the stem.
        head_lr: of SGD, for the classifier.
        momentum: of Muon.
        weight_decay: share of the biases and the classifier that a step at full learning rate removes.
        whitening: initialize the stem from the training images and keep it.
        whitening_epochs: epochs after which the stem's bias is kept, too.
        alternating_flips: mirror each image in every other epoch, instead of at random.
        sizes: pairs of the share of training after which a size is used, and the size in pixels.
    """

    lr: float = 0.12
    bias_lr: float = 26.5
    head_lr: float = 335.0
    momentum: float = 0.6
    weight_decay: float = 1e-3
    batch_size: int = 500
    label_smoothing: float = 0.2
    policy: dict[str, Any] = field(default_factory=NativePolicy(32, padding=2).to_dict)
    whitening: bool = True
    whitening_epochs: int = 3
    alternating_flips: bool = True
    sizes: tuple[tuple[float, int], ...] = ((0, 16), (4 / 15, 24), (9 / 15, 32))


class FastTraining(Training):
    """AirNet on its way through a ``FastRecipe``, alone or behind a resizer."""

    recipe: FastRecipe

    def __init__(
        self,
        model: AirNet | rn.ResizedModel,
        data: ImageData,
        recipe: FastRecipe,
        seed: int,
        accelerator: Accelerator,
    ) -> None:
        self.resizer, self.network = model.strip() if isinstance(model, rn.ResizedModel) else (nn.Identity(), model)
        if recipe.whitening:
            images = data.normalize(data.x_train[:5000])
            with torch.no_grad():
                self.network.initialize_from(self.resizer.eval()(images))
        else:
            self.network.stem.conv.weight.requires_grad_(True)
        self.mirrored = torch.rand(len(data.x_train), generator=torch.Generator().manual_seed(seed)) < 0.5
        self.sizes = ResolutionSchedule.stages(dict(recipe.sizes))
        super().__init__(model, data, recipe, seed, accelerator)
        padding = [self.policy.padding] * 4
        self.padded = F.pad(data.x_train.float(), padding, mode="reflect").to(torch.uint8)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Return Muon for the network's convolutions and SGD for the rest.

        The biases' rate is 64 times that of plain SGD (Jordan 2024), which a resizer gets; a ratio for
        "resizer." changes it.
        """
        recipe, parameters = self.recipe, dict(self.network.named_parameters())
        free = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
        sgd = {"momentum": 0.85, "weight_decay": recipe.weight_decay, "muon": False}
        stem, head = [free.pop("stem.conv.bias")], [free.pop("fc.weight")]
        filters = [parameter for parameter in free.values() if parameter.ndim == 4]
        biases = [parameter for parameter in free.values() if parameter.ndim == 1]
        groups = [
            {"params": filters, "lr": recipe.lr, "momentum": recipe.momentum, "muon": True},
            {"params": biases, "lr": recipe.bias_lr, **sgd},
            {"params": head, "lr": recipe.head_lr, **sgd},
            {"params": stem, "lr": recipe.bias_lr, **sgd},
        ]
        in_front = [parameter for parameter in self.resizer.parameters() if parameter.requires_grad]
        rate = recipe.bias_lr / 64 * recipe.lr_ratios.get("resizer.", 1.0)
        return Muon([*groups, {"params": in_front, "lr": rate, **sgd}] if in_front else groups)

    def make_schedule(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        """Return a linear decay to zero; the stem's bias reaches zero after ``whitening_epochs``."""
        epochs = [self.recipe.epochs] * len(optimizer.param_groups)
        epochs[3] = min(self.recipe.whitening_epochs, self.recipe.epochs)
        decays = [lambda step, total=self.steps * count: max(0.0, 1 - step / total) for count in epochs]
        return torch.optim.lr_scheduler.LambdaLR(optimizer, decays)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images and labels of an epoch: shifted, mirrored, resized and normalized."""
        epoch, device = len(self.curve), self.accelerator.device
        if self.recipe.whitening and epoch >= self.recipe.whitening_epochs:
            self.network.stem.requires_grad_(False)  # saves its share of the backward pass
        count, padding = len(self.padded), self.policy.padding
        mirrored = self.mirrored ^ (epoch % 2 == 1)
        if not self.recipe.alternating_flips:
            mirrored = torch.rand(count, generator=self.generator) < 0.5
        order = torch.randperm(count, generator=self.generator)
        height, width = self.data.x_train.shape[2:]
        for step, index in enumerate(order[: self.steps * self.recipe.batch_size].view(self.steps, -1)):
            self.size = self.sizes((epoch + step / self.steps) / self.recipe.epochs)
            corners = torch.randint(0, 2 * padding + 1, (len(index), 2), generator=self.generator)
            boxes = torch.cat([corners, torch.tensor([height, width]).expand(len(index), 2)], 1)
            images = crop_resize(
                self.padded[index.to(device)],
                boxes.to(device),
                self.size,
                flip=mirrored[index].to(device),
                mean=self.data.mean,
                std=self.data.std,
                dtype=torch.float32,
                kernels="never",
            )
            yield as_input(images, None), self.data.y_train[index.to(device)]

    def evaluate(self) -> dict[str, float]:
        """Return the test accuracy in %, at the size of the epoch's last batch, and that size in pixels."""
        return {"accuracy": accuracy(self.model, self.data, upscale=self.size), "size": self.size[0]}


@torch.no_grad()
def accuracy_with_flips(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Return the accuracy in % of the mean of each test image's logits and those of its mirror image."""
    right = 0
    for images, labels in zip(data.x_test.split(1000), data.y_test.split(1000), strict=True):
        x = as_input(data.normalize(images), None)
        with autocast(images.device):
            logits = model(x).float() + model(as_input(x.flip(3), None)).float()
        right += int((logits.argmax(1) == labels).sum())
    return {"accuracy_with_flips": 100 * right / len(data.y_test)}


def training_flops(recipe: FastRecipe, images_per_epoch: float) -> float:
    """Return the floating point operations of a training, with a backward pass counted as two forward passes."""
    ends = [*(start for start, _ in recipe.sizes[1:]), 1.0]
    macs = sum((end - start) * _macs(size) for (start, size), end in zip(recipe.sizes, ends, strict=True))
    return 3 * 2 * macs * recipe.epochs * images_per_epoch


@functools.cache
def _macs(size: int) -> int:
    return rn.report(airnet(), size).macs


def held_out(data: ImageData) -> ImageData:
    """Return 45,000 training images, and the other 5,000 in place of the test images."""
    order = torch.randperm(len(data.x_train), generator=torch.Generator().manual_seed(12345))
    train, test = (part.to(data.x_train.device) for part in (order[5000:], order[:5000]))
    x, y = data.x_train, data.y_train
    return replace(data, x_train=x[train], y_train=y[train], x_test=x[test], y_test=y[test])


def airnet() -> nn.Module:
    """Return the network of all arms."""
    return rn.create_model("airnet")


def airnet_without_identities() -> nn.Module:
    """Return the network with convolutions that start at random."""
    model = airnet()
    for layer in model.stages.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return model


_AIRNET = Experiment(
    question="How fast does a network learn CIFAR-10 on two CPU cores?",
    arms={
        "airnet": Arm(airnet),
        "32 px from the start": Arm(airnet, {"sizes": ((0, 32),)}),
        "without whitening": Arm(airnet, {"whitening": False}),
        "without partial identities": Arm(airnet_without_identities),
        "biases at 1/64 of the rate": Arm(airnet, {"bias_lr": FastRecipe.bias_lr / 64}),
        "random flips": Arm(airnet, {"alternating_flips": False}),
    },
    epochs=15,
    seeds=5,
    reference="airnet",
    finish=accuracy_with_flips,
    recipe=FastRecipe(),
    training=FastTraining,
)
_CANDIDATES: dict[str, dict[str, Any]] = {
    "4, 5 and 6 epochs at 16, 24 and 32 px": {},
    "5 epochs each at 16, 24 and 32 px": {"sizes": ((0, 16), (5 / 15, 24), (10 / 15, 32))},
}
RECORD = {
    "full": _AIRNET,
    "validation": replace(
        _AIRNET,
        arms={name: Arm(airnet, recipe, prepare=held_out) for name, recipe in _CANDIDATES.items()},
        seeds=1,
        reference="4, 5 and 6 epochs at 16, 24 and 32 px",
    ),
}
