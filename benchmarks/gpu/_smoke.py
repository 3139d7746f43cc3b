"""Is every kernel right? The first wrong number stops."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ._calls import Call, Place, Setting, calls

SETTINGS = (
    Setting(2, (5, 9), torch.bfloat16),
    Setting(8, (64, 96), torch.bfloat16),
    Setting(4, (224, 224), torch.float16, torch.channels_last),
)
SMALL = (Setting(2, (3, 5), torch.float16),)  # Triton's interpreter rounds bfloat16 in another way than a GPU
_EPS = {torch.float16: 2**-11, torch.bfloat16: 2**-8}  # half a unit in the last place
_PACKAGES = ("torch", "torchvision", "triton", "numpy", "einops")


def rows(place: Place) -> Iterator[dict[str, Any]]:
    """Yield the versions, then one row per kernel and setting."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    yield {"name": "versions", "result": ", ".join(f"{name} {version}" for name, version in versions.items())}
    for setting in SMALL if place.small else SETTINGS:
        torch.manual_seed(0)
        found = calls(setting, place)
        while True:
            call = attempt(lambda: next(found, None))  # noqa: B023, called at once
            if call is None:
                break
            row = {"name": getattr(call, "name", "inputs"), "setting": str(setting)}
            yield row | (call if isinstance(call, dict) else attempt(lambda: compare(call, setting.dtype)))  # noqa: B023


def attempt(compute: Callable[[], Any]) -> Any:
    """Return what ``compute`` does, or a row's error: a compiler's or a launch's failure may be of any type."""
    try:
        return compute()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]}


def compare(call: Call, dtype: torch.dtype, exact_dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """Compare with ``exact_dtype``. An error may be twice that of plain PyTorch in ``dtype`` and one rounding more."""
    with poisoned():
        ours = call.results()
    worst = 0.0
    for index, (one, plain, exact) in enumerate(zip(ours, call.plain(dtype), call.plain(exact_dtype), strict=True)):
        if one.shape != exact.shape or not one.isfinite().all():
            return {"error": f"result {index}: {tuple(one.shape)} with {int((~one.isfinite()).sum())} not finite"}
        allowed = 2 * _distance(plain, exact) + _EPS[dtype] * float(exact.abs().max())
        worst = max(worst, _distance(one, exact) / allowed)
        if worst > 1:
            return {"error": f"result {index}: wrong by {_distance(one, exact):.3g} where {allowed:.3g} is allowed"}
    return {"result": f"{worst:.2f} of the allowed error", "share_of_allowed_error": worst}


@contextmanager
def poisoned() -> Iterator[None]:
    """Fill every tensor that is made without values with NaN, so that an element not written is seen."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _distance(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).abs().max())
