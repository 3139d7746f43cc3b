"""Clocks and memory."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn


def inference_call(model: nn.Module, images: Tensor) -> Callable[[], object]:
    """Without gradients."""

    def call() -> object:
        with torch.no_grad():
            return model(images)

    return call


def training_call(model: nn.Module, images: Tensor) -> Callable[[], object]:
    """Forward and backward of a loss that needs no labels."""

    def call() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        model(images).float().square().mean().backward()

    return call


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternate(candidates: dict[str, Callable[[], object]], device: torch.device, rounds: int, warmup: int = 2) -> dict[str, list[float]]:
    """Seconds of every call: one call of each candidate in turn, ``rounds`` times after the warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
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
    low, median, high = statistics.quantiles(seconds, n=4)
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
    return max(itertools.accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))
