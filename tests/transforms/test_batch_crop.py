"""BatchRandomResizedCrop: torchvision's law, its result for each image, and whatever a batch is made of."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as TF

from resizenet import ArgumentError, DtypeError, ShapeError, SizeError, UnknownNameError
from resizenet.transforms import BatchRandomResizedCrop
from strategies import images, lengths

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def batch_of(length: int = 5, size: tuple[int, int] = (31, 43), dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.randint(256, (length, 3, *size), dtype=torch.uint8).to(dtype)


def theirs(x: Tensor, boxes: Tensor, flip: Tensor, size: tuple[int, int], interpolation: str = "bilinear") -> Tensor:
    """torchvision's result for each image by itself."""
    resized = [
        TF.resized_crop(image, *box, list(size), InterpolationMode(interpolation), True)
        for image, box in zip(x, boxes.tolist(), strict=True)
    ]
    return torch.stack(
        [TF.horizontal_flip(image) if flipped else image for image, flipped in zip(resized, flip.tolist(), strict=True)]
    )


# --- equal to torchvision, image by image


@pytest.mark.parametrize("size", [(17, 19), (64, 50)], ids=str)
def test_uint8_is_within_one_level_of_torchvision(size: tuple[int, int]) -> None:
    crop, x = BatchRandomResizedCrop(size, flip_probability=0.5), batch_of(16)
    boxes, flip, _ = crop.draw(16, 31, 43, generator=torch.Generator().manual_seed(3))
    out = crop(x, generator=torch.Generator().manual_seed(3))
    assert out.dtype == torch.uint8
    assert (out.int() - theirs(x, boxes, flip, size).int()).abs().max() <= 1


def test_normalised_results_are_within_one_level_of_torchvision() -> None:
    crop, x = (
        BatchRandomResizedCrop((17, 19), flip_probability=0.5, mean=MEAN, std=STD, dtype=torch.float32),
        batch_of(16),
    )
    boxes, flip, _ = crop.draw(16, 31, 43, generator=torch.Generator().manual_seed(3))
    expected = TF.normalize(TF.to_dtype(theirs(x, boxes, flip, (17, 19)), torch.float32, scale=True), MEAN, STD)
    out = crop(x, generator=torch.Generator().manual_seed(3))
    assert ((out - expected).abs().amax((0, 2, 3)) <= 1 / 255 / torch.tensor(STD) + 1e-6).all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_floats_equal_torchvision(interpolation: str) -> None:
    crop, x = BatchRandomResizedCrop((17, 19), interpolation=interpolation), torch.rand(16, 3, 31, 43)
    torch.manual_seed(3)
    boxes, flip, _ = crop.draw(16, 31, 43)
    torch.manual_seed(3)
    torch.testing.assert_close(crop(x), theirs(x, boxes, flip, (17, 19), interpolation), rtol=0, atol=1e-5)


# --- the law of the draws

LAWS = {
    "default": ((240, 320), (0.08, 1.0), (3 / 4, 4 / 3)),
    "large crops of a wide image": (
        (100, 300),
        (0.5, 1.0),
        (3 / 4, 4 / 3),
    ),  # most draws do not fit, and some fall back
    "tall": ((300, 90), (0.3, 0.9), (0.5, 3.0)),
}
DRAWS = 4000


@pytest.mark.parametrize("law", LAWS)
def test_areas_ratios_and_places_are_distributed_as_torchvisions(law: str) -> None:
    (height, width), scale, ratio = LAWS[law]
    sampler, sample = v2.RandomResizedCrop(8, scale=scale, ratio=ratio), [torch.empty(3, height, width)]
    expected = np.array(
        [
            [params[name] for name in ("top", "left", "height", "width")]
            for params in (sampler.make_params(sample) for _ in range(DRAWS))
        ]
    )
    ours = BatchRandomResizedCrop(8, scale=scale, ratio=ratio).draw(DRAWS, height, width)[0].numpy()
    features = {
        "area": lambda b: b[:, 2] * b[:, 3],
        "ratio": lambda b: b[:, 3] / b[:, 2],
        "top": lambda b: b[:, 0],
        "left": lambda b: b[:, 1],
    }
    for name, feature in features.items():
        assert stats.ks_2samp(feature(ours), feature(expected)).pvalue > 1e-3, name
    fallback = [np.all(boxes == expected_fallback(height, width, ratio), axis=1).mean() for boxes in (ours, expected)]
    assert abs(fallback[0] - fallback[1]) < 4 * (0.25 / DRAWS) ** 0.5 * 2**0.5  # four standard deviations, at the most


def expected_fallback(height: int, width: int, ratio: tuple[float, float]) -> list[int]:
    """What torchvision takes when nothing that it draws fits: ratios beyond every bound make sure of that."""
    sampler = v2.RandomResizedCrop(8, scale=(1.0, 1.0), ratio=ratio)
    sampler._log_ratio = torch.log(torch.tensor([1e6, 1e6]))
    params = sampler.make_params([torch.empty(3, height, width)])
    return [params[name] for name in ("top", "left", "height", "width")]


@pytest.mark.parametrize(
    ("size", "ratio"),
    [((50, 400), (3 / 4, 4 / 3)), ((400, 51), (3 / 4, 4 / 3)), ((7, 7), (0.5, 2.0)), ((33, 100), (2.0, 2.5))],
)
def test_an_image_that_no_draw_fits_gets_torchvisions_centre_crop(
    size: tuple[int, int], ratio: tuple[float, float]
) -> None:
    crop = BatchRandomResizedCrop(8, scale=(1.0, 1.0), ratio=ratio)
    boxes = crop.draw(200, *size)[0]
    expected = torch.tensor(expected_fallback(*size, ratio))
    assert (boxes == expected).all(1).float().mean() > (0.99 if size != (7, 7) else 0)


@given(
    lengths,
    lengths,
    st.sampled_from([(0.01, 0.02), (0.08, 1.0), (1.0, 1.0)]),
    st.sampled_from([(0.75, 4 / 3), (1.0, 1.0), (0.01, 0.02), (50.0, 60.0)]),
)
def test_boxes_are_inside_the_image(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    boxes, flip, _ = BatchRandomResizedCrop(8, scale=scale, ratio=ratio).draw(17, height, width)
    assert (boxes.dtype, flip.dtype) == (torch.int64, torch.bool)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] >= 1).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= torch.tensor([height, width])).all()


def test_every_place_has_the_same_chance() -> None:
    boxes, _, _ = BatchRandomResizedCrop(8, scale=(0.25, 0.25), ratio=(1.0, 1.0)).draw(
        DRAWS, 4, 4
    )  # 2 x 2, at three places down and across
    assert (boxes[:, 2:] == 2).all()
    counts = np.bincount((3 * boxes[:, 0] + boxes[:, 1]).numpy(), minlength=9)
    assert len(counts) == 9
    assert stats.chisquare(counts).pvalue > 1e-3


def test_each_image_has_its_own_crop_and_its_own_flip() -> None:
    boxes, flip, _ = BatchRandomResizedCrop(8, flip_probability=0.3).draw(DRAWS, 240, 320)
    assert len({tuple(box) for box in boxes.tolist()}) > 0.99 * DRAWS
    assert abs(flip.float().mean() - 0.3) < 4 * (0.3 * 0.7 / DRAWS) ** 0.5
    assert abs(np.corrcoef(flip, boxes[:, 1])[0, 1]) < 4 / DRAWS**0.5


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, 100)])
def test_flips_never_or_always(probability: float, expected: int) -> None:
    assert BatchRandomResizedCrop(8, flip_probability=probability).draw(100, 24, 32)[1].sum() == expected


def test_draws_come_from_torchs_generator_or_the_one_that_is_given() -> None:
    crop, x = BatchRandomResizedCrop(8, flip_probability=0.5, interpolation=["bilinear", "bicubic"]), batch_of()
    torch.manual_seed(5)
    first, state = crop(x), torch.get_rng_state()
    torch.manual_seed(5)
    assert torch.equal(crop(x), first)
    torch.manual_seed(5)
    np.random.seed(1)  # noqa: NPY002, it must not matter
    assert torch.equal(crop(x), first)
    assert torch.equal(torch.get_rng_state(), state)
    outs = [crop(x, generator=torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)]
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_an_interpolation_is_drawn_for_each_batch() -> None:
    crop = BatchRandomResizedCrop(8, interpolation=("bilinear", "bicubic"))
    assert {crop.draw(1, 24, 32)[2] for _ in range(50)} == {"bilinear", "bicubic"}


# --- whatever a batch is made of


@given(images(min_batch=0))
def test_the_input_is_never_edited_and_its_format_is_kept(x: Tensor) -> None:
    before = x.clone()
    out = BatchRandomResizedCrop((7, 5))(x)
    assert torch.equal(x, before)
    assert (out.shape, out.dtype) == ((*x.shape[:2], 7, 5), x.dtype)
    assert out.is_contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)


def test_labels_stay_the_same_object_wherever_they_stand() -> None:
    x, labels = batch_of(), torch.arange(5)
    crop = BatchRandomResizedCrop((5, 7), mean=MEAN, std=STD, dtype=torch.float16)
    for batch in (
        (x, labels),
        [labels, x],
        {"label": labels, "image": x},
        {"a": [{"label": labels}], "b": (x, "text")},
        (tv_tensors.Image(x), labels, x),
    ):
        leaves = torch.utils._pytree.tree_leaves(crop(batch))
        assert type(crop(batch)) is type(batch)
        assert sum(leaf is labels for leaf in leaves) == 1
        assert [
            (leaf.shape, leaf.dtype)
            for leaf in leaves
            if isinstance(leaf, Tensor) and leaf is not labels and leaf is not x
        ] == [((5, 3, 5, 7), torch.float16)]


def test_of_plain_tensors_the_first_with_four_dimensions_is_the_images() -> None:
    features, x, more = torch.rand(5, 7), batch_of(), batch_of()
    out = BatchRandomResizedCrop((5, 7))((features, x, more))
    assert out[0] is features
    assert out[1].shape == (5, 3, 5, 7)
    assert out[2] is more


def test_a_batch_in_a_structure_is_cropped_as_it_is_alone() -> None:
    crop, x = BatchRandomResizedCrop((5, 7), flip_probability=0.5), batch_of()
    alone, wrapped, listed = (
        crop(batch, generator=torch.Generator().manual_seed(2)) for batch in (x, tv_tensors.Image(x), [x, 0])
    )
    assert type(wrapped) is tv_tensors.Image
    assert torch.equal(alone, wrapped)
    assert torch.equal(alone, listed[0])


def test_the_frames_of_a_video_share_a_crop() -> None:
    crop, frames = BatchRandomResizedCrop((5, 7), flip_probability=0.5), batch_of()
    video = crop(
        tv_tensors.Video(frames[:, None].expand(-1, 4, -1, -1, -1)), generator=torch.Generator().manual_seed(2)
    )
    assert (type(video), video.shape) == (tv_tensors.Video, (5, 4, 3, 5, 7))
    assert torch.equal(video, crop(frames, generator=torch.Generator().manual_seed(2))[:, None].expand_as(video))


def test_masks_lie_under_their_images() -> None:
    x = torch.zeros(8, 3, 64, 64, dtype=torch.uint8)
    x[:, :, 20:40, 10:30] = 255
    crop = BatchRandomResizedCrop(64, flip_probability=0.5)
    out, masks = crop((tv_tensors.Image(x), tv_tensors.Mask(x[:, 0].long() // 255)))
    assert (type(masks), masks.dtype) == (tv_tensors.Mask, torch.int64)
    assert (
        (out[:, 0] > 127) != (masks > 0)
    ).float().mean() < 0.02  # a nearest pixel and a weighted one part ways at edges
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) > 4


def test_targets_of_each_image_follow_its_crop() -> None:
    x = batch_of(3, (40, 20))
    targets: list[dict[str, Any]] = [
        {
            "boxes": tv_tensors.BoundingBoxes(torch.tensor([[5.0, 10, 15, 30]]), format="XYXY", canvas_size=(40, 20)),
            "mask": tv_tensors.Mask(torch.randint(9, (2, 40, 20), dtype=torch.uint8)),
            "labels": torch.tensor([7]),
        }
        for _ in range(3)
    ]
    crop = BatchRandomResizedCrop((10, 30), flip_probability=0.5)
    boxes, flip, _ = crop.draw(3, 40, 20, generator=torch.Generator().manual_seed(11))
    assert 0 < flip.sum() < 3
    _, targets_out = crop((x, targets), generator=torch.Generator().manual_seed(11))
    for (top, left, height, width), flipped, before, after in zip(
        boxes.tolist(), flip.tolist(), targets, targets_out, strict=True
    ):
        across = np.clip((np.array([5, 15]) - left) * 30 / width, 0, 30)
        down = np.clip((np.array([10, 30]) - top) * 10 / height, 0, 10)
        across = 30 - across[::-1] if flipped else across
        np.testing.assert_allclose(after["boxes"], [[across[0], down[0], across[1], down[1]]], rtol=1e-5, atol=1e-5)
        assert after["boxes"].canvas_size == (10, 30)
        rows, columns = (2 * np.arange(10) + 1) * height // 20 + top, (2 * np.arange(30) + 1) * width // 60 + left
        mask = before["mask"].numpy()[:, rows][:, :, columns]
        np.testing.assert_array_equal(after["mask"], mask[..., ::-1] if flipped else mask)
        assert after["labels"] is before["labels"]


@pytest.mark.parametrize("shape", [(9, 40, 20), (1, 40, 20), (40, 20)])
@pytest.mark.parametrize("batch", [1, 2, 40])
def test_masks_of_one_image_are_cropped_alike_in_batches_of_any_length(shape: tuple[int, ...], batch: int) -> None:
    masks = torch.randint(9, (batch, *shape), dtype=torch.uint8)
    crop = BatchRandomResizedCrop((10, 30), flip_probability=0.5)
    _, out = crop(
        (batch_of(batch, (40, 20)), [tv_tensors.Mask(mask) for mask in masks]),
        generator=torch.Generator().manual_seed(11),
    )
    boxes, flip, _ = crop.draw(batch, 40, 20, generator=torch.Generator().manual_seed(11))
    for (top, left, height, width), flipped, before, after in zip(
        boxes.tolist(), flip.tolist(), masks, out, strict=True
    ):
        rows, columns = (2 * np.arange(10) + 1) * height // 20 + top, (2 * np.arange(30) + 1) * width // 60 + left
        expected = before.numpy()[..., rows, :][..., columns]
        np.testing.assert_array_equal(after, expected[..., ::-1] if flipped else expected)


def test_a_call_may_ask_for_another_size() -> None:
    crop = BatchRandomResizedCrop(7)
    assert crop(batch_of(), 11).shape == (5, 3, 11, 11)
    assert crop((batch_of(), 0), (11, 5))[0].shape == (5, 3, 11, 5)


def test_tensors_compile_without_a_graph_break() -> None:
    torch._dynamo.reset()
    crop = BatchRandomResizedCrop((5, 7), flip_probability=0.5, mean=MEAN, std=STD, dtype=torch.float32)
    compiled = torch.compile(crop, fullgraph=True, backend="aot_eager")
    for x in (batch_of(), batch_of(4, (23, 37))):
        torch.manual_seed(1)
        expected = crop(x)
        torch.manual_seed(1)
        assert ((compiled(x) - expected).abs().amax((0, 2, 3)) <= 1 / 255 / torch.tensor(STD) + 1e-6).all()


def test_copies_and_pickles_do_the_same() -> None:
    crop, x = BatchRandomResizedCrop((5, 7), scale=(0.5, 1.0), interpolation="bicubic"), batch_of()
    torch.manual_seed(1)
    expected = crop(x)
    for twin in (copy.deepcopy(crop), pickle.loads(pickle.dumps(crop))):
        torch.manual_seed(1)
        assert torch.equal(twin(x), expected)
    assert repr(crop) == (
        "BatchRandomResizedCrop(size=(5, 7), scale=(0.5, 1.0), ratio=(0.75, 1.3333333333333333), flip_probability=0.0, "
        "interpolation='bicubic', antialias=True, mean=None, std=None, dtype=None)"
    )
    assert not crop.state_dict()


@pytest.mark.cuda
def test_cuda_batches_stay_there_and_have_the_draws_of_a_cpu() -> None:
    crop, x = BatchRandomResizedCrop((5, 7), flip_probability=0.5), batch_of()
    out, labels = crop((x.cuda(), torch.arange(5)), generator=torch.Generator().manual_seed(2))
    assert out.is_cuda
    assert not labels.is_cuda
    assert (out.cpu().int() - crop(x, generator=torch.Generator().manual_seed(2)).int()).abs().max() <= 1
    assert crop(x.cuda(), generator=torch.Generator("cuda")).is_cuda


# --- mistakes


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (SizeError, r"size: expected an int or \(height, width\), each at least 1, got 0", {"size": 0}),
        (ArgumentError, r"scale: expected \(low, high\) with 0 < low <= high <= 1, got \(0, 1\)", {"scale": (0, 1)}),
        (ArgumentError, r"scale: .* got \(0\.5, 1\.5\)", {"scale": (0.5, 1.5)}),
        (ArgumentError, r"ratio: .* got \(2, 1\)", {"ratio": (2, 1)}),
        (
            ArgumentError,
            r"flip_probability: expected a number at least 0 and at most 1, got 2",
            {"flip_probability": 2},
        ),
        (UnknownNameError, "interpolation: expected one of", {"interpolation": "area"}),
    ],
)
def test_mistakes_in_arguments_say_what_was_expected(
    error: type[Exception], message: str, change: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        BatchRandomResizedCrop(**{"size": 7, **change})


IMAGE = tv_tensors.Image(batch_of())


@pytest.mark.parametrize(
    ("error", "message", "batch"),
    [
        (ShapeError, r"BatchRandomResizedCrop: expected \(B, C, H, W\), got \(3, 5, 7\)", torch.rand(3, 5, 7)),
        (
            DtypeError,
            r"expected a floating point or uint8 tensor, got torch.int64",
            torch.ones(1, 3, 5, 7, dtype=torch.int64),
        ),
        (ShapeError, "BatchRandomResizedCrop: expected a sample with images", (torch.rand(3, 5, 7), torch.arange(3))),
        (
            ShapeError,
            r"expected one tensor of images, \(B, C, H, W\), in the batch, got \[\]",
            (tv_tensors.Mask(torch.ones(3, 5, 7)),),
        ),
        (ShapeError, r"expected one tensor of images, .* got \[\(5, 3, 31, 43\), \(5, 3, 31, 43\)\]", (IMAGE, IMAGE)),
        (ShapeError, r"expected one tensor of images, .* got \[\(3, 31, 43\)\]", (tv_tensors.Image(IMAGE[0]),)),
        (
            ShapeError,
            r"BatchRandomResizedCrop: .* of one size: Found multiple HxW",
            (IMAGE, tv_tensors.Mask(torch.ones(5, 5, 7))),
        ),
        (
            ShapeError,
            r"expected Mask for each of 5 images, got 1 of shape \(4, 31, 43\)",
            (IMAGE, tv_tensors.Mask(torch.ones(4, 31, 43))),
        ),
        (
            ShapeError,
            "expected BoundingBoxes for each of 5 images, got 1",
            (IMAGE, tv_tensors.BoundingBoxes(torch.ones(1, 4), format="XYXY", canvas_size=(31, 43))),
        ),
    ],
)
def test_mistakes_in_batches_say_what_was_expected(error: type[Exception], message: str, batch: Any) -> None:
    with pytest.raises(error, match=message):
        BatchRandomResizedCrop(7)(batch)


def test_mistakes_that_crop_resize_finds_reach_the_caller() -> None:
    with pytest.raises(SizeError, match=r"in whole pixels, got 2\.5"):
        BatchRandomResizedCrop(7)(batch_of(), 2.5)
    with pytest.raises(DtypeError, match=r"mean and std need a floating point result, got torch\.uint8"):
        BatchRandomResizedCrop(7, mean=MEAN, std=STD)(batch_of())
    with pytest.raises(ArgumentError, match="expected positive std"):
        BatchRandomResizedCrop(7, std=(0, 1, 1), dtype=torch.float32)(batch_of())
