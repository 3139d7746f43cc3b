"""The transforms on whole samples, after torchvision's own matrix: every kind of input, every nesting, everything in step."""

import copy
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from reference import resize
from resizenet import ArgumentError, ShapeError, SizeError, UnknownNameError
from resizenet import transforms as T
from strategies import sizes

SOURCE = (29, 37)
POLICIES: dict[str, T.ResizePolicy] = {
    "native": T.NativePolicy(SOURCE, padding=3),
    "upscale": T.UpscalePolicy((61, 53)),
    "stretch": T.StretchPolicy((43, 31)),
    "letterbox policy": T.LetterboxPolicy((53, 61), upscale=True, position="top_right"),
    "crop": T.RandomResizedCropPolicy((23, 31), scale=(0.7, 1), eval_size=(19, 17), crop_pct=0.9),
    "keep ratio policy": T.KeepRatioPolicy((23, 19), eval_size=(17, 23), crop_pct=0.9),
    "BiT": T.BiTHyperRulePolicy((31, 29), (41, 37)),
}
TRANSFORMS: dict[
    str, tuple[v2.Transform, tuple[int, int] | None]
] = {  # and the size of an image of SOURCE afterwards, None where it is drawn
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
RESIZING = {
    "cover": T.ResizeToCover,
    "stretch": T.Stretch,
    "fit": T.FitWithin,
    "keep ratio": T.ResizeKeepRatio,
    "letterbox": T.Letterbox,
}
EACH_RESIZING = pytest.mark.parametrize("make", RESIZING.values(), ids=list(RESIZING))
NEWER = hasattr(tv_tensors, "KeyPoints")  # torchvision 0.23, which also has rotated boxes
COORDINATES = (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints) if NEWER else (tv_tensors.BoundingBoxes,)
UNTOUCHED = ("number", "fraction", "text", "nothing", "path", "array", "labels", "object")


def big_sample() -> dict[str, Any]:
    """One of everything, of SOURCE; the image is first, so that the plain tensor of labels is not taken for one."""
    height, width = SOURCE
    corners = torch.tensor([[3.0, 5, 30, 20], [0, 0, 37, 29]])
    in_format = {
        name: F.convert_bounding_box_format(boxes(corners), new_format=name, inplace=False)
        for name in ("XYXY", "XYWH", "CXCYWH")
    }
    rotated = {
        "XYWHR": torch.tensor([[3.0, 5, 20, 10, 10]]),
        "CXCYWHR": torch.tensor([[16.0, 14, 10, 6, 20]]),
        "XYXYXYXY": torch.tensor([[8.0, 8, 20, 8, 20, 16, 8, 16]]),
    }
    return {
        "image": tv_tensors.Image(torch.randint(256, (3, height, width), dtype=torch.uint8)),
        "float image": tv_tensors.Image(torch.rand(1, height, width)),
        "video": tv_tensors.Video(torch.randint(256, (5, 3, height, width), dtype=torch.uint8)),
        "pil": pil(torch.randint(256, (3, height, width), dtype=torch.uint8)),
        **in_format,
        **(
            {
                name: tv_tensors.BoundingBoxes(values, format=name, canvas_size=SOURCE)
                for name, values in rotated.items()
            }
            if NEWER
            else {}
        ),
        "whole boxes": boxes(corners.long()),
        "mask": tv_tensors.Mask(torch.rand(height, width) > 0.5),
        "masks": tv_tensors.Mask(torch.randint(5, (4, height, width))),
        **(
            {"keypoints": tv_tensors.KeyPoints(torch.tensor([[3.0, 5], [30, 20]]), canvas_size=SOURCE)} if NEWER else {}
        ),
        "number": 7,
        "fraction": 0.5,
        "text": "cat",
        "nothing": None,
        "path": Path("cat.png"),
        "array": np.zeros((29, 37, 3)),
        "labels": torch.tensor([3, 1]),
        "object": object(),
    }


def boxes(values: Tensor, size: tuple[int, int] = SOURCE) -> tv_tensors.BoundingBoxes:
    return tv_tensors.BoundingBoxes(values, format="XYXY", canvas_size=size)


def pil(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def photograph(height: int, width: int) -> Tensor:
    """(3, height, width), from the middle of a photograph with edges, sky and texture."""
    pixels = torch.tensor(load_sample_image("china.jpg"))
    return pixels[130 : 130 + height, 250 : 250 + width].permute(2, 0, 1).contiguous()


def tensor(image: Image.Image | Tensor) -> Tensor:
    return image if isinstance(image, Tensor) else F.pil_to_tensor(image)


def check_output(out: dict[str, Any], sample: dict[str, Any], size: tuple[int, int] | None) -> None:
    assert all(out[name] is sample[name] for name in UNTOUCHED)
    followed = {name: value for name, value in out.items() if name not in UNTOUCHED}
    found = {tuple(F.get_size(value)) for value in followed.values()}
    assert len(found) == 1
    assert size is None or found == {size}
    for name, value in followed.items():
        before = sample[name]
        assert isinstance(value, Image.Image) if name == "pil" else type(value) is type(before)
        if isinstance(value, COORDINATES):
            assert (value.dtype, value.shape, getattr(value, "format", None)) == (
                before.dtype,
                before.shape,
                getattr(before, "format", None),
            )
        elif isinstance(value, Tensor):
            assert (value.dtype, value.shape[:-2]) == (before.dtype, before.shape[:-2])


# --- the matrix


@EACH
@pytest.mark.parametrize(
    "nest",
    [dict, lambda sample: list(sample.values()), lambda sample: tuple(sample.values())],
    ids=["dict", "list", "tuple"],
)
def test_everything_in_a_sample_follows_and_the_rest_is_untouched(
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
    sample = {
        "image": tv_tensors.Image(pixels),
        "mask": tv_tensors.Mask((pixels[0] > 0).to(torch.uint8)),
        "boxes": boxes(torch.tensor([[15.0, 12, 22, 17]])),
    }
    if NEWER:
        sample["points"] = tv_tensors.KeyPoints(torch.tensor([[15.0, 12], [22, 17]]), canvas_size=SOURCE)
    out = TRANSFORMS[name][0](sample)
    inside = (out["image"][0] > 127).nonzero().float()
    left, top, right, bottom = out["boxes"][0].tolist()
    assert [top, left] == pytest.approx(inside.amin(0).tolist(), abs=1.5)  # a pixel of blur at each edge
    assert [bottom, right] == pytest.approx((inside.amax(0) + 1).tolist(), abs=1.5)
    if NEWER:
        assert out["points"].flatten().tolist() == pytest.approx(
            [left, top, right, bottom], abs=1e-3
        )  # float32 coordinates
    assert ((out["mask"] > 0) == (out["image"][0] > 127)).float().mean() > 0.95


@EACH
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_pil_and_tensor_images_differ_by_one_grey_level_at_most(name: str, interpolation: str) -> None:
    transform = copy.deepcopy(TRANSFORMS[name][0])
    for part in transform.modules():
        if isinstance(getattr(part, "interpolation", None), str):
            part.interpolation = interpolation
    image = photograph(*SOURCE)
    torch.manual_seed(5)
    from_tensor = transform(image)
    torch.manual_seed(5)
    from_pil = tensor(transform(pil(image)))
    difference = (from_tensor.int() - from_pil.int()).abs()
    assert difference.max() <= (
        1 if interpolation == "bilinear" else 2
    )  # two passes, each rounded; bicubic's negative weights amplify the first
    assert (difference > 1).float().mean() < 1e-3


@pytest.mark.parametrize(
    "name", [name for name in TRANSFORMS if "native" not in name]
)  # which is for images of one size
@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (1, 1), (2, 333)], ids=str)
def test_extreme_shapes_come_out_whole(name: str, size: tuple[int, int]) -> None:
    sample = (
        torch.rand(1, *size),
        tv_tensors.Mask(torch.ones(1, *size)),
        boxes(torch.tensor([[0.0, 0, size[1], size[0]]]), size),
    )
    image, mask, box = TRANSFORMS[name][0](sample)
    assert image.shape == mask.shape
    assert tuple(image.shape[-2:]) == box.canvas_size
    assert min(image.shape[-2:]) >= 1
    assert image.isfinite().all()


# --- masks and coordinates


@EACH
def test_masks_keep_their_labels(name: str) -> None:
    labels = torch.tensor([5, 2**31 + 1, 2**24 + 1, 255])  # float32 has 24 bits
    out = TRANSFORMS[name][0](tv_tensors.Mask(labels[torch.randint(4, SOURCE)]))
    assert set(out.unique().tolist()) <= {*labels.tolist(), 0}


@given(sizes, sizes)
def test_convention_masks_are_taken_at_the_nearest_pixel_centre(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    mask = torch.arange(before[0] * before[1]).reshape(before)
    out = T.Stretch(after)(tv_tensors.Mask(mask))
    rows, columns = ([int((i + 0.5) * b / a) for i in range(a)] for b, a in zip(before, after, strict=True))
    assert torch.equal(out, mask[rows][:, columns])


def test_convention_torchvision_shifts_masks_by_half_a_pixel() -> None:
    mask = tv_tensors.Mask(torch.arange(8)[None])
    assert T.Stretch((1, 4))(mask).tolist() == [
        [1, 3, 5, 7]
    ]  # centres at 1, 3, 5, 7; of the two pixels that touch one, the right
    assert v2.Resize((1, 4))(mask).tolist() == [[0, 2, 4, 6]]


def test_convention_whole_numbered_coordinates_are_rounded_and_torchvision_truncates() -> None:
    box = boxes(torch.tensor([[2, 3, 7, 9]]), (20, 30))  # times 13 / 30 and 13 / 20: 0.87, 1.95, 3.03, 5.85
    assert T.Stretch(13)(box).tolist() == [[1, 2, 3, 6]]
    assert T.Stretch(5)(boxes(torch.tensor([[3, 0, 6, 3]]), (6, 6))).tolist() == [
        [3, 0, 5, 3]
    ]  # 2.5, where 3 * (5 / 6) is less in float32
    assert T.Stretch(15)(boxes(torch.tensor([[11, 0, 22, 11]]), (22, 22))).tolist() == [
        [8, 0, 15, 8]
    ]  # 7.5, and less in float64
    assert v2.Resize((13, 13))(box).tolist() == [[0, 1, 3, 5]]
    if NEWER:
        points = tv_tensors.KeyPoints(
            torch.tensor([[15, 10], [1, 1]]), canvas_size=(20, 30)
        )  # to half of it: 7.5, 5, 0.5, 0.5
        assert T.Stretch((10, 15))(points).tolist() == [[8, 5], [1, 1]]


@given(sizes, sizes, st.data())
def test_whole_numbered_boxes_stay_on_the_canvas_and_have_the_same_corners_in_both_formats(
    before: tuple[int, int], after: tuple[int, int], data: st.DataObject
) -> None:
    left, right = sorted(data.draw(st.integers(0, before[1])) for _ in range(2))
    top, bottom = sorted(data.draw(st.integers(0, before[0])) for _ in range(2))
    corners = T.Stretch(after)(boxes(torch.tensor([[left, top, right, bottom]]), before))
    sides = T.Stretch(after)(
        tv_tensors.BoundingBoxes([[left, top, right - left, bottom - top]], format="XYWH", canvas_size=before)
    )
    expected = [
        math.floor(value * after[axis] / before[axis] + 0.5)
        for value, axis in ((left, 1), (top, 0), (right, 1), (bottom, 0))
    ]
    assert corners.tolist() == [expected]
    x, y, width, height = sides[0].tolist()
    assert [x, y, x + width, y + height] == expected


@pytest.mark.skipif(not NEWER, reason="keypoints came with torchvision 0.23")
@given(sizes, sizes, st.data())
def test_whole_numbered_keypoints_that_index_the_image_still_do(
    before: tuple[int, int], after: tuple[int, int], data: st.DataObject
) -> None:
    pixel = [data.draw(st.integers(0, side - 1)) for side in reversed(before)]
    corner = list(reversed(before))  # the far end of the canvas: no pixel before, none after
    found = T.Stretch(after)(tv_tensors.KeyPoints(torch.tensor([pixel, corner]), canvas_size=before))
    exact = [Fraction(value * b, a) for value, a, b in zip(pixel, reversed(before), reversed(after), strict=True)]
    last = [side - 1 for side in reversed(after)]
    assert found.tolist() == [
        [min(math.floor(value + Fraction(1, 2)), end) for value, end in zip(exact, last, strict=True)],
        list(reversed(after)),
    ]


def test_new_pixels_have_the_fill_of_their_kind() -> None:
    sample = (
        tv_tensors.Image(torch.full((3, 2, 4), 9)),
        tv_tensors.Mask(torch.full((2, 4), 9)),
        tv_tensors.Video(torch.full((2, 3, 2, 4), 9)),
    )
    for transform in (
        T.PadToSquare(fill=(1, 2, 3), mask_fill=255),
        T.PadToMultiple(4, fill=(1, 2, 3), mask_fill=255, position="center"),
    ):
        image, mask, video = transform(sample)
        assert image[:, 0, 0].tolist() == video[1, :, -1, -1].tolist() or transform.position == "top_left"
        assert [sorted(channel.unique().tolist()) for channel in image] == [[1, 9], [2, 9], [3, 9]]
        assert torch.equal(video, torch.stack([image, image]))
        assert sorted(mask.unique().tolist()) == [9, 255]
        assert ((mask == 255) == (image[0] == 1)).all()


def test_pil_images_are_filled_in_colour() -> None:
    out = T.PadToSquare(fill=(1, 2, 3), position="top_left")(Image.new("RGB", (4, 2), (9, 9, 9)))
    assert (out.getpixel((0, 0)), out.getpixel((0, 3))) == ((9, 9, 9), (1, 2, 3))


# --- images


def test_convention_images_are_antialiased_unless_told() -> None:
    x = torch.zeros(1, 8, 8)
    x[:, 3, 3] = 64
    assert T.ResizeToCover(4)(x)[0, 1, 1] == 9  # (3 / 8)^2 * 64
    assert T.ResizeToCover(4, antialias=False)(x)[0, 1, 1] == 16


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_images_one_pixel_wide_are_right_where_torch_is_wrong(interpolation: str) -> None:
    x = torch.rand(1, 100, 7, dtype=torch.float64)
    expected = torch.as_tensor(resize(x.numpy(), (20, 1), interpolation))
    torch.testing.assert_close(
        T.Stretch((20, 1), interpolation=interpolation)(x), expected, rtol=1e-10, atol=1e-10
    )  # float64 sums


@pytest.mark.parametrize("dtype", [torch.int16, torch.uint16, torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("size", [(20, 1), (17, 29)], ids=str)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_whole_numbered_images_are_rounded_and_stay_in_range(
    dtype: torch.dtype, size: tuple[int, int], interpolation: str
) -> None:
    top = min(torch.iinfo(dtype).max, 2**30)
    x = (torch.rand(1, 30, 7, dtype=torch.float64) > 0.5) * top  # black and white, so that bicubic overshoots
    exact = torch.as_tensor(resize(x.numpy(), size, interpolation)).clamp(
        torch.iinfo(dtype).min, torch.iinfo(dtype).max
    )
    out = T.Stretch(size, interpolation=interpolation)(x.to(dtype))
    assert out.dtype == dtype
    assert (out.double() - exact).abs().max() <= (0.5 if dtype.itemsize > 2 else 0.55)  # float32 sums of up to 65535


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint16, torch.bool], ids=str
)
@EACH
def test_images_of_other_dtypes_keep_theirs(name: str, dtype: torch.dtype) -> None:
    assert TRANSFORMS[name][0]((100 * torch.rand(3, *SOURCE)).to(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("before", "after"), [((20, 25), (10, 13)), ((25, 20), (13, 10)), ((29, 37), (10, 13)), ((7, 500), (10, 714))]
)
def test_convention_the_longer_side_is_rounded_half_up_and_covers(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    assert T.ResizeToCover(10)(torch.zeros(1, *before)).shape[-2:] == after


def test_convention_torchvision_floors_the_longer_side() -> None:
    assert v2.functional.resize(torch.zeros(1, 20, 25), [10]).shape[-2:] == (10, 12)


@given(sizes, sizes)
def test_covering_images_can_be_cropped_to_the_target(before: tuple[int, int], target: tuple[int, int]) -> None:
    out = T.ResizeToCover(target)(torch.zeros(1, *before))
    assert out.shape[-2] >= target[0]
    assert out.shape[-1] >= target[1]


@given(sizes, sizes)
def test_images_that_fit_are_returned_themselves_and_others_shrink(
    before: tuple[int, int], target: tuple[int, int]
) -> None:
    image = torch.rand(1, *before)
    out = T.FitWithin(target)(image)
    fits = before[0] <= target[0] and before[1] <= target[1]
    assert (out is image) == fits
    assert out.shape[-2] <= min(before[0], target[0])
    assert out.shape[-1] <= min(before[1], target[1])


@given(sizes)
def test_padding_changes_no_pixel(size: tuple[int, int]) -> None:
    image = torch.rand(1, *size)
    square, multiple = T.PadToSquare(position="top_left")(image), T.PadToMultiple((5, 7))(image)
    for out in (square, multiple):
        assert torch.equal(out[:, : size[0], : size[1]], image)
        assert out.sum() == image.sum() or torch.isclose(
            out.sum(), image.sum()
        )  # the rest is black; sums in another order
    assert square.shape[-2:] == (max(size), max(size))
    assert (multiple.shape[-2] % 5, multiple.shape[-1] % 7) == (0, 0)


# --- draws


@EACH_RESIZING
def test_an_interpolation_is_drawn_from_a_list_for_each_sample(make: Callable[..., v2.Transform]) -> None:
    names = ["nearest-exact", "bicubic", "bilinear"]
    image = torch.rand(1, *SOURCE)
    expected = [make((11, 13), interpolation=name)(image) for name in names]
    drawn = make((11, 13), interpolation=names)
    seen = {
        next(i for i, other in enumerate(expected) if torch.equal(out, other))
        for out in (drawn(image) for _ in range(40))
    }
    assert seen == {0, 1, 2}  # 40 draws of three miss one with a chance of 3e-7
    one, two = drawn((tv_tensors.Image(image), tv_tensors.Image(image)))
    assert torch.equal(one, two)


@given(sizes, sizes)
def test_the_jitter_keeps_within_its_ranges(before: tuple[int, int], target: tuple[int, int]) -> None:
    transform = T.ResizeKeepRatio(target, scale=(0.64, 1.21), ratio=(0.81, 1.44))
    height, width = transform.make_params([torch.empty(1, *before)])["size"]
    cover = max(target[0] / before[0], target[1] / before[1])
    zoom = (1 / 1.1, 1 / 0.8)
    stretch = (0.9, 1.2)  # square roots: half goes to each side
    assert (
        cover * before[0] * zoom[0] / stretch[1] - 0.5
        <= height
        <= max(1, cover * before[0] * zoom[1] / stretch[0] + 0.5)
    )
    assert (
        cover * before[1] * zoom[0] * stretch[0] - 0.5
        <= width
        <= max(1, cover * before[1] * zoom[1] * stretch[1] + 0.5)
    )


def test_the_jitter_reaches_its_ranges_with_the_asked_for_chance() -> None:
    transform = T.ResizeKeepRatio(
        1000, scale=(0.5, 0.6), ratio=(1.5, 2.0), scale_probability=0.3, ratio_probability=0.8
    )
    draws = [transform.make_params([torch.empty(1, 10, 10)])["size"] for _ in range(2000)]
    zooms = torch.tensor([height * width / 1e6 for height, width in draws])
    stretches = torch.tensor([width / height for height, width in draws])
    assert (zooms > 1.5).float().mean() == pytest.approx(0.3, abs=0.04)  # 4 standard errors of 2000 draws
    assert (stretches > 1.4).float().mean() == pytest.approx(0.8, abs=0.04)
    assert ((zooms > 1.5) & (stretches > 1.4)).float().mean() == pytest.approx(
        0.3 * 0.8, abs=0.04
    )  # independent of each other
    assert zooms[zooms > 1.5].min() == pytest.approx(1 / 0.6, rel=0.01)
    assert zooms.max() == pytest.approx(1 / 0.5, rel=0.01)
    assert stretches[stretches > 1.4].min() == pytest.approx(1.5, rel=0.01)
    assert stretches.max() == pytest.approx(2, rel=0.01)


def test_random_crops_are_those_of_torchvision() -> None:
    ours = T.RandomResizedCropPolicy((23, 31), scale=(0.3, 0.9)).train()
    theirs = v2.RandomResizedCrop((23, 31), scale=(0.3, 0.9))
    x = torch.rand(3, *SOURCE)
    for seed in range(5):
        torch.manual_seed(seed)
        out = ours(x)
        torch.manual_seed(seed)
        torch.testing.assert_close(out, theirs(x), rtol=0, atol=0)


# --- mistakes


@pytest.mark.parametrize(
    "transform", [T.Stretch(7), T.PadToSquare(), T.Letterbox(7)], ids=lambda transform: type(transform).__name__
)
def test_samples_that_cannot_be_sized_are_shape_errors(transform: v2.Transform) -> None:
    name = type(transform).__name__
    with pytest.raises(
        ShapeError, match=f"{name}: expected a sample with images, masks and boxes of one size: No image"
    ):
        transform({"label": 7})
    with pytest.raises(ShapeError, match=f"{name}: expected a sample .* of one size: Found multiple HxW"):
        transform((tv_tensors.Image(torch.zeros(3, 5, 7)), tv_tensors.Mask(torch.zeros(1, 5, 8))))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: T.Stretch(0), SizeError, "size: expected an int or (height, width), each at least 1, got 0"),
        (lambda: T.FitWithin(7, interpolation="area"), UnknownNameError, "interpolation: expected one of"),
        (lambda: T.Stretch(7, interpolation=["bilinear", "area"]), UnknownNameError, "got 'area'"),
        (
            lambda: T.Stretch(7, interpolation=[]),
            ArgumentError,
            "interpolation: expected a name or a list of names to draw from, got an empty list",
        ),
        (lambda: T.PadToSquare(position="centre"), UnknownNameError, "did you mean 'center'?"),
        (
            lambda: T.PadToSquare(fill="black"),
            ArgumentError,
            "fill: expected a number, or one for each channel, got 'black'",
        ),
        (lambda: T.PadToSquare(fill=()), ArgumentError, "fill: expected a number, or one for each channel, got ()"),
        (lambda: T.PadToSquare(mask_fill=0.5), ArgumentError, "mask_fill: expected an int, got 0.5"),
        (lambda: T.PadToMultiple(0), SizeError, "multiple: expected an int or (height, width), each at least 1, got 0"),
        (
            lambda: T.ResizeKeepRatio(7, longest=2),
            ArgumentError,
            "longest: expected a number at least 0 and at most 1, got 2",
        ),
        (
            lambda: T.ResizeKeepRatio(7, scale=(1, 0.5)),
            ArgumentError,
            "scale: expected (low, high) with 0 < low <= high <= inf, got (1, 0.5)",
        ),
        (
            lambda: T.ResizeKeepRatio(7, ratio=("a", "b")),
            ArgumentError,
            "ratio: expected (low, high) with 0 < low <= high <= inf, got ('a', 'b')",
        ),
        (
            lambda: T.ResizeKeepRatio(7, scale_probability=-1),
            ArgumentError,
            "scale_probability: expected a number at least 0 and at most 1, got -1",
        ),
    ],
)
def test_mistakes_say_what_was_expected(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_transforms_print_their_arguments() -> None:
    assert repr(T.ResizeToCover(7)) == "ResizeToCover(size=(7, 7), interpolation='bilinear', antialias=True)"
    assert repr(T.PadToMultiple(7)) == "PadToMultiple(fill=0, mask_fill=0, position='top_left', multiple=(7, 7))"
    assert repr(T.Letterbox(64, stride=32)).startswith(
        "Letterbox(size=(64, 64), interpolation='bilinear', antialias=True, fill=0, mask_fill=0"
    )
