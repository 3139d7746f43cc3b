"""Weights that come with the package: the files as shipped, what is loaded, and what is refused."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from resizenet import CheckpointError, UnknownNameError, create_model
from resizenet.models import _pretrained, list_weights

SHIPPED = [f"{weights.model}-{weights.name}" for weights in list_weights()]
EACH = pytest.mark.parametrize("weights", list_weights(), ids=SHIPPED)
State = dict[str, Tensor]


@EACH
def test_the_record_is_complete_and_fits_the_file(weights: _pretrained.Weights) -> None:
    file = _pretrained.FOLDER / f"{weights.model}-{weights.name}.pt"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == weights.sha256
    assert weights.accuracy == pytest.approx(weights.accuracy_by_seed[0], abs=0.2)  # float32, and bf16 in training
    assert weights.classes[3] == "cat"
    assert len(weights.classes) == 10
    assert weights.license == "MIT"
    assert weights.command.startswith("python -m benchmarks.accuracy run ")
    assert weights.parameters == sum(p.numel() for p in create_model(weights.model).parameters())
    assert hash(weights) == hash(weights)


@EACH
def test_the_policy_normalizes_by_the_moments_of_the_data(weights: _pretrained.Weights) -> None:
    policy = weights.transforms()
    assert policy.train_size == policy.eval_size == (32, 32)
    assert policy.mean == pytest.approx((0.4914, 0.4822, 0.4465))  # of CIFAR-10
    assert policy.std == pytest.approx((0.2470, 0.2435, 0.2616))
    image = torch.randint(256, (3, 32, 32), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (policy.mean, policy.std))
    torch.testing.assert_close(policy.eval()(image), (image / 255 - mean) / std)
    assert policy.train()(image).shape == (3, 32, 32)


@EACH
def test_create_model_loads_every_tensor(weights: _pretrained.Weights) -> None:
    file = _pretrained.FOLDER / f"{weights.model}-{weights.name}.pt"
    stored = torch.load(file, weights_only=True)
    model = create_model(weights.model, weights=weights.name)
    for name, tensor in model.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, stored[name].float())
    assert {tensor.dtype for tensor in model.state_dict().values()} <= {torch.float32, torch.int64}


@EACH
def test_weights_load_without_network_in_a_fifth_of_a_second(weights: _pretrained.Weights) -> None:
    code = f"""
import resizenet, socket, time
def refuse(*args): raise OSError("network")
socket.socket = refuse
start = time.process_time()
resizenet.create_model({weights.model!r}, weights={weights.name!r})
print(time.process_time() - start)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert float(printed.stdout) < 0.2


def test_all_files_together_have_less_than_6_mb() -> None:
    assert sum(file.stat().st_size for file in _pretrained.FOLDER.glob("*")) < 6e6


@EACH
def test_another_number_of_classes_gives_a_new_classifier(weights: _pretrained.Weights) -> None:
    model = create_model(weights.model, weights=weights.name, num_classes=7).eval()
    trained = create_model(weights.model, weights=weights.name, num_classes=10).eval()
    images = torch.randn(2, 3, 32, 32)
    assert model(images).shape == (2, 7)
    torch.testing.assert_close(model.forward_features(images), trained.forward_features(images))


# --- a folder of its own


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put weights of a small network into a package of its own; returns the file."""
    monkeypatch.setattr(_pretrained, "FOLDER", tmp_path)

    def write(change: Callable[[State], Any] = lambda state: state, **values: Any) -> Path:
        model = create_model("resnet20")
        state = {name: value.half() for name, value in model.state_dict().items() if value.is_floating_point()}
        file = tmp_path / "resnet20-cifar10.pt"
        torch.save(change(state), file)
        record = {
            "model": "resnet20",
            "name": "cifar10",
            "accuracy": 90.5,
            "accuracy_by_seed": [90.25, 91.0],
            "epochs": 2,
            "command": "train it",
            "classes": list("abcdefghij"),
            "policy": {},
            "license": "MIT",
            "parameters": 269_722,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        file.with_suffix(".json").write_text(json.dumps(record | values))
        return file

    return write


def test_a_damaged_file_is_refused(ship: Callable[..., Path]) -> None:
    file = ship()
    create_model("resnet20", weights="cifar10")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights 'cifar10' of resnet20: .*is damaged \(its SHA-256 is"):
        create_model("resnet20", weights="cifar10")


def test_a_missing_file_is_refused(ship: Callable[..., Path]) -> None:
    ship().unlink()
    with pytest.raises(CheckpointError, match=r"cannot be read .*; install resizenet again"):
        create_model("resnet20", weights="cifar10")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8, torch.complex64])
def test_a_foreign_dtype_is_refused(ship: Callable[..., Path], dtype: torch.dtype) -> None:
    ship(lambda state: state | {"fc.bias": torch.zeros(10, dtype=dtype)})
    with pytest.raises(CheckpointError, match=rf"expected tensors of float16, got fc.bias \({dtype}\)"):
        create_model("resnet20", weights="cifar10")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {key: value for key, value in state.items() if key != "fc.bias"}, "missing: fc.bias"),
        (lambda state: state | {"fc.bias": torch.full((10,), torch.nan).half()}, "not finite: fc.bias"),
        (lambda state: state | {"more": torch.zeros(1).half()}, "unexpected: more"),
        (lambda state: {"fc.bias": 1}, "expected tensors by name"),
        (lambda state: Path("a"), "cannot be read with weights_only=True"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(ship: Callable[..., Path], change: Any, message: str) -> None:
    ship(change)
    with pytest.raises(CheckpointError, match=message):
        create_model("resnet20", weights="cifar10")


def test_arguments_that_change_the_layers_are_refused(ship: Callable[..., Path]) -> None:
    ship()
    with pytest.raises(CheckpointError, match=r"stem.conv.weight \(16, 3, 3, 3\) where the model has \(16, 1, 3, 3\)"):
        create_model("resnet20", weights="cifar10", in_channels=1)


@pytest.mark.parametrize("values", ["[]", "{}", "no JSON", '{"model": 1}', "null"])
def test_a_damaged_record_is_refused(ship: Callable[..., Path], values: str) -> None:
    ship().with_suffix(".json").write_text(values)
    with pytest.raises(CheckpointError, match="not a record of weights"):
        list_weights()


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("resnet20", "cifar", r"no 'cifar': of resnet20 there are 'cifar10'; did you mean 'cifar10'\?"),
        ("resnet56", "cifar10", "no 'cifar10': there are none of resnet56; the package has resnet20 'cifar10'"),
        ("resnet20", True, "no True: of resnet20"),
    ],
)
def test_unknown_weights_are_refused(ship: Callable[..., Path], model: str, name: str, message: str) -> None:
    ship()
    with pytest.raises(UnknownNameError, match=message):
        create_model(model, weights=name)


def test_list_weights_takes_a_pattern(ship: Callable[..., Path]) -> None:
    ship()
    assert [weights.model for weights in list_weights("resnet*")] == ["resnet20"]
    assert list_weights("airnet") == []
    assert list_weights()[0].accuracy_by_seed == (90.25, 91.0)


@pytest.mark.slow
@EACH
def test_the_stated_accuracy_is_that_of_the_test_images(weights: _pretrained.Weights) -> None:
    if "CIFAR10" not in os.environ:
        pytest.skip("the environment variable CIFAR10 does not name the .npz of CIFAR-10")
    with np.load(os.environ["CIFAR10"]) as arrays:
        images, labels = torch.from_numpy(arrays["x_test"]).permute(0, 3, 1, 2), torch.from_numpy(arrays["y_test"])
    labels = labels.reshape(-1)
    evaluate, model = weights.transforms().eval(), create_model(weights.model, weights=weights.name).eval()
    right = 0
    for chosen in torch.arange(len(labels)).split(1000):
        with torch.no_grad():
            logits = model(evaluate(images[chosen]))
        right += int((logits.argmax(1) == labels[chosen]).sum())
    assert 100 * right / len(labels) == pytest.approx(weights.accuracy, abs=0.03)  # near-ties on another CPU
