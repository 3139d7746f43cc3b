"""Experiments with learned resizers: in front of a small network on CIFAR-10, and as published on folders of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

import resizenet as rn
from resizenet.transforms import RandomResizedCropPolicy

from ._data import ImageData, load_folder
from ._experiment import Arm, Experiment
from ._networks import SpaceToDepthResizer, resnet20, resnet50
from ._train import accuracy

MakeResizer = Callable[[], nn.Module]
_EQUAL_MACS = (
    20,
    38,
    78,
)  # widths: 15.17 M multiply-accumulates at 16 px, where Resizer(16) from 32 px and resnet20 together have 15.25 M


def _behind(resizer: MakeResizer, widths: tuple[int, int, int] = (16, 32, 64)) -> Callable[[], nn.Module]:
    return lambda: resizer().wrap(resnet20(widths))


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
def residual_over_plain(model: nn.Module, data: ImageData) -> dict[str, float]:
    """How large what the resizer adds has become, as standard deviations over that of the plain resize; nothing without a resizer."""
    if not isinstance(model, rn.ResizedModel):
        return {}
    images = data.normalize(data.x_test[:1000])
    plain = rn.FixedResizer(model.resizer.size)(images)
    return {"residual_over_plain": float((model.resizer(images) - plain).std() / plain.std())}


@torch.no_grad()
def watch_resizer(model: nn.Module, data: ImageData) -> dict[str, float]:
    """What the running statistics cost, and how large the resizer's own contribution has become."""
    found = {}
    with _batch_statistics(model.resizer):
        found["accuracy_resizer_batch_statistics"] = accuracy(model, data)
    with _batch_statistics(model):
        found["accuracy_all_batch_statistics"] = accuracy(model, data)
    return {**found, **residual_over_plain(model, data)}


def _at_both_rates(name: str, resizer: MakeResizer) -> dict[str, Arm]:
    return {f"{name}, lr x {ratio}": Arm(_behind(resizer), {"lr_ratios": {"resizer.": ratio}}) for ratio in (1, 0.1)}


def _stability_arms() -> dict[str, Arm]:
    arms = {"fixed": Arm(_behind(lambda: rn.FixedResizer(16)))}
    for norm, ratios in {"batch": (1, 0.1, 0.01), "group": (1, 0.1), "none": (1, 0.1)}.items():
        for ratio in ratios:
            arms[f"{norm}, lr x {ratio}"] = Arm(
                _behind(partial(rn.Resizer, 16, norm=norm)), {"lr_ratios": {"resizer.": ratio}}
            )
    for norm in ("batch", "none"):
        arms[f"{norm}, tail lr x 0.01"] = Arm(
            _behind(partial(rn.Resizer, 16, norm=norm)), {"lr_ratios": {"resizer.tail.": 0.01}}
        )
    return arms | _at_both_rates("linear", lambda: rn.LinearResizer(16))


RESIZER_STABILITY = Experiment(
    question="Where do the sudden validation drops of the published learned resizer come from?",
    arms=_stability_arms(),
    epochs=5,
    watch=watch_resizer,
)


def _learned_arms() -> dict[str, Arm]:
    return {
        "fixed resize to 16 px": Arm(_behind(lambda: rn.FixedResizer(16))),
        **_at_both_rates("LinearResizer", lambda: rn.LinearResizer(16)),
        **_at_both_rates("space-to-depth", lambda: SpaceToDepthResizer(16)),
        **_at_both_rates("Resizer, no norm", lambda: rn.Resizer(16, norm="none")),
        **_at_both_rates("Resizer, BatchNorm", lambda: rn.Resizer(16, norm="batch")),
        **_at_both_rates("Resizer, GroupNorm", lambda: rn.Resizer(16, norm="group")),
        "LaplacianResizer": Arm(_behind(lambda: rn.LaplacianResizer(16))),
        "fixed resize, wider network of equal MACs": Arm(_behind(lambda: rn.FixedResizer(16), _EQUAL_MACS)),
        "no resize: native 32 px": Arm(resnet20),
    }


def _learned_experiment(epochs: int, small: Experiment | None) -> Experiment:
    return Experiment(
        question="Does a learned resizer beat a fixed one at equal budget?",
        arms=_learned_arms(),
        epochs=epochs,
        reference="fixed resize to 16 px",
        finish=residual_over_plain,
        small=small,
    )


LEARNED_RESIZER = _learned_experiment(30, _learned_experiment(5, None))

_BASELINE = "baseline: fixed resize"


def _folder_experiment(name: str, *, small: bool) -> Experiment:
    """The published setting: a network first trained behind the fixed resize, then equal extra epochs with either resizer."""
    large, size = (64, 32) if small else (448, 224)
    recipe = {
        "lr": 0.05,
        "policy": RandomResizedCropPolicy(large, scale=(0.25, 1.0), crop_pct=1.0).to_dict(),
        "batch_size": 64,
    }
    extra = {**recipe, "lr": 0.005}

    def behind(resizer: Callable[[int], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: resizer(size).wrap(resnet50(small=small))

    return Experiment(
        question=f"Does the learned resizer gain on {name} when the fixed one gets the same extra epochs?",
        arms={
            _BASELINE: Arm(behind(rn.FixedResizer), recipe),
            "fixed resize, extra epochs": Arm(behind(rn.FixedResizer), extra, start=_BASELINE),
            "Resizer, extra epochs": Arm(behind(rn.Resizer), extra, start=_BASELINE),
            "LinearResizer, extra epochs": Arm(behind(rn.LinearResizer), extra, start=_BASELINE),
        },
        epochs=3 if small else 40,
        reference="fixed resize, extra epochs",
        load=partial(load_folder, size=large),
        small=None if small else _folder_experiment(name, small=True),
    )


IMAGENETTE = _folder_experiment("Imagenette", small=False)
IMAGEWOOF = _folder_experiment("Imagewoof", small=False)
