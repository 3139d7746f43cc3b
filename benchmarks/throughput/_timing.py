"""Calls, clocks and memory."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from benchmarks._options import computes_in_bf16

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}  # about ten roundings of each dtype
_TF32_TOLERANCE = 1e-2
_LOSS_SCALE = 2.0**12  # without it, gradients of a mean over a large batch underflow in float16

Name = TypeVar("Name", bound=Hashable)


def inference_call(model: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """Return a forward pass without gradients."""
    return torch.no_grad()(lambda: model(images))


def training_call(model: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """Return a forward and a backward pass with a loss that needs no labels; the result is the loss."""

    def call() -> Tensor:
        model.zero_grad(set_to_none=True)
        loss = _LOSS_SCALE * model(images).float().square().mean()
        loss.backward()
        return loss

    return call


def gradient_norm(model: nn.Module, call: Callable[[], object]) -> Callable[[], Tensor]:
    """Return a call that gives the norm of all gradients, which does not depend on the parameters' names and order."""

    def answer() -> Tensor:
        call()
        norms = [parameter.grad.float().norm() for parameter in model.parameters() if parameter.grad is not None]
        return torch.stack(norms).norm()

    return answer


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """Compile into one graph for one size, so that nothing falls back to eager mode unnoticed."""
    return torch.compile(model, fullgraph=True, dynamic=False, mode="max-autotune" if device.type == "cuda" else None)


def mode_name(device: torch.device) -> str:
    """Return the mode of compiled rows."""
    return "max-autotune" if device.type == "cuda" else "compiled"


def dtypes_of(device: torch.device) -> tuple[str, ...]:
    """Return the names of the dtypes that the device does not emulate."""
    if device.type == "cuda":
        return "float32", "bfloat16", "float16"
    return ("float32", "bfloat16") if computes_in_bf16(device) else ("float32",)


def tolerance_of(dtype: str, device: torch.device) -> float:
    """Return how far networks may differ, relative to the largest value; on a GPU float32 convolutions take TF32."""
    return _TF32_TOLERANCE if device.type == "cuda" and dtype == "float32" else _TOLERANCE[dtype]


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let torch use ``count`` threads; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternate(
    calls: dict[Name, Callable[[], object]], device: torch.device, rounds: int, warmup: int = 3
) -> dict[Name, list[float]]:
    """Time one call of each in turn, ``rounds`` times after the warm-up. Return the seconds of every call."""
    seconds: dict[Name, list[float]] = {name: [] for name in calls}
    for turn in range(warmup + rounds):
        for name, call in calls.items():
            synchronize(device)
            start = time.perf_counter()
            call()
            synchronize(device)
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Return the median and the quartiles."""
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return {"median_s": median, "quartile_low_s": low, "quartile_high_s": high}


def peak_memory(call: Callable[[], object], device: torch.device) -> int:
    """Return the most bytes that torch's allocator gives out for a call, beyond what was held before it."""
    call()
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(changes), default=0)
