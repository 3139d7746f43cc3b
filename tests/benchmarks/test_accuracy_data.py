"""The accuracy harness's images: crops in batch, and data that is whole, broken or missing."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.accuracy import _augment
from benchmarks.accuracy._data import ImageData, load_cifar10, load_folder
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as vision

from resizenet.transforms import NativePolicy, RandomResizedCropPolicy, UpscalePolicy


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


# ---- crops in batch, against torchvision one image at a time


def test_native_crops_are_those_of_the_padded_image() -> None:
    policy, images = NativePolicy(32, padding=4), noise(200, 3, 32, 32)
    draws = _augment.draw(policy, 32, 32, 200, generator())
    crops = _augment.apply(policy, images, draws)
    for image, crop, (top, left, height, width, flip) in zip(images, crops, draws.tolist(), strict=True):
        expected = vision.crop(vision.pad(image, [4]), top + 4, left + 4, height, width)
        assert torch.equal(crop, expected.flip(-1) if flip else expected)
    assert draws[:, :2].unique().tolist() == list(range(-4, 5))
    assert 0.3 < draws[:, 4].float().mean() < 0.7


@pytest.mark.parametrize(
    ("size", "shape", "scale"), [(32, (32, 32), (0.08, 1.0)), (32, (32, 32), (0.8, 1.0)), (23, (37, 53), (0.3, 1.0))]
)
def test_random_resized_crops_are_torchvisions_for_the_same_boxes(
    size: int, shape: tuple[int, int], scale: tuple[float, float]
) -> None:
    policy, images = RandomResizedCropPolicy(size, scale=scale), noise(60, 3, *shape)
    draws = _augment.draw(policy, *shape, 60, generator())
    crops = _augment.apply(policy, images, draws)
    for image, crop, (*box, flip) in zip(images, crops, draws.tolist(), strict=True):
        expected = vision.resized_crop(image.float(), *box, [size, size], antialias=True)
        torch.testing.assert_close(crop, expected.flip(-1) if flip else expected, atol=1e-3, rtol=0)


def test_random_boxes_are_distributed_as_torchvisions() -> None:
    policy, count = RandomResizedCropPolicy(32, scale=(0.08, 1.0)), 4000
    ours = _augment.draw(policy, 32, 32, count, generator())[:, :4].float()
    transform, image = v2.RandomResizedCrop(32), torch.zeros(3, 32, 32)
    theirs = torch.tensor(
        [
            [params[key] for key in ("top", "left", "height", "width")]
            for params in (transform.make_params([image]) for _ in range(count))
        ]
    )
    for mine, other in zip(ours.T, theirs.float().T, strict=True):
        assert stats.ks_2samp(mine.numpy(), other.numpy()).pvalue > 1e-4


def test_boxes_that_never_fit_become_the_largest_centred_one() -> None:
    policy = RandomResizedCropPolicy(
        8, scale=(1.0, 1.0), ratio=(3.0, 3.0)
    )  # the whole area at 3 to 1 does not fit into a square
    draws = _augment.draw(policy, 30, 30, 5, generator())
    assert draws[:, :4].tolist() == [[10, 0, 10, 30]] * 5


def test_a_share_of_the_draws_gives_a_share_of_the_crops() -> None:
    policy, images = RandomResizedCropPolicy(16), noise(12, 3, 32, 32)
    draws = _augment.draw(policy, 32, 32, 12, generator())
    whole = _augment.apply(policy, images, draws)
    torch.testing.assert_close(
        torch.cat([_augment.apply(policy, images[part], draws[part]) for part in (slice(6), slice(6, 12))]), whole
    )


def test_a_policy_without_a_batched_half_is_refused() -> None:
    with pytest.raises(TypeError, match="UpscalePolicy has no random half in batch"):
        _augment.draw(UpscalePolicy(64), 32, 32, 2, generator())


# ---- data


def arrays(count: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {f"x_{part}": random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8) for part in ("train", "test")} | {
        f"y_{part}": np.arange(count) % 10 for part in ("train", "test")
    }


def test_an_npz_becomes_tensors(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays())
    data = load_cifar10(tmp_path / "data.npz")
    assert data.x_train.shape == (4, 3, 32, 32)
    assert data.x_test[2, 1, 5, 7] == arrays()["x_test"][2, 5, 7, 1]
    assert data.y_test.tolist() == [0, 1, 2, 3]


def write_batches(path: Path) -> Path:
    """The ten images of either part as the folder has them; the folder."""
    values = arrays(10)
    folder = path / "cifar-10-batches-py"
    folder.mkdir()
    for i in range(5):
        part = slice(2 * i, 2 * i + 2)
        batch = {
            b"data": values["x_train"][part].transpose(0, 3, 1, 2).reshape(2, -1),
            b"labels": values["y_train"][part].tolist(),
        }
        (folder / f"data_batch_{i + 1}").write_bytes(pickle.dumps(batch))
    (folder / "test_batch").write_bytes(
        pickle.dumps(
            {b"data": values["x_test"].transpose(0, 3, 1, 2).reshape(10, -1), b"labels": values["y_test"].tolist()}
        )
    )
    return folder


def test_the_folder_of_batches_becomes_the_same_tensors(tmp_path: Path) -> None:
    write_batches(tmp_path)
    np.savez(tmp_path / "data.npz", **arrays(10))
    for one, other in zip(
        vars(load_cifar10(tmp_path)).values(), vars(load_cifar10(tmp_path / "data.npz")).values(), strict=True
    ):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


def test_every_pixel_and_label_counts_in_the_fingerprint() -> None:
    def changed(name: str, *index: int) -> ImageData:
        data = ImageData(
            torch.zeros(6, 3, 4, 4, dtype=torch.uint8),
            torch.arange(6),
            torch.zeros(5, 3, 4, 4, dtype=torch.uint8),
            torch.arange(5),
        )
        if index:
            getattr(data, name)[index] = 7
        return data

    prints = [
        changed(*change).fingerprint()
        for change in (("x_train",), ("x_train", 4, 2, 3, 1), ("y_train", 2), ("x_test", 0, 0, 0, 0), ("y_test", 4))
    ]
    assert prints[0] == changed("x_train").fingerprint()
    assert {(found["train"], found["test"]) for found in prints} == {(6, 5)}
    assert len({found["hash"] for found in prints}) == 5


def broken(tmp_path: Path, case: str) -> Path:
    file = tmp_path / "data.npz"
    np.savez(file, **arrays())
    if case == "missing":
        return tmp_path / "nowhere.npz"
    if case == "an empty folder":
        return tmp_path
    if case == "text":
        file.write_text("Not Found")
    if case == "cut short":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    if case == "damaged":
        content = bytearray(file.read_bytes())
        content[500:600] = bytes(100)
        file.write_bytes(content)
    if case == "one array":
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
    changes = {
        "a part is missing": {"x_test": None},
        "floats": {"x_train": arrays()["x_train"] / 255},
        "another size": {"x_train": np.zeros((4, 64, 64, 3), np.uint8)},
        "too few labels": {"y_test": np.arange(3)},
        "labels of 100 classes": {"y_train": np.array([0, 1, 2, 99])},
    }
    if case in changes:
        np.savez(file, **{key: value for key, value in {**arrays(), **changes[case]}.items() if value is not None})
    return file


CASES = (
    "missing",
    "an empty folder",
    "text",
    "cut short",
    "damaged",
    "one array",
    "a part is missing",
    "floats",
    "another size",
    "too few labels",
)


@pytest.mark.parametrize("case", [*CASES, "labels of 100 classes"])
def test_broken_data_is_one_line(tmp_path: Path, case: str) -> None:
    with pytest.raises(SystemExit, match=r"not CIFAR-10 as an \.npz or a cifar-10-batches-py folder") as error:
        load_cifar10(broken(tmp_path, case))
    assert "\n" not in str(error.value)


BATCHES = {
    "a pixel is missing": (
        {b"data": np.zeros((2, 3071), np.uint8)},
        r"data of uint8 \(2, 3071\), expected uint8 \(N, 3072\)",
    ),
    "one dimension": ({b"data": np.zeros(3072, np.uint8)}, r"data of uint8 \(3072,\), expected"),
    "floats": ({b"data": np.zeros((2, 3072))}, r"data of float64 \(2, 3072\), expected"),
    "a list": ({b"data": [[0] * 3072] * 2}, "data of list, expected"),
    "no data": ({}, "data of NoneType, expected"),
}


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch"])
@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_of_another_shape_is_one_line_that_names_it(tmp_path: Path, case: str, file: str) -> None:
    batch, message = BATCHES[case]
    (write_batches(tmp_path) / file).write_bytes(pickle.dumps({b"labels": [0, 1], **batch}))
    with pytest.raises(SystemExit, match=rf"not CIFAR-10 as .* \(ValueError: {file}: {message}") as error:
        load_cifar10(tmp_path)
    assert "\n" not in str(error.value)


class Call:
    """What pickle calls when it loads this."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


UNPICKLED = {
    "ModuleNotFoundError": b"cnowhere\nthing\n.",
    "AttributeError": b"cbuiltins\nnowhere\n.",
    "MemoryError": pickle.dumps(Call(bytearray, sys.maxsize)),
    "OverflowError": pickle.dumps(Call(bytearray, 2 * sys.maxsize)),
    "SyntaxError": pickle.dumps(Call(compile, "1 +", "two\nlines", "eval")),
    "ZeroDivisionError": pickle.dumps(Call(divmod, 1, 0)),
}


@pytest.mark.parametrize("error", UNPICKLED)
def test_whatever_unpickling_raises_is_one_line(tmp_path: Path, error: str) -> None:
    (write_batches(tmp_path) / "data_batch_2").write_bytes(UNPICKLED[error])
    with pytest.raises(SystemExit, match=rf"not CIFAR-10 as .* \({error}: ") as raised:
        load_cifar10(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("offset", "value", "error"), [(8, 1, "RuntimeError"), (10, 99, "NotImplementedError")])
def test_an_archive_that_says_it_is_encrypted_or_of_an_unknown_method_is_one_line(
    tmp_path: Path, offset: int, value: int, error: str
) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, **arrays())
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] = value  # in the entry of the first file, APPNOTE.TXT 4.3.12
    file.write_bytes(content)
    with pytest.raises(SystemExit, match=rf"not CIFAR-10 as .* \({error}: ") as raised:
        load_cifar10(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("case", ["missing", "no classes", "a broken image", "other classes in val"])
def test_a_broken_folder_of_images_is_one_line(tmp_path: Path, case: str) -> None:
    from PIL import Image

    if case != "missing":
        for part in ("train", "val"):
            label = tmp_path / part / ("n02" if case == "other classes in val" and part == "val" else "n01")
            label.mkdir(parents=True)
            if case == "no classes":
                label.rmdir()
                continue
            Image.new("RGB", (20, 30)).save(label / "0.png")
            if case == "a broken image":
                (label / "1.png").write_bytes(b"no image")
    with pytest.raises(SystemExit, match="not a folder of images in train/CLASS/ and val/CLASS/") as error:
        load_folder(tmp_path, 16)
    assert "\n" not in str(error.value)


def test_images_of_a_folder_cover_the_size_and_keep_their_shape(tmp_path: Path) -> None:
    from PIL import Image

    for part in ("train", "val"):
        (tmp_path / part / "n01").mkdir(parents=True)
        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, 10:30] = 255  # the middle, all of what a square crop keeps
        Image.fromarray(pixels).save(tmp_path / part / "n01" / "0.png")
    data = load_folder(tmp_path, 20)
    assert data.x_test.shape == (1, 3, 20, 20)
    assert data.x_test.min() == 255


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    images = torch.cat([noise(50, 3, 32, 32) for _ in range(4)])
    pixels = images / 255
    mean, std = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).tolist()
    data = ImageData(images, torch.zeros(200), images, torch.zeros(200), mean, std)
    torch.testing.assert_close(data.normalize(images).mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(data.normalize(images).std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)
