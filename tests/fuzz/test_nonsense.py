"""Nonsense arguments for the transforms: each call works, or raises an error of this library.

Left out, because Python or torch raise their own errors: flags, which are judged by their truth, callables of the user
that are called, names of files that do not exist, and images whose dtype or layout differs from that of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import resizenet as rn
from fuzzing import share
from resizenet import transforms

Call = tuple[Callable[..., Any], dict[str, Any]]


IMAGES = torch.rand(2, 3, 11, 13)
CALLS: dict[str, Call] = {  # public functions with arguments that they take
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
    elif isinstance(made, nn.Module):
        made.eval()(IMAGES)


def test_the_calls_work() -> None:
    for call, arguments in CALLS.values():
        use(call(**arguments))


@share(0.05)
@given(data=st.data(), name=st.sampled_from(sorted(CALLS)))
def test_nonsense_arguments_raise_errors_of_this_library(data: st.DataObject, name: str) -> None:
    call, arguments = CALLS[name]
    changed = data.draw(st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2, unique=True))
    values = {argument: data.draw(st.sampled_from(NONSENSE)) for argument in changed}
    with suppress(rn.ResizenetError, FileNotFoundError):
        use(call(**{**arguments, **values}))
