"""Letterbox against PIL's own, and its inverse: boxes, keypoints, masks and images on the source's canvas again."""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, find, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from resizenet.transforms import Letterbox
from samples import NEWER, boxes, pil
from strategies import Letterboxing, boxes_in, letterboxings

BUDGET = settings(max_examples=300, deadline=None, database=None)
WITH_POINTS = pytest.mark.skipif(not NEWER, reason="keypoints and rotated boxes came with torchvision 0.23")


def smaller(case: Letterboxing) -> bool:
    return case.source[0] < case.target[0] and case.source[1] < case.target[1]


REGIONS: dict[str, Callable[[Letterboxing], bool]] = {
    "shrunk": lambda case: case.source[0] > case.target[0] and case.source[1] > case.target[1],
    "enlarged": lambda case: case.upscale and smaller(case),
    "smaller, and not enlarged": lambda case: not case.upscale and smaller(case),
    "of the target's size": lambda case: case.source == case.target,
    "with the right long edge": lambda case: case.source[0] == case.target[0] and case.source[1] < case.target[1],
    "a line of pixels": lambda case: case.source[0] == 1 and case.source[1] > 100,
    "a column of pixels": lambda case: case.source[1] == 1 and case.source[0] > 100,
    "a stride": lambda case: case.stride is not None and case.stride > 1 and case.target[0] != case.target[1],
}


@pytest.mark.parametrize("region", REGIONS)
def test_the_cases_reach_the_region(region: str) -> None:
    assert find(letterboxings(), REGIONS[region], settings=BUDGET, random=Random(0))


def make(case: Letterboxing) -> Letterbox:
    return Letterbox(case.target, **case.arguments)


def points_in(values: Any, size: tuple[int, int]) -> Any:
    return tv_tensors.KeyPoints(torch.as_tensor(values).reshape(-1, 2), canvas_size=size)


# --- forth


@pytest.mark.parametrize("size", [(300, 400), (401, 267), (64, 33), (33, 64), (20, 30)], ids=str)
@pytest.mark.parametrize("target", [(64, 64), (53, 91)], ids=str)
def test_images_are_those_of_pil(size: tuple[int, int], target: tuple[int, int]) -> None:
    source = pil(torch.randint(256, (3, *size), dtype=torch.uint8))
    expected = ImageOps.pad(source, target[::-1], method=Image.Resampling.BILINEAR, color=(1, 2, 3), centering=(0, 0))
    letterbox = Letterbox(target, fill=(1, 2, 3), position="top_left", upscale=True)
    assert np.array_equal(np.asarray(letterbox(source)), np.asarray(expected))
    difference = letterbox(F.pil_to_tensor(source)).int() - F.pil_to_tensor(expected).int()
    assert difference.abs().max() <= 1  # gray levels: two implementations, each rounds twice


@pytest.mark.parametrize("kind", [boxes, pytest.param(points_in, marks=WITH_POINTS)])
@given(case=letterboxings(), data=st.data())
def test_boxes_and_points_go_through_the_affine_map_of_the_placement(
    kind: Callable[..., Any], case: Letterboxing, data: st.DataObject
) -> None:
    letterbox, values = make(case), np.array(data.draw(boxes_in(case.source)))
    placement = letterbox.placement(*case.source)
    scale = np.array(placement.content[::-1]) / np.array(case.source[::-1])  # x, y
    expected = values.reshape(-1, 2) * scale + [placement.left, placement.top]
    out = letterbox(kind(values, case.source))
    np.testing.assert_allclose(out.reshape(-1, 2).numpy(), expected, rtol=1e-5, atol=1e-4)  # float32 factors
    assert out.canvas_size == placement.canvas


@given(letterboxings())
def test_images_masks_and_boxes_share_the_canvas(case: Letterboxing) -> None:
    sample = tv_tensors.Image(torch.rand(1, *case.source)), tv_tensors.Mask(torch.ones(case.source))
    image, mask, box = make(case)((*sample, boxes([[0.0, 0, case.source[1], case.source[0]]], case.source)))
    canvas = make(case).placement(*case.source).canvas
    assert tuple(image.shape[-2:]) == tuple(mask.shape) == box.canvas_size == canvas
    left, top, right, bottom = (round(value) for value in box[0].tolist())
    inside = torch.zeros(canvas)
    inside[top:bottom, left:right] = 1
    assert torch.equal(mask, inside)  # the box of the whole image is where its mask is


def test_an_image_with_the_right_long_edge_is_still_padded() -> None:
    image = torch.ones(1, 48, 64)
    out = Letterbox(64)(image)
    assert out.shape == (1, 64, 64)
    assert torch.equal(out[:, 8:56], image)
    assert out.sum() == image.sum()


def test_an_image_of_the_target_size_is_returned_itself() -> None:
    image = torch.rand(3, 48, 64)
    assert Letterbox((48, 64))(image) is image


def test_small_images_are_enlarged_only_if_asked() -> None:
    image = torch.rand(3, 5, 7)
    assert torch.equal(Letterbox((11, 13))(image)[:, 3:8, 3:10], image)
    assert Letterbox((11, 13), upscale=True).placement(5, 7).content == (9, 13)  # 9.3


def test_with_a_stride_equal_images_stack_with_little_padding() -> None:
    letterbox = Letterbox(640, stride=32)
    assert torch.stack([letterbox(torch.zeros(3, 1080, 1920)) for _ in range(2)]).shape == (2, 3, 384, 640)


# --- and back


@given(letterboxings(), st.data(), st.sampled_from(["XYXY", "XYWH", "CXCYWH"]))
def test_boxes_come_back_within_a_hundredth_of_a_pixel(
    case: Letterboxing, data: st.DataObject, box_format: str
) -> None:
    letterbox, before = make(case), boxes(data.draw(boxes_in(case.source)), case.source, box_format)
    after = letterbox.inverse(letterbox(before), case.source)
    assert (after.canvas_size, after.format, after.dtype) == (case.source, before.format, before.dtype)
    corners = [F.convert_bounding_box_format(box, new_format="XYXY") for box in (before, after)]
    assert (corners[1] - corners[0]).abs().max() <= 0.01  # px; float32, times 1000 at most


@WITH_POINTS
@given(letterboxings(), st.data())
def test_points_come_back_within_a_hundredth_of_a_pixel(case: Letterboxing, data: st.DataObject) -> None:
    letterbox, before = make(case), points_in(data.draw(boxes_in(case.source)), case.source)
    after = letterbox.inverse(letterbox(before), case.source)
    assert after.canvas_size == case.source
    assert (after - before).abs().max() <= 0.01  # px; float32, times 1000 at most


@WITH_POINTS
@pytest.mark.parametrize("box_format", ["XYWHR", "CXCYWHR", "XYXYXYXY"])
def test_rotated_boxes_come_back_within_a_hundredth_of_a_pixel(box_format: str) -> None:
    upright = tv_tensors.BoundingBoxes([[150.0, 120, 80, 40, 30]], format="CXCYWHR", canvas_size=(300, 400))
    before = F.convert_bounding_box_format(upright, new_format=box_format)
    after = Letterbox(64).inverse(Letterbox(64)(before), (300, 400))
    assert after.format == before.format
    assert (after - before).abs().max() <= 0.01  # px; float32, times 1000 at most


@given(letterboxings())
def test_masks_come_back_with_no_new_label(case: Letterboxing) -> None:
    letterbox = Letterbox(case.target, mask_fill=255, **case.arguments)
    mask = tv_tensors.Mask(torch.randint(5, case.source))
    there = letterbox(mask)
    back = letterbox.inverse(there, case.source)
    assert back.shape == mask.shape
    assert set(there.unique().tolist()) <= {*mask.unique().tolist(), 255}
    assert set(back.unique().tolist()) <= set(mask.unique().tolist())


@given(letterboxings())
def test_a_mask_that_was_not_shrunk_comes_back_unchanged(case: Letterboxing) -> None:
    letterbox, mask = make(case), tv_tensors.Mask(torch.randint(5, case.source))
    content = letterbox.placement(*case.source).content
    assume(content[0] >= case.source[0] and content[1] >= case.source[1])
    assert torch.equal(letterbox.inverse(letterbox(mask), case.source), mask)


def test_found_boxes_are_clipped_to_the_image() -> None:
    found = boxes([[0.0, 0, 64, 64]], (64, 64))  # padding included
    assert Letterbox(64).inverse(found, (300, 400)).tolist() == [[0, 0, 400, 300]]


def test_a_whole_sample_comes_back_and_the_rest_is_untouched() -> None:
    letterbox, source = Letterbox((61, 53)), (300, 400)
    image, mask = tv_tensors.Image(torch.rand(3, *source)), tv_tensors.Mask(torch.ones(source))
    rest = {"scores": torch.rand(2), "label": "cat"}
    sample = {"boxes": boxes([[10.0, 20, 200, 100]], source), "mask": mask, "image": image, **rest}
    back = letterbox.inverse([letterbox(sample)], source)[0]
    assert all(back[name] is rest[name] for name in rest)
    assert {tuple(F.get_size(back[name])) for name in ("boxes", "mask", "image")} == {source}
    assert back["image"].mean() == pytest.approx(0.5, abs=0.02)  # no padding


def test_pil_images_come_back() -> None:
    source = Image.new("RGB", (400, 300), (9, 8, 7))
    back = Letterbox(64).inverse(Letterbox(64)(source), (300, 400))
    assert (back.size, back.getcolors()) == ((400, 300), [(120_000, (9, 8, 7))])
