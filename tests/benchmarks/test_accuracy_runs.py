"""Runs of the accuracy harness, on a network of a few weights: records, skipping, killing and resuming, several processes, bad input."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from accelerate.state import AcceleratorState
from benchmarks._environment import commit
from benchmarks.accuracy import _experiments
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy._checkpoint import load as load_checkpoint
from benchmarks.accuracy._experiment import Arm, Experiment
from benchmarks.accuracy._run import Budget, OutOfTime
from torch import Tensor, nn

from resizenet.models import ResNet, WideBlock

ROOT = Path(__file__).parents[2]


def make_linear() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))


class Witness(nn.Linear):
    """Remembers in what it computed."""

    computed: set[tuple[bool, torch.dtype]]  # whether in training, and the type of the result

    def forward(self, x: Tensor) -> Tensor:
        result = super().forward(x)
        self.computed.add((self.training, result.dtype))
        return result


def make_witness() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), Witness(48, 10))


def make_hungry() -> nn.Module:
    return nn.Linear(1 << 30, 1 << 30)  # 4 EiB


RECIPE = {"batch_size": 16, "lr": 0.1}
TINY = Experiment(
    question="Does it run?",
    arms={
        "dropout": Arm(
            lambda: ResNet(WideBlock, (1, 1), (4, 8), dropout=0.3), RECIPE
        ),  # draws from torch's own generator
        "linear": Arm(make_linear, RECIPE),
        "linear, goes on": Arm(make_linear, {**RECIPE, "lr": 0.0}, start="linear"),
        "witness": Arm(make_witness, RECIPE),
        "hungry": Arm(make_hungry, RECIPE),
    },
    epochs=2,
    finish=lambda model, data: {"images": len(data.x_test)},
)


@pytest.fixture(autouse=True)
def _tiny_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_experiments.EXPERIMENTS, "tiny", TINY)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the subprocesses: the last digits depend on it
    yield
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(
        reset_partial_state=True
    )  # one process, one precision: Accelerate would refuse another


def write_images(file: Path, train: int = 64, test: int = 30) -> Path:
    """A pattern per class, and as much noise."""
    random = np.random.default_rng(0)
    patterns = np.kron(random.integers(0, 128, (10, 4, 4, 3)), np.ones((1, 8, 8, 1), dtype=int))
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        labels = np.arange(count) % 10
        images = patterns[labels] + random.integers(0, 128, (count, 32, 32, 3))
        arrays |= {f"x_{part}": images.astype(np.uint8), f"y_{part}": labels}
    np.savez(file, **arrays)
    return file


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "cifar10.npz")


@pytest.fixture
def run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """The command, in this process; returns the folder of the results."""

    def call(
        *options: str, experiment: str = "tiny", source: Path = data, out: str = "out", device: str = "cpu"
    ) -> Path:
        AcceleratorState._reset_state(reset_partial_state=True)  # every command is a process of its own
        monkeypatch.setattr(
            sys, "argv", ["accuracy", *command(experiment, source, tmp_path, out=out, device=device), *options]
        )
        main()
        return tmp_path / out / experiment

    return call


def command(experiment: str, source: Path, folder: Path, *, out: str = "out", device: str = "cpu") -> list[str]:
    return [
        "run",
        experiment,
        "--data",
        str(source),
        "--device",
        device,
        "--out",
        str(folder / out),
        "--checkpoints",
        str(folder / "checkpoints"),
    ]


def records(folder: Path) -> dict[str, dict]:
    return {file.stem: json.loads(file.read_text()) for file in folder.glob("*")}


def curve(record: dict) -> list[tuple[float, float]]:
    return [(epoch["loss"], epoch["accuracy"]) for epoch in record["curve"]]


def left_behind(tmp_path: Path) -> list[str]:
    return [file.name for file in tmp_path.rglob("*") if file.is_file() and file.name != ".gitignore"]


def test_a_run_leaves_one_record_per_arm_and_seed(run: Callable[..., Path]) -> None:
    found = records(run("--arms", "^linear$", "--seeds", "2"))
    assert set(found) == {"linear-seed0", "linear-seed1"}
    record = found["linear-seed1"]
    assert (record["experiment"], record["arm"], record["seed"], record["small"], record["processes"]) == (
        "tiny",
        "linear",
        1,
        False,
        1,
    )
    assert record["macs"] == record["params"] - 10 == 480
    assert record["accuracy"] == record["curve"][-1]["accuracy"]
    assert [epoch["epoch"] for epoch in record["curve"]] == [1, 2]
    assert record["finish"] == {"images": 30}
    assert record["recipe"]["batch_size"] == 16
    assert record["peak_memory_bytes"] is None or record["peak_memory_bytes"] > 1e6
    assert {"seconds", "images_per_second", "versions", "commit", "device", "command", "date"} <= set(record)
    assert curve(record) != curve(found["linear-seed0"])


def test_a_network_that_learns_is_seen_to_learn(run: Callable[..., Path]) -> None:
    record = records(run("--arms", "^linear$", "--seeds", "1", "--epochs", "20"))["linear-seed0"]
    assert record["curve"][-1]["loss"] < record["curve"][0]["loss"]
    assert record["accuracy"] >= 40  # chance is 10


def test_a_finished_run_is_skipped(run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    file = run("--arms", "^linear$", "--seeds", "1") / "linear-seed0.json"
    file.write_text(file.read_text().replace('"accuracy"', '"mark": 1, "accuracy"', 1))
    before = file.read_text()
    capsys.readouterr()
    run("--arms", "^linear$", "--seeds", "1")
    assert file.read_text() == before
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_training_and_evaluation_compute_in_the_precision_of_the_command(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(Witness, "computed", set(), raising=False)
    record = records(run("--arms", "witness", "--seeds", "1", "--precision", precision))["witness-seed0"]
    dtype = {"bf16": torch.bfloat16, "float32": torch.float32}[precision]
    expected = {(True, dtype), (False, dtype)}
    assert expected <= Witness.computed <= expected | {(False, torch.float32)}  # in which the costs are counted
    assert record["precision"] == precision
    assert f" --precision {precision} " in record["command"]


def test_a_run_that_diverges_leaves_its_record_and_the_next_arm_runs(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = {"diverges": Arm(make_linear, {**RECIPE, "lr": 1e38}), "linear": Arm(make_linear, RECIPE)}
    sums = {"finish": lambda model, data: {"weights": float(model[-1].weight.detach().sum())}}
    monkeypatch.setitem(_experiments.EXPERIMENTS, "tiny", replace(TINY, arms=arms, **sums))
    found = records(run("--seeds", "1"))
    assert set(found) == {"diverges-seed0", "linear-seed0"}
    assert found["diverges-seed0"]["finish"] == {"weights": None}
    assert found["diverges-seed0"]["curve"][-1]["loss"] is None
    assert math.isfinite(found["linear-seed0"]["finish"]["weights"])


def test_checkpoints_are_deleted_and_their_folder_is_ignored_by_git(run: Callable[..., Path], tmp_path: Path) -> None:
    run("--arms", "dropout", "--seeds", "1")
    assert left_behind(tmp_path) == ["dropout-seed0.json"]
    assert (tmp_path / "checkpoints" / ".gitignore").read_text() == "*\n"


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
ONE_PROCESS = [sys.executable, __file__]
TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", __file__]


def kill_after_an_epoch(launch: list[str], checkpoint: Path) -> int:
    """Kill the command, and what it started, while it trains; the number of epochs that it had finished."""
    with subprocess.Popen(launch, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not checkpoint.exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        workers = psutil.Process(process.pid).children(recursive=True)
        for part in (process, *workers):
            part.kill()
        psutil.wait_procs(workers)
    assert process.returncode == -signal.SIGKILL
    return len(load_checkpoint(checkpoint)["progress"]["curve"])


def test_a_killed_run_goes_on_to_the_same_last_digit(
    run: Callable[..., Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--arms", "dropout", "--seeds", "1", "--epochs", "12"]
    whole = records(run(*options, out="whole"))["dropout-seed0"]
    checkpoint = tmp_path / "checkpoints" / "tiny" / "dropout-seed0.pt"
    done = kill_after_an_epoch([*ONE_PROCESS, *command("tiny", data, tmp_path), *options], checkpoint)
    assert 0 < done < 12
    assert not list((tmp_path / "out").rglob("*.json"))
    capsys.readouterr()
    resumed = records(run(*options))["dropout-seed0"]
    assert f"epoch {done + 1} " in capsys.readouterr().out.splitlines()[0]
    assert curve(resumed) == curve(whole)
    assert resumed["accuracy"] == whole["accuracy"]


def test_an_interrupted_run_of_another_recipe_is_refused(run: Callable[..., Path], data: Path, tmp_path: Path) -> None:
    run("--arms", "^linear$", "--seeds", "1", "--epochs", "3", out="elsewhere")
    begun = tmp_path / "checkpoints" / "tiny" / "linear-seed0.pt"
    begun.parent.mkdir(exist_ok=True)
    torch.save({"terms": "another recipe"}, begun)
    with pytest.raises(SystemExit, match="an interrupted run of another recipe"):
        run("--arms", "^linear$", "--seeds", "1")
    begun.write_bytes(b"half a file")
    with pytest.raises(SystemExit, match="not a checkpoint"):
        run("--arms", "^linear$", "--seeds", "1")


@pytest.fixture
def interrupt(run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The command, stopped after an epoch of its first run."""

    def call(*options: str, **values: object) -> None:
        answers = iter([False, False, True])  # before the run, before epoch 1, before epoch 2
        with monkeypatch.context() as patch:
            patch.setattr("benchmarks.accuracy._run.broadcast_object_list", lambda _: [next(answers)])
            run(*options, "--budget-minutes", "1", **values)

    return call


def test_an_interrupted_run_does_not_go_on_in_another_precision(
    run: Callable[..., Path], interrupt: Callable[..., None]
) -> None:
    interrupt("--arms", "^linear$", "--seeds", "1", "--precision", "float32")
    with pytest.raises(SystemExit, match="an interrupted run of another recipe, precision, "):
        run("--arms", "^linear$", "--seeds", "1", "--precision", "bf16")


@pytest.mark.parametrize(("first", "second"), [((160, 30), (80, 30)), ((80, 30), (160, 30)), ((64, 30), (64, 20))])
def test_an_interrupted_run_does_not_go_on_with_other_data(
    run: Callable[..., Path],
    interrupt: Callable[..., None],
    tmp_path: Path,
    first: tuple[int, int],
    second: tuple[int, int],
) -> None:
    files = [write_images(tmp_path / f"{name}.npz", *counts) for name, counts in (("first", first), ("second", second))]
    interrupt("--arms", "^linear$", "--seeds", "1", source=files[0])
    with pytest.raises(
        SystemExit, match="an interrupted run of another recipe, precision, number of processes or data; "
    ) as error:
        run("--arms", "^linear$", "--seeds", "1", source=files[1])
    assert "\n" not in str(error.value)
    assert set(records(run("--arms", "^linear$", "--seeds", "1", source=files[0]))) == {"linear-seed0"}


def test_a_record_says_of_which_data_it_is(run: Callable[..., Path], data: Path) -> None:
    record = records(run("--arms", "^linear$", "--seeds", "1"))["linear-seed0"]
    arrays = np.load(data)
    parts = [
        arrays["x_train"].transpose(0, 3, 1, 2),
        arrays["y_train"],
        arrays["x_test"].transpose(0, 3, 1, 2),
        arrays["y_test"],
    ]
    stream = b"".join(part.astype(np.uint8 if part.ndim == 4 else np.int64).tobytes() for part in parts)
    assert record["data"] == {"train": 64, "test": 30, "hash": f"{zlib.crc32(stream):08x}"}


def test_nothing_starts_that_the_budget_has_no_room_for(
    run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--budget-minutes", "0", "--arms", "dropout")
    assert "the same command goes on" in capsys.readouterr().out
    assert left_behind(tmp_path) == []


def test_the_budget_stops_before_an_epoch_that_would_not_fit() -> None:
    from accelerate import Accelerator

    budget = Budget(1.0, start=time.monotonic() - 50)
    budget.check(5.0, Accelerator(cpu=True))
    with pytest.raises(OutOfTime):
        budget.check(15.0, Accelerator(cpu=True))


def test_a_run_that_the_budget_stopped_goes_on(
    run: Callable[..., Path], interrupt: Callable[..., None], tmp_path: Path
) -> None:
    options = ["--arms", "dropout", "--seeds", "1", "--epochs", "3"]
    whole = records(run(*options, out="whole"))["dropout-seed0"]
    interrupt(*options)
    assert left_behind(tmp_path / "checkpoints") == ["dropout-seed0.pt"]
    assert curve(records(run(*options))["dropout-seed0"]) == curve(whole)


def test_an_arm_goes_on_from_the_weights_of_another(run: Callable[..., Path]) -> None:
    found = records(run("--arms", "linear", "--seeds", "1", "--epochs", "20"))
    first, second = found["linear-seed0"], found["linear-goes-on-seed0"]
    assert {epoch["accuracy"] for epoch in second["curve"]} == {
        first["accuracy"]
    }  # it learns nothing, at a rate of zero
    with pytest.raises(SystemExit, match="run that arm first"):
        run("--arms", "goes on", "--seeds", "2", "--epochs", "20")


def test_running_out_of_memory_is_one_line_and_leaves_the_other_results(
    run: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"^hungry, seed 0: out of memory; ") as error:
        run("--arms", "^linear$|hungry", "--seeds", "1")
    assert "\n" not in str(error.value)
    assert [file.name for file in (tmp_path / "out").rglob("*.json")] == ["linear-seed0.json"]


BAD_OPTIONS = {
    "an unknown experiment": (
        {"experiment": "steam"},
        [],
        "^steam: no such experiment; there are stem_by_resolution, ",
    ),
    "no small version": ({}, ["--small"], "^tiny: has no small version"),
    "no such device": ({"device": "tpu"}, [], "^tpu: torch finds no such device here"),
    "no such arm": ({}, ["--arms", "conv"], "matches none of dropout; linear;"),
    "a broken expression": ({}, ["--arms", "("], "not a regular expression"),
    "more steps than images": (
        {"experiment": "resnet20_recipe"},
        ["--epochs", "1"],
        "64 training images in batches of 128 make 0 steps",
    ),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_one_line(run: Callable[..., Path], tmp_path: Path, case: str) -> None:
    values, options, message = BAD_OPTIONS[case]
    with pytest.raises(SystemExit, match=message) as error:
        run(*options, **values)
    assert "\n" not in str(error.value)
    assert left_behind(tmp_path) == []


def test_a_machine_without_git_keeps_the_record_of_a_finished_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_one_line(run: Callable[..., Path]) -> None:
    with pytest.raises(SystemExit, match=r"^cuda: torch finds no such device here; take --device cpu$"):
        run(device="cuda")


def edited(file: Path, edit: Callable[[dict], object]) -> str:
    """Change a record by hand; what then stands in its file."""
    record = json.loads(file.read_text())
    edit(record)
    file.write_text(json.dumps(record))
    return file.read_text()


def of_the_first_harness(record: dict) -> None:
    for key in ("small", "finish", "peak_memory_bytes", "precision", "processes", "compiled", "data"):
        del record[key]
    for key in ("schedule", "nesterov", "policy", "upscale"):
        del record["recipe"][key]
    record["recipe"]["padding"] = 4


OTHER_TERMS = {
    "epochs": (lambda record: None, ["--epochs", "5"], "with epochs 2, not 5; "),
    "a learning rate": (lambda record: record["recipe"].update(lr=0.3), [], "with lr 0.3, not 0.1; "),
    "ratios": (
        lambda record: record["recipe"].update(lr_ratios={"2.": 0.5}),
        [],
        r"with lr_ratios {'2.': 0.5}, not {}; ",
    ),
    "a crop": (lambda record: record["recipe"]["policy"].update(padding=2), [], "with padding 2, not 4; "),
    "no crop": (lambda record: record["recipe"].update(policy=None), [], "with policy None, not NativePolicy; "),
    "a precision": (
        lambda record: record.update(precision="bf16"),
        ["--precision", "float32"],
        "with precision bf16, not float32; ",
    ),
    "none, of bf16": (
        lambda record: record.pop("precision"),
        ["--precision", "float32"],
        "with precision bf16, not float32; ",
    ),
    "data": (
        lambda record: record["data"].update(train=50000),
        [],
        r"with data {'train': 50000, .*}, not {'train': 64, ",
    ),
    "compilation": (lambda record: record.update(compiled=True), [], "with compiled True, not False; "),
    "two": (
        lambda record: record["recipe"].update(lr=0.3, warmup=0.5),
        [],
        "with lr 0.3, not 0.1, warmup 0.5, not 0.25; ",
    ),
}


@pytest.mark.parametrize("case", OTHER_TERMS)
def test_a_result_of_other_terms_is_named_and_kept(run: Callable[..., Path], case: str) -> None:
    edit, options, message = OTHER_TERMS[case]
    file = run("--arms", "^linear$", "--seeds", "1") / "linear-seed0.json"
    before = edited(file, edit)
    with pytest.raises(SystemExit, match=rf"linear-seed0\.json: a result {message}") as error:
        run("--arms", "^linear$", "--seeds", "1", *options)
    assert "\n" not in str(error.value)
    assert file.read_text() == before


SAME_TERMS = {
    "begun where the default is float32": lambda record: record.update(precision="float32"),
    "begun where the default is bf16": lambda record: record.update(precision="bf16"),
    "of the first harness": of_the_first_harness,
    "of fewer fields": lambda record: record["recipe"]["policy"].pop("padding"),
}


@pytest.mark.parametrize("case", SAME_TERMS)
def test_a_result_of_the_same_terms_is_silently_kept(
    run: Callable[..., Path], case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run("--arms", "^linear$", "--seeds", "1") / "linear-seed0.json"
    before = edited(file, SAME_TERMS[case])
    capsys.readouterr()
    run("--arms", "^linear$", "--seeds", "1")
    assert file.read_text() == before
    assert not capsys.readouterr().out.strip()


def test_results_of_another_schema_are_refused_and_kept(run: Callable[..., Path]) -> None:
    file = run("--arms", "^linear$", "--seeds", "1") / "linear-seed0.json"
    file.write_text(file.read_text().replace('"schema": 1', '"schema": 99'))
    with pytest.raises(SystemExit, match="schema 99 where 1 is expected"):
        run("--arms", "^linear$", "--seeds", "1")
    assert '"schema": 99' in file.read_text()


def test_the_folder_experiment_runs_on_a_folder_of_images(run: Callable[..., Path], tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for part, count in (("train", 64), ("val", 8)):
        for label in ("n01", "n02"):
            (tmp_path / "images" / part / label).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (70 + i % 5, 90, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / part / label / f"{i}.JPEG")
    run(
        "--small",
        "--epochs",
        "4",
        "--seeds",
        "1",
        "--arms",
        "baseline|^Resizer",
        experiment="imagenette",
        source=tmp_path / "images",
    )
    found = records(tmp_path / "out" / "imagenette-small")
    assert set(found) == {"baseline-fixed-resize-seed0", "resizer-extra-epochs-seed0"}
    assert all(record["small"] for record in found.values())
    assert found["resizer-extra-epochs-seed0"]["macs"] > found["baseline-fixed-resize-seed0"]["macs"]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(run: Callable[..., Path], data: Path, tmp_path: Path) -> None:
    options = ["--arms", "^linear$", "--seeds", "1", "--epochs", "8"]
    alone = records(run(*options, out="alone"))["linear-seed0"]
    subprocess.run(
        [*TWO_PROCESSES, *command("tiny", data, tmp_path), *options],
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    shared = records(tmp_path / "out" / "tiny")["linear-seed0"]
    assert shared["processes"] == 2
    losses = [[loss for loss, _ in curve(record)] for record in (alone, shared)]
    assert losses[0] == pytest.approx(
        losses[1], rel=1e-2
    )  # the same images and crops, and the mean of the shares' gradients; bf16
    assert shared["accuracy"] == pytest.approx(alone["accuracy"], abs=7)  # two images of 30


@pytest.mark.slow
def test_two_killed_processes_go_on_to_the_same_last_digit(data: Path, tmp_path: Path) -> None:
    options = ["--arms", "dropout", "--seeds", "1", "--epochs", "12"]
    start = partial(subprocess.run, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    start([*TWO_PROCESSES, *command("tiny", data, tmp_path, out="whole"), *options])
    killed = [*TWO_PROCESSES, *command("tiny", data, tmp_path), *options]
    assert 0 < kill_after_an_epoch(killed, tmp_path / "checkpoints" / "tiny" / "dropout-seed0.pt") < 12
    assert not list((tmp_path / "out").rglob("*.json"))
    start(killed)
    whole, resumed = (records(tmp_path / out / "tiny")["dropout-seed0"] for out in ("whole", "out"))
    assert curve(resumed) == curve(whole)


if __name__ == "__main__":
    _experiments.EXPERIMENTS["tiny"] = TINY
    main()
