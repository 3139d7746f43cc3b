"""The demo compares all arms, and says in one line what is wrong with what it was given."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
ARMS = (
    "resnet18 as it is",
    "resnet18 adapted",
    "resnet18 upscaled",
    "half size, FixedResizer",
    "half size, LinearResizer",
    "half size, Resizer",
)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)  # as Python does for a script
    return importlib.import_module("demo")


def run(demo: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["demo.py", *arguments])
    demo.main()


def test_every_arm_is_in_the_table_and_the_picture_is_drawn(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path
) -> None:
    run(demo, monkeypatch, "--epochs", "1", "--images", "64", "--batch-size", "32", "--out", str(tmp_path / "demo.png"))
    printed = capsys.readouterr().out
    assert "ResNet at 3x8x8: 11.8 M MACs, 11.2 M parameters" in printed
    table = printed[printed.index("accuracy") :]
    assert all(arm in table for arm in ARMS)
    with Image.open(tmp_path / "demo.png") as picture:
        assert picture.size == (1080, 840)


def test_cifar10_is_read_from_a_file_of_arrays(demo: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (7, 32, 32, 3), np.uint8),
        "y_train": np.arange(7),
        "x_test": np.zeros((5, 32, 32, 3), np.uint8),
        "y_test": np.arange(5),
    }
    np.savez(tmp_path / "cifar10.npz", **arrays)
    images = demo.load(tmp_path / "cifar10.npz").first(6, 6)
    assert images.x_train.shape == (6, 3, 32, 32)
    assert images.x_train[2, 1, 3, 4] == np.float32(arrays["x_train"][2, 3, 4, 1]) / np.float32(255)
    assert images.y_test.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("content", [None, b"", b"junk", "folder"])
def test_a_path_that_is_no_data_set_gets_one_line(
    demo: ModuleType, content: bytes | str | None, tmp_path: Path
) -> None:
    path = tmp_path / "cifar10.npz"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(
        SystemExit, match=r"demo: cannot read CIFAR-10 from .*cifar10\.npz: .*; expected an \.npz or the folder"
    ) as caught:
        demo.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", "0"), "--epochs: expected a positive number, got 0"),
        (("--out", "no/such/x.png"), "--out: no such folder"),
    ],
)
def test_an_argument_out_of_range_is_named(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit):
        run(demo, monkeypatch, *arguments)
    assert message in capsys.readouterr().err
