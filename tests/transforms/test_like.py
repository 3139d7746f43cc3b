"""``like=`` of the transforms and policies: every one of them resizes as ``functional.resize(like=)``."""

import json
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from resizenet import ArgumentError, UnknownNameError
from resizenet import transforms as T
from resizenet.functional import OnnxResize, resize

RULE = {"interpolation": "area", "like": "opencv"}
GENERATOR = torch.Generator().manual_seed(0)
PHOTO = torch.randint(256, (3, 40, 60), dtype=torch.uint8, generator=GENERATOR)
WHOLE = {  # what each resizes the whole 40 x 60 image to
    "Stretch": (T.Stretch((21, 13), **RULE), (21, 13)),
    "ResizeToCover": (T.ResizeToCover(20, **RULE), (20, 30)),
    "FitWithin": (T.FitWithin(30, **RULE), (20, 30)),
    "ResizeKeepRatio": (T.ResizeKeepRatio(20, **RULE), (20, 30)),
    "Letterbox": (T.Letterbox((20, 30), **RULE), (20, 30)),
    "StretchPolicy": (T.StretchPolicy((21, 13), **RULE).eval(), (21, 13)),
    "LetterboxPolicy": (T.LetterboxPolicy((20, 30), **RULE).train(), (20, 30)),
    "UpscalePolicy": (T.UpscalePolicy((80, 120), **RULE).eval(), (80, 120)),
    "KeepRatioPolicy": (T.KeepRatioPolicy((20, 30), **RULE).eval(), (20, 30)),
    "RandomResizedCropPolicy": (T.RandomResizedCropPolicy((20, 30), crop_pct=1.0, **RULE).eval(), (20, 30)),
    "BiTHyperRulePolicy": (T.BiTHyperRulePolicy((20, 30), (25, 35), **RULE).eval(), (20, 30)),
}


def yolo_letterbox(image: np.ndarray, size: int, *, enlarge: bool) -> np.ndarray:
    """As YOLOv5's and Ultralytics' letterbox: one factor, rounded sides, half of the padding on each side."""
    height, width = image.shape[:2]
    factor = min(size / height, size / width)
    factor = factor if enlarge else min(factor, 1.0)
    width, height = round(width * factor), round(height * factor)
    across, down = (size - width) / 2, (size - height) / 2
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    top, bottom = round(down - 0.1), round(down + 0.1)
    left, right = round(across - 0.1), round(across + 0.1)
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))


@pytest.mark.parametrize("upscale", [False, True])
@pytest.mark.parametrize(
    "size", [(480, 640), (853, 1280), (961, 1280), (427, 640), (375, 500), (333, 100), (1, 7), (639, 641), (640, 640)]
)
def test_the_letterbox_equals_that_of_yolo_tools_bit_for_bit(size: tuple[int, int], upscale: bool) -> None:
    image = np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8)
    ours = T.Letterbox(640, like="opencv", fill=114, upscale=upscale)(torch.from_numpy(image).permute(2, 0, 1))
    assert np.array_equal(ours.permute(1, 2, 0).numpy(), yolo_letterbox(image, 640, enlarge=upscale))


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_images_are_resized_as_by_the_function(name: str, dtype: torch.dtype) -> None:
    transform, size = WHOLE[name]
    image = PHOTO.to(dtype)
    assert torch.equal(transform(tv_tensors.Image(image)), resize(image[None], size, **RULE)[0])


def test_a_batch_is_resized_as_by_the_function() -> None:
    batch = torch.stack([PHOTO, PHOTO.flip(-1)])
    module = T.BatchResize((21, 13), **RULE)
    assert torch.equal(module(batch), resize(batch, (21, 13), **RULE))
    assert torch.equal(module([batch, torch.arange(2)])[0], resize(batch, (21, 13), **RULE))


def test_the_random_crop_of_a_policy_is_resized_as_by_the_function() -> None:
    policy = T.RandomResizedCropPolicy((21, 13), scale=(1, 1), ratio=(1.5, 1.5), **RULE)
    assert torch.equal(policy.train()(PHOTO), resize(PHOTO[None], (21, 13), **RULE)[0])


def test_images_of_pil() -> None:
    image = Image.fromarray(PHOTO.permute(1, 2, 0).numpy())
    for name, flag in (("linear", cv2.INTER_LINEAR), ("area", cv2.INTER_AREA)):
        out = T.Stretch((21, 13), interpolation=name, like="opencv")(image)
        assert np.array_equal(np.asarray(out), cv2.resize(np.asarray(image), (13, 21), interpolation=flag))
    for name in ("box", "hamming", "lanczos"):
        out = T.Stretch((21, 13), interpolation=name, like="pillow")(image)
        assert out.tobytes() == image.resize((13, 21), Image.Resampling[name.upper()]).tobytes()


def test_masks_and_boxes_do_not_depend_on_the_library() -> None:
    boxes = tv_tensors.BoundingBoxes([[3.0, 4, 9, 20]], format="XYXY", canvas_size=(40, 60))
    sample = {"image": tv_tensors.Image(PHOTO), "mask": tv_tensors.Mask(PHOTO[0]), "boxes": boxes}
    ours, plain = T.Stretch((21, 13), **RULE)(sample), T.Stretch((21, 13))(sample)
    assert torch.equal(ours["mask"], plain["mask"])
    assert torch.equal(ours["boxes"], plain["boxes"])


def test_several_interpolations_are_drawn() -> None:
    transform = T.Stretch(9, interpolation=("linear", "area"), like="opencv")
    results = {transform(PHOTO).sum().item() for _ in range(20)}
    assert len(results) == 2


@pytest.mark.parametrize("like", ["opencv", OnnxResize(cubic_coeff_a=-0.5)])
def test_a_policy_stores_its_library(like: object) -> None:
    policy = T.StretchPolicy(8, interpolation="cubic", like=like)
    assert T.ResizePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_the_default_antialias_is_the_librarys() -> None:
    assert T.Stretch(8).antialias is True
    out = T.Stretch(8, like="onnx")(PHOTO.float())
    assert torch.equal(out, resize(PHOTO.float()[None], 8, antialias=False, like="onnx")[0])


class Own(tv_tensors.TVTensor):
    """A user's type with a kernel of its own."""


@v2.functional.register_kernel(v2.functional.resize, Own)
def resize_own(inpt: Own, size: list[int], **kwargs: object) -> Tensor:
    return torch.zeros(1)


def test_a_users_kernel_cannot_be_told_another_library() -> None:
    own = torch.rand(3, 40, 60).as_subclass(Own)
    sample = {"image": tv_tensors.Image(PHOTO), "own": own}
    assert T.Stretch(8)(sample)["own"].shape == (1,)
    with pytest.raises(ArgumentError, match="like: expected 'torch' for a type with a kernel of its own, got 'opencv'"):
        T.Stretch(8, like="opencv")(sample)


@pytest.mark.parametrize(
    "make", [T.Stretch, T.Letterbox, T.BatchResize, T.StretchPolicy, T.UpscalePolicy, T.KeepRatioPolicy]
)
def test_what_a_library_does_not_have_is_refused(make: Callable[..., object]) -> None:
    with pytest.raises(UnknownNameError, match="like: expected one of"):
        make(8, like="pil")
    with pytest.raises(UnknownNameError, match=r"interpolation \(like='pillow'\)"):
        make(8, interpolation="area", like="pillow")
    if make in (T.Stretch, T.Letterbox, T.BatchResize):
        with pytest.raises(ArgumentError, match="antialias"):
            make(8, like="opencv", antialias=True)


def test_wrong_attributes_of_onnx_in_a_stored_policy_are_refused() -> None:
    with pytest.raises(ArgumentError, match="like: "):
        T.StretchPolicy(8, like={"cubic": 1})
