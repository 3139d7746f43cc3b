"""Nonsense arguments: each call works, or raises an error of this library.

Left out, because Python or torch raise their own errors: flags, which are judged by their truth, callables of the user
that are called, names of files that do not exist, and images whose dtype or layout differs from that of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import resizenet as rn
from fuzzing import share
from resizenet import functional, geometry, models, surgery, transforms
from resizenet.models import BasicBlock, ResNet

Call = tuple[Callable[..., Any], dict[str, Any]]


class Registered(nn.Module):
    """A type that no other test registers."""


def network() -> ResNet:
    return ResNet(BasicBlock, (1, 1), (2, 3), num_classes=4, stem="imagenet")


def wrapped() -> rn.ResizedModel:
    return rn.Resizer(8, channels=2).wrap(network())


def build(name: str, **options: Any) -> nn.Module:
    return models.create_model(name, **options)


IMAGES = torch.rand(2, 3, 11, 13)
BOXES = torch.tensor([[0, 0, 5, 7], [1, 2, 3, 4]])
RULE = {"interpolation": "bilinear"}
CHANNELS = {"in_channels": 3, "out_channels": 3}
CALLS: dict[str, Call] = {  # public functions with arguments that they take
    "resize": (functional.resize, {"x": IMAGES, "size": 7, **RULE}),
    "resize_matrix": (functional.resize_matrix, {"in_size": 5, "out_size": 3, **RULE}),
    "resize_filter": (functional.resize_filter, {"weight": torch.rand(2, 3, 5, 5), "kernel_size": 3, "method": "area"}),
    "fold_upscale": (functional.fold_upscale, {"weight": torch.rand(2, 3, 7, 7), "scale": 2, "stride": 2}),
    "crop_resize": (
        functional.crop_resize,
        {
            "images": IMAGES,
            "boxes": BOXES,
            "size": 5,
            "flip": torch.tensor([True, False]),
            **RULE,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "dtype": torch.float32,
            "kernels": "never",
        },
    ),
    "FixedResizer": (rn.FixedResizer, {"size": 7, **RULE}),
    "Resizer": (
        rn.Resizer,
        {
            "size": 7,
            **CHANNELS,
            "channels": 2,
            "num_blocks": 1,
            "negative_slope": 0.2,
            "norm": "batch",
            **RULE,
            "kernels": "never",
        },
    ),
    "LinearResizer": (rn.LinearResizer, {"size": 7, **CHANNELS, "oversample": 2, "kernel_size": 4, **RULE}),
    "LaplacianResizer": (
        rn.LaplacianResizer,
        {"size": 7, "num_layers": 2, "kernel_size": 5, "sigma": 1.0, "padding_mode": "reflect", **RULE},
    ),
    "Resizer call": (rn.Resizer(7, channels=2).eval(), {"x": IMAGES, "size": 5}),
    "Resizer.fuse": (rn.Resizer(7, channels=2).fuse, {"kernels": "never"}),
    "LinearResizer call": (rn.LinearResizer(7), {"x": IMAGES, "size": 5}),
    "LaplacianResizer call": (rn.LaplacianResizer(7), {"x": IMAGES, "size": 5}),
    "wrap": (rn.FixedResizer(7).wrap, {"model": network()}),
    "load_backbone": (wrapped().load_backbone, {"source": network().state_dict()}),
    "load_resizer": (wrapped().load_resizer, {"source": rn.Resizer(8, channels=2).state_dict()}),
    "parameter_groups": (wrapped().parameter_groups, {"lr": 0.1, "resizer_lr": 0.1, "weight_decay": 0.1}),
    "ResNet": (
        partial(ResNet, BasicBlock),
        {
            "depths": (1,),
            "widths": (2,),
            "stem_width": 2,
            "strides": (1,),
            "in_channels": 3,
            "num_classes": 2,
            "stochastic_depth": 0.1,
        },
    ),
    "ResNet call": (network().eval(), {"x": torch.rand(2, 3, 33, 31)}),
    "forward_intermediates": (network().eval().forward_intermediates, {"x": torch.rand(1, 3, 33, 31), "indices": [0]}),
    "reset_classifier": (network().reset_classifier, {"num_classes": 3}),
    "create_model": (build, {"name": "resnet20", "num_classes": 3, "in_channels": 2, "stochastic_depth": 0.1}),
    "list_models": (rn.list_models, {"pattern": "resnet*"}),
    "load_checkpoint": (
        models.load_checkpoint,
        {"model": network(), "source": network().state_dict(), "layout": "auto"},
    ),
    "report": (rn.report, {"model": network(), "input_size": 32, "in_channels": 3}),
    "compare": (geometry.compare, {"model": network(), "sizes": (16, 32), "in_channels": 3}),
    "adapt": (
        rn.adapt,
        {
            "model": network(),
            "input_size": 32,
            "in_channels": 1,
            "num_classes": 3,
            "stem": "auto",
            "stem_weights": "center",
            "channel_weights": "sum",
        },
    ),
    "adapt_to_resolution": (
        rn.adapt_to_resolution,
        {"model": network(), "batches": [(torch.rand(2, 3, 33, 33), torch.tensor([0, 1]))], "mode": "bn"},
    ),
    "register_family": (surgery.register_family, {"kind": Registered, "conv": "0", "classifier": "1", "pool": "2"}),
    "Letterbox": (transforms.Letterbox, {"size": 8, "fill": 0, "mask_fill": 0, "position": "center", "stride": 4}),
    "RandomResizedCropPolicy": (
        transforms.RandomResizedCropPolicy,
        {"size": 7, "scale": (0.5, 1), "ratio": (0.5, 1), "eval_size": 9, "crop_pct": 0.5, "interpolation": "bilinear"},
    ),
    "BatchRandomResizedCrop": (
        transforms.BatchRandomResizedCrop,
        {"size": 7, "scale": (0.5, 1), "ratio": (0.5, 1), "flip_probability": 0.5},
    ),
    "suggest_eval_size": (
        transforms.suggest_eval_size,
        {"train_size": 7, "scale": (0.5, 1), "crop_pct": 0.5, "target_ratio": 1.0, "multiple": 4},
    ),
    "ResolutionSchedule": (
        transforms.ResolutionSchedule,
        {"rule": "hold", "sizes": (7, 9), "values": (0, 0.5), "multiple": 1},
    ),
}
NONSENSE = [
    *(None, "x", "", b"7", -1, 0, 0.5, 1.5, math.nan, math.inf, -math.inf, 1j, True, -(2**63)),
    *((), (1,), (1, 2, 3), (0, 0), ("a", "b"), (None, None), [math.nan, 1], {}, {"x": "y"}, {1: 2}, {None: None}),
    *(object(), np.array([1, 2]), np.float64("nan"), range(3), len, int, nn.Linear(2, 2), nn.Identity()),
    *(torch.tensor(3), torch.rand(2), torch.rand(3, 5, 7), torch.rand(0, 3, 5, 7), torch.rand(2, 3, 0, 7)),
    *(torch.rand(2, 1, 5, 7), torch.rand(2, 3, 5, 7).bool(), torch.ones(2, 3, 5, 7, dtype=torch.int64)),
    torch.rand(2, 3, 5, 7, dtype=torch.complex64),
]


def use(made: Any) -> None:
    """Call what was made as it is meant to be called."""
    if isinstance(made, transforms.ResizePolicy):
        made.describe()
        for transform in (made.train(), made.eval()):
            transform(IMAGES)
    elif isinstance(made, (rn.GeometryReport, geometry.Comparison)):
        str(made)
        made.to_dict()
    elif isinstance(made, nn.Module) and not isinstance(made, (ResNet, rn.ResizedModel)):
        made.eval()(IMAGES)


def test_the_calls_work() -> None:
    for call, arguments in CALLS.values():
        use(call(**arguments))


@share(0.5)
@given(data=st.data(), name=st.sampled_from(sorted(CALLS)))
def test_nonsense_arguments_raise_errors_of_this_library(data: st.DataObject, name: str) -> None:
    call, arguments = CALLS[name]
    changed = data.draw(st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True))
    values = {argument: data.draw(st.sampled_from(NONSENSE)) for argument in changed}
    with suppress(rn.ResizenetError, FileNotFoundError):
        use(call(**{**arguments, **values}))
