"""``audit``: it names pipelines of many libraries right, names nothing else, and measures how far two are apart."""

import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import transform
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode, v2

import dialect_references as libraries
from resizenet import ArgumentError, SizeError, UnknownNameError, audit
from resizenet import transforms as T

SIZE = (60, 84)
TO = (25, 32)


def of_pillow(name: str) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize(TO[::-1], Image.Resampling[name.upper()])


def of_opencv(name: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: cv2.resize(image, TO[::-1], interpolation=libraries.OPENCV[name])


def of_torch(name: str, antialias: bool, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    rule = {"mode": name, "antialias": antialias} if name != "nearest-exact" else {"mode": name}
    return lambda batch: F.interpolate(batch.to(dtype), TO, **rule)


def of_scikit(order: int, **options: Any) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: transform.resize(np.asarray(image).astype(np.float64), TO, order=order, **options)


def of_tensorflow_1(image: np.ndarray) -> np.ndarray:
    """Bilinear without half_pixel_centers: output pixel i shows the position i * factor."""
    x = image.astype(np.float64)
    for axis, after in enumerate(TO):
        before = x.shape[axis]
        position = np.arange(after) * (before / after)
        left = position.astype(int)
        right = np.minimum(left + 1, before - 1)
        share = np.expand_dims(position - left, 1 - axis)[..., None]
        x = x.take(left, axis) * (1 - share) + x.take(right, axis) * share
    return x


def of_reference(library: str, name: str, antialias: bool) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: libraries.LIBRARIES[library][name, antialias](image, TO)


def fully_written(image: np.ndarray) -> np.ndarray:
    """What is often found in serving code: OpenCV, BGR, floats, normalized."""
    x = cv2.resize(image[..., ::-1], TO[::-1]).astype(np.float32) / 255
    return (x - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])


def normalized_first(image: np.ndarray) -> np.ndarray:
    x = (np.asarray(image).astype(np.float32) / 255 - 0.5) / 0.25
    return cv2.resize(x, TO[::-1], interpolation=cv2.INTER_LINEAR)


def letterbox_of_yolo(image: np.ndarray) -> np.ndarray:
    resized = cv2.resize(image, (64, 46))
    return cv2.copyMakeBorder(resized, 9, 9, 0, 0, cv2.BORDER_CONSTANT, value=(114, 114, 114))


IMAGENET = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
TENSOR = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
PIPELINES: dict[str, tuple[Any, str, str]] = {  # the pipeline, the kind of image that it takes, its name
    **{f"Pillow {name}": (of_pillow(name), "pil", f"pillow {name}") for name in libraries.PILLOW},
    **{f"OpenCV {name}": (of_opencv(name), "numpy", f"opencv {name}") for name in libraries.OPENCV},
    **{
        f"torch {name} {antialias}": (
            of_torch(name, antialias, torch.float32), "batch", f"torch {name}, antialias={antialias} on floats"
        )
        for name in ("bilinear", "bicubic")
        for antialias in (True, False)
    },
    **{
        f"torch {name} with align_corners": (
            lambda batch, name=name: F.interpolate(batch.float(), TO, mode=f"bi{name}", align_corners=True),
            "batch",
            f"onnx {name}, align_corners on floats",
        )
        for name in ("linear", "cubic")
    },
    "TensorFlow 1": (of_tensorflow_1, "numpy", "onnx linear, asymmetric on floats"),
    "torch nearest-exact": (of_torch("nearest-exact", True, torch.uint8), "batch", "torch nearest-exact"),
    "torch uint8": (of_torch("bicubic", True, torch.uint8), "batch", "torch bicubic, antialias=True"),
    "torch uint8, no antialias": (of_torch("bicubic", False, torch.uint8), "batch", "torch bicubic, antialias=False"),
    **{
        f"scikit-image of order {order}, {antialias}": (
            of_scikit(order, anti_aliasing=antialias),
            "numpy",
            f"scikit-image {name}, antialias={antialias}" + " on floats" * (order > 0 or antialias),
        )
        for order, name in enumerate(libraries.SCIKIT)
        for antialias in (True, False)
    },
    **{
        f"TensorFlow {name}": (
            of_reference("tensorflow", name, False), "numpy", f"tensorflow {name}, antialias=False on floats"
        )
        for name in ("bilinear", "bicubic", "area", "lanczos3", "lanczos5", "mitchellcubic", "gaussian")
    },
    "TensorFlow antialiased": (
        of_reference("tensorflow", "mitchellcubic", True), "numpy", "tensorflow mitchellcubic, antialias=True on floats"
    ),
    "ONNX": (of_reference("onnx", "cubic", True), "numpy", "onnx cubic, antialias=True on floats"),
    **{
        f"MATLAB {name}": (of_reference("matlab", name, True), "numpy", f"matlab {name}, antialias=True")
        for name in ("bilinear", "bicubic", "lanczos2", "lanczos3")
    },
    "torchvision on PIL": (v2.Resize(TO), "auto", "pillow bilinear"),
    "torchvision on tensors": (v2.Resize(TO), "tensor", "torch bilinear, antialias=True"),
    "torchvision bicubic": (v2.Resize(TO, InterpolationMode.BICUBIC), "auto", "pillow bicubic"),
    "torchvision's evaluation": (
        v2.Compose([v2.Resize(36), v2.CenterCrop(32), TENSOR, IMAGENET]),
        "auto",
        "pillow bilinear",
    ),
    "tensors first": (v2.Compose([TENSOR, v2.Resize(TO)]), "auto", "torch bilinear, antialias=True on floats"),
    "Letterbox": (T.Letterbox(64, like="opencv", fill=114), "auto", "opencv linear"),
    "letterbox of YOLO": (letterbox_of_yolo, "auto", "opencv linear"),
    "a policy": (T.UpscalePolicy(100, interpolation="bicubic", like="pillow"), "auto", "pillow bicubic"),
    "a batch": (T.BatchResize(TO, interpolation="area", like="opencv"), "auto", "opencv area"),
    "BGR and normalized": (fully_written, "numpy", "opencv linear"),
    "normalized first": (normalized_first, "auto", "opencv linear on floats"),
    "rounded floats": (
        lambda image: np.rint(of_reference("tensorflow", "mitchellcubic", False)(image)).clip(0, 255), "numpy",
        "tensorflow mitchellcubic, antialias=False",
    ),
    "floats cut off": (
        lambda image: of_scikit(1, anti_aliasing=True)(image).astype(np.uint8), "numpy",
        "scikit-image bilinear, antialias=True on floats, then cut off",
    ),
    "a crop, then a resize": (
        lambda image: cv2.resize(image[6:54, 12:76], TO[::-1], interpolation=cv2.INTER_CUBIC), "numpy", "opencv cubic"
    ),
    "a crop alone": (v2.CenterCrop(40), "auto", "no resize"),
    "text": ("opencv lanczos4 25x32", "auto", "opencv lanczos4"),
}  # fmt: skip
EXACT_TO_A_LEVEL = ("OpenCV cubic", "MATLAB", "a crop, then")


def test_there_are_more_than_forty_pipelines() -> None:
    assert len(PIPELINES) >= 40


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_named_right(name: str) -> None:
    pipeline, inputs, expected = PIPELINES[name]
    found = audit(pipeline, size=SIZE, inputs=inputs).train
    # OpenCV's cubic comes from Intel's library on some machines, which resizes floats
    assert {expected, f"{expected} on floats, then rounded"} & set(found.names)
    assert found.is_exact or name.startswith(EXACT_TO_A_LEVEL)
    # only what agrees with it to the bit or to rounding is named beside it
    assert all(match.largest <= (0.02 if found.is_exact else 1.02) for match in found.matches)


OTHERS: dict[str, tuple[Any, str]] = {
    "a blur": (v2.GaussianBlur(5, sigma=(1.0, 1.0)), "the nearest are no resize"),
    "a random blur": (v2.GaussianBlur(5), "draws random numbers"),
    "a random crop": (v2.RandomCrop(40), "draws random numbers"),
    "a random resized crop": (v2.RandomResizedCrop(40), "draws random numbers"),
    "a model": (nn.Sequential(nn.Flatten(), nn.Linear(3 * 60 * 84, 10)), r"has the shape \(1, 10\)"),
    "a flip": (lambda image: np.asarray(image)[:, ::-1].copy(), "mirrors"),
    "gray": (v2.Grayscale(3), "mixes the channels"),
    "gamma": (lambda image: (np.asarray(image) / 255) ** 2.2, "not linear"),
    "inverted": (v2.RandomInvert(p=1), "not brighter"),
    "a blur before a resize": (v2.Compose([v2.GaussianBlur(5, sigma=(1.0, 1.0)), v2.Resize(TO)]), "the nearest are "),
    "black": (lambda image: np.zeros((25, 32, 3)), "for black and for white are the same"),
    "a label": (lambda image: 3, "no image but int"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_resize_is_not_named(name: str) -> None:
    pipeline, reason = OTHERS[name]
    found = audit(pipeline, size=SIZE)
    assert found.train.names == ()
    assert "none of these" in str(found)
    assert found.advice == ""
    assert re.search(reason, " ".join(str(found).split()))


def test_notes_name_the_channels_the_values_and_the_geometry() -> None:
    text = str(audit(fully_written, size=SIZE, inputs="numpy"))
    assert "channels in the order BGR" in text
    assert "values divided by 255, then normalized with ImageNet's mean and std" in text
    assert "values divided by 256 (not 255)" in str(audit(lambda image: np.asarray(image) / 256, size=SIZE))
    assert "resized after the conversion to floats" in str(audit(normalized_first, size=SIZE))
    assert "conversion" not in str(audit(fully_written, size=SIZE, inputs="numpy"))
    assert "resized to 46 x 64" in str(audit(letterbox_of_yolo, size=SIZE))
    assert "padded to 64 x 64, with the image at (9, 0)" in str(audit(letterbox_of_yolo, size=SIZE))
    text = str(audit("pillow bilinear 224", "opencv linear 224", size=(480, 640)))
    assert max(map(len, text.splitlines())) <= 80
    text = str(audit(PIPELINES["torchvision's evaluation"][0], size=SIZE))
    assert "resized to 36 x 50, cropped to 32 x 32 from (2, 9)" in text
    text = str(audit(PIPELINES["a crop, then a resize"][0], size=SIZE))
    assert "cropped to 48 x 64 from (6, 12), resized to 25 x 32" in text


def test_two_pipelines_are_compared_on_noise_and_on_a_photograph() -> None:
    found = audit(of_pillow("bilinear"), of_opencv("linear"), size=SIZE)
    noise = np.random.default_rng(0)  # any noise differs by about as much
    image = noise.integers(256, size=(*SIZE, 3), dtype=np.uint8)
    theirs = np.asarray(of_pillow("bilinear")(Image.fromarray(image))).astype(int) - of_opencv("linear")(image)
    assert found.difference.mean == pytest.approx(np.abs(theirs).mean(), rel=0.1)
    assert 20 < found.difference.psnr < 50
    assert found.advice == 'transforms.Stretch((25, 32), interpolation="bilinear", like="pillow")'
    same = eval(found.advice, {"transforms": T})
    assert audit(of_pillow("bilinear"), same, size=SIZE).difference.largest == 0


def moved(down: float, right: float) -> Callable[[np.ndarray], np.ndarray]:
    """OpenCV's linear resize of the image after it was moved by this many pixels."""
    matrix = np.array([[1, 0, right], [0, 1, down]])

    def resize(image: np.ndarray) -> np.ndarray:
        x = cv2.warpAffine(image.astype(np.float32), matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        return cv2.resize(x, (52, 48))

    return resize


def stated_shift(where: str) -> list[float]:
    """(down, right) in pixels of the source."""
    found = re.search(r"shifted by (\S+) pixels of the source (up|down) and (\S+) to the (left|right)", where)
    return [float(found[1]) * (1 if found[2] == "down" else -1), float(found[3]) * (1 if found[4] == "right" else -1)]


@pytest.mark.parametrize("size", [(100, 130), (40, 60)])
@pytest.mark.parametrize("shift", [(0.5, 0.5), (-0.75, -0.9), (0, 0.3)])
def test_a_shift_is_measured(shift: tuple[float, float], size: tuple[int, int]) -> None:
    found = audit(lambda image: cv2.resize(image, (52, 48)), moved(*shift), size=size, inputs="numpy")
    assert stated_shift(found.difference.where) == pytest.approx(shift, abs=0.04)
    assert found.train.notes == ("resized to 48 x 52",)


def test_a_resize_without_half_pixel_centers_is_shifted() -> None:
    # output pixel i of 30 shows the position 2 i and not 2 i + 0.5
    found = audit("opencv linear 30x28", "opencv nearest", size=(60, 84))
    assert stated_shift(found.difference.where) == pytest.approx((0.5, 1), abs=0.04)
    assert stated_shift(found.serve.notes[-1]) == pytest.approx((0.5, 1), abs=0.04)


@pytest.mark.parametrize(
    ("train", "serve", "size"),
    [
        ("pillow bilinear 224", "opencv linear", (480, 640)),
        ("pillow bicubic 40x48", "opencv cubic", (101, 133)),
        ("pillow lanczos 25x32", "pillow nearest", (60, 84)),
        ("scikit-image bicubic 25x32", "opencv area", (60, 84)),
        ("opencv linear 90x99", "opencv cubic", (60, 84)),
        ("onnx linear 24x40", lambda x: F.interpolate(x.float(), (24, 40), mode="bilinear", align_corners=True), SIZE),
    ],
)
def test_no_shift_is_stated_where_none_explains_the_difference(train: str, serve: Any, size: tuple[int, int]) -> None:
    found = audit(train, serve, size=size)
    assert found.difference.largest > 0
    assert "shifted" not in str(found)


def test_results_of_two_sizes_are_not_compared() -> None:
    found = audit(v2.Resize((20, 20)), v2.Resize((24, 24)), size=SIZE)
    assert found.difference is None
    assert "not measured" in str(found)


def test_a_model_shows_what_the_difference_does() -> None:
    images = torch.randint(256, (4, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 25 * 32, 10))
    arguments = {"size": SIZE, "images": images, "model": model}
    same = audit("pillow bilinear 25x32", of_pillow("bilinear"), **arguments).effect
    assert (same.images, same.changed, same.mean_logit_change) == (4, 0, 0)
    other = audit("pillow bilinear 25x32", "opencv nearest", **arguments)
    assert other.effect.mean_logit_change > 0
    assert "predictions change, logits move" in str(other)
    assert model.training


def test_the_plot_has_a_panel_for_each_picture() -> None:
    assert len(audit(v2.Resize(TO), size=SIZE).plot().axes) == 2
    figure = audit(v2.Resize(TO), "opencv linear", size=SIZE).plot()
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.partition(",")[0] for title in titles] == ["train", "serve", "difference", "impulse", "impulse"]
    with pytest.raises(ArgumentError, match="plot: expected pipelines whose results are images"):
        audit(lambda image: 3, size=SIZE).plot()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train": 3, "size": 8}, ArgumentError, "expected a callable, or text"),
        ({"train": "opencv area", "size": 8}, ArgumentError, "expected a size in 'opencv area'"),
        ({"train": "cv2 area 8", "size": 8}, UnknownNameError, "like: expected one of"),
        ({"train": "opencv aera 8", "size": 8}, UnknownNameError, "did you mean 'area'"),
        ({"train": "", "size": 8}, UnknownNameError, "like: expected one of"),
        ({"train": "opencv area 0", "size": 8}, SizeError, "size"),
        ({"train": "opencv area 8", "size": 0}, SizeError, "size"),
        ({"train": "opencv area 8", "size": 8, "inputs": "jpeg"}, UnknownNameError, "inputs"),
        ({"train": "opencv area 8", "size": 8, "images": []}, ArgumentError, "images and a model together"),
        ({"train": lambda: 3, "size": 8}, ArgumentError, "raises for every kind of image; pil: TypeError"),
    ],
)
def test_mistakes(arguments: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        audit(**arguments)
