"""Every transform on whole samples, like torchvision's own matrix: every kind of input, every nesting, all in step."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from resizenet import transforms as T
from samples import COORDINATES, NEWER, SOURCE, UNTOUCHED, big_sample, boxes, pil

POLICIES: dict[str, T.ResizePolicy] = {
    "native": T.NativePolicy(SOURCE, padding=3),
    "upscale": T.UpscalePolicy((61, 53)),
    "stretch": T.StretchPolicy((43, 31)),
    "letterbox policy": T.LetterboxPolicy((53, 61), upscale=True, position="top_right"),
    "crop": T.RandomResizedCropPolicy((23, 31), scale=(0.7, 1), eval_size=(19, 17), crop_pct=0.9),
    "keep ratio policy": T.KeepRatioPolicy((23, 19), eval_size=(17, 23), crop_pct=0.9),
    "BiT": T.BiTHyperRulePolicy((31, 29), (41, 37)),
}
TRANSFORMS: dict[str, tuple[v2.Transform, tuple[int, int] | None]] = {  # with the output size, None if it is drawn
    "cover": (T.ResizeToCover((41, 43)), (41, 52)),  # 52.3
    "stretch": (T.Stretch((43, 31)), (43, 31)),
    "fit": (T.FitWithin((11, 23)), (11, 14)),  # 14.03
    "keep ratio": (T.ResizeKeepRatio((41, 43), longest=1.0), (34, 43)),  # 33.7
    "jitter": (T.ResizeKeepRatio((41, 43), scale=(0.5, 1), ratio=(0.8, 1.25)), None),
    "letterbox": (T.Letterbox((61, 53), upscale=True), (61, 53)),
    "letterbox, small": (T.Letterbox((11, 23), position="bottom_right"), (11, 23)),
    "letterbox, stride": (T.Letterbox((14, 28), stride=7), (14, 21)),  # 14x17.9 on 14x21
    "square": (T.PadToSquare(), (37, 37)),
    "multiple": (T.PadToMultiple((7, 11), position="center"), (35, 44)),
    **{f"{name}, train": (policy.train(), policy.train_size) for name, policy in POLICIES.items()},
    **{f"{name}, eval": (policy.eval(), policy.eval_size) for name, policy in POLICIES.items()},
}
EACH = pytest.mark.parametrize("name", TRANSFORMS)


def photograph(height: int, width: int) -> Tensor:
    """(3, height, width), from the middle of a photograph with edges, sky and texture."""
    pixels = torch.tensor(load_sample_image("china.jpg"))
    return pixels[130 : 130 + height, 250 : 250 + width].permute(2, 0, 1).contiguous()


def check_output(out: dict[str, Any], sample: dict[str, Any], size: tuple[int, int] | None) -> None:
    assert all(out[name] is sample[name] for name in UNTOUCHED)
    changed = {name: value for name, value in out.items() if name not in UNTOUCHED}
    found = {tuple(F.get_size(value)) for value in changed.values()}
    assert len(found) == 1
    assert size is None or found == {size}
    for name, value in changed.items():
        before = sample[name]
        assert isinstance(value, Image.Image) if name == "pil" else type(value) is type(before)
        if isinstance(value, Tensor):
            assert value.dtype == before.dtype
            assert getattr(value, "format", None) == getattr(before, "format", None)
            end = None if isinstance(value, COORDINATES) else -2
            assert value.shape[:end] == before.shape[:end]


@EACH
@pytest.mark.parametrize(
    "nest", [dict, lambda s: list(s.values()), lambda s: tuple(s.values())], ids=["dict", "list", "tuple"]
)
def test_everything_in_a_sample_is_transformed_and_the_rest_is_untouched(
    name: str, nest: Callable[[dict[str, Any]], Any]
) -> None:
    transform, size = TRANSFORMS[name]
    sample = big_sample()
    out = transform(nest(sample))
    assert type(out) is type(nest(sample))
    check_output(out if isinstance(out, dict) else dict(zip(sample, out, strict=True)), sample, size)


@EACH
def test_nested_samples_keep_their_nesting(name: str) -> None:
    transform, size = TRANSFORMS[name]
    sample = big_sample()
    image, target = transform((sample.pop("image"), {"all": [sample]}))
    check_output({"image": image, **target["all"][0]}, {"image": image, **sample}, size)


@EACH
def test_inputs_are_not_edited(name: str) -> None:
    sample = big_sample()
    before = {key: value.clone() for key, value in sample.items() if isinstance(value, Tensor)}
    TRANSFORMS[name][0](sample)
    assert all(torch.equal(sample[key], value) for key, value in before.items())


@EACH
def test_image_mask_box_and_points_stay_in_step(name: str) -> None:
    pixels = torch.zeros(3, *SOURCE, dtype=torch.uint8)
    pixels[:, 12:17, 15:22] = 255
    image, mask = tv_tensors.Image(pixels), tv_tensors.Mask((pixels[0] > 0).to(torch.uint8))
    points = [tv_tensors.KeyPoints([[15.0, 12], [22, 17]], canvas_size=SOURCE)] if NEWER else []
    image, mask, box, *points = TRANSFORMS[name][0]((image, mask, boxes([[15.0, 12, 22, 17]]), *points))
    inside = (image[0] > 127).nonzero().float()
    left, top, right, bottom = box[0].tolist()
    assert [top, left] == pytest.approx(inside.amin(0).tolist(), abs=1.5)  # a pixel of blur at each edge
    assert [bottom, right] == pytest.approx((inside.amax(0) + 1).tolist(), abs=1.5)
    for found in points:
        assert found.flatten().tolist() == pytest.approx([left, top, right, bottom], abs=1e-3)  # float32 coordinates
    assert ((mask > 0) == (image[0] > 127)).float().mean() > 0.95


@EACH
@pytest.mark.parametrize(("interpolation", "levels"), [("bilinear", 1), ("bicubic", 2)])
def test_pil_and_tensor_images_differ_by_one_gray_level_at_most(name: str, interpolation: str, levels: int) -> None:
    transform, image = copy.deepcopy(TRANSFORMS[name][0]), photograph(*SOURCE)
    for part in transform.modules():
        if isinstance(getattr(part, "interpolation", None), str):
            part.interpolation = interpolation
    torch.manual_seed(5)
    from_tensor = transform(image)
    torch.manual_seed(5)
    from_pil = transform(pil(image))
    difference = (from_tensor.int() - F.pil_to_tensor(from_pil).int()).abs()
    assert difference.max() <= levels  # two passes, each rounded; bicubic's negative weights amplify the first error
    assert (difference > 1).float().mean() < 1e-3


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if "native" not in name])  # native: images of one size
@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (1, 1), (2, 333)], ids=str)
def test_extreme_shapes_come_out_whole(name: str, size: tuple[int, int]) -> None:
    sample = torch.rand(1, *size), tv_tensors.Mask(torch.ones(1, *size)), boxes([[0.0, 0, size[1], size[0]]], size)
    image, mask, box = TRANSFORMS[name][0](sample)
    assert image.shape == mask.shape
    assert tuple(image.shape[-2:]) == box.canvas_size
    assert min(image.shape[-2:]) >= 1
    assert image.isfinite().all()


@EACH
def test_masks_keep_their_labels(name: str) -> None:
    labels = torch.tensor([5, 2**31 + 1, 2**24 + 1, 255])  # float32 has 24 bits
    out = TRANSFORMS[name][0](tv_tensors.Mask(labels[torch.randint(4, SOURCE)]))
    assert set(out.unique().tolist()) <= {*labels.tolist(), 0}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "uint16", "bool"])
@EACH
def test_images_of_other_dtypes_keep_theirs(name: str, dtype: str) -> None:
    image = (100 * torch.rand(3, *SOURCE)).to(getattr(torch, dtype))
    assert TRANSFORMS[name][0](image).dtype == image.dtype


def test_transforms_print_their_arguments() -> None:
    assert (
        repr(T.ResizeToCover(7)) == "ResizeToCover(size=(7, 7), interpolation='bilinear', antialias=True, like='torch')"
    )
    assert repr(T.PadToMultiple(7)) == "PadToMultiple(fill=0, mask_fill=0, position='top_left', multiple=(7, 7))"
    start = "Letterbox(size=(64, 64), interpolation='bilinear', antialias=True, like='torch', fill=0, mask_fill=0"
    assert repr(T.Letterbox(64, stride=32)).startswith(start)
    start = "BatchResize(size=(5, 7), interpolation='bicubic', antialias=True, like='torch')"
    assert repr(T.BatchResize((5, 7), interpolation="bicubic")) == start
    assert repr(T.BatchRandomResizedCrop((5, 7), scale=(0.5, 1.0), ratio=(1, 2))) == (
        "BatchRandomResizedCrop(size=(5, 7), scale=(0.5, 1.0), ratio=(1.0, 2.0), flip_probability=0.0, "
        "interpolation='bilinear', antialias=True, mean=None, std=None, dtype=None)"
    )
