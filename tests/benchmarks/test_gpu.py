"""The checks, times and configurations of the kernels: everything but the GPU."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("triton", reason="the kernels are optional, and so is triton")

from benchmarks.gpu import __main__, _calls, _measure, _run, _smoke, _tune
from benchmarks.gpu._calls import Call, Place, Setting

FAKE = Place(torch.device("cpu"), launches=False, small=True)
KERNELS = ["crop_resize", "head", "conv 1", "conv 2", "conv 3", "tail", "inference", "moments", "backward"]


def constant(found: float, plain: float = 1.0) -> Call:
    """A kernel with the result ``found`` where plain PyTorch gives ``plain`` in half precision and 1 in float64."""

    def reference(dtype: torch.dtype) -> tuple[torch.Tensor]:
        return (torch.full((2, 3), 1.0 if dtype == torch.float64 else plain, dtype=torch.float64),)

    return Call("conv", "conv 1", object, lambda: (torch.full((2, 3), found),), reference, 30, 100)


@pytest.fixture
def rows_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a task have these rows."""

    def replace(task: str, *rows: dict[str, Any]) -> None:
        monkeypatch.setitem(_run.TASKS, task, lambda place: iter(rows))

    return replace


def result(out: Path, task: str) -> dict[str, Any]:
    return json.loads((out / f"{task}.json").read_text())


def test_the_dry_run_of_smoke_interprets_every_kernel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "smoke", "--dry-run", "--out", tmp_path]
    environment = os.environ | {"BENCHMARKS_COMMIT": "abc"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = result(tmp_path, "smoke")
    assert [row["name"] for row in record["rows"]] == ["versions", *KERNELS]
    assert all(0 < row["share_of_allowed_error"] <= 1 for row in record["rows"][1:])
    assert (record["status"], record["commit"], record["dry_run"]) == ("finished", "abc", True)


def test_the_dry_run_of_measure_counts_the_work_of_every_kernel(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(2, (3, 5), torch.bfloat16)
    monkeypatch.setattr(_measure, "SETTINGS", (setting,))
    command(__main__.main, "measure", "--dry-run", "--out", tmp_path)
    record = result(tmp_path, "measure")
    rows = {row["name"]: row for row in record["rows"]}
    assert [name for name in rows if not name.startswith("rate")] == KERNELS
    assert record["status"] == "finished"
    assert all(row["median_s"] is None for name, row in rows.items() if not name.startswith("rate"))
    # By hand: two FLOPs per multiply-accumulate; 2 images, 6x10 pixels in, 3x5 out, 16 channels.
    head, weights = 2 * 2 * 60 * 16 * (3 * 49 + 16), 256 * 64 + 64 + 64 * 64 + 64
    assert rows["moments"]["flops"] == head
    assert rows["head"]["flops"] == head
    assert rows["backward"]["flops"] == 2 * 2 * 60 * 16 * (3 * 49 + 2 * 16)  # no gradient of the image
    assert rows["conv 1"]["flops"] == 2 * 2 * 15 * 16 * 16 * 9
    assert rows["conv 1"]["least_bytes"] == 2 * (2 * 2 * 15 * 16 + 16 * 16 * 64 + 64)
    assert rows["moments"]["least_bytes"] == 2 * (2 * 3 * 60 + 2 * 15 * 16) + 4 * (weights + 2 * 16)


def test_the_dry_run_of_tune_has_a_row_per_configuration_and_no_table(
    command: Callable[..., None], tmp_path: Path
) -> None:
    command(__main__.main, "tune", "--dry-run", "--out", tmp_path)
    rows = result(tmp_path, "tune")["rows"]
    assert 20 <= len(rows) == sum(map(len, _tune.CONFIGS.values())) <= 30
    assert not any("error" in row for row in rows)
    assert [file.name for file in tmp_path.iterdir()] == ["tune.json"]


@pytest.mark.parametrize("kernel", _tune.CONFIGS)
def test_the_first_configuration_is_the_one_in_use(kernel: str) -> None:
    module, _, constant = _tune.LAUNCHERS[kernel]
    launcher = importlib.import_module(f"resizenet.kernels.triton.{module}")
    assert _tune.CONFIGS[kernel][0]["tile"] == getattr(launcher, constant)


def test_a_configuration_changes_the_launch_and_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from resizenet.kernels.triton import _conv

    launches = []

    class Kernel:
        def __getitem__(self, grid: object) -> Callable[..., None]:
            return lambda *args, **options: launches.append((grid, options))

    monkeypatch.setattr(_conv, "_conv_kernel", Kernel())
    features, weight, bias = torch.zeros(1, 32, 64, 16), torch.zeros(256, 64), torch.zeros(64)
    with _tune.configured("conv", {"tile": (4, 8), "num_warps": 2, "num_stages": 5}):
        _conv.conv(features, weight, bias, None, 1.0, 16, False)
    _conv.conv(features, weight, bias, None, 1.0, 16, False)
    (tuned, options), (usual, defaults) = launches
    assert (tuned, usual) == ((16,), (4,))  # 16 x 32 blocks
    assert [options[name] for name in ("TILE_H", "TILE_W", "num_warps", "num_stages")] == [4, 8, 2, 5]
    assert [defaults[name] for name in ("TILE_H", "TILE_W", "num_warps", "num_stages")] == [8, 16, 8, 3]


def test_the_table_has_the_fastest_right_configuration_of_each_kernel(tmp_path: Path) -> None:
    fast, slow = {"tile": (4, 8), "num_warps": 4, "maxnreg": None}, {"tile": (8, 8), "num_warps": 8, "maxnreg": 128}
    rows = [
        {"name": "head", "config": slow, "median_s": 2.0},
        {"name": "head", "config": fast, "median_s": 1.0},
        {"name": "head", "config": slow, "error": "wrong"},
        {"name": "conv", "config": slow, "median_s": 3.0},
        {"name": "tail", "config": fast, "error": "wrong"},
    ]
    record = {"device": "a device", "commit": "abc", "date": "2026-01-02", "capability": [9, 0], "rows": rows}
    _tune.write_table(tmp_path / "_tuned.py", record)
    assert runpy.run_path(str(tmp_path / "_tuned.py"))["TUNED"] == {(9, 0): {"head": fast, "conv": slow}}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (constant(1.0), None),
        (constant(1.003), None),  # one rounding of bfloat16
        (constant(1.02, plain=0.991), None),  # twice the error of plain PyTorch, and one rounding
        (constant(1.01), "wrong by 0.01 where 0.00391 is allowed"),
        (constant(float("nan")), "with 6 not finite"),
    ],
)
def test_results_are_judged_by_the_error_of_plain_torch(call: Call, error: str | None) -> None:
    found = _smoke.compare(call, torch.bfloat16)
    assert error in found["error"] if error else "error" not in found


@pytest.mark.parametrize("index", range(len(KERNELS)))
def test_an_element_that_is_not_written_is_found(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kernel writes anything: all results stay what they were made with."""

    class Kernel:
        def __getitem__(self, grid: object) -> Callable[..., None]:
            return lambda *args, **options: None

    for module, kernel, _ in _tune.LAUNCHERS.values():
        monkeypatch.setattr(f"resizenet.kernels.triton.{module}.{kernel}", Kernel())
    place = Place(torch.device("cpu"), launches=True, small=True)
    call = list(_calls.calls(Setting(1, (2, 3), torch.bfloat16), place))[index]
    assert "not finite" in _smoke.compare(call, torch.bfloat16)["error"]


def test_a_failed_kernel_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(setting: Setting, place: Place) -> Iterator[Call]:
        yield constant(1.0)
        raise RuntimeError("out of\n resource")

    monkeypatch.setattr(_smoke, "calls", failing)
    last = list(_smoke.rows(Place(torch.device("cpu"), launches=True, small=True)))[2]
    assert last["error"] == "RuntimeError: out of resource"


@pytest.mark.parametrize(("task", "left"), [("smoke", 2), ("measure", 3)])
def test_the_first_error_stops_only_smoke(task: str, left: int, rows_of: Callable[..., None], tmp_path: Path) -> None:
    rows_of(task, {"name": "a"}, {"name": "b", "error": "wrong"}, {"name": "c"})
    with pytest.raises(SystemExit, match=f"1 of {left} rows failed"):
        _run.run(task, tmp_path, budget=60, dry_run=True)
    assert len(result(tmp_path, task)["rows"]) == left


def test_every_row_is_on_disk_before_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def rows(place: Place) -> Iterator[dict[str, Any]]:
        for name in "abc":
            seen.append([row["name"] for row in result(tmp_path, "measure")["rows"]])
            yield {"name": name}

    monkeypatch.setitem(_run.TASKS, "measure", rows)
    _run.run("measure", tmp_path, budget=60, dry_run=True)
    assert seen == [[], ["a"], ["a", "b"]]


def test_no_row_begins_after_the_budget(rows_of: Callable[..., None], tmp_path: Path) -> None:
    rows_of("measure", {"name": "a"}, {"name": "b"})
    _run.run("measure", tmp_path, budget=0, dry_run=True)
    record = result(tmp_path, "measure")
    assert ([row["name"] for row in record["rows"]], record["status"]) == (["a"], "out of time")


def test_the_floor_is_the_longer_of_copying_and_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"median_s": 40.0, "quartile_low_s": 30.0, "quartile_high_s": 50.0}
    monkeypatch.setattr(_measure, "quantiles", lambda run: times)
    place = Place(torch.device("cpu"), launches=True, small=False)
    for rates, floor, bound in [((5.0, 10.0), 20.0, "copy"), ((100.0, 1.0), 30.0, "matrix")]:
        row = _measure.timed(constant(1.0), torch.bfloat16, place, dict(zip(("copy", "bfloat16"), rates, strict=True)))
        assert (row["floor_s"], row["bound"], row["median_s"]) == (floor, bound, 40.0)


def test_without_a_gpu_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device here; --dry-run needs none"):
        _run.run("smoke", tmp_path, budget=1, dry_run=False)


def test_what_is_missing_is_named(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("triton", "einops") else find(name))
    with pytest.raises(SystemExit, match="missing: triton, einops; install with pip install triton einops"):
        command(__main__.main, "smoke", "--out", tmp_path)


def test_the_other_packages_of_the_benchmarks_are_not_needed() -> None:
    blocked = ("rich", "accelerate", "timm", "kornia", "matplotlib", "scipy")
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); import benchmarks.gpu._run"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
