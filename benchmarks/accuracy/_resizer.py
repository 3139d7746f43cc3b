"""Experiments with learned resizers: in front of a small network on CIFAR-10, and as published on folders of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import nn

import resizenet as rn
from resizenet.transforms import RandomResizedCropPolicy

from ._data import ImageData, load_folder
from ._experiment import Arm, Experiment
from ._networks import SpaceToDepthResizer, resnet20, resnet50
from ._record import FastRecipe, FastTraining, airnet
from ._train import Recipe, accuracy

MakeResizer = Callable[[], nn.Module]
# 15.17 M multiply-accumulates at 16 px. Resizer(16) from 32 px and resnet20 together have 15.25 M.
_WIDTHS_OF_EQUAL_MACS = (20, 38, 78)


def _behind(resizer: MakeResizer, widths: tuple[int, int, int] = (16, 32, 64)) -> Callable[[], nn.Module]:
    return lambda: resizer().wrap(resnet20(widths))


def _arm(resizer: MakeResizer, ratio: float, part: str = "resizer.") -> Arm:
    """Return an arm with a learned resizer, ``part`` of which learns at ``ratio`` times the network's rate."""
    return Arm(_behind(resizer), {"lr_ratios": {part: ratio}})


def _at_both_rates(name: str, resizer: MakeResizer) -> dict[str, Arm]:
    return {f"{name}, lr x {ratio}": _arm(resizer, ratio) for ratio in (1, 0.1)}


@contextmanager
def _batch_statistics(model: nn.Module) -> Iterator[None]:
    """BatchNorm layers normalize by the batch, and their running statistics stay as they are."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    saved = [(norm.running_mean, norm.running_var) for norm in norms]
    for norm in norms:
        norm.running_mean = norm.running_var = None
    yield
    for norm, (mean, var) in zip(norms, saved, strict=True):
        norm.running_mean, norm.running_var = mean, var


@torch.no_grad()
def residual_over_plain(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Measure what the resizer adds relative to the plain resize, both as standard deviations."""
    if not isinstance(model, rn.ResizedModel):
        return {}
    images = data.normalize(data.x_test[:1000])
    plain = rn.FixedResizer(model.resizer.size)(images)
    return {"residual_over_plain": float((model.resizer(images) - plain).std() / plain.std())}


def watch_resizer(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Measure the accuracy with the batch's statistics instead of the running ones, and the resizer's contribution."""
    found = {}
    for part, module in (("resizer", model.resizer), ("all", model)):
        with _batch_statistics(module):
            found[f"accuracy_{part}_batch_statistics"] = accuracy(model, data)
    return found | residual_over_plain(model, data)


def _stability_arms() -> dict[str, Arm]:
    arms = {"fixed": Arm(_behind(lambda: rn.FixedResizer(16)))}
    for norm, ratios in {"batch": (1, 0.1, 0.01), "group": (1, 0.1), "none": (1, 0.1)}.items():
        resizer = partial(rn.Resizer, 16, norm=norm)
        arms |= {f"{norm}, lr x {ratio}": _arm(resizer, ratio) for ratio in ratios}
    for norm in ("batch", "none"):
        arms[f"{norm}, tail lr x 0.01"] = _arm(partial(rn.Resizer, 16, norm=norm), 0.01, "resizer.tail.")
    return arms | _at_both_rates("linear", lambda: rn.LinearResizer(16))


RESIZER_STABILITY = {
    "full": Experiment(
        question="Where do the sudden validation drops of the published learned resizer come from?",
        arms=_stability_arms(),
        epochs=5,
        watch=watch_resizer,
    )
}

_LEARNED_EXPERIMENT = Experiment(
    question="Does a learned resizer beat a fixed one at equal budget?",
    arms={
        "fixed resize to 16 px": Arm(_behind(lambda: rn.FixedResizer(16))),
        **_at_both_rates("LinearResizer", lambda: rn.LinearResizer(16)),
        **_at_both_rates("space-to-depth", lambda: SpaceToDepthResizer(16)),
        **_at_both_rates("Resizer, no norm", lambda: rn.Resizer(16, norm="none")),
        **_at_both_rates("Resizer, BatchNorm", lambda: rn.Resizer(16, norm="batch")),
        **_at_both_rates("Resizer, GroupNorm", lambda: rn.Resizer(16, norm="group")),
        "LaplacianResizer": Arm(_behind(lambda: rn.LaplacianResizer(16))),
        "fixed resize, wider network of equal MACs": Arm(_behind(lambda: rn.FixedResizer(16), _WIDTHS_OF_EQUAL_MACS)),
        "no resize: native 32 px": Arm(resnet20),
    },
    epochs=30,
    reference="fixed resize to 16 px",
    finish=residual_over_plain,
)


def _before_airnet(resizer: MakeResizer, ratio: float = 1.0) -> Arm:
    return Arm(lambda: resizer().wrap(airnet()), {"lr_ratios": {"resizer.": ratio}})


LEARNED_RESIZER = {
    "full": _LEARNED_EXPERIMENT,
    "small": replace(_LEARNED_EXPERIMENT, epochs=5),
    "trained": replace(
        _LEARNED_EXPERIMENT,
        arms={
            "fixed resize to 16 px": _before_airnet(lambda: rn.FixedResizer(16)),
            "LinearResizer": _before_airnet(lambda: rn.LinearResizer(16)),
            "space-to-depth": _before_airnet(lambda: SpaceToDepthResizer(16)),
            "Resizer, BatchNorm, lr x 0.1": _before_airnet(lambda: rn.Resizer(16, norm="batch"), 0.1),
            "no resize: native 32 px": Arm(airnet),
        },
        epochs=20,
        recipe=FastRecipe(sizes=((0, 32),)),
        training=FastTraining,
    ),
}

_BASELINE = "baseline: fixed resize"


def _folder_experiment(name: str, width: int, sizes: tuple[int, int], *, epochs: int) -> Experiment:
    """The published setting: training behind the fixed resize, then as many epochs again with each of the resizers."""
    large, size = sizes

    def behind(resizer: Callable[[int], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: resizer(size).wrap(resnet50(width))

    def extra(resizer: Callable[[int], nn.Module]) -> Arm:
        return Arm(behind(resizer), {"lr": 0.005}, start=_BASELINE)

    return Experiment(
        question=f"Does the learned resizer gain on {name} when the fixed one gets the same extra epochs?",
        arms={
            _BASELINE: Arm(behind(rn.FixedResizer)),
            "fixed resize, extra epochs": extra(rn.FixedResizer),
            "Resizer, extra epochs": extra(rn.Resizer),
            "LinearResizer, extra epochs": extra(rn.LinearResizer),
        },
        epochs=epochs,
        reference="fixed resize, extra epochs",
        load=partial(load_folder, size=large),
        recipe=Recipe(
            lr=0.05, batch_size=64, policy=RandomResizedCropPolicy(large, scale=(0.25, 1.0), crop_pct=1.0).to_dict()
        ),
    )


def _folder_versions(name: str) -> dict[str, Experiment]:
    return {
        "full": _folder_experiment(name, 64, (448, 224), epochs=40),
        "small": _folder_experiment(name, 16, (64, 32), epochs=3),
    }


IMAGENETTE = _folder_versions("Imagenette")
IMAGEWOOF = _folder_versions("Imagewoof")
