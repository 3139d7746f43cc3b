"""How long does every kernel take, and how long would it take at the rates of the device?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ._calls import Call, Place, Setting, calls
from ._smoke import attempt

SETTINGS = (
    Setting(128, (224, 224), torch.bfloat16),
    Setting(128, (224, 224), torch.bfloat16, torch.channels_last),
    Setting(128, (224, 224), torch.float16),
    Setting(8, (224, 224), torch.bfloat16),
)
_COPY_BYTES = 2**30  # many times any cache
_MATRIX_SIDE = 8192


def rows(place: Place) -> Iterator[dict[str, Any]]:
    """Yield the rates of the device, then one row per kernel and setting."""
    rates: dict[str, float | None] = {}
    for name, measure in (("copy", copy_rate), *((dtype, matrix_rate) for dtype in (torch.bfloat16, torch.float16))):
        title = str(name).removeprefix("torch.")
        found = attempt(lambda: measure(place, name)) if place.launches else None  # noqa: B023, called at once
        failed = isinstance(found, dict)
        rates[title] = None if failed else found
        unit = "TB/s" if title == "copy" else "TFLOP/s"
        result = "not measured" if found is None or failed else f"{found / 1e12:.2f} {unit}"
        yield {"name": f"rate {title}", "per_second": rates[title], "result": result} | (found if failed else {})
    for setting in SETTINGS:
        with place.tensors():
            for call in calls(setting, place):
                yield {"name": call.name, "setting": str(setting)} | attempt(
                    lambda: timed(call, setting.dtype, place, rates)  # noqa: B023
                )
                if call.kernel == "inference":
                    yield {"name": "inference, CUDA graph", "setting": str(setting)} | attempt(
                        lambda: timed(in_graph(call, place), setting.dtype, place, rates)  # noqa: B023
                    )


def timed(call: Call, dtype: torch.dtype, place: Place, rates: dict[str, float | None]) -> dict[str, Any]:
    """Return a row's times, its work and its floor: the longer of copying and computing at the device's rates."""
    work = {"flops": call.flops, "least_bytes": call.least_bytes}
    if not place.launches:
        return work | {"median_s": None, "floor_s": None, "result": f"{call.flops} FLOP, {call.least_bytes} bytes"}
    row = work | quantiles(call.run)
    copy, matrix = rates["copy"], rates[str(dtype).removeprefix("torch.")]
    if copy is None or matrix is None:
        return row | {"floor_s": None, "result": f"{1e3 * row['median_s']:.3f} ms"}
    copying, computing = call.least_bytes / copy, call.flops / matrix
    floor = max(copying, computing)
    bound = "matrix" if computing > copying else "copy"
    result = f"{1e3 * row['median_s']:.3f} ms, floor {1e3 * floor:.3f} ms ({bound}), {floor / row['median_s']:.0%}"
    return row | {"floor_s": floor, "bound": bound, "result": result}


@torch.no_grad()
def in_graph(call: Call, place: Place) -> Call:
    """Return the call as the replay of a CUDA graph, without the host's work for its launches."""
    if not place.launches:
        return call
    call.run()  # compiles, which a capture does not allow
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call.run()
    return dataclasses.replace(call, run=graph.replay)


def quantiles(run: Callable[[], object]) -> dict[str, float]:
    """Return the median and the quartiles in seconds; the L2 cache is cleared between the calls.

    The host's work for a launch counts where the kernel is shorter than it, as on small batches.
    """
    from triton.testing import do_bench

    with torch.no_grad():
        low, median, high = (1e-3 * one for one in do_bench(run, quantiles=[0.25, 0.5, 0.75]))
    return {"median_s": median, "quartile_low_s": low, "quartile_high_s": high}


def copy_rate(place: Place, _: object) -> float:
    """Return the bytes per second of a large copy, read and written bytes both counted."""
    source = torch.zeros(_COPY_BYTES, dtype=torch.uint8, device=place.device)
    target = torch.empty_like(source)
    return 2 * _COPY_BYTES / quantiles(lambda: target.copy_(source))["median_s"]


def matrix_rate(place: Place, dtype: torch.dtype) -> float:
    """Return the FLOP per second of a product of large square matrices."""
    left, right = (torch.randn(_MATRIX_SIDE, _MATRIX_SIDE, device=place.device).to(dtype) for _ in range(2))
    return 2 * _MATRIX_SIDE**3 / quantiles(lambda: left @ right)["median_s"]
