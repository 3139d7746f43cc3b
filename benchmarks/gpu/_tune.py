"""Which configurations of the kernels are fastest on this device? The numbers are checked before the time.

A configuration replaces the tile of the launcher's module and the options of the launch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ._calls import Call, Place, Setting, calls
from ._measure import quantiles
from ._smoke import attempt, compare

Config = dict[str, Any]

CHECKED = Setting(8, (64, 96), torch.bfloat16)  # 1,536 tiles of the backward kernel: every program takes several
TIMED = Setting(128, (224, 224), torch.bfloat16)
# The module in resizenet.kernels.triton, its kernel, and its constant that a configuration replaces.
LAUNCHERS = {
    "head": ("_head", "_head_kernel", "TILE"),
    "conv": ("_conv", "_conv_kernel", "TILE"),
    "tail": ("_conv", "_conv_kernel", "TILE"),
    "moments": ("_head_training", "_moments_kernel", "TILE"),
    "backward": ("_head_training", "_backward_kernel", "BACKWARD_TILE"),
    "crop_resize": ("_crop_resize", "_crop_resize_kernel", "ROWS"),
}


def _config(tile: object, warps: int, **options: int | None) -> Config:
    return {"tile": tile, "num_warps": warps, **options}


# The first of each kernel is the one in use.
CONFIGS: dict[str, list[Config]] = {
    "tail": [
        _config((8, 16), 8, num_stages=3),
        _config((4, 16), 4, num_stages=1),  # overlapping windows are then read through the L1 cache
        _config((8, 16), 8, num_stages=1),
        _config((8, 8), 4, num_stages=1),
        _config((4, 16), 4, num_stages=3),
    ],
    "conv": [
        _config((8, 16), 8, num_stages=3),
        _config((8, 16), 8, num_stages=2),
        _config((8, 16), 4, num_stages=3),
        _config((4, 16), 4, num_stages=3),
        _config((4, 16), 4, num_stages=1),
    ],
    "head": [
        _config((8, 16), 8, maxnreg=128),
        _config((8, 16), 8, maxnreg=None),
        _config((8, 16), 4, maxnreg=None),
        _config((4, 16), 4, maxnreg=128),
        _config((8, 8), 4, maxnreg=128),
    ],
    "backward": [
        _config((4, 8), 8, num_stages=2),
        _config((4, 8), 8, num_stages=3),
        _config((4, 8), 16, num_stages=2),
        _config((4, 8), 16, num_stages=3),
        _config((8, 8), 16, num_stages=2),
    ],
    "moments": [
        _config((8, 16), 8, maxnreg=128),
        _config((8, 16), 4, maxnreg=None),
        _config((4, 16), 4, maxnreg=128),
    ],
    "crop_resize": [_config(32, 1), _config(16, 1), _config(64, 1)],  # rows of a strip
}


def rows(place: Place) -> Iterator[dict[str, Any]]:
    """Yield one row per kernel and configuration."""
    with place.tensors():
        made = attempt(lambda: [{call.kernel: call for call in calls(one, place)} for one in (CHECKED, TIMED)])
        if isinstance(made, dict):
            yield {"name": "inputs", **made}
            return
        for kernel, configs in CONFIGS.items():
            for config in configs:
                row = {"name": kernel, "setting": str(TIMED), "config": config}
                yield row | attempt(lambda: tried(*(one[kernel] for one in made), config, place))  # noqa: B023


def tried(checked: Call, timed: Call, config: Config, place: Place) -> dict[str, Any]:
    """Return the times of a configuration if its numbers are right, and what it compiled to."""
    with configured(checked.kernel, config) as launcher:
        if not place.launches:
            if checked.kernel != "crop_resize":  # the only kernel without an operator, which fake tensors need
                checked.run()
            return {"median_s": None, "result": "not launched"}
        found = compare(checked, CHECKED.dtype)
        if "error" in found:
            return found
        times = quantiles(timed.run)
        return found | times | launcher.usage() | {"result": f"{1e3 * times['median_s']:.3f} ms"}


@contextmanager
def configured(kernel: str, config: Config) -> Iterator[Launcher]:
    """Launch a kernel by a configuration."""
    module_name, kernel_name, constant = LAUNCHERS[kernel]
    module = importlib.import_module(f"resizenet.kernels.triton.{module_name}")
    before = getattr(module, kernel_name), getattr(module, constant)
    launcher = Launcher(before[0], {name: value for name, value in config.items() if name != "tile"})
    setattr(module, kernel_name, launcher)
    setattr(module, constant, config["tile"])
    try:
        yield launcher
    finally:
        setattr(module, kernel_name, before[0])
        setattr(module, constant, before[1])


class Launcher:
    """A Triton kernel whose launches have other options."""

    def __init__(self, kernel: Any, options: dict[str, Any]) -> None:
        self.kernel = kernel
        self.options = options
        self.compiled: Any = None

    def __getitem__(self, grid: object) -> Any:
        def launch(*args: Any, **options: Any) -> None:
            self.compiled = self.kernel[grid](*args, **(options | self.options))

        return launch

    def usage(self) -> dict[str, Any]:
        """Return the registers and spills of a thread and the bytes of shared memory, as far as Triton tells them."""
        metadata = getattr(self.compiled, "metadata", None)
        found = {name: getattr(self.compiled, name, None) for name in ("n_regs", "n_spills")}
        return found | {"shared": getattr(metadata, "shared", None)}


def write_table(file: Path, record: dict[str, Any]) -> None:
    """Write the fastest configuration of each kernel as a module of Python, in one step."""
    measured = [row for row in record["rows"] if row.get("median_s") is not None]
    slowest_first = sorted(measured, key=lambda row: row["median_s"], reverse=True)
    best = {row["name"]: row["config"] for row in slowest_first}
    lines = [
        '"""The fastest configuration of each kernel by compute capability, written by benchmarks.gpu tune.',
        "",
        f"Measured on {record['device']}, commit {record['commit']}, {record['date']}.",
        '"""',
        "",
        "TUNED = {",
        f"    {tuple(record['capability'])}: {{",
        *(f'        "{name}": {config!r},'.replace("'", '"') for name, config in best.items()),
        "    },",
        "}",
    ]
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text("\n".join(lines) + "\n")
    partial.replace(file)
