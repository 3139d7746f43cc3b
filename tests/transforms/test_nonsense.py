"""Nonsense arguments raise errors of this library, or make objects that work or raise such errors in use."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from resizenet import ResizenetError
from resizenet import transforms as T

SCHEDULE = T.ResolutionSchedule.mix({16: 1})
VALID: dict[Callable[..., Any], dict[str, Any]] = {  # every public callable, with arguments that it takes
    T.Stretch: {"size": 7, "interpolation": "bilinear"},
    T.ResizeToCover: {"size": 7},
    T.FitWithin: {"size": 7},
    T.ResizeKeepRatio: {
        "size": 7,
        "longest": 0.5,
        "scale": (0.5, 1),
        "ratio": (0.5, 1),
        "scale_probability": 1,
        "ratio_probability": 1,
    },
    T.Letterbox: {"size": 8, "fill": 0, "mask_fill": 0, "position": "center", "stride": 4},
    T.Letterbox(9).inverse: {"sample": torch.zeros(3, 9, 9), "source_size": 9},
    T.PadToSquare: {"fill": 0, "mask_fill": 0, "position": "center"},
    T.PadToMultiple: {"multiple": 7, "fill": 0, "mask_fill": 0, "position": "center"},
    T.BatchResize: {"size": 7, "interpolation": "bilinear"},
    T.BatchRandomResizedCrop: {"size": 7, "scale": (0.5, 1), "ratio": (0.5, 1), "flip_probability": 0.5},
    T.BatchRandomResizedCrop(7).draw: {"batch": 2, "height": 5, "width": 7},
    T.NativePolicy: {"size": (11, 13), "padding": 4},
    T.UpscalePolicy: {"size": 7, "interpolation": "bilinear"},
    T.StretchPolicy: {"size": 7},
    T.LetterboxPolicy: {"size": 7, "fill": 0, "mask_fill": 0, "position": "center"},
    T.RandomResizedCropPolicy: {
        "size": 7,
        "scale": (0.5, 1),
        "ratio": (0.5, 1),
        "eval_size": 9,
        "crop_pct": 0.5,
        "interpolation": "bilinear",
    },
    T.KeepRatioPolicy: {
        "size": 7,
        "scale": (0.5, 1),
        "ratio": (0.5, 1),
        "eval_size": 9,
        "crop_pct": 0.5,
        "fill": 0,
        "mask_fill": 0,
        "scale_probability": 1,
        "ratio_probability": 1,
    },
    T.BiTHyperRulePolicy: {"size": 7, "resize_size": 9},
    T.BiTHyperRulePolicy.for_image: {"height": 7, "width": 9},
    T.UpscalePolicy(7).simulate: {"height": 7, "width": 9, "samples": 1},
    T.UpscalePolicy(7).with_size: {"size": 9},
    T.ResizePolicy.from_dict: {"values": {"policy": "UpscalePolicy", "size": 7}},
    T.suggest_eval_size: {"train_size": 7, "scale": (0.5, 1), "crop_pct": 0.5, "target_ratio": 1.0, "multiple": 4},
    T.ResolutionSchedule: {"rule": "hold", "sizes": (7, 9), "values": (0, 0.5), "multiple": 1},
    T.ResolutionSchedule.linear: {"start": 8, "end": 16, "until": 0.5, "multiple": 4},
    T.ResolutionSchedule.step: {"start": 8, "end": 16, "steps": 3, "until": 0.5, "multiple": 4},
    T.ResolutionSchedule.stages: {"sizes": {0: 8}},
    T.ResolutionSchedule.cyclic: {"low": 8, "high": 16, "cycles": 2, "multiple": 4},
    T.ResolutionSchedule.mix: {"sizes": {8: 1}},
    T.ResolutionSchedule.mix({8: 1}).__call__: {"progress": 0.5},
    T.ResolutionSchedule.mix({8: 1}).load_state_dict: {"state": SCHEDULE.state_dict()},
    T.MultiResolutionDataset: {"dataset": [1], "transform": T.UpscalePolicy(7)},
    T.MultiResolutionDataset([torch.rand(3, 5, 5)], T.UpscalePolicy(7)).__getitem__: {"index": (0, (7, 7))},
}
VALID_SAMPLER: dict[str, Any] = {
    "dataset": range(9),
    "batch_size": 2,
    "schedule": SCHEDULE,
    "epochs": 3,
    "num_replicas": 2,
    "rank": 1,
    "seed": 0,
    "batch_mode": "constant",
}
COUNTS = {"steps", "cycles", "samples", "batch", "height", "width", "multiple"}  # which memory limits
HUGE = 10**400  # made but not used, because no image can have that size
NONSENSE = [
    *(None, "x", b"7", -1, 0, 0.5, 1.5, math.nan, math.inf, -math.inf, 1j, True),
    *((), (1,), (1, 2, 3), (0, 0), ("a", "b"), (None, None), [math.nan, 1], {}, {"x": "y"}, {1: 2}, {None: None}),
    *(object(), torch.tensor(3), torch.rand(2), np.array([1, 2]), np.float64("nan"), range(3), len),
    HUGE,
]


def sampler(**arguments: Any) -> T.MultiResolutionBatchSampler:
    return T.MultiResolutionBatchSampler(**arguments)


SAMPLER = sampler(**VALID_SAMPLER)
VALID |= {
    sampler: VALID_SAMPLER,
    SAMPLER.set_epoch: {"epoch": 1},
    SAMPLER.num_batches: {"epoch": 1},
    SAMPLER.state_dict: {"batches_done": 1},
    SAMPLER.load_state_dict: {"state": SAMPLER.state_dict()},
}


def use(made: Any) -> None:
    """Call what was made as it is meant to be called."""
    image = torch.rand(2, 3, 11, 13)
    if isinstance(made, T.ResizePolicy):
        made.describe()
        for transform in (made.train(), made.eval()):
            transform(image)
    elif isinstance(made, T.MultiResolutionBatchSampler):
        list(made)
    elif isinstance(made, T.ResolutionSchedule):
        made(0.5)
    elif isinstance(made, torch.nn.Module):
        made(image)


@pytest.mark.parametrize("function", VALID, ids=lambda function: getattr(function, "__qualname__", ""))
def test_nonsense_arguments_raise_errors_of_this_library(function: Callable[..., Any]) -> None:
    use(function(**VALID[function]))
    for name in VALID[function]:
        for value in NONSENSE[: -1 if name in COUNTS else None]:
            try:
                made = function(**{**VALID[function], name: value})
                if value is not HUGE:
                    use(made)
            except ResizenetError:
                continue
            except Exception as error:
                raise AssertionError(f"{name}={value!r}") from error
