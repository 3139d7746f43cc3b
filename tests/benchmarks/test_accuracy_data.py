"""The images of the accuracy harness: augmentation of a batch, and data that are whole, broken or missing."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.accuracy._augment import augment
from benchmarks.accuracy._data import ImageData, load_cifar10, load_folder
from PIL import Image
from torchvision.datasets import CIFAR10
from torchvision.transforms.v2 import functional as F

from resizenet.transforms import NativePolicy, RandomResizedCropPolicy, UpscalePolicy

Arrays = Callable[..., dict[str, np.ndarray]]


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_native_crops_are_those_of_the_padded_image_flipped_or_not() -> None:
    images = noise(200, 3, 32, 32)
    found = set()
    for image, crop in zip(images, augment(NativePolicy(32, padding=4), images, generator()), strict=True):
        padded = F.pad(image, [4])
        corners = [(top, left) for top in range(9) for left in range(9)]
        crops = {(*corner, flip): F.crop(padded, *corner, 32, 32) for corner in corners for flip in (False, True)}
        match = [key for key, expected in crops.items() if torch.equal(crop.flip(-1) if key[2] else crop, expected)]
        found |= set(match)
        assert len(match) == 1
    assert {top for top, _, _ in found} == {left for _, left, _ in found} == set(range(9))
    assert {flip for _, _, flip in found} == {False, True}


def test_random_resized_crops_have_the_policys_size_and_scale() -> None:
    """A gradient from left to right shows how wide each crop was, and whether it was flipped."""
    ramp = torch.arange(64, dtype=torch.uint8).mul(4).expand(500, 3, 64, 64)
    policy = RandomResizedCropPolicy((8, 16), scale=(0.25, 0.25), ratio=(1.0, 1.0))
    crops = augment(policy, ramp, generator())
    assert crops.shape == (500, 3, 8, 16)
    assert crops.dtype == torch.float32
    steps = (crops[..., 9] - crops[..., 6]) / 3  # 32 of 64 px in 16 steps: 2 px of 4 levels
    torch.testing.assert_close(steps.abs(), torch.full_like(steps, 8.0))
    assert 0.4 < float((steps > 0).float().mean()) < 0.6


def test_without_a_policy_nothing_changes_and_others_are_refused() -> None:
    images = noise(2, 3, 8, 8)
    assert augment(None, images, generator()) is images
    with pytest.raises(TypeError, match="UpscalePolicy cannot be applied to a batch"):
        augment(UpscalePolicy(64), images, generator())


def test_an_npz_becomes_tensors(tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "data.npz", **arrays(4, 4))
    data = load_cifar10(tmp_path / "data.npz")
    assert data.x_train.shape == (4, 3, 32, 32)
    assert data.x_test[2, 1, 5, 7] == arrays(4, 4)["x_test"][2, 5, 7, 1]
    assert data.y_test.tolist() == [0, 1, 2, 3]


@pytest.fixture
def batches(tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten images of either part as torchvision's folder has them."""
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda data: True)
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda data: None)
    values, folder = arrays(10, 10), tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    parts = {f"data_batch_{i + 1}": ("train", slice(2 * i, 2 * i + 2)) for i in range(5)}
    for name, (part, rows) in (parts | {"test_batch": ("test", slice(None))}).items():
        pixels = values[f"x_{part}"][rows].transpose(0, 3, 1, 2).reshape(-1, 3072)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": values[f"y_{part}"][rows].tolist()}))
    return folder


def test_torchvisions_folder_becomes_the_same_tensors(batches: Path, tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "data.npz", **arrays(10, 10))
    expected = load_cifar10(tmp_path / "data.npz")
    for path in (batches, tmp_path):
        for one, other in zip(vars(load_cifar10(path)).values(), vars(expected).values(), strict=True):
            assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


def test_every_pixel_and_label_counts_in_the_fingerprint() -> None:
    def changed(name: str, *index: int) -> dict[str, int | str]:
        images, others = (torch.zeros(count, 3, 4, 4, dtype=torch.uint8) for count in (6, 5))
        data = ImageData(images, torch.arange(6), others, torch.arange(5))
        if index:
            getattr(data, name)[index] = 7
        return data.fingerprint()

    changes = (("x_train",), ("x_train", 4, 2, 3, 1), ("y_train", 2), ("x_test", 0, 0, 0, 0), ("y_test", 4))
    prints = [changed(*change) for change in changes]
    assert prints[0] == changed("x_train")
    assert {(found["train"], found["test"]) for found in prints} == {(6, 5)}
    assert len({found["hash"] for found in prints}) == 5


def test_normalized_images_have_mean_0_and_deviation_1() -> None:
    images = noise(200, 3, 32, 32)
    pixels = images / 255
    mean, std = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).tolist()
    found = ImageData(images, torch.zeros(200), images, torch.zeros(200), mean, std).normalize(images)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


BROKEN = {
    "text": lambda content: b"Not Found",
    "cut short": lambda content: content[: len(content) // 2],
    "damaged": lambda content: content[:500] + bytes(100) + content[600:],
}
WRONG = {
    "a part is missing": ("x_test", None),
    "floats": ("x_train", np.zeros((4, 32, 32, 3))),
    "another size": ("x_train", np.zeros((4, 64, 64, 3), np.uint8)),
    "too few labels": ("y_test", np.arange(3)),
    "labels of 100 classes": ("y_train", np.array([0, 1, 2, 99])),
}


@pytest.mark.parametrize("case", ["missing", "an empty folder", *BROKEN, *WRONG])
def test_broken_data_are_one_line(tmp_path: Path, arrays: Arrays, case: str) -> None:
    file, values = tmp_path / "data.npz", arrays(4, 4)
    if case in WRONG:
        key, value = WRONG[case]
        values = {name: array for name, array in (values | {key: value}).items() if array is not None}
    np.savez(file, **values)
    if case in BROKEN:
        file.write_bytes(BROKEN[case](file.read_bytes()))
    path = {"missing": tmp_path / "nowhere.npz", "an empty folder": tmp_path}.get(case, file)
    with pytest.raises(SystemExit, match=r"not CIFAR-10 as an \.npz or a cifar-10-batches-py folder") as error:
        load_cifar10(path)
    assert "\n" not in str(error.value)


def save_images(folder: Path, *labels: str) -> None:
    for part, label in zip(("train", "val"), labels, strict=True):
        (folder / part / label).mkdir(parents=True)
        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, 10:30] = 255  # the middle, which a square crop keeps
        Image.fromarray(pixels).save(folder / part / label / "0.png")


def test_images_of_a_folder_cover_the_size_and_keep_their_shape(tmp_path: Path) -> None:
    save_images(tmp_path, "n01", "n01")
    data = load_folder(tmp_path, 20)
    assert data.x_test.shape == (1, 3, 20, 20)
    assert data.x_test.min() == 255


def test_other_classes_in_val_are_refused(tmp_path: Path) -> None:
    save_images(tmp_path, "n01", "n02")
    with pytest.raises(SystemExit, match=r"expected the same classes in train/ and val/, at most 10$"):
        load_folder(tmp_path, 16)
