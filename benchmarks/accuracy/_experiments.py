"""The experiments: what differs between the arms, and what is watched beside the accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

import resizenet as rn

from ._data import ImageData, normalize
from ._train import accuracy

Watch = Callable[[nn.Module, ImageData], dict[str, float]]


@dataclass(frozen=True)
class Arm:
    """One column of an experiment: how the model is made, and what of the recipe differs."""

    make: Callable[[], nn.Module]
    recipe: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """Arms that share everything but what they are named for."""

    question: str
    input_size: int
    epochs: int
    arms: dict[str, Arm]
    watch: Watch = lambda model, data: {}


def _small_resnet(**kwargs: object) -> nn.Module:
    return rn.create_model("resnet20", shortcut="projection", **kwargs)


def _behind(resizer: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: resizer().wrap(_small_resnet())


@contextmanager
def _batch_statistics(*parts: nn.Module) -> Iterator[None]:
    """BatchNorm layers normalise by the batch, and their running statistics stay as they are."""
    norms = [m for part in parts for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
    saved = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm in norms:
        norm.running_mean = norm.running_var = None
    yield
    for norm, (mean, var) in zip(norms, saved, strict=True):
        norm.running_mean, norm.running_var = mean, var


@torch.no_grad()
def watch_resizer(model: nn.Module, data: ImageData) -> dict[str, float]:
    """What the running statistics cost, and how large the resizer's own contribution has become."""
    found = {}
    with _batch_statistics(model.resizer):
        found["accuracy_resizer_batch_statistics"] = accuracy(model, data)
    with _batch_statistics(model):
        found["accuracy_all_batch_statistics"] = accuracy(model, data)
    images = normalize(data.x_test[:1000])
    plain = rn.FixedResizer(model.resizer.size)(images)
    found["residual_over_plain"] = float((model.resizer(images) - plain).std() / plain.std())
    return found


def _stability_arms() -> dict[str, Arm]:
    arms = {"fixed": Arm(_behind(lambda: rn.FixedResizer(16)))}
    for norm, ratios in {"batch": (1, 0.1, 0.01), "group": (1, 0.1), "none": (1, 0.1)}.items():
        for ratio in ratios:
            arms[f"{norm}, lr x {ratio}"] = Arm(_behind(lambda norm=norm: rn.Resizer(16, norm=norm)), {"lr_ratios": {"resizer.": ratio}})
    for norm in ("batch", "none"):
        arms[f"{norm}, tail lr x 0.01"] = Arm(_behind(lambda norm=norm: rn.Resizer(16, norm=norm)), {"lr_ratios": {"resizer.tail.": 0.01}})
    for ratio in (1, 0.1):
        arms[f"linear, lr x {ratio}"] = Arm(_behind(lambda: rn.LinearResizer(16)), {"lr_ratios": {"resizer.": ratio}})
    return arms


_PUBLISHED_RESNET = {"lr": 0.1, "schedule": "steps", "nesterov": False, "weight_decay": 1e-4, "batch_size": 128, "label_smoothing": 0.0}

EXPERIMENTS = {
    "resnet20_recipe": Experiment(
        question="Does resnet20 learn as published (He et al. 2015, section 4.2: 8.75 % error after 64,000 steps, 164 epochs)?",
        input_size=32,
        epochs=200,
        arms={"resnet20": Arm(lambda: rn.create_model("resnet20"), _PUBLISHED_RESNET)},
    ),
    "resizer_stability": Experiment(
        question="Where do the sudden validation drops of the published learned resizer come from?",
        input_size=32,
        epochs=5,
        arms=_stability_arms(),
        watch=watch_resizer,
    ),
}
