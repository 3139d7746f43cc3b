"""The export of a run's weights into the package: what is written, and what is refused."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy._experiment import Arm
from benchmarks.accuracy._experiments import EXPERIMENTS
from benchmarks.accuracy._record import RECORD, FastRecipe, airnet

from resizenet import create_model
from resizenet.models import _pretrained, list_weights

Arrays = Callable[..., dict[str, np.ndarray]]


@pytest.fixture(autouse=True)
def _one_process() -> Iterator[None]:
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def call(
    tmp_path: Path, arrays: Arrays, command: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Call a command of the harness for AirNet on 64 small images."""
    np.savez(tmp_path / "cifar10.npz", **arrays())
    recipe = FastRecipe(batch_size=32, sizes=((0, 9),))
    tiny = replace(RECORD["full"], arms={"airnet": Arm(airnet)}, epochs=1, recipe=recipe)
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"full": tiny})
    monkeypatch.setattr(_pretrained, "FOLDER", tmp_path / "shipped")
    folders = ["--data", tmp_path / "cifar10.npz", "--checkpoints", tmp_path / "checkpoints"]
    options = {
        "run": ["--device", "cpu", "--precision", "float32", "--out", tmp_path / "results"],
        "export": ["airnet", "--results", tmp_path / "results", "--out", tmp_path / "shipped"],
    }

    def run(verb: str, *more: object) -> None:
        command(accuracy.main, verb, "tiny", *options[verb], *folders, *more)

    return run


def test_the_weights_of_seed_0_are_written_with_their_record(call: Callable[..., None], tmp_path: Path) -> None:
    call("run", "--seeds", "2")
    call("export")
    [weights] = list_weights()
    runs = [json.loads((tmp_path / "results" / "tiny" / f"airnet-seed{seed}.json").read_text()) for seed in (0, 1)]
    assert weights.accuracy_by_seed == tuple(run["accuracy"] for run in runs)
    assert (weights.model, weights.name, weights.epochs) == ("airnet", "cifar10", 1)
    assert weights.command == f"{runs[0]['command']} --data PATH"
    assert weights.transforms().base.padding == 2
    trained = torch.load(tmp_path / "checkpoints" / "tiny" / "airnet-seed0.weights", weights_only=True)
    for name, tensor in create_model("airnet", weights="cifar10").state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, trained[name].half().float())


def test_what_has_no_weights_of_seed_0_or_other_data_is_refused(
    call: Callable[..., None], arrays: Arrays, tmp_path: Path
) -> None:
    call("run", "--seeds", "1")
    np.savez(tmp_path / "cifar10.npz", **arrays(train=70))
    with pytest.raises(SystemExit, match=r"the run had the data .*'train': 64"):
        call("export")
    (tmp_path / "checkpoints" / "tiny" / "airnet-seed0.weights").unlink()
    with pytest.raises(SystemExit, match="no result or no weights of seed 0; run it first"):
        call("export")
    assert not (tmp_path / "shipped").exists()
