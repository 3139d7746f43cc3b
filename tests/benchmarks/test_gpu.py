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

from benchmarks.gpu import __main__, _calls, _docs, _measure, _run, _smoke, _tune
from benchmarks.gpu._calls import Call, Place, Setting

from resizenet.kernels.triton import _launch, _tuned
from resizenet.kernels.triton._launch import DEFAULT, Launch

FAKE = Place(torch.device("cpu"), launches=False, small=True)
KERNELS = ["crop_resize", "head", "conv 1", "conv 2", "conv 3", "tail", "inference", "moments", "backward"]


@pytest.fixture
def _interpreter() -> None:
    """Skip a test where Triton's interpreter does not run."""
    import numpy as np
    import triton

    triton_version, numpy_version = (tuple(map(int, one.__version__.split(".")[:2])) for one in (triton, np))
    if triton_version < (3, 7) and numpy_version >= (2, 3):
        pytest.skip("the interpreter of triton before 3.7 needs numpy before 2.3")


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


def dry_run(task: str, out: Path) -> dict[str, Any]:
    """The record of a dry run in a new process, where TRITON_INTERPRET precedes the import of triton."""
    command = [sys.executable, "-m", "benchmarks.gpu", task, "--dry-run", "--out", out]
    environment = os.environ | {"BENCHMARKS_COMMIT": "abc"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = result(out, task)
    assert (record["status"], record["commit"], record["dry_run"]) == ("finished", "abc", True)
    return record


@pytest.mark.usefixtures("_interpreter")
def test_the_dry_run_of_smoke_interprets_every_kernel(tmp_path: Path) -> None:
    rows = dry_run("smoke", tmp_path)["rows"]
    assert [row["name"] for row in rows] == ["versions", *KERNELS]
    assert all(0 < row["share_of_allowed_error"] <= 1 for row in rows[1:])


def test_the_dry_run_of_measure_counts_the_work_of_every_kernel(
    command: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(2, (3, 5), torch.bfloat16)
    monkeypatch.setattr(_measure, "SETTINGS", (setting,))
    command(__main__.main, "measure", "--dry-run", "--out", tmp_path)
    record = result(tmp_path, "measure")
    rows = {row["name"]: row for row in record["rows"]}
    named = [name for name in rows if not name.startswith("rate")]
    assert named == [*KERNELS[:7], "inference, CUDA graph", *KERNELS[7:]]
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


@pytest.mark.usefixtures("_interpreter")
def test_the_dry_run_of_tune_checks_every_launch_and_writes_no_table(tmp_path: Path) -> None:
    rows = dry_run("tune", tmp_path)["rows"]
    assert 20 <= len(rows) == sum(map(len, _tune.LAUNCHES.values())) <= 30
    assert all(0 < row["share_of_allowed_error"] <= 1 for row in rows)
    assert [file.name for file in tmp_path.iterdir()] == ["tune.json"]


def test_the_dry_run_of_compile_reads_the_machine_code(tmp_path: Path) -> None:
    (row,) = dry_run("compile", tmp_path)["rows"]
    assert (row["name"], row["setting"], row["stack"], row["shared"], row["barriers"]) == (
        *("crop_resize", "sm_80"),
        *(0, 0, 0),
    )
    assert 64 < row["registers"] <= 128
    assert row["instructions"] > 500
    assert row["loads"]["8"] > 10  # one byte for each tap


def test_launches_begin_with_the_one_of_devices_that_were_not_measured() -> None:
    assert {kernel: launches[0] for kernel, launches in _tune.LAUNCHES.items()} == DEFAULT
    assert all(len(set(launches)) == len(launches) for launches in _tune.LAUNCHES.values())


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[tuple[int, ...], dict[str, Any]]]:
    """Launches the 3x3 convolution of 64x128 pixels and returns the grid and the options."""
    from resizenet.kernels.triton import _conv

    launches = []

    class Kernel:
        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            return lambda *args, **options: launches.append((grid, options))

    monkeypatch.setattr(_conv, "_conv_kernel", Kernel())

    def launch() -> tuple[tuple[int, ...], dict[str, Any]]:
        features, weight, bias = torch.zeros(1, 64, 128, 16), torch.zeros(256, 64), torch.zeros(64)
        _conv.conv(features, weight, bias, None, 1.0, 16, False)
        return launches.pop()

    return launch


def test_a_tried_launch_is_used_and_taken_back(launched: Callable[[], Any]) -> None:
    with _tune.launched_as("conv", Launch((4, 8), num_warps=2, num_stages=5, maxnreg=99), torch.device("cpu")):
        grid, options = launched()
    expected = {"TILE_H": 4, "TILE_W": 8, "num_warps": 2, "num_stages": 5, "maxnreg": 99}
    assert grid == (64,)  # of 32 x 64 blocks of 2x2 pixels
    assert options.items() >= expected.items()
    assert launched()[1].items() >= DEFAULT["conv"].options.items()


def test_a_measured_device_has_its_own_launches(monkeypatch: pytest.MonkeyPatch, launched: Callable[[], Any]) -> None:
    measured = Launch((4, 16), num_warps=4)
    monkeypatch.setattr(_launch, "_capability", lambda device: (9, 0))
    monkeypatch.setitem(_launch.TABLE, (9, 0), DEFAULT | {"conv": measured})
    assert launched()[1].items() >= measured.options.items()
    monkeypatch.setattr(_launch, "_capability", lambda device: (8, 6))
    assert launched()[1].items() >= DEFAULT["conv"].options.items()


def test_the_table_has_the_fastest_right_launch_of_each_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tune, "TUNED", {(8, 0): {"head": {"tile": (2, 8)}}, (9, 0): {"moments": {"tile": (2, 8)}}})
    monkeypatch.setattr(_tune, "MEASURED_ON", {(8, 0): "another device"})
    fast, slow = {"tile": (4, 8), "num_warps": 4, "maxnreg": None}, {"tile": (8, 8), "num_warps": 8, "maxnreg": 128}
    rows = [
        {"name": "head", "config": slow, "median_s": 2.0},
        {"name": "head", "config": fast, "median_s": 1.0},
        {"name": "head", "config": slow, "error": "wrong"},
        {"name": "conv", "config": slow | {"tile": [8, 8]}, "median_s": 3.0},
        {"name": "tail", "config": fast, "error": "wrong"},
    ]
    record = {"device": "a device", "commit": "abc", "date": "2026-01-02", "capability": [9, 0], "rows": rows}
    _tune.write_table(tmp_path / "_tuned.py", record | {"versions": {"triton": "3.6"}})
    written = runpy.run_path(str(tmp_path / "_tuned.py"))
    assert written["TUNED"] == {
        (8, 0): {"head": {"tile": (2, 8)}},
        (9, 0): {"moments": {"tile": (2, 8)}, "head": fast, "conv": slow},
    }
    assert written["MEASURED_ON"] == {
        (8, 0): "another device",
        (9, 0): "a device, triton 3.6, commit abc, 2026-01-02",
    }


def test_the_table_of_the_library_is_as_tune_writes_it(tmp_path: Path) -> None:
    _tune.write_module(tmp_path / "_tuned.py", _tuned.TUNED, _tuned.MEASURED_ON)
    assert (tmp_path / "_tuned.py").read_text() == Path(_tuned.__file__).read_text()


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

    for kernel in ("_head._head", "_conv._conv", "_head_training._moments", "_head_training._backward"):
        monkeypatch.setattr(f"resizenet.kernels.triton.{kernel}_kernel", Kernel())
    monkeypatch.setattr("resizenet.kernels.triton._crop_resize._crop_resize_kernel", Kernel())
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


def compile_record(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A record of ``compile`` with a version of Triton."""
    versions = {"torch": "2.11", "triton": "3.6"}
    environment = {"schema": 3, "command": "compile", "device": "a CPU", "versions": versions, "commit": "abc"}
    return environment | {"date": "2026-01-02", "rows": list(rows)} | changes


def test_the_docs_compare_what_was_compiled_before_and_after(tmp_path: Path) -> None:
    head = {"name": "head", "setting": "sm_80", "registers": 128, "stack": 128, "shared": 16384}
    head |= {"barriers": 20, "instructions": 1690}
    now = head | {"stack": 0, "shared": 53248, "barriers": 7}
    results, docs = tmp_path / "results", tmp_path / "docs"
    for folder, record in ((results / "before", compile_record(head, commit="old")), (results, compile_record(now))):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "compile-triton-3.6.json").write_text(json.dumps(record))
    _docs.write_docs(docs, results)
    text = (docs / "gpu-compile-triton-3.6.md").read_text()
    assert "| head | sm_80 | 128 | 128 → 0 | 16,384 → 53,248 | 20 → 7 | 1,690 |" in text
    assert "Before: `compile`; torch 2.11, triton 3.6; 2026-01-02; commit old." in text
    assert "Not run yet: `python -m benchmarks.gpu measure" in (docs / "gpu-measure.md").read_text()


def test_the_docs_show_what_was_measured(tmp_path: Path) -> None:
    row = {"name": "head", "setting": "8 x 448x448 -> 224x224", "result": "0.500 ms"}
    (tmp_path / "measure.json").write_text(json.dumps(compile_record(row, command="measure")))
    _docs.write_docs(tmp_path / "docs", tmp_path)
    assert "| head | 8 x 448x448 -> 224x224 | 0.500 ms |" in (tmp_path / "docs" / "gpu-measure.md").read_text()
