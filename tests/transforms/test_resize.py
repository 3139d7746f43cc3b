"""Stretch, ResizeToCover, FitWithin and ResizeKeepRatio: what becomes of images, masks and coordinates."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms import v2

from reference import resize
from resizenet.transforms import FitWithin, Letterbox, RandomResizedCropPolicy, ResizeKeepRatio, ResizeToCover, Stretch
from samples import NEWER, SOURCE, boxes
from strategies import sizes

INTEGERS = pytest.mark.parametrize("dtype", [torch.int16, torch.uint16, torch.int32, torch.int64], ids=str)
LINEAR = pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])

# --- masks and coordinates


@given(sizes, sizes)
def test_convention_masks_take_the_label_of_the_nearest_pixel_center(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    mask = torch.arange(before[0] * before[1]).reshape(before)
    out = Stretch(after)(tv_tensors.Mask(mask))
    rows, columns = ([int((i + 0.5) * b / a) for i in range(a)] for b, a in zip(before, after, strict=True))
    assert torch.equal(out, mask[rows][:, columns])


def test_convention_torchvision_shifts_masks_by_half_a_pixel() -> None:
    mask = tv_tensors.Mask(torch.arange(8)[None])
    assert Stretch((1, 4))(mask).tolist() == [[1, 3, 5, 7]]  # centers at 1, 3, 5, 7: the right one of two pixels
    assert v2.Resize((1, 4))(mask).tolist() == [[0, 2, 4, 6]]


def test_convention_integer_coordinates_are_rounded_and_torchvision_truncates() -> None:
    box = boxes([[2, 3, 7, 9]], (20, 30))  # times 13 / 30 and 13 / 20: 0.87, 1.95, 3.03, 5.85
    assert Stretch(13)(box).tolist() == [[1, 2, 3, 6]]
    assert v2.Resize((13, 13))(box).tolist() == [[0, 1, 3, 5]]
    # 2.5, where 3 * (5 / 6) is less in float32; 7.5, where it is less in float64
    assert Stretch(5)(boxes([[3, 0, 6, 3]], (6, 6))).tolist() == [[3, 0, 5, 3]]
    assert Stretch(15)(boxes([[11, 0, 22, 11]], (22, 22))).tolist() == [[8, 0, 15, 8]]
    if NEWER:
        points = tv_tensors.KeyPoints(torch.tensor([[15, 10], [1, 1]]), canvas_size=(20, 30))
        assert Stretch((10, 15))(points).tolist() == [[8, 5], [1, 1]]  # 7.5, 5, 0.5, 0.5


@given(sizes, sizes, st.data())
def test_integer_boxes_stay_on_the_canvas_and_have_the_same_corners_in_both_formats(
    before: tuple[int, int], after: tuple[int, int], data: st.DataObject
) -> None:
    left, right = sorted(data.draw(st.integers(0, before[1])) for _ in range(2))
    top, bottom = sorted(data.draw(st.integers(0, before[0])) for _ in range(2))
    corners = [[left, top, right, bottom]]
    factors = [Fraction(after[axis], before[axis]) for axis in (1, 0, 1, 0)]
    expected = [math.floor(value * factor + Fraction(1, 2)) for value, factor in zip(corners[0], factors, strict=True)]
    assert Stretch(after)(boxes(corners, before)).tolist() == [expected]
    x, y, width, height = Stretch(after)(boxes(corners, before, "XYWH"))[0].tolist()
    assert [x, y, x + width, y + height] == expected


@pytest.mark.skipif(not NEWER, reason="keypoints came with torchvision 0.23")
@given(sizes, sizes, st.data())
def test_integer_keypoints_that_index_the_image_still_do(
    before: tuple[int, int], after: tuple[int, int], data: st.DataObject
) -> None:
    (height, width), (new_height, new_width) = before, after
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    corner = [width, height]  # of the canvas: indexes no pixel before or after
    found = Stretch(after)(tv_tensors.KeyPoints(torch.tensor([[x, y], corner]), canvas_size=before))
    rounded = (
        math.floor(Fraction(x * new_width, width) + Fraction(1, 2)),
        math.floor(Fraction(y * new_height, height) + Fraction(1, 2)),
    )
    assert found.tolist() == [
        [min(rounded[0], new_width - 1), min(rounded[1], new_height - 1)],
        [new_width, new_height],
    ]


# --- images


def test_convention_images_are_antialiased_by_default() -> None:
    x = torch.zeros(1, 8, 8)
    x[:, 3, 3] = 64
    assert ResizeToCover(4)(x)[0, 1, 1] == 9  # (3 / 8)^2 * 64
    assert ResizeToCover(4, antialias=False)(x)[0, 1, 1] == 16


@LINEAR
def test_images_one_pixel_wide_are_right_where_torch_is_wrong(interpolation: str) -> None:
    x = torch.rand(1, 100, 7, dtype=torch.float64)
    expected = torch.as_tensor(resize(x.numpy(), (20, 1), interpolation))
    out = Stretch((20, 1), interpolation=interpolation)(x)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)  # float64 sums


@INTEGERS
@pytest.mark.parametrize("size", [(20, 1), (17, 29)], ids=str)
@LINEAR
def test_integer_images_are_rounded_and_stay_in_range(
    dtype: torch.dtype, size: tuple[int, int], interpolation: str
) -> None:
    limits = torch.iinfo(dtype)
    x = (torch.rand(1, 30, 7, dtype=torch.float64) > 0.5) * min(limits.max, 2**30)  # so that bicubic overshoots
    exact = torch.as_tensor(resize(x.numpy(), size, interpolation)).clamp(limits.min, limits.max)
    out = Stretch(size, interpolation=interpolation)(x.to(dtype))
    assert out.dtype == dtype
    assert (out.double() - exact).abs().max() <= (0.5 if dtype.itemsize > 2 else 0.55)  # float32 sums of up to 65535


@pytest.mark.parametrize(
    ("before", "after"), [((20, 25), (10, 13)), ((25, 20), (13, 10)), ((29, 37), (10, 13)), ((7, 500), (10, 714))]
)
def test_convention_the_longer_side_is_rounded_half_up_and_covers(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    assert ResizeToCover(10)(torch.zeros(1, *before)).shape[-2:] == after


def test_convention_torchvision_floors_the_longer_side() -> None:
    assert v2.functional.resize(torch.zeros(1, 20, 25), [10]).shape[-2:] == (10, 12)


@given(sizes, sizes)
def test_covering_images_can_be_cropped_to_the_target(before: tuple[int, int], target: tuple[int, int]) -> None:
    height, width = ResizeToCover(target)(torch.zeros(1, *before)).shape[-2:]
    assert height >= target[0]
    assert width >= target[1]


@given(sizes, sizes)
def test_images_that_fit_are_returned_themselves_and_others_shrink(
    before: tuple[int, int], target: tuple[int, int]
) -> None:
    image = torch.rand(1, *before)
    out = FitWithin(target)(image)
    assert (out is image) == (before[0] <= target[0] and before[1] <= target[1])
    assert out.shape[-2] <= min(before[0], target[0])
    assert out.shape[-1] <= min(before[1], target[1])


# --- draws


@pytest.mark.parametrize("make", [ResizeToCover, Stretch, FitWithin, ResizeKeepRatio, Letterbox])
def test_an_interpolation_is_drawn_from_a_list_for_each_sample(make: Callable[..., v2.Transform]) -> None:
    names, image = ["nearest-exact", "bicubic", "bilinear"], tv_tensors.Image(torch.rand(1, *SOURCE))
    expected = [make((11, 13), interpolation=name)(image) for name in names]
    drawn = make((11, 13), interpolation=names)
    outs = [drawn(image) for _ in range(40)]  # 40 draws of three miss one with a probability of 3e-7
    seen = {next(i for i, other in enumerate(expected) if torch.equal(out, other)) for out in outs}
    assert seen == {0, 1, 2}
    assert torch.equal(*drawn((image, tv_tensors.Image(image.clone()))))


@given(sizes, sizes)
def test_the_jitter_keeps_within_its_ranges(before: tuple[int, int], target: tuple[int, int]) -> None:
    transform = ResizeKeepRatio(target, scale=(0.64, 1.21), ratio=(0.81, 1.44))
    size = transform.make_params([torch.empty(1, *before)])["size"]
    cover = max(target[0] / before[0], target[1] / before[1])
    stretch = (0.9, 1.2)  # square roots, because each side takes one
    for side, new, (low, high) in zip(before, size, [(1 / stretch[1], 1 / stretch[0]), stretch], strict=True):
        assert cover * side * low / 1.1 - 0.5 <= new <= max(1, cover * side * high / 0.8 + 0.5)


def test_the_jitter_reaches_its_ranges_with_the_given_probabilities() -> None:
    options = {"scale_probability": 0.3, "ratio_probability": 0.8}
    transform = ResizeKeepRatio(1000, scale=(0.5, 0.6), ratio=(1.5, 2.0), **options)
    draws = [transform.make_params([torch.empty(1, 10, 10)])["size"] for _ in range(2000)]
    zooms = torch.tensor([height * width / 1e6 for height, width in draws])
    stretches = torch.tensor([width / height for height, width in draws])
    zoomed, stretched = zooms > 1.5, stretches > 1.4
    for found, probability in ((zoomed, 0.3), (stretched, 0.8), (zoomed & stretched, 0.3 * 0.8)):
        assert found.float().mean() == pytest.approx(probability, abs=0.04)  # 4 standard errors of 2000 draws
    assert (zooms[zoomed].min().item(), zooms.max().item()) == pytest.approx((1 / 0.6, 1 / 0.5), rel=0.01)
    assert (stretches[stretched].min().item(), stretches.max().item()) == pytest.approx((1.5, 2), rel=0.01)


def test_random_crops_are_those_of_torchvision() -> None:
    ours = RandomResizedCropPolicy((23, 31), scale=(0.3, 0.9)).train()
    theirs = v2.RandomResizedCrop((23, 31), scale=(0.3, 0.9))
    x = torch.rand(3, *SOURCE)
    for seed in range(5):
        torch.manual_seed(seed)
        out = ours(x)
        torch.manual_seed(seed)
        torch.testing.assert_close(out, theirs(x), rtol=0, atol=0)
