"""Running arms: what is finished is skipped, what was interrupted goes on, and every run leaves one record."""

from __future__ import annotations

import datetime
import math
import platform
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from rich.progress import Progress
from torch import nn

import resizenet as rn
from benchmarks._environment import commit

from . import _checkpoint
from ._data import ImageData
from ._experiment import Arm, Experiment
from ._records import SCHEMA, Record, differences, read_record
from ._train import Recipe, Training

MIXED_PRECISION = {"bf16": "bf16", "float32": "no"}  # Accelerate's names of ours
_FEWEST_STEPS = 8  # a one-cycle schedule needs a first and a second part


class OutOfTime(Exception):  # noqa: N818  # not an error: the next run goes on
    """The next epoch would not fit into the budget."""


@dataclass(frozen=True)
class Budget:
    """Minutes from its creation on; None for no end."""

    minutes: float | None = None
    start: float = field(default_factory=time.monotonic)

    def check(self, seconds: float, accelerator: Accelerator) -> None:
        """Raise OutOfTime in every process if that many seconds more would not fit."""
        left = math.inf if self.minutes is None else 60 * self.minutes - (time.monotonic() - self.start)
        if broadcast_object_list([left <= seconds])[0]:  # the first process's clock counts
            raise OutOfTime


@dataclass(frozen=True)
class Session:
    """What the runs of one command share."""

    name: str  # of the results folder
    experiment: Experiment
    data: ImageData
    fingerprint: dict[str, int | str]  # of the data
    accelerator: Accelerator
    progress: Progress
    command: str
    small: bool
    results: Path
    checkpoints: Path
    budget: Budget = field(default_factory=Budget)
    compiled: bool = False
    named_precision: str | None = None  # by the command; else it is the machine's

    @property
    def precision(self) -> str:
        """In which networks compute: "bf16" or "float32"."""
        return next(name for name, theirs in MIXED_PRECISION.items() if theirs == self.accelerator.mixed_precision)

    def say(self, line: str) -> None:
        """One line beside the progress bar, from one process."""
        if self.accelerator.is_main_process:
            self.progress.console.print(line, highlight=False, soft_wrap=True)


def file_stem(arm: str, seed: int) -> str:
    """The name of a run's files."""
    return f"{re.sub(r'[^a-z0-9.]+', '-', arm.lower())}-seed{seed}"


def run_all(session: Session, arms: list[str], seeds: int, epochs: int) -> None:
    """All arms of the first seed, then of the next; finished ones are skipped."""
    for seed in range(seeds):
        for name in arms:
            file = session.results / f"{file_stem(name, seed)}.json"
            if file.exists():
                _check_finished(session, file, _recipe(session, name, epochs))
                continue
            with _memory_errors(name, seed):
                record = _run_one(session, name, seed, epochs)
            if session.accelerator.is_main_process:
                _checkpoint.write_json(file, record)
                _checkpoint_file(session, name, seed).unlink(missing_ok=True)
            session.accelerator.wait_for_everyone()


def _recipe(session: Session, arm: str, epochs: int) -> Recipe:
    return replace(Recipe(epochs=epochs), **session.experiment.arms[arm].recipe)


def _check_finished(session: Session, file: Path, recipe: Recipe) -> None:
    """Refuse a result of another command; one that names no precision may finish on this machine what began on another."""
    asked = {"recipe": asdict(recipe), "compiled": session.compiled, "data": session.fingerprint}
    asked |= {"precision": session.named_precision} if session.named_precision else {}
    different = differences(read_record(file), asked)
    if different:
        raise SystemExit(
            f"{file}: a result with {', '.join(different)}; change the command, take another --out, or delete it"
        )


@contextmanager
def _memory_errors(name: str, seed: int) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error):
            detail = str(error).splitlines()[0][:200] if str(error) else "no memory left"
            raise SystemExit(
                f"{name}, seed {seed}: out of memory; leave the arm out (--arms) or use a larger device ({detail})"
            ) from None
        raise


def _checkpoint_file(session: Session, arm: str, seed: int) -> Path:
    return session.checkpoints / session.name / f"{file_stem(arm, seed)}.pt"


def _weights_file(session: Session, arm: str, seed: int) -> Path:
    return _checkpoint_file(session, arm, seed).with_suffix(".weights.pt")


def _run_one(session: Session, name: str, seed: int, epochs: int) -> Record:
    """Train one arm from one seed, or finish what was begun; the record that is written."""
    arm = session.experiment.arms[name]
    recipe = _recipe(session, name, epochs)
    _check_batches(recipe, session.accelerator, len(session.data.x_train))
    session.budget.check(
        _expected_epoch(session, name), session.accelerator
    )  # before the features of a frozen network, too
    now = time.perf_counter()
    torch.manual_seed(seed)
    data = arm.prepare(session.data)
    torch.manual_seed(seed)
    training = Training(_make(session, arm, seed), data, recipe, seed, session.accelerator, compiled=session.compiled)
    progress = _resume(session, _checkpoint_file(session, name, seed), training)
    begun = now - progress["seconds"]
    _train(session, name, seed, training, progress, begun)
    trained = arm.make()
    trained.load_state_dict(training.model.state_dict())
    trained = trained.to(session.accelerator.device, memory_format=torch.channels_last).eval()
    finish = _finite(session.experiment.finish(trained, data))
    _keep_weights(session, name, seed, trained)
    return {
        "experiment": session.name,
        "command": session.command,
        "schema": SCHEMA,
        "small": session.small,
        "arm": name,
        "seed": seed,
        "recipe": asdict(recipe),
        "data": session.fingerprint,
        "accuracy": progress["curve"][-1]["accuracy"],
        "finish": finish,
        "curve": progress["curve"],
        "seconds": time.perf_counter() - begun,
        "images_per_second": training.steps
        * recipe.batch_size
        * epochs
        / sum(epoch["seconds"] for epoch in progress["curve"]),
        "peak_memory_bytes": progress["peak_memory"],
        **_cost(arm, session.data, recipe),
        **_environment(session),
    }


def _train(session: Session, name: str, seed: int, training: Training, progress: dict[str, Any], begun: float) -> None:
    """The epochs that are missing, each with its checkpoint; ``progress`` grows."""
    memory = PeakMemory(session.accelerator.device)
    curve, steps = progress["curve"], training.steps
    bar = session.progress.add_task(
        f"{name}, seed {seed}", total=training.recipe.epochs * steps, completed=len(curve) * steps
    )
    while len(curve) < training.recipe.epochs:
        session.budget.check(progress["epoch_seconds"] or _expected_epoch(session, name), session.accelerator)
        start = time.perf_counter()
        measured = training.epoch(lambda: session.progress.advance(bar)) | session.experiment.watch(
            training.model, training.data
        )
        curve.append(_finite({"epoch": len(curve) + 1, **measured}))
        progress["epoch_seconds"] = time.perf_counter() - start
        progress["seconds"] = time.perf_counter() - begun
        progress["peak_memory"] = max(filter(None, (progress["peak_memory"], memory.read())), default=None)
        _save(session, _checkpoint_file(session, name, seed), training, progress)
        session.say(_line(name, seed, curve[-1]))
    session.progress.remove_task(bar)


def _check_batches(recipe: Recipe, accelerator: Accelerator, images: int) -> None:
    steps = recipe.epochs * (images // recipe.batch_size)
    if steps < _FEWEST_STEPS:
        raise SystemExit(
            f"{images} training images in batches of {recipe.batch_size} make {steps} steps in {recipe.epochs} epochs; {_FEWEST_STEPS} are needed"
        )
    if recipe.batch_size % accelerator.num_processes:
        raise SystemExit(f"{accelerator.num_processes} processes cannot share batches of {recipe.batch_size} equally")


def _make(session: Session, arm: Arm, seed: int) -> nn.Module:
    model = arm.make()
    if arm.start is not None:
        file = _weights_file(session, arm.start, seed)
        if not file.exists():
            raise SystemExit(
                f"{file}: no weights of the arm {arm.start!r}, seed {seed}, to go on from; run that arm first (if it has a result, delete that)"
            )
        strange = model.load_state_dict(_checkpoint.load(file), strict=False).unexpected_keys
        if strange:
            raise SystemExit(f"{file}: weights of another network ({strange[0]}, ...)")
    return model


def _keep_weights(session: Session, name: str, seed: int, model: nn.Module) -> None:
    """For the arms that go on from this one."""
    if session.accelerator.is_main_process and any(arm.start == name for arm in session.experiment.arms.values()):
        _checkpoint.save(_weights_file(session, name, seed), model.state_dict())


def _resume(session: Session, file: Path, training: Training) -> dict[str, Any]:
    """What is known of a run: of one that was interrupted, or of none."""
    if not file.exists():
        return {"curve": [], "seconds": 0.0, "epoch_seconds": 0.0, "peak_memory": None}
    state = _checkpoint.load(file)
    if state.get("terms") != _terms(session, training):
        raise SystemExit(
            f"{file}: an interrupted run of another recipe, precision, number of processes or data; finish it with those, or delete it"
        )
    training.load_state_dict(state["training"])
    return state["progress"]


def _terms(session: Session, training: Training) -> list[str]:
    """What must not change in the middle of a run."""
    return [
        repr(training.recipe),
        session.precision,
        f"{session.accelerator.num_processes} processes",
        repr(session.fingerprint),
    ]


def _save(session: Session, file: Path, training: Training, progress: dict[str, Any]) -> None:
    state = training.state_dict()
    if training.accelerator.is_main_process:
        _checkpoint.save(file, {"terms": _terms(session, training), "training": state, "progress": progress})
    training.accelerator.wait_for_everyone()


def _expected_epoch(session: Session, arm: str) -> float:
    """Seconds that an epoch took in finished runs of the arm; 0 without any."""
    records = [read_record(file) for file in session.results.glob(f"{file_stem(arm, 0)[:-1]}*.json")]
    return statistics.mean(record["seconds"] / record["recipe"]["epochs"] for record in records) if records else 0.0


def _finite(measured: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN: what diverged is null."""
    return {key: value if math.isfinite(value) else None for key, value in measured.items()}


def _line(name: str, seed: int, epoch: dict[str, float | None]) -> str:
    values = " ".join(f"{key} {value:.4g}" for key, value in epoch.items() if value is not None)
    return f"{name}, seed {seed}: {values}"


def _cost(arm: Arm, data: ImageData, recipe: Recipe) -> dict[str, int]:
    """Multiply-accumulates and parameters for one image of the size that the model is fed."""
    model = arm.make() if arm.measured is None else arm.measured()
    device = next(model.parameters()).device
    geometry = rn.report(model.cpu(), recipe.upscale or tuple(data.x_test.shape[2:]))
    model.to(device)
    return {"macs": geometry.macs, "params": geometry.params}


def _environment(session: Session) -> dict[str, Any]:
    device = session.accelerator.device
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU {platform.machine()}, {torch.get_num_threads()} threads"
    )
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "resizenet": rn.__version__,
    }
    return {
        "device": name,
        "precision": session.precision,
        "processes": session.accelerator.num_processes,
        "compiled": session.compiled,
        "versions": versions,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
    }


class PeakMemory:
    """Bytes at most in use since its creation: of the device's allocator on CUDA, of the process on a CPU (Linux; None elsewhere)."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif Path("/proc/self/clear_refs").exists():
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak, man 5 proc

    def read(self) -> int | None:
        """The peak so far."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        status = Path("/proc/self/status")
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        return 1024 * int(peak[1]) if peak else None
