"""Experiments on CIFAR-10 with a whole network: stems and resolutions, ResNet-50, crops, shapes, and folded stems."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

import resizenet as rn
from resizenet.models import ResNet, WideBlock
from resizenet.transforms import NativePolicy, RandomResizedCropPolicy, suggest_eval_size

from . import _augment
from ._data import ImageData
from ._experiment import Arm, Experiment
from ._networks import ConstantWidthBottlenecks, QuarterResNet9, resnet18, resnet50
from ._train import accuracy

_STEMS = {"ImageNet stem": "imagenet", "no-pool stem": "no_pool", "small stem": "cifar"}


def _folded(*, small: bool) -> nn.Module:
    return rn.adapt(resnet18("imagenet", small=small), 32, stem="fold")


def _stem_arms(*, small: bool, left_out: set[str]) -> dict[str, Arm]:
    makers: dict[str, Callable[[], nn.Module]] = {
        name: lambda stem=stem: resnet18(stem, small=small)
        for name, stem in _STEMS.items()  # type: ignore[misc]
    }
    makers["folded stem"] = lambda: _folded(small=small)
    arms = {
        f"{name}, {size} px": Arm(make, {"upscale": None if size == 32 else size})
        for size in (32, 64, 128)
        for name, make in makers.items()
    }
    return {name: arm for name, arm in arms.items() if name not in left_out}


_SLOWEST = {"small stem, 128 px"}

STEM_BY_RESOLUTION = Experiment(
    question="How does resizing impact ResNet performance on CIFAR-10?",
    arms=_stem_arms(small=False, left_out=_SLOWEST),
    epochs=15,
    reference="ImageNet stem, 32 px",
    left_out="the small stem at 128 px, which costs 16 times the small stem at 32 px",
    small=Experiment(
        question="How does resizing impact ResNet performance on CIFAR-10?",
        arms=_stem_arms(
            small=True,
            left_out={
                *_SLOWEST,
                "small stem, 64 px",
                "folded stem, 64 px",
                "no-pool stem, 128 px",
                "folded stem, 128 px",
            },
        ),
        epochs=5,
        reference="ImageNet stem, 32 px",
        left_out="the small and folded stems at 64 and 128 px and the no-pool stem at 128 px, the slowest of them",
    ),
)

_USUAL_ADVICE = {"lr": 0.1, "schedule": "steps", "nesterov": False, "weight_decay": 5e-4, "label_smoothing": 0.0}


def _resnet50_arms(*, small: bool) -> dict[str, Arm]:
    recipe = {**_USUAL_ADVICE, "batch_size": 256 if small else 128}
    return {
        "as it is": Arm(lambda: resnet50(small=small), recipe),
        "after adapt(model, 32)": Arm(lambda: rn.adapt(resnet50(small=small), 32), recipe),
    }


RESNET50_FIX = Experiment(
    question="Why does ResNet50 on CIFAR-10 using torchvision achieve low accuracy?",
    arms=_resnet50_arms(small=False),
    epochs=30,
    reference="as it is",
    small=Experiment(
        question="Why does ResNet50 on CIFAR-10 using torchvision achieve low accuracy?",
        arms=_resnet50_arms(small=True),
        epochs=5,
        reference="as it is",
    ),
)

_POLICIES = {
    "native, padding 4": NativePolicy(32),
    "random resized crop (0.8, 1)": RandomResizedCropPolicy(32, scale=(0.8, 1.0), crop_pct=1.0),
    "random resized crop (0.08, 1)": RandomResizedCropPolicy(32, scale=(0.08, 1.0), crop_pct=1.0),
}
_SUGGESTED = {suggest_eval_size(32, scale=scale, crop_pct=1.0)[0] for scale in ((0.8, 1.0), (0.08, 1.0))}
EVAL_SIZES = tuple(sorted({*range(28, 53, 4), *_SUGGESTED}))


def accuracy_by_size(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Test accuracy with the images resized to each of ``EVAL_SIZES``."""
    return {f"accuracy_at_{size}": accuracy(model, data, upscale=None if size == 32 else size) for size in EVAL_SIZES}


def _crop_experiment(*, small: bool) -> Experiment:
    return Experiment(
        question="How far apart should the sizes of training and evaluation be?",
        arms={
            name: Arm(lambda: resnet18("cifar", small=small), {"policy": policy.to_dict()})
            for name, policy in _POLICIES.items()
        },
        epochs=5 if small else 30,
        seeds=2 if small else 3,
        reference="native, padding 4",
        finish=accuracy_by_size,
        small=None if small else _crop_experiment(small=True),
    )


CROP_POLICY = _crop_experiment(small=False)

SHAPE = Experiment(
    question="How does ResNet perform on 32x32 images?",
    arms={
        "resnet20": Arm(lambda: rn.create_model("resnet20")),
        "resnet56": Arm(lambda: rn.create_model("resnet56")),
        "reduced depth (resnet14_64)": Arm(lambda: rn.create_model("resnet14_64")),
        "reduced bottlenecks": Arm(lambda: ConstantWidthBottlenecks(64)),
        "resnet18, small stem": Arm(lambda: rn.create_model("resnet18")),
        "wide (wrn_16_4)": Arm(lambda: rn.create_model("wrn_16_4")),
        "wide, dropout 0.3": Arm(lambda: rn.create_model("wrn_16_4", dropout=0.3)),
        "resnet9": Arm(lambda: rn.create_model("resnet9")),
    },
    epochs=30,
    small=Experiment(
        question="How does ResNet perform on 32x32 images?",
        arms={
            "resnet20": Arm(lambda: rn.create_model("resnet20")),
            "resnet56": Arm(lambda: rn.create_model("resnet56")),
            "reduced depth (resnet14_64), quarter width": Arm(
                lambda: rn.create_model("resnet14_64", widths=(16, 16, 16))
            ),
            "reduced bottlenecks, quarter width": Arm(lambda: ConstantWidthBottlenecks(16)),
            "resnet18, small stem, quarter width": Arm(lambda: resnet18("cifar", small=True)),
            "wide (wrn_16_4), quarter width": Arm(lambda: _thin_wide(dropout=0.0)),
            "wide, dropout 0.3, quarter width": Arm(lambda: _thin_wide(dropout=0.3)),
            "resnet9, quarter width": Arm(QuarterResNet9),
        },
        epochs=5,
        seeds=2,
    ),
)


def _thin_wide(*, dropout: float) -> nn.Module:
    return ResNet(WideBlock, (2, 2, 2), (16, 32, 64), stem_width=16, dropout=dropout)


TRAINED_AT = 64


def accuracy_after_adapt(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Test accuracy at 32 px after every way to adapt, before and after ``adapt_to_resolution``, and of the model as trained."""
    generator = torch.Generator().manual_seed(0)
    batches = [_training_batch(data, generator) for _ in range(20)]
    found = {"upscaled": accuracy(model, data, upscale=TRAINED_AT)}
    ways = {"keep": {"stem": "keep"}, "fold": {"stem": "fold"}}
    ways |= {method: {"stem": "cifar", "stem_weights": method} for method in ("pinv", "area", "center")}
    for name, way in ways.items():
        adapted = rn.adapt(model, 32, **way)
        found[name] = accuracy(adapted, data)
        for mode in ("bn", "bn+head"):
            fitted = rn.adapt_to_resolution(copy.deepcopy(adapted), batches, mode=mode)
            found[f"{name}, {mode}"] = accuracy(fitted.eval(), data)
    return found


def _training_batch(data: ImageData, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images as in training, at their own size."""
    policy = NativePolicy(32)
    index = torch.randint(len(data.x_train), (256,), generator=generator)
    draws = _augment.draw(policy, *data.x_train.shape[2:], len(index), generator)
    index = index.to(data.x_train.device)
    return data.normalize(_augment.apply(policy, data.x_train[index], draws)), data.y_train[index]


def _fold_experiment(*, small: bool) -> Experiment:
    return Experiment(
        question="What is left of a network's accuracy when the upscaling in front of it is taken away?",
        arms={"trained at 64 px": Arm(lambda: resnet18("imagenet", small=small), {"upscale": TRAINED_AT})},
        epochs=10 if small else 30,
        finish=accuracy_after_adapt,
        small=None if small else _fold_experiment(small=True),
    )


FOLD_TRANSFER = _fold_experiment(small=False)
