"""Inputs at the limits: extremes of integers, images without pixels, and other default devices."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision import tv_tensors

from resizenet import DtypeError, ShapeError
from resizenet import transforms as T
from samples import SOURCE, batch_of, boxes
from strategies import sizes

POLICIES = [
    T.NativePolicy(SOURCE),
    T.UpscalePolicy((23, 31)),
    T.StretchPolicy((23, 31)),
    T.LetterboxPolicy((23, 31)),
    T.RandomResizedCropPolicy((23, 31)),
    T.KeepRatioPolicy((23, 31), interpolation=["bilinear", "bicubic"]),
    T.BiTHyperRulePolicy(23, 31),
]
SAMPLE_TRANSFORMS = [
    *(T.Stretch(7), T.ResizeToCover(7), T.FitWithin(7), T.ResizeKeepRatio(7), T.Letterbox(7)),
    *(T.PadToSquare(), T.PadToMultiple(5)),
    *(policy.train() for policy in POLICIES),
    *(policy.eval() for policy in POLICIES),
]
BATCH_TRANSFORMS = [T.BatchResize(7), T.BatchRandomResizedCrop(7, flip_probability=0.5, interpolation=["bicubic"])]
EACH = pytest.mark.parametrize("transform", SAMPLE_TRANSFORMS + BATCH_TRANSFORMS, ids=lambda t: type(t).__name__)


# --- integers

INTEGERS = [torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64]


@given(st.sampled_from(INTEGERS), sizes, sizes, st.sampled_from(["nearest-exact", "bilinear", "bicubic"]), st.data())
def test_integer_images_never_wrap_around(
    dtype: torch.dtype, before: tuple[int, int], after: tuple[int, int], interpolation: str, data: st.DataObject
) -> None:
    low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
    count = before[0] * before[1]
    levels = data.draw(st.lists(st.sampled_from([low, high]), min_size=count, max_size=count))
    image = torch.as_tensor(np.array(levels, str(dtype).removeprefix("torch."))).reshape(1, *before)
    out = T.Stretch(after, interpolation=interpolation)(image)
    exact = T.Stretch(after, interpolation=interpolation)(image.double())
    error = [abs(a - min(max(round(b), low), high)) for a, b in zip(ints(out), exact.flatten().tolist(), strict=True)]
    assert out.dtype == dtype
    assert max(error) <= max(1, 2**-21 * (high - low) if dtype.itemsize <= 2 else 2**-50 * (high - low))


def ints(x: torch.Tensor) -> list[int]:
    return [int(value) for value in x.flatten().tolist()]


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint64], ids=str)
@given(size=sizes)
def test_constant_images_of_the_extremes_keep_their_value(dtype: torch.dtype, size: tuple[int, int]) -> None:
    for value in (torch.iinfo(dtype).min, torch.iinfo(dtype).max):
        image = torch.as_tensor(np.full((1, 5, 3), value, str(dtype).removeprefix("torch.")))
        assert all(abs(found - value) <= 4096 for found in ints(T.Stretch(size)(image)))  # float64 has 53 bits


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.uint16], ids=str)
@pytest.mark.parametrize("transform", SAMPLE_TRANSFORMS, ids=lambda t: type(t).__name__)
def test_boxes_whose_dtype_cannot_hold_coordinates_are_refused(transform: Any, dtype: torch.dtype) -> None:
    box = boxes(torch.tensor([[10, 20, 30, 25]])).to(dtype)
    box = tv_tensors.BoundingBoxes(box, format="XYXY", canvas_size=SOURCE)
    with pytest.raises(DtypeError, match=r"expected coordinates .* got torch\.u?int(8|16)"):
        transform(box)


# --- images without pixels, or without channels


@EACH
@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("kind", [torch.Tensor, tv_tensors.Image, tv_tensors.Video, tv_tensors.Mask])
def test_images_without_pixels_are_refused(transform: nn.Module, size: tuple[int, int], kind: type) -> None:
    with pytest.raises(ShapeError):
        transform(torch.zeros(2, 3, *size).as_subclass(kind))


@pytest.mark.parametrize("transform", SAMPLE_TRANSFORMS, ids=lambda t: type(t).__name__)
def test_images_without_a_channel_dimension_are_refused(transform: Any) -> None:
    with pytest.raises(ShapeError, match=r"expected images of at least three dimensions, \(C, H, W\), got \(29, 37\)"):
        transform(torch.zeros(SOURCE))


@EACH
def test_empty_batches_stay_empty_with_their_masks(transform: nn.Module) -> None:
    sample = tv_tensors.Image(torch.zeros(0, 3, *SOURCE)), tv_tensors.Mask(torch.zeros(0, *SOURCE, dtype=torch.int64))
    images, masks = transform(sample)
    assert (images.shape[:2], masks.shape[0], masks.dtype) == ((0, 3), 0, torch.int64)
    assert images.shape[-2:] == masks.shape[-2:]


def test_images_with_no_channel_are_a_shape_error() -> None:
    with pytest.raises(ShapeError, match="at least one channel"):
        T.Stretch(7)(torch.zeros(0, 5, 5))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e5m2], ids=str)
def test_images_of_dtypes_that_cannot_be_resized_are_a_dtype_error(dtype: torch.dtype) -> None:
    with pytest.raises(DtypeError):
        T.Stretch(7)(torch.zeros(3, 5, 5).to(dtype))


@pytest.mark.parametrize("size", [(28, 37), (29, 38), (40, 40), (5, 5)], ids=str)
def test_the_native_policy_refuses_images_of_another_size(size: tuple[int, int]) -> None:
    for transform in (
        T.NativePolicy(SOURCE).train(),
        T.NativePolicy(SOURCE, padding=0).train(),
        T.NativePolicy(SOURCE).eval(),
    ):
        with pytest.raises(
            ShapeError, match=rf"NativePolicy: expected images of \(29, 37\), got \({size[0]}, {size[1]}\)"
        ):
            transform(torch.zeros(3, *size))


# --- other default devices


@EACH
def test_the_default_device_does_not_matter(transform: nn.Module) -> None:
    sample = {"image": tv_tensors.Image(batch_of(2, SOURCE)), "mask": tv_tensors.Mask(batch_of(2, SOURCE)[:, 0])}
    torch.manual_seed(1)
    expected = transform(sample)
    torch.manual_seed(1)
    with torch.device("meta"):
        out = transform(sample)
    assert all(torch.equal(out[name], expected[name]) for name in sample)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: type(policy).__name__)
def test_simulations_do_not_depend_on_the_default_device(policy: T.ResizePolicy) -> None:
    torch.manual_seed(1)
    expected = policy.simulate(*SOURCE, samples=2)
    torch.manual_seed(1)
    with torch.device("meta"):
        assert policy.simulate(*SOURCE, samples=2) == expected


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_sampler_does_not_depend_on_the_default_device(shuffle: bool) -> None:
    sampler = T.MultiResolutionBatchSampler(range(9), 2, T.ResolutionSchedule.mix({3: 1}), epochs=1, shuffle=shuffle)
    expected = list(sampler)
    sampler.set_epoch(0)
    with torch.device("meta"):
        assert list(sampler) == expected


@pytest.mark.parametrize("transform", [T.Stretch((5, 3)), T.ResizeToCover((5, 3)), T.BatchResize((5, 3))])
def test_a_uint8_column_of_any_stride_gives_what_its_copy_gives(transform: nn.Module) -> None:
    column = torch.randint(256, (2, 3, 1, 19), dtype=torch.uint8).transpose(2, 3)  # torch reads beyond such a view
    copied = column.clone(memory_format=torch.contiguous_format)
    assert torch.equal(transform(column), transform(copied))
