"""Runs of arms: finished ones are skipped, interrupted ones go on, and every run leaves one record."""

from __future__ import annotations

import json
import math
import re
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.progress import Progress
from torch import nn

import resizenet as rn
from benchmarks._records import Record, environment, write
from resizenet.transforms import ResizePolicy

from ._checkpoint import Checkpoint
from ._data import ImageData
from ._experiment import Experiment
from ._results import read_run
from ._train import Recipe, Training

MIXED_PRECISION = {"bf16": "bf16", "float32": "no"}  # Accelerate's names of ours


@dataclass(frozen=True)
class Session:
    """What the runs of one command share."""

    experiment: Experiment
    labels: dict[str, str]  # of every record: experiment, version and command
    epochs: int
    data: ImageData  # on the device
    fingerprint: dict[str, int | str]  # of the data
    device: torch.device
    precision: str  # "bf16" or "float32"
    results: Path
    checkpoints: Path
    progress: Progress
    deadline: float = math.inf  # of time.monotonic(), before which the last epoch has to end

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""
        self.progress.console.print(line, highlight=False, soft_wrap=True)

    def has_time_for(self, seconds: float) -> bool:
        """Return whether something that takes so long would end before the deadline."""
        return time.monotonic() + seconds <= self.deadline


def run_all(session: Session, arms: list[str], seeds: int) -> bool:
    """Run all arms with the first seed, then with the next. Return False if the deadline stopped them."""
    for seed in range(seeds):
        for name in arms:
            run = Run(session, name, seed)
            if run.file.exists():
                run.check_finished()
                continue
            record = run.finish()
            if record is None:
                return False
            write(run.file, record)
            run.checkpoint.delete()
    return True


def complete(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded recipe with every field of its policy; those that it lacks have their defaults."""
    if recipe.get("policy") is None:
        return recipe
    return {**recipe, "policy": json.loads(json.dumps(ResizePolicy.from_dict(recipe["policy"]).to_dict()))}


def differences(record: Record, terms: dict[str, Any], defaults: Recipe) -> list[str]:
    """Return how a finished run differs from the asked one, in words.

    Fields of the recipe that the record lacks have their defaults; data that it does not know are not compared.
    """
    wanted, defaults = json.loads(json.dumps([terms, asdict(defaults)]))
    wanted |= wanted.pop("recipe")
    held = {
        **defaults,
        **complete(record["recipe"]),
        "precision": record["precision"],
        "data": record["data"] or wanted["data"],
    }
    return [f"{key} {held[key]}, not {value}" for key, value in wanted.items() if held[key] != value]


class Run:
    """One arm with one seed."""

    def __init__(self, session: Session, name: str, seed: int) -> None:
        self.session, self.name, self.seed = session, name, seed
        self.arm = session.experiment.arms[name]
        self.recipe = replace(session.experiment.recipe, **{"epochs": session.epochs, **self.arm.recipe})
        self.terms = {"recipe": asdict(self.recipe), "precision": session.precision, "data": session.fingerprint}
        self.file = session.results / f"{file_stem(name, seed)}.json"
        self.checkpoint = Checkpoint(session.checkpoints / file_stem(name, seed), self.terms)

    def check_finished(self) -> None:
        """Refuse a result of another recipe, precision or data."""
        different = differences(read_run(self.file), self.terms, type(self.recipe)())
        if different:
            reason = f"a result with {', '.join(different)}"
            raise SystemExit(f"{self.file}: {reason}; change the command, take another --out, or delete it")

    def finish(self) -> Record | None:
        """Train the arm, or go on with what was begun. Return its record, or None if the deadline stopped it."""
        session, start = self.session, time.perf_counter()
        if not session.has_time_for(self._expected_epoch()):
            return None
        accelerator = Accelerator(cpu=session.device.type == "cpu", mixed_precision=MIXED_PRECISION[session.precision])
        torch.manual_seed(self.seed)
        data = self.arm.prepare(session.data)
        torch.manual_seed(self.seed)
        training = session.experiment.training(self._make(), data, self.recipe, self.seed, accelerator)
        self.checkpoint.load(accelerator)
        start -= training.seconds
        if not self._train(training, start):
            return None
        model = self.arm.change(self.arm.make())
        model.load_state_dict(training.model.state_dict())
        model = model.to(session.device, memory_format=torch.channels_last).eval()
        measured = _finite(session.experiment.finish(model, data))
        self._keep_weights(model)
        return self._record(training, {"finish": measured, "seconds": time.perf_counter() - start})

    def _expected_epoch(self) -> float:
        """Return the seconds of an epoch in finished runs of the arm; 0 if there are none."""
        records = map(read_run, self.session.results.glob(f"{file_stem(self.name, '*')}.json"))
        return statistics.mean([record["seconds"] / record["recipe"]["epochs"] for record in records] or [0.0])

    def _train(self, training: Training, start: float) -> bool:
        """Train the missing epochs and save the state after each. Return False if the deadline stopped them."""
        session, title, curve = self.session, f"{self.name}, seed {self.seed}", training.curve
        epochs, steps = self.recipe.epochs, training.steps
        bar = session.progress.add_task(title, total=epochs * steps, completed=len(curve) * steps)
        expected = self._expected_epoch()
        while len(curve) < epochs:
            if not session.has_time_for(expected):
                return False
            epoch_start = time.perf_counter()
            measured = training.epoch(lambda: session.progress.advance(bar))
            measured |= session.experiment.watch(training.model, training.data)
            curve.append(_finite({"epoch": len(curve) + 1, **measured}))
            training.seconds, expected = time.perf_counter() - start, time.perf_counter() - epoch_start
            self.checkpoint.save(training.accelerator, len(curve))
            values = [f"{key} {value:.4g}" for key, value in curve[-1].items() if value is not None]
            session.say(f"{title}: {' '.join(values)}")
        session.progress.remove_task(bar)
        return True

    def _make(self) -> nn.Module:
        model = self.arm.make()
        if self.arm.start is not None:
            file = self._weights_file(self.arm.start)
            if not file.exists():
                missing = f"no weights of the arm {self.arm.start!r}, seed {self.seed}, to continue from"
                raise SystemExit(f"{file}: {missing}; run that arm first (if it has a result, delete that)")
            weights = torch.load(file, map_location="cpu", weights_only=True)
            unexpected = model.load_state_dict(weights, strict=False).unexpected_keys
            if unexpected:
                raise SystemExit(f"{file}: weights of another network ({unexpected[0]}, ...)")
        return self.arm.change(model)

    def _keep_weights(self, model: nn.Module) -> None:
        """Save the weights, for arms that continue from this one and for ``export``."""
        torch.save(model.state_dict(), self._weights_file(self.name))

    def _weights_file(self, arm: str) -> Path:
        return self.session.checkpoints / f"{file_stem(arm, self.seed)}.weights"

    def _record(self, training: Training, measured: dict[str, Any]) -> Record:
        session, curve = self.session, training.curve
        images = training.steps * self.recipe.batch_size * self.recipe.epochs
        cuda = session.device.type == "cuda"
        return {
            **environment(session.device),
            **session.labels,
            "arm": self.name,
            "seed": self.seed,
            **self.terms,
            "accuracy": curve[-1]["accuracy"],
            **measured,
            "curve": curve,
            "images_per_second": images / sum(epoch["seconds"] for epoch in curve),
            "peak_memory_bytes": torch.cuda.max_memory_allocated(session.device) if cuda else None,
            **self._cost(),
        }

    def _cost(self) -> dict[str, int]:
        """Count multiply-accumulates and parameters for one image of the size that the model is fed."""
        model = self.arm.counted() if self.arm.counted else self.arm.change(self.arm.make())
        device = next(model.parameters()).device
        geometry = rn.report(model.cpu(), self.recipe.upscale or tuple(self.session.data.x_test.shape[2:]))
        model.to(device)
        return {"macs": geometry.macs, "params": geometry.params}


def file_stem(arm: str, seed: int | str) -> str:
    """Return the name of a run's files."""
    return f"{re.sub(r'[^a-z0-9.]+', '-', arm.lower())}-seed{seed}"


def _finite(measured: dict[str, float]) -> dict[str, float | None]:
    """Replace what is not finite by None, because JSON has no NaN."""
    return {key: value if math.isfinite(value) else None for key, value in measured.items()}
