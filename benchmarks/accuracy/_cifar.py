"""Experiments on CIFAR-10 with a whole network: stems, resolutions, ResNet-50, crops, shapes, and changed stems.

The small versions have a quarter of the width and so a sixteenth of the multiply-accumulates.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import torch
from torch import nn

import resizenet as rn
from resizenet.transforms import NativePolicy, RandomResizedCropPolicy, suggest_eval_size

from ._augment import augment
from ._data import ImageData, load_cifar10
from ._experiment import Arm, Experiment
from ._networks import QuarterResNet9, resnet18, resnet50, resnet_of_bottlenecks, thin_wide_resnet
from ._train import Recipe, accuracy

_STEMS = {"ImageNet stem": "imagenet", "no-pool stem": "no_pool", "small stem": "cifar"}


def _stem_arms(width: int, left_out: Collection[str]) -> dict[str, Arm]:
    def stem(name: str) -> Callable[[], nn.Module]:
        return lambda: resnet18(name, width)

    def folded() -> nn.Module:
        return rn.adapt(resnet18("imagenet", width), 32, stem="fold")

    makers = {name: stem(key) for name, key in _STEMS.items()} | {"folded stem": folded}
    return {
        f"{name}, {size} px": Arm(make, {"upscale": None if size == 32 else size})
        for size in (32, 64, 128)
        for name, make in makers.items()
        if f"{name}, {size} px" not in left_out
    }


_SLOWEST = ["small stem, 128 px"]
_SLOW = ["small stem, 64 px", "folded stem, 64 px", "no-pool stem, 128 px", "folded stem, 128 px"]
_STEM_EXPERIMENT = Experiment(
    question="How does resizing impact ResNet performance on CIFAR-10?",
    arms=_stem_arms(64, _SLOWEST),
    epochs=15,
    reference="ImageNet stem, 32 px",
    left_out="the small stem at 128 px, which costs 16 times the small stem at 32 px",
)
STEM_BY_RESOLUTION = {
    "full": _STEM_EXPERIMENT,
    "small": replace(
        _STEM_EXPERIMENT,
        arms=_stem_arms(16, [*_SLOWEST, *_SLOW]),
        epochs=5,
        left_out="the small and folded stems at 64 and 128 px and the no-pool stem at 128 px, the slowest of them",
    ),
}


def _resnet50_experiment(width: int, *, epochs: int, batch_size: int) -> Experiment:
    usual = Recipe(lr=0.1, schedule="steps", nesterov=False, batch_size=batch_size, label_smoothing=0.0)
    return Experiment(
        question="Why does ResNet50 on CIFAR-10 using torchvision achieve low accuracy?",
        arms={
            "as it is": Arm(lambda: resnet50(width)),
            "after adapt(model, 32)": Arm(lambda: rn.adapt(resnet50(width), 32)),
        },
        epochs=epochs,
        reference="as it is",
        recipe=usual,
    )


RESNET50_FIX = {
    "full": _resnet50_experiment(64, epochs=30, batch_size=128),
    "small": _resnet50_experiment(16, epochs=5, batch_size=256),
}

_POLICIES = {
    "native, padding 4": NativePolicy(32),
    "random resized crop (0.8, 1)": RandomResizedCropPolicy(32, scale=(0.8, 1.0), crop_pct=1.0),
    "random resized crop (0.08, 1)": RandomResizedCropPolicy(32, scale=(0.08, 1.0), crop_pct=1.0),
}
_SUGGESTED = {suggest_eval_size(32, scale=scale, crop_pct=1.0)[0] for scale in ((0.8, 1.0), (0.08, 1.0))}
EVAL_SIZES = tuple(sorted({*range(28, 53, 4), *_SUGGESTED}))


def accuracy_by_size(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Measure the test accuracy with the images resized to each of ``EVAL_SIZES``."""
    return {f"accuracy_at_{size}": accuracy(model, data, upscale=None if size == 32 else size) for size in EVAL_SIZES}


def _crop_experiment(width: int, *, epochs: int, seeds: int) -> Experiment:
    return Experiment(
        question="How far apart should the sizes of training and evaluation be?",
        arms={
            name: Arm(lambda: resnet18("cifar", width), {"policy": policy.to_dict()})
            for name, policy in _POLICIES.items()
        },
        epochs=epochs,
        seeds=seeds,
        reference="native, padding 4",
        finish=accuracy_by_size,
    )


CROP_POLICY = {"full": _crop_experiment(64, epochs=30, seeds=3), "small": _crop_experiment(16, epochs=5, seeds=2)}

_SHAPE_EXPERIMENT = Experiment(
    question="How does ResNet perform on 32x32 images?",
    arms={
        "resnet20": Arm(lambda: rn.create_model("resnet20")),
        "resnet56": Arm(lambda: rn.create_model("resnet56")),
        "reduced depth (resnet14_64)": Arm(lambda: rn.create_model("resnet14_64")),
        "reduced bottlenecks": Arm(lambda: resnet_of_bottlenecks(64)),
        "resnet18, small stem": Arm(lambda: rn.create_model("resnet18")),
        "wide (wrn_16_4)": Arm(lambda: rn.create_model("wrn_16_4")),
        "wide, dropout 0.3": Arm(lambda: rn.create_model("wrn_16_4", dropout=0.3)),
        "resnet9": Arm(lambda: rn.create_model("resnet9")),
    },
    epochs=30,
)
_THIN = {
    "reduced depth (resnet14_64)": lambda: rn.create_model("resnet14_64", widths=(16, 16, 16)),
    "reduced bottlenecks": lambda: resnet_of_bottlenecks(16),
    "resnet18, small stem": lambda: resnet18("cifar", 16),
    "wide (wrn_16_4)": lambda: thin_wide_resnet(dropout=0.0),
    "wide, dropout 0.3": lambda: thin_wide_resnet(dropout=0.3),
    "resnet9": QuarterResNet9,
}
SHAPE = {
    "full": _SHAPE_EXPERIMENT,
    "small": replace(
        _SHAPE_EXPERIMENT,
        arms={name: _SHAPE_EXPERIMENT.arms[name] for name in ("resnet20", "resnet56")}
        | {f"{name}, quarter width": Arm(make) for name, make in _THIN.items()},
        epochs=5,
        seeds=2,
    ),
}

TRAINED_AT = 64
WAYS_TO_ADAPT = {
    "keep": {"stem": "keep"},
    "fold": {"stem": "fold"},
    **{method: {"stem": "cifar", "stem_weights": method} for method in ("pinv", "area", "center")},
}


def accuracy_after_adapt(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Measure the model as trained, and at 32 px after every way to adapt it, with its statistics fitted or not."""
    generator, policy, batches = torch.Generator().manual_seed(0), NativePolicy(32), []
    for _ in range(20):
        index = torch.randint(len(data.x_train), (256,), generator=generator).to(data.x_train.device)
        images = augment(policy, data.x_train[index], generator)
        batches.append((data.normalize(images), data.y_train[index]))
    found = {"upscaled": accuracy(model, data, upscale=TRAINED_AT)}
    for name, way in WAYS_TO_ADAPT.items():
        adapted = rn.adapt(model, 32, **way)
        found[name] = accuracy(adapted, data)
        for mode in ("bn", "bn+head"):
            fitted = rn.adapt_to_resolution(copy.deepcopy(adapted), batches, mode=mode)
            found[f"{name}, {mode}"] = accuracy(fitted.eval(), data)
    return found


def _fold_experiment(width: int, *, epochs: int) -> Experiment:
    return Experiment(
        question="What is left of a network's accuracy when the upscaling in front of it is taken away?",
        arms={"trained at 64 px": Arm(lambda: resnet18("imagenet", width), {"upscale": TRAINED_AT})},
        epochs=epochs,
        finish=accuracy_after_adapt,
    )


FOLD_TRANSFER = {"full": _fold_experiment(64, epochs=30), "small": _fold_experiment(16, epochs=10)}

_TRAINED = f"trained at {TRAINED_AT} px"


def _stem_weights_experiment(width: int, *, epochs: int) -> Experiment:
    make = partial(resnet18, "imagenet", width)

    def tuned(**how: str) -> Arm:
        return Arm(make, {"epochs": 2, "lr": 0.1}, start=_TRAINED, change=lambda model: rn.adapt(model, 32, **how))

    stems = {f'stem_weights="{method}"': tuned(stem_weights=method) for method in ("center", "area", "pinv", "fresh")}
    return Experiment(
        question="Which weights should the first convolution have before fine-tuning at 32 px?",
        arms={_TRAINED: Arm(make, {"upscale": TRAINED_AT}), 'stem="fold"': tuned(stem="fold"), **stems},
        epochs=epochs,
        reference='stem_weights="center"',
    )


STEM_WEIGHTS = {
    "full": _stem_weights_experiment(64, epochs=30),
    "small": replace(
        _stem_weights_experiment(16, epochs=8),
        load=partial(load_cifar10, train=slice(20_000)),
        left_out="all but the first 20,000 training images",
    ),
}

RESNET20_RECIPE = {
    "full": Experiment(
        question="Does resnet20 learn as published "
        "(He et al. 2015, section 4.2: 8.75 % error after 64,000 steps, 164 epochs)?",
        arms={"resnet20": Arm(lambda: rn.create_model("resnet20"))},
        epochs=200,
        recipe=Recipe(lr=0.1, schedule="steps", nesterov=False, weight_decay=1e-4, batch_size=128, label_smoothing=0.0),
    )
}
