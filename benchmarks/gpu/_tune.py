"""Which launches of the kernels are fastest on this device? The numbers are checked before the time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from resizenet.kernels.triton._launch import DEFAULT, TABLE, Launch
from resizenet.kernels.triton._tuned import MEASURED_ON, TUNED

from ._calls import Call, Place, Setting, calls
from ._machine_code import recorded
from ._measure import quantiles
from ._smoke import SMALL, attempt, compare

CHECKED = Setting(8, (64, 96), torch.bfloat16)  # 1,536 tiles of the backward kernel: every program takes several
TIMED = Setting(128, (224, 224), torch.bfloat16)
# Each kernel's DEFAULT comes first.
LAUNCHES: dict[str, list[Launch]] = {
    "head": [
        DEFAULT["head"],
        Launch((8, 16), num_warps=8, num_stages=3, maxnreg=128),
        Launch((8, 16), num_warps=8, num_stages=1, maxnreg=128),
        Launch((8, 16), num_warps=8, num_stages=2),
        Launch((8, 16), num_warps=4, num_stages=2),
        Launch((4, 16), num_warps=4, num_stages=2, maxnreg=128),
    ],
    "conv": [
        DEFAULT["conv"],
        Launch((8, 16), num_warps=8, num_stages=2),
        Launch((8, 16), num_warps=4, num_stages=3),
        Launch((4, 16), num_warps=4, num_stages=3),
        Launch((4, 16), num_warps=4, num_stages=1),
    ],
    "tail": [
        DEFAULT["tail"],
        Launch((8, 16), num_warps=8, num_stages=3),
        Launch((8, 16), num_warps=8, num_stages=1),
        Launch((8, 8), num_warps=4, num_stages=1),
        Launch((4, 16), num_warps=4, num_stages=3),
    ],
    "backward": [
        DEFAULT["backward"],
        Launch((4, 8), num_warps=8, num_stages=2, maxnreg=255),
        Launch((4, 8), num_warps=8, num_stages=3, maxnreg=128, programs=2),
        Launch((4, 8), num_warps=16, num_stages=2),
        Launch((4, 8), num_warps=16, num_stages=3),
        Launch((8, 8), num_warps=16, num_stages=2),
    ],
    "moments": [
        DEFAULT["moments"],
        Launch((8, 16), num_warps=8, num_stages=3, maxnreg=128),
        Launch((8, 16), num_warps=8, num_stages=1, maxnreg=128),
        Launch((4, 16), num_warps=4, num_stages=2, maxnreg=128),
    ],
    "crop_resize": [
        DEFAULT["crop_resize"],
        Launch((16, 1024), num_warps=1, num_stages=3),
        Launch((64, 1024), num_warps=1, num_stages=3),
    ],
}


def rows(place: Place) -> Iterator[dict[str, Any]]:
    """Yield one row per kernel and launch. If ``place.small``, the numbers of tiny images are checked and not timed."""
    settings = SMALL if place.small else (CHECKED, TIMED)
    made = attempt(lambda: [{call.kernel: call for call in calls(one, place)} for one in settings])
    if isinstance(made, dict):
        yield {"name": "inputs", **made}
        return
    for kernel, launches in LAUNCHES.items():
        for launch in launches:
            row = {"name": kernel, "setting": str(settings[-1]), "config": dataclasses.asdict(launch)}
            with launched_as(kernel, launch, place.device):
                found = attempt(lambda: tried([one[kernel] for one in made], settings[0].dtype, place))  # noqa: B023
            yield row | found


def launched_as(kernel: str, launch: Launch, device: torch.device) -> Any:
    """Return a context in which a kernel is launched on ``device`` as ``launch`` says."""
    key = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    return mock.patch.dict(TABLE, {key: TABLE.get(key, DEFAULT) | {kernel: launch}})


def tried(made: list[Call], dtype: torch.dtype, place: Place) -> dict[str, Any]:
    """Return the times of the last call if the numbers of the first are right, and what it compiled to."""
    found = compare(made[0], dtype)
    if place.small or "error" in found:
        return {"median_s": None} | found
    with recorded() as kernels:
        made[-1].run()
    usage = {name: getattr(kernels[-1], name, None) for name in ("n_regs", "n_spills")}
    usage["shared"] = getattr(kernels[-1].metadata, "shared", None)
    times = quantiles(made[-1].run)
    return found | times | usage | {"result": f"{1e3 * times['median_s']:.3f} ms"}


def write_table(file: Path, record: dict[str, Any]) -> None:
    """Write resizenet/kernels/triton/_tuned.py with the fastest launches of a record, and the rows of other devices."""
    capability = tuple(record["capability"])
    measured = [row for row in record["rows"] if row.get("median_s") is not None]
    slowest_first = sorted(measured, key=lambda row: row["median_s"], reverse=True)
    best = {row["name"]: row["config"] | {"tile": tuple(row["config"]["tile"])} for row in slowest_first}
    source = f"{record['device']}, triton {record['versions']['triton']}, commit {record['commit']}, {record['date']}"
    write_module(
        file,
        TUNED | {capability: TUNED.get(capability, {}) | best},
        MEASURED_ON | {capability: source},
    )


def write_module(
    file: Path,
    tuned: dict[tuple[int, int], dict[str, dict[str, Any]]],
    measured_on: dict[tuple[int, int], str],
) -> None:
    """Write the module in one step."""
    lines = [
        '"""The fastest launch of each kernel by compute capability; written by `python -m benchmarks.gpu tune`."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any",
        "",
    ]
    sources = [f'    {capability}: "{source}",' for capability, source in sorted(measured_on.items())]
    lines += _dictionary("MEASURED_ON: dict[tuple[int, int], str]", sources)
    rows = []
    for capability, kernels in sorted(tuned.items()):
        rows.append(f"    {capability}: {{")
        for kernel, launch in kernels.items():
            numbers = ", ".join(f'"{name}": {value}' for name, value in launch.items())
            rows.append(f'        "{kernel}": {{{numbers}}},')
        rows.append("    },")
    lines += _dictionary("TUNED: dict[tuple[int, int], dict[str, dict[str, Any]]]", rows)
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text("\n".join(lines) + "\n")
    partial.replace(file)


def _dictionary(name: str, rows: list[str]) -> list[str]:
    return [f"{name} = {{", *rows, "}"] if rows else [f"{name} = {{}}"]
