"""Runs of the accuracy harness on a network of a few weights: records, skipping, resuming, and what is refused."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from benchmarks.accuracy import _experiments
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy._experiment import Arm, Experiment
from benchmarks.accuracy._run import Session, complete
from benchmarks.accuracy._train import Recipe, Training
from PIL import Image
from torch import Tensor, nn

from resizenet.models import ResNet, WideBlock
from resizenet.transforms import RandomResizedCropPolicy

Run = Callable[..., dict[str, Any]]
Arrays = Callable[..., dict[str, np.ndarray]]
ROOT = Path(__file__).parents[2]


def make_linear() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))


def with_half_of_the_logits(model: nn.Module) -> nn.Module:
    half = nn.Linear(10, 10, bias=False)
    nn.init.eye_(half.weight).data.mul_(0.5)
    return nn.Sequential(model, half)


class Witness(nn.Linear):
    """Remembers whether it was trained, and the dtypes of its results."""

    computed: set[tuple[bool, torch.dtype]]

    def forward(self, x: Tensor) -> Tensor:
        result = super().forward(x)
        self.computed.add((self.training, result.dtype))
        return result


TINY = Experiment(
    question="Does it run?",
    arms={
        "dropout": Arm(lambda: ResNet(WideBlock, (1, 1), (4, 8), dropout=0.3)),  # draws from torch's own generator
        "linear": Arm(make_linear),
        "linear, continued": Arm(make_linear, {"lr": 0.0}, start="linear"),
        "linear, changed": Arm(make_linear, {"lr": 0.0, "epochs": 3}, start="linear", change=with_half_of_the_logits),
        "witness": Arm(lambda: nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), Witness(48, 10))),
    },
    epochs=2,
    finish=lambda model, data: {"images": len(data.x_test)},
    recipe=Recipe(batch_size=16, lr=0.1),
)
LINEAR = ("--only", "^linear$", "--seeds", "1")


@pytest.fixture(autouse=True)
def _tiny_experiment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(_experiments.EXPERIMENTS, "tiny", {"full": TINY})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the subprocess: the last digits depend on it
    yield
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def data(tmp_path: Path, arrays: Arrays) -> Path:
    np.savez(tmp_path / "cifar10.npz", **arrays())
    return tmp_path / "cifar10.npz"


def options_of(experiment: str, source: Path, folder: Path, out: str) -> list[object]:
    folders = ["--out", folder / out, "--checkpoints", folder / "checkpoints"]
    return ["run", experiment, "--data", source, "--device", "cpu", *folders]


@pytest.fixture
def run(data: Path, tmp_path: Path, command: Callable[..., None]) -> Run:
    """Run the command in this process; return the records of the experiment by the names of their files."""

    def call(*options: str, experiment: str = "tiny", source: Path = data, out: str = "out") -> dict[str, Any]:
        AcceleratorState._reset_state(reset_partial_state=True)  # every command is a process of its own
        command(main, *options_of(experiment, source, tmp_path, out), *options)
        return {file.stem: json.loads(file.read_text()) for file in (tmp_path / out).rglob("*.json")}

    return call


@pytest.fixture
def interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command, stopped by its deadline after the first epoch."""

    def call(*options: str, **values: object) -> None:
        answers = iter([True, True, False])  # before the run, before epoch 1, before epoch 2
        with monkeypatch.context() as patch:
            patch.setattr(Session, "has_time_for", lambda session, seconds: next(answers))
            run(*options, **values)

    return call


def curve(record: dict[str, Any]) -> list[tuple[float, float]]:
    return [(epoch["loss"], epoch["accuracy"]) for epoch in record["curve"]]


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file() and file.name != ".gitignore")


def test_a_run_leaves_one_record_per_arm_and_seed_and_no_checkpoint(run: Run, tmp_path: Path) -> None:
    found = run("--only", "^linear$", "--seeds", "2", "--precision", "float32")
    assert set(found) == {"linear-seed0", "linear-seed1"}
    record = found["linear-seed1"]
    labels = {key: record[key] for key in ("experiment", "version", "arm", "seed", "precision")}
    assert labels == {"experiment": "tiny", "version": "full", "arm": "linear", "seed": 1, "precision": "float32"}
    assert record["macs"] == record["params"] - 10 == 480
    assert record["accuracy"] == record["curve"][-1]["accuracy"]
    assert [epoch["epoch"] for epoch in record["curve"]] == [1, 2]
    assert all(epoch["cpu_seconds"] > 0 for epoch in record["curve"])
    assert record["finish"] == {"images": 30}
    assert (record["recipe"]["batch_size"], record["recipe"]["epochs"]) == (16, 2)
    assert record["command"].endswith("run tiny --precision float32 --device cpu --seeds 2 --epochs 2")
    assert curve(record) != curve(found["linear-seed0"])
    assert files_in(tmp_path / "checkpoints") == ["linear-seed0.weights", "linear-seed1.weights"]
    assert (tmp_path / "checkpoints" / ".gitignore").read_text() == "*\n"


def test_a_network_that_learns_is_seen_to_learn(run: Run) -> None:
    record = run(*LINEAR, "--epochs", "20")["linear-seed0"]
    assert record["curve"][-1]["loss"] < record["curve"][0]["loss"]
    assert record["accuracy"] >= 40  # chance is 10


@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_training_and_evaluation_compute_in_the_precision_of_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(Witness, "computed", set(), raising=False)
    run("--only", "witness", "--seeds", "1", "--precision", precision)
    dtype = {"bf16": torch.bfloat16, "float32": torch.float32}[precision]
    expected = {(True, dtype), (False, dtype)}
    assert expected <= Witness.computed <= expected | {(False, torch.float32)}  # in which the costs are counted


def test_a_run_that_diverges_leaves_its_record_and_the_next_arm_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = {"diverges": Arm(make_linear, {"lr": 1e38}), "linear": Arm(make_linear)}
    sums = {"finish": lambda model, data: {"weights": float(model[-1].weight.detach().sum())}}
    monkeypatch.setitem(_experiments.EXPERIMENTS, "tiny", {"full": replace(TINY, arms=arms, **sums)})
    found = run("--seeds", "1")
    assert found["diverges-seed0"]["finish"] == {"weights": None}
    assert found["diverges-seed0"]["curve"][-1]["loss"] is None
    assert math.isfinite(found["linear-seed0"]["finish"]["weights"])


@dataclass(frozen=True)
class SmoothedRecipe(Recipe):
    """A recipe with a field of its own."""

    scale: float = 1.0


class ScaledTraining(Training):
    """Multiplies the loss."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.recipe.scale * super().loss(images, labels)


def test_an_experiment_can_have_versions_and_a_training_of_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = SmoothedRecipe(batch_size=16, lr=0.1, scale=2.0)
    trained = replace(TINY, recipe=recipe, training=ScaledTraining, epochs=3)
    versions = {"full": TINY, "small": replace(TINY, epochs=3), "trained": trained}
    monkeypatch.setitem(_experiments.EXPERIMENTS, "tiny", versions)
    run(*LINEAR, "--trained")
    found = run(*LINEAR, "--small")["linear-seed0"]
    file = tmp_path / "out" / "tiny-trained" / "linear-seed0.json"
    record = json.loads(file.read_text())
    assert (found["version"], record["version"], record["recipe"]["scale"]) == ("small", "trained", 2.0)
    assert record["curve"][0]["loss"] > 1.5 * found["curve"][0]["loss"]
    run(*LINEAR, "--trained")
    with pytest.raises(SystemExit, match="a result with epochs 3, not 4; "):
        run(*LINEAR, "--trained", "--epochs", "4")


def test_an_arm_continues_from_the_weights_of_another(run: Run) -> None:
    found = run("--only", "linear", "--seeds", "1", "--epochs", "20")
    first, second = found["linear-seed0"], found["linear-continued-seed0"]
    assert {epoch["accuracy"] for epoch in second["curve"]} == {first["accuracy"]}  # at a rate of zero
    with pytest.raises(SystemExit, match="run that arm first"):
        run("--only", "continued", "--seeds", "2", "--epochs", "20")


def test_an_arm_changes_the_network_after_its_weights_are_loaded(run: Run) -> None:
    found = run("--only", "linear", "--seeds", "1", "--epochs", "20")
    first, changed = found["linear-seed0"], found["linear-changed-seed0"]
    assert [epoch["accuracy"] for epoch in changed["curve"]] == 3 * [first["accuracy"]]
    assert changed["params"] == first["params"] + 100


def test_a_policy_without_a_newer_field_has_its_default() -> None:
    older = {"policy": "RandomResizedCropPolicy", "size": [32, 32]}
    wanted = RandomResizedCropPolicy(32).to_dict()
    assert complete({"policy": older, "lr": 1.0}) == {"policy": json.loads(json.dumps(wanted)), "lr": 1.0}
    assert complete({"policy": None}) == {"policy": None}


def kill_after_an_epoch(launch: list[str], checkpoint: Path) -> int:
    """Kill the command while it trains; the number of epochs that it has finished."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, __file__, *launch], env=environment, **quiet) as process:
        while not (checkpoint / "1").exists() and not (checkpoint / "2").exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return max(int(state.name) for state in checkpoint.glob("[0-9]*"))


def test_a_killed_run_goes_on_to_the_same_last_digit(
    run: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--only", "dropout", "--seeds", "1", "--epochs", "12"]
    whole = run(*options, out="whole")["dropout-seed0"]
    checkpoint = tmp_path / "checkpoints" / "tiny" / "dropout-seed0"
    launch = map(str, [*options_of("tiny", data, tmp_path, "out"), *options])
    done = kill_after_an_epoch(list(launch), checkpoint)
    assert 0 < done < 12
    assert not (tmp_path / "out").exists()
    capsys.readouterr()
    resumed = run(*options)["dropout-seed0"]
    assert f"epoch {done + 1} " in capsys.readouterr().out.splitlines()[0]
    assert curve(resumed) == curve(whole)
    assert not checkpoint.exists()


def test_the_budget_stops_before_an_epoch_that_would_not_fit(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("--budget-minutes", "0", "--only", "dropout") == {}
    assert "run the command again to go on" in capsys.readouterr().out
    assert files_in(tmp_path / "checkpoints") == []
    values = dict.fromkeys(("labels", "epochs", "data", "fingerprint", "device", "precision"))
    folders = {"results": tmp_path, "checkpoints": tmp_path, "progress": None}
    session = Session(TINY, **values, **folders, deadline=time.monotonic() + 10)
    assert session.has_time_for(5)
    assert not session.has_time_for(15)


@pytest.mark.parametrize("change", ["recipe", "precision", "data"])
def test_an_interrupted_run_does_not_go_on_with_other_terms(
    run: Run, interrupt: Callable[..., None], arrays: Arrays, tmp_path: Path, change: str
) -> None:
    options = (*LINEAR, "--precision", "float32")
    interrupt(*options)
    changed, values = list(options), {}
    if change == "recipe":
        changed += ["--epochs", "3"]
    elif change == "precision":
        changed[-1] = "bf16"
    else:
        values["source"] = tmp_path / "other.npz"
        np.savez(values["source"], **arrays(64, 20))
    with pytest.raises(SystemExit, match="an interrupted run with another recipe, precision or data; ") as error:
        run(*changed, **values)
    assert "\n" not in str(error.value)
    assert set(run(*options)) == {"linear-seed0"}


BAD_OPTIONS = {
    "an unknown experiment": (
        {"experiment": "steam"},
        [],
        "^steam: no such experiment; there are stem_by_resolution, ",
    ),
    "a missing version": ({}, ["--small"], "^tiny: has no small version; there is full$"),
    "an unknown arm": ({}, ["--only", "conv"], "matches none of dropout; linear;"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_one_line(run: Run, tmp_path: Path, case: str) -> None:
    values, options, message = BAD_OPTIONS[case]
    with pytest.raises(SystemExit, match=message) as error:
        run(*options, **values)
    assert "\n" not in str(error.value)
    assert files_in(tmp_path) == ["cifar10.npz"]


OTHER_TERMS = {
    "epochs": (lambda record: None, ["--epochs", "5"], "with epochs 2, not 5; "),
    "a rate": (lambda record: record["recipe"].update(lr=0.3, warmup=0.5), [], "with lr 0.3, not 0.1, warmup 0.5, "),
    "a crop": (lambda record: record["recipe"]["policy"].update(padding=2), [], "with policy .*'padding': 2.*, not "),
    "a precision": (lambda record: record.update(precision="other"), [], "with precision other, not "),
    "data": (lambda record: record["data"].update(train=5), [], r"with data {'train': 5, .*}, not {'train': 64, "),
}


@pytest.mark.parametrize("case", OTHER_TERMS)
def test_a_result_with_other_terms_is_named_and_kept(run: Run, tmp_path: Path, case: str) -> None:
    edit, options, message = OTHER_TERMS[case]
    record = run(*LINEAR)["linear-seed0"]
    edit(record)
    file = tmp_path / "out" / "tiny" / "linear-seed0.json"
    file.write_text(json.dumps(record))
    with pytest.raises(SystemExit, match=rf"linear-seed0\.json: a result {message}") as error:
        run(*LINEAR, *options)
    assert "\n" not in str(error.value)
    assert json.loads(file.read_text()) == record


@pytest.mark.parametrize(
    "edit",
    [lambda record: None, lambda record: record.update(data=None), lambda record: record["recipe"].pop("warmup")],
)
def test_a_result_with_the_same_terms_is_kept_silently(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Callable[[dict], None]
) -> None:
    record = run(*LINEAR)["linear-seed0"] | {"mark": 1}
    edit(record)
    (tmp_path / "out" / "tiny" / "linear-seed0.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert run(*LINEAR)["linear-seed0"] == record
    assert not capsys.readouterr().out.strip()


def test_the_folder_experiment_runs_on_a_folder_of_images(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for part, count in (("train", 64), ("val", 8)):
        for label in ("n01", "n02"):
            (tmp_path / "images" / part / label).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (70 + i % 5, 90, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / part / label / f"{i}.JPEG")
    options = ("--small", "--epochs", "4", "--seeds", "1", "--only", "baseline|^Resizer")
    found = run(*options, experiment="imagenette", source=tmp_path / "images")
    assert set(found) == {"baseline-fixed-resize-seed0", "resizer-extra-epochs-seed0"}
    assert found["resizer-extra-epochs-seed0"]["macs"] > found["baseline-fixed-resize-seed0"]["macs"]


def test_the_list_names_every_version_and_how_much_is_done(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(main, "list")
    shown = capsys.readouterr().out
    assert "stem_by_resolution --small: How does resizing impact ResNet performance on CIFAR-10? 5 epochs, " in shown
    assert "3 seeds, 21 of 21 runs\n    ImageNet stem, 32 px\n" in shown
    command(main, "table", "stem_by_resolution", "--small")
    assert "| ImageNet stem, 32 px |" in capsys.readouterr().out


if __name__ == "__main__":
    _experiments.EXPERIMENTS["tiny"] = {"full": TINY}
    main()
