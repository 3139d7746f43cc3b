"""Records, images and commands that several tests of the benchmarks share."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.throughput import _compare, _models, _resizer, _roofline, _timing
from benchmarks.throughput._compare import Bench, Comparison, Setting

from resizenet.transforms import NativePolicy

ENVIRONMENT = {
    "schema": 3,
    "command": "run it",
    "device": "a device",
    "versions": {"torch": "2.9"},
    "commit": "abc",
    "date": "2026-01-02",
}


@pytest.fixture
def write_run() -> Callable[..., None]:
    """Write the record of a run of two epochs; keywords replace its fields."""

    def write(results: Path, folder: str, arm: str, seed: int, accuracy: float | None, **values: object) -> None:
        spent = {"seconds": 1.0, "cpu_seconds": 1.5}
        curve = [
            {"epoch": epoch, "loss": 1.0, "accuracy": accuracy and accuracy - 5 * (2 - epoch), **spent}
            for epoch in (1, 2)
        ]
        record = ENVIRONMENT | {"arm": arm, "seed": seed, "accuracy": accuracy, "curve": curve, "finish": {}}
        record |= {"recipe": {"epochs": 2, "policy": NativePolicy(32).to_dict()}, "precision": "bf16", "data": None}
        record |= {"seconds": 2.5, "images_per_second": 1500.0, "macs": 1_000_000 * (1 + len(arm)), "params": 12_345}
        (results / folder).mkdir(parents=True, exist_ok=True)
        file = results / folder / f"{arm.replace(' ', '-').replace('/', '-')}-seed{seed}.json"
        file.write_text(json.dumps(record | values))

    return write


@pytest.fixture
def suite_record() -> Callable[..., dict[str, Any]]:
    """Make a record of throughput rows; keywords replace its fields."""

    def make(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
        ceilings = {"copy": 1e10, "float32": 2e11}
        return ENVIRONMENT | {"suite": "resizer", "ceilings": ceilings, "rows": list(rows)} | changes

    return make


@pytest.fixture
def arrays() -> Callable[..., dict[str, np.ndarray]]:
    """Make the four arrays of an .npz: a pattern per class, and as much noise."""

    def make(train: int = 64, test: int = 30) -> dict[str, np.ndarray]:
        random = np.random.default_rng(0)
        patterns = np.kron(random.integers(0, 128, (10, 4, 4, 3)), np.ones((1, 8, 8, 1), dtype=int))
        found = {}
        for part, count in (("train", train), ("test", test)):
            labels = np.arange(count) % 10
            images = patterns[labels] + random.integers(0, 128, (count, 32, 32, 3))
            found |= {f"x_{part}": images.astype(np.uint8), f"y_{part}": labels}
        return found

    return make


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Call a ``main`` with a command line."""

    def call(main: Callable[[], object], *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
        main()

    return call


@pytest.fixture
def rows_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Measure a comparison with few rounds and small ceilings, and compile without generating code."""
    monkeypatch.setattr(_compare, "alternate", partial(_timing.alternate, warmup=0))
    monkeypatch.setattr(_roofline, "COPY_BYTES", {"cpu": 2**16})
    monkeypatch.setattr(_roofline, "MATRIX_SIDE", {"cpu": 32})
    graph = partial(torch.compile, backend="eager", fullgraph=True, dynamic=False)
    for module in (_resizer, _models):
        monkeypatch.setattr(module, "compiled", lambda model, device: graph(model))

    def measure(comparison: Comparison, dtype: str = "float32") -> list[dict[str, Any]]:
        [rows] = Bench(torch.device("cpu"), rounds=2).run({Setting("task", "case", dtype, 2): lambda: comparison})
        return rows

    return measure
