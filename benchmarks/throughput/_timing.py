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

from benchmarks._precision import computes_in_bf16

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}  # about ten roundings of each dtype
_TF32_TOLERANCE = 1e-2
_LOSS_SCALE = 2.0**12  # the gradient of a mean over a large batch is below float16's smallest number

Name = TypeVar("Name", bound=Hashable)


def inference_call(model: nn.Module, images: Tensor) -> Callable[[], Tensor]:
    """Without gradients."""

    def call() -> Tensor:
        with torch.no_grad():
            return model(images)

    return call


def training_call(model: nn.Module, images: Tensor) -> Callable[[], object]:
    """Forward and backward of a loss that needs no labels."""

    def call() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        (_LOSS_SCALE * model(images).float().square().mean()).backward()

    return call


def gradient_norm(model: nn.Module, call: Callable[[], object]) -> Callable[[], Tensor]:
    """One number that says whether two training steps are the same, however their parameters are called and ordered."""

    def answer() -> Tensor:
        call()
        return torch.stack(
            [parameter.grad.float().norm() for parameter in model.parameters() if parameter.grad is not None]
        ).norm()

    return answer


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """In one graph and for one size, so that nothing falls back to eager mode unseen."""
    return torch.compile(model, fullgraph=True, dynamic=False, mode="max-autotune" if device.type == "cuda" else None)


def dtypes_of(device: torch.device) -> tuple[str, ...]:
    """Names of those that the device computes in, rather than emulate."""
    if device.type == "cuda":
        return "float32", "bfloat16", "float16"
    return ("float32", "bfloat16") if computes_in_bf16(device) else ("float32",)


def tolerance_of(dtype: str, device: torch.device) -> float:
    """How far networks may differ, in units of the largest value; convolutions of float32 take TF32 on a GPU."""
    return _TF32_TOLERANCE if device.type == "cuda" and dtype == "float32" else _TOLERANCE[dtype]


def mode_name(device: torch.device) -> str:
    """Of compiled rows."""
    return "max-autotune" if device.type == "cuda" else "compiled"


@contextmanager
def one_thread() -> Iterator[None]:
    """For comparisons with libraries that have one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternate(
    candidates: dict[Name, Callable[[], object]], device: torch.device, rounds: int, warmup: int = 3
) -> dict[Name, list[float]]:
    """Seconds of every call: one call of each candidate in turn, ``rounds`` times after the warm-up."""
    seconds: dict[Name, list[float]] = {name: [] for name in candidates}
    for turn in range(warmup + rounds):
        for name, call in candidates.items():
            synchronize(device)
            start = time.perf_counter()
            call()
            synchronize(device)
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median and the quartiles around it."""
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")  # never outside of what was measured
    return {"median_s": median, "quartile_low_s": low, "quartile_high_s": high}


def peak_memory(call: Callable[[], object], device: torch.device) -> int:
    """Bytes that torch's allocator gives out for a call beyond what was held before it, at the peak; after one call to warm up."""
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(
        itertools.accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())), default=0
    )
