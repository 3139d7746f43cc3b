"""What is on the canvas of a policy, a transform or a recorded call, mapped back to the source image.

Expected positions come from the drawn rectangles themselves, and from images whose pixels hold their coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

import resizenet as rn
from resizenet import transforms as T
from samples import NEWER, boxes

Size = tuple[int, int]
CASES, RECTANGLES = 500, 20
TENTH = 0.1


def random_size(rng: np.random.Generator, low: int = 8, high: int = 600) -> Size:
    height, width = (int(side) for side in np.exp(rng.uniform(math.log(low), math.log(high), 2)))
    return height, width


POLICIES: dict[str, Callable[[np.random.Generator, Size], T.ResizePolicy]] = {
    "native": lambda rng, source: T.NativePolicy(source, int(rng.integers(5))),
    "cover and center crop": lambda rng, source: T.UpscalePolicy(random_size(rng)),
    "stretch": lambda rng, source: T.StretchPolicy(random_size(rng)),
    "letterbox": lambda rng, source: T.LetterboxPolicy(
        random_size(rng),
        upscale=bool(rng.integers(2)),
        position=str(rng.choice(["center", "top_left", "bottom_right"])),
    ),
    "random resized crop": lambda rng, source: T.RandomResizedCropPolicy(
        random_size(rng), eval_size=random_size(rng), crop_pct=float(rng.uniform(0.5, 1))
    ),
    "keep ratio": lambda rng, source: T.KeepRatioPolicy(random_size(rng), crop_pct=float(rng.uniform(0.5, 1))),
    "as OpenCV does": lambda rng, source: T.LetterboxPolicy(random_size(rng), like="opencv"),
    "normalized": lambda rng, source: T.NormalizedPolicy(T.UpscalePolicy(random_size(rng)), mean=(0, 0), std=(1, 1)),
    "BiT": lambda rng, source: T.BiTHyperRulePolicy((64, 48), (80, 60)),
}
TRANSFORMS: dict[str, Callable[[np.random.Generator, Size], Any]] = {
    "Stretch": lambda rng, source: T.Stretch(random_size(rng)),
    "ResizeToCover": lambda rng, source: T.ResizeToCover(random_size(rng)),
    "FitWithin": lambda rng, source: T.FitWithin(random_size(rng)),
    "ResizeKeepRatio": lambda rng, source: T.ResizeKeepRatio(random_size(rng), longest=float(rng.uniform(0, 1))),
    "Letterbox": lambda rng, source: T.Letterbox((128, 64), stride=16, position="top_right"),
    "PadToSquare": lambda rng, source: T.PadToSquare(position="bottom_left"),
    "PadToMultiple": lambda rng, source: T.PadToMultiple((32, 14), position="center"),
}
EVERY = {**POLICIES, **TRANSFORMS}


def evaluation(made: Any) -> Callable[[Any], Any]:
    return made.eval() if isinstance(made, T.ResizePolicy) else made


def rectangles(rng: np.random.Generator, size: Size, count: int = RECTANGLES) -> Tensor:
    """(count, 4), as XYXY, inside the image."""
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1) * size[::-1]
    return torch.from_numpy(corners.reshape(count, 4)).double()


def check_rectangles(before: Tensor, there: Tensor, back: Tensor, canvas: Size, *, flipped: bool = False) -> int:
    """Sides that the canvas does not cut off are within half a source pixel; returns how many sides were checked.

    A cut side lies on the edge of the canvas, and comes back inside of the rectangle.
    """
    width, height = canvas[::-1]
    whole = there.new_tensor([0, 0, width, height])
    on_edge = (there - whole).abs() < 1e-3
    if flipped:
        on_edge = on_edge[:, [2, 1, 0, 3]]
    outside = (there[:, 2] - there[:, 0] < 1e-3) | (there[:, 3] - there[:, 1] < 1e-3)
    free = ~on_edge & ~outside[:, None]
    assert ((back - before).abs()[free] <= 0.5).all()
    inward = (back - before) * back.new_tensor([1, 1, -1, -1])
    assert (inward[on_edge & ~outside[:, None]] >= -0.5).all()
    return int(free.sum())


@pytest.mark.parametrize("name", EVERY)
def test_ten_thousand_rectangles_come_back_within_half_a_source_pixel(name: str) -> None:
    rng, checked = np.random.default_rng(sorted(EVERY).index(name)), 0
    cases = math.ceil(CASES / len(EVERY))
    for _ in range(cases):
        source = random_size(rng)
        made = EVERY[name](rng, source)
        before = boxes(rectangles(rng, source), source)
        there = evaluation(made)(before)
        back = made.inverse(there, source)
        assert back.canvas_size == source
        checked += check_rectangles(before.as_subclass(Tensor), there.as_subclass(Tensor), back, there.canvas_size)
    assert checked > cases * RECTANGLES  # of four sides each


def pixel_sizes(made: Any, source: Size) -> tuple[float, float]:
    """Height and width of a canvas pixel in source pixels, from a small box in the middle of the image."""
    middle = torch.tensor([source[1] / 2, source[0] / 2, 0.1, 0.1], dtype=torch.float64)
    box = tv_tensors.BoundingBoxes(middle, format="CXCYWH", canvas_size=source)
    width, height = evaluation(made)(box)[0, 2:].tolist()
    return 0.1 / height, 0.1 / width


def coordinates(size: Size) -> tv_tensors.Image:
    """(2, H, W), float64: the row and the column of each pixel's center."""
    rows, columns = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) + 0.5 for side in size), indexing="ij")
    return tv_tensors.Image(torch.stack([rows, columns]))


def check_map(back: Tensor, source: Size, canvas_pixel: tuple[float, float]) -> int:
    """Seen pixels away from the canvas's edge hold their own coordinates again; returns how many were checked."""
    assert tuple(back.shape[-2:]) == source
    seen = back[0] >= 0
    inner = []
    for axis, pixel in enumerate(canvas_pixel):
        lines = seen.any(1 - axis).nonzero().flatten()
        margin = math.ceil(3 * max(pixel, 1))  # where the antialiased kernel leaves the canvas
        inner.append(lines[margin : len(lines) - margin])
    difference = (back - coordinates(source)).abs()[:, inner[0]][:, :, inner[1]]
    assert (difference <= 0.5).all()
    return difference.numel()


@pytest.mark.parametrize("name", EVERY)
def test_maps_come_back_to_their_place_and_the_rest_is_filled(name: str) -> None:
    rng, checked = np.random.default_rng(sorted(EVERY).index(name)), 0
    for _ in range(6):
        source = random_size(rng, 40, 200)
        made = EVERY[name](rng, source)
        there = evaluation(made)(coordinates(source))
        back = made.inverse(there, source, fill=-1e6)
        checked += check_map(back, source, pixel_sizes(made, source))
    assert checked > 1000


@pytest.mark.parametrize("name", EVERY)
def test_masks_come_back_with_their_labels_where_the_canvas_shows_them(name: str) -> None:
    rng = np.random.default_rng(sorted(EVERY).index(name))
    for _ in range(8):
        source = random_size(rng, 20, 200)
        made = EVERY[name](rng, source)
        mask = tv_tensors.Mask(torch.zeros(1, *source, dtype=torch.uint8))
        left, top, right, bottom = (int(value) for value in rectangles(rng, source, 1)[0])
        mask[:, top : bottom + 1, left : right + 1] = 7
        _, there = evaluation(made)((coordinates(source), mask))
        back = made.inverse(there, source, mask_fill=255)
        pixel = max(pixel_sizes(made, source))
        rows, columns = coordinates(source)
        distance = torch.minimum(
            *(
                torch.minimum((axis - first).abs(), (axis - last).abs())
                for axis, first, last in ((rows, top, bottom + 1), (columns, left, right + 1))
            )
        )
        clear = (distance > pixel + 1) & (back[0] != 255)
        assert type(back) is tv_tensors.Mask
        assert torch.equal(back[0][clear], mask[0][clear])
        assert set(back.unique().tolist()) <= {0, 7, 255}


def test_what_a_center_crop_cut_off_is_filled() -> None:
    policy = T.UpscalePolicy(32)  # 40 x 80 becomes 32 x 64; columns 16 to 48 of it are columns 20 to 60 of the source
    mask = policy.inverse(tv_tensors.Mask(torch.ones(32, 32, dtype=torch.uint8)), (40, 80), mask_fill=255)
    expected = torch.full((40, 80), 255, dtype=torch.uint8)
    expected[:, 20:60] = 1
    assert torch.equal(mask, expected)
    image = policy.inverse(torch.ones(3, 32, 32), (40, 80), fill=5)
    torch.testing.assert_close(image[0], torch.where(expected == 1, 1.0, 5.0))


# --- kinds and formats


@pytest.mark.parametrize("name", ["XYXY", "XYWH", "CXCYWH"])
def test_plain_boxes_are_taken_with_their_format(name: str) -> None:
    policy, source = T.LetterboxPolicy(64), (300, 400)
    wanted = boxes([[100.0, 100, 200, 200], [0, 0, 400, 300]], source, name)
    found = policy.eval()(wanted).as_subclass(Tensor)
    back = policy.inverse({"boxes": found, "scores": torch.rand(2), "label": "cat"}, source, format=name)
    assert type(back["boxes"]) is Tensor
    torch.testing.assert_close(back["boxes"], wanted.as_subclass(Tensor), rtol=0, atol=0.01)
    assert back["scores"].shape == (2,)
    assert back["label"] == "cat"


def test_boxes_are_clamped_unless_told_not_to() -> None:
    found = torch.tensor([[0.0, 0, 64, 64]])  # on the padding, too: 8 rows above and below
    letterbox = T.Letterbox(64)
    assert letterbox.inverse(found, (300, 400), format="XYXY").tolist() == [[0, 0, 400, 300]]
    assert letterbox.inverse(found, (300, 400), format="XYXY", clamp=False).tolist() == [[0, -50, 400, 350]]


def test_integer_boxes_are_rounded() -> None:
    found = boxes(torch.tensor([[1, 1, 3, 4]]), (8, 8))
    assert T.Stretch(8).inverse(found, (12, 12)).tolist() == [[2, 2, 5, 6]]  # 1.5, 1.5, 4.5 and 6
    assert T.Stretch(8).inverse(found, (12, 12)).dtype == torch.int64


@pytest.mark.skipif(not NEWER, reason="keypoints came with torchvision 0.23")
def test_keypoints_come_back_and_are_not_clamped() -> None:
    points = tv_tensors.KeyPoints([[16.0, 24], [0, 0]], canvas_size=(64, 64))
    assert T.Letterbox(64).inverse(points, (300, 400)).tolist() == [[100, 100], [0, -50]]


def test_a_batch_of_logits_comes_back() -> None:
    policy = T.LetterboxPolicy(64)
    back = policy.inverse(torch.ones(2, 21, 64, 64), (75, 100))
    assert back.shape == (2, 21, 75, 100)
    torch.testing.assert_close(back, torch.ones_like(back))


def test_pil_images_come_back() -> None:
    back = T.UpscalePolicy(32).inverse(Image.new("RGB", (32, 32), (9, 8, 7)), (40, 80))
    assert back.size == (80, 40)
    assert back.getpixel((40, 20)) == (9, 8, 7)
    assert back.getpixel((5, 20)) == (0, 0, 0)


# --- records of random calls


def random_policies() -> list[T.ResizePolicy]:
    return [
        T.NativePolicy((60, 80), 9),
        T.UpscalePolicy((50, 40)),
        T.StretchPolicy((50, 40)),
        T.LetterboxPolicy((50, 40)),
        T.RandomResizedCropPolicy((50, 40)),
        T.KeepRatioPolicy((50, 40), scale=(0.3, 1.5), scale_probability=1, ratio_probability=1),
        T.BiTHyperRulePolicy((50, 40), (70, 66)),
    ]


def check_record(transform: Callable[[Any], Any], source: Size, rng: np.random.Generator, *, flips: bool) -> None:
    before = boxes(rectangles(rng, source), source)
    image, there, record = transform((coordinates(source), before, T.GeometryRecord(source)))
    assert record.canvas_size == there.canvas_size == tuple(image.shape[-2:])
    assert record.source_size == source
    back = record.inverse(there)
    assert back.canvas_size == source
    flipped = flips and record._geometry.scale[1] < 0
    check_rectangles(before.as_subclass(Tensor), there.as_subclass(Tensor), back, there.canvas_size, flipped=flipped)
    canvas_pixel = tuple(1 / abs(scale) for scale in record._geometry.scale)
    check_map(record.inverse(image, fill=-1e6), source, canvas_pixel)


@pytest.mark.parametrize("policy", random_policies(), ids=lambda policy: type(policy).__name__)
def test_what_training_drew_is_recorded(policy: T.ResizePolicy) -> None:
    rng, source = np.random.default_rng(0), (60, 80)
    train = v2.Compose([policy.train(), v2.RandomHorizontalFlip(0.5)])
    for _ in range(12):
        check_record(train, source, rng, flips=True)


def test_pipelines_of_torchvision_are_recorded() -> None:
    rng = np.random.default_rng(0)
    pipelines = [
        v2.Compose([v2.Resize(40), v2.CenterCrop(32)]),
        v2.Compose([v2.Resize(40, max_size=47), v2.CenterCrop((60, 30))]),
        v2.Compose([v2.Pad((3, 5)), v2.RandomCrop(50), v2.RandomHorizontalFlip(1)]),
        v2.Compose([v2.RandomResizedCrop((32, 40), antialias=True), v2.CenterCrop((31, 37))]),
        v2.Compose([v2.RandomZoomOut(side_range=(1.0, 2.0), p=1), v2.Resize((64, 48))]),
    ]
    for pipeline in pipelines:
        for source in ((60, 80), (75, 61)):
            check_record(pipeline, source, rng, flips=True)


@pytest.mark.parametrize(
    "warp", [v2.RandomRotation(10), v2.RandomAffine(5), v2.RandomPerspective(p=1), v2.ElasticTransform()]
)
def test_a_warp_is_refused(warp: v2.Transform) -> None:
    with pytest.raises(rn.ArgumentError, match="expected transforms that resize, crop, pad and flip"):
        warp((torch.rand(3, 60, 80), T.GeometryRecord((60, 80))))


@pytest.mark.parametrize(
    "make", [lambda: T.BatchResize((20, 30)), lambda: T.BatchRandomResizedCrop(24, flip_probability=0.5)]
)
def test_batches_take_a_record_for_each_image(make: Callable[[], Any]) -> None:
    rng, source = np.random.default_rng(0), (60, 80)
    images = tv_tensors.Image(torch.stack([coordinates(source)] * 4))
    before = [boxes(rectangles(rng, source), source) for _ in range(4)]
    batch, there, records = make()((images, before, [T.GeometryRecord(source) for _ in range(4)]))
    for image, wanted, found, record in zip(batch, before, there, records, strict=True):
        flipped = record._geometry.scale[1] < 0
        back = record.inverse(found)
        check_rectangles(
            wanted.as_subclass(Tensor), found.as_subclass(Tensor), back, found.canvas_size, flipped=flipped
        )
        canvas_pixel = tuple(1 / abs(scale) for scale in record._geometry.scale)
        check_map(record.inverse(tv_tensors.Image(image), fill=-1e6), source, canvas_pixel)


def test_records_are_collated_and_unbatched() -> None:
    train = T.RandomResizedCropPolicy(24).train()
    samples = [train((torch.rand(3, 40, 50 + i), T.GeometryRecord((40, 50 + i)))) for i in range(3)]
    _, batch = default_collate(samples)
    assert tuple(batch.shape) == (3, 8)
    found = T.GeometryRecord.unbatch(batch)
    assert [record._geometry for record in found] == [record._geometry for _, record in samples]
    with pytest.raises(rn.ShapeError, match=r"unbatch: expected the records of a batch, \(B, 8\), got \(8,\)"):
        T.GeometryRecord.unbatch(batch[0])


# --- mistakes


def test_a_transform_that_draws_has_no_inverse() -> None:
    with pytest.raises(rn.ArgumentError, match=r"draws nothing, but this one draws \['scale'\]; put a GeometryRecord"):
        T.ResizeKeepRatio(32, scale=(0.5, 1)).inverse(torch.zeros(3, 32, 32), (40, 40))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: T.UpscalePolicy(32).inverse(torch.zeros(3, 32, 33), (40, 80)),
            rn.ShapeError,
            r"UpscalePolicy.inverse: expected a canvas of \(32, 32\) for a source of \(40, 80\), got \(32, 33\)",
        ),
        (
            lambda: T.UpscalePolicy(32).inverse(torch.zeros(5, 4), (40, 80)),
            rn.ShapeError,
            "UpscalePolicy.inverse: expected a sample with images, masks and boxes of one size",
        ),
        (
            lambda: T.NativePolicy(32).inverse(torch.zeros(3, 32, 32), (40, 80)),
            rn.ShapeError,
            r"NativePolicy: expected images of \(32, 32\), got \(40, 80\)",
        ),
        (
            lambda: T.Stretch(8).inverse(torch.zeros(5, 4), 9, format="YXYX"),
            rn.UnknownNameError,
            "format: expected one of 'XYXY', 'XYWH', 'CXCYWH', got 'YXYX'",
        ),
        (lambda: T.GeometryRecord(0), rn.SizeError, "source_size: expected"),
        (lambda: T.Stretch(8).inverse(torch.zeros(3, 8, 8), 9, fill="x"), rn.ArgumentError, "fill: expected a number"),
    ],
)
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_kernels_of_flips_pads_and_crops_agree_with_those_of_images() -> None:
    """The view of a record says where a box lies, as torchvision's own kernels for boxes do."""
    box = boxes([[10.0, 12, 30, 40]], (60, 80))
    changes = [
        lambda x: F.resize(x, [33, 47]),
        lambda x: F.crop(x, 3, 5, 50, 60),
        lambda x: F.center_crop(x, [41, 90]),
        lambda x: F.pad(x, [1, 2, 3, 4]),
        lambda x: F.pad(x, [5]),
        lambda x: F.resized_crop(x, 4, 6, 50, 70, [20, 31]),
        F.horizontal_flip,
        F.vertical_flip,
    ]
    record = T.GeometryRecord((60, 80))
    for change in [*changes, *reversed(changes)]:
        box, record = change(box), change(record)
        assert record.canvas_size == tuple(box.canvas_size)
        corners = np.array([[10.0, 12], [30, 40]]) * record._geometry.scale[::-1] + record._geometry.offset[::-1]
        low, high = corners.min(0), corners.max(0)
        clipped = [*np.clip(low, 0, box.canvas_size[::-1]), *np.clip(high, 0, box.canvas_size[::-1])]
        np.testing.assert_allclose(box[0].numpy(), clipped, atol=1e-3)
        if (np.array(clipped) != [*low, *high]).any():
            break
