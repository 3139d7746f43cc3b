"""BatchRandomResizedCrop: torchvision's distribution and result for each image, and batches of any structure."""

from collections.abc import Callable
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

from resizenet.transforms import BatchRandomResizedCrop
from samples import batch_of, boxes
from strategies import images, lengths

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DRAWS = 4000


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- equal to torchvision, image by image


def theirs(crop: BatchRandomResizedCrop, x: Tensor, seed: int) -> Tensor:
    """torchvision's result for each image by itself, with the same draws."""
    size, results = list(crop.size), []
    drawn, flips, name = crop.draw(len(x), *x.shape[-2:], generator=seeded(seed))
    for image, box, flipped in zip(x, drawn.tolist(), flips.tolist(), strict=True):
        resized = TF.resized_crop(image, *box, size, InterpolationMode(name), True)
        results.append(TF.horizontal_flip(resized) if flipped else resized)
    return torch.stack(results)


@pytest.mark.parametrize("size", [(17, 19), (64, 50)], ids=str)
def test_uint8_is_within_one_level_of_torchvision(size: tuple[int, int]) -> None:
    crop, x = BatchRandomResizedCrop(size, flip_probability=0.5), batch_of(16)
    out = crop(x, generator=seeded(3))
    assert out.dtype == torch.uint8
    assert (out.int() - theirs(crop, x, 3).int()).abs().max() <= 1


def test_normalized_results_are_within_one_level_of_torchvision() -> None:
    moments, x = {"mean": MEAN, "std": STD}, batch_of(16)
    crop = BatchRandomResizedCrop((17, 19), flip_probability=0.5, dtype=torch.float32, **moments)
    expected = TF.normalize(TF.to_dtype(theirs(crop, x, 3), torch.float32, scale=True), **moments)
    error = (crop(x, generator=seeded(3)) - expected).abs().amax((0, 2, 3))
    assert (error <= 1 / 255 / torch.tensor(STD) + 1e-6).all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_floats_equal_torchvision(interpolation: str) -> None:
    crop, x = BatchRandomResizedCrop((17, 19), interpolation=interpolation), torch.rand(16, 3, 31, 43)
    torch.testing.assert_close(crop(x, generator=seeded(3)), theirs(crop, x, 3), rtol=0, atol=1e-5)


# --- the distribution of the draws


@pytest.mark.parametrize(
    ("size", "scale", "ratio"),
    [
        ((240, 320), (0.08, 1.0), (3 / 4, 4 / 3)),
        ((100, 300), (0.5, 1.0), (3 / 4, 4 / 3)),  # most draws do not fit, and some images get the center crop
        ((300, 90), (0.3, 0.9), (0.5, 3.0)),
    ],
)
def test_areas_ratios_and_places_are_distributed_as_torchvisions(
    size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    sampler, sample = v2.RandomResizedCrop(8, scale=scale, ratio=ratio), [torch.empty(3, *size)]
    expected = np.array([box_of(sampler.make_params(sample)) for _ in range(DRAWS)])
    ours = BatchRandomResizedCrop(8, scale=scale, ratio=ratio).draw(DRAWS, *size)[0].numpy()
    features: dict[str, Callable[[Any], Any]] = {
        "area": lambda b: b[:, 2] * b[:, 3],
        "ratio": lambda b: b[:, 3] / b[:, 2],
        "top": lambda b: b[:, 0],
        "left": lambda b: b[:, 1],
    }
    for name, feature in features.items():
        assert stats.ks_2samp(feature(ours), feature(expected)).pvalue > 1e-3, name
    fallback = [np.all(found == center_crop(size, ratio), axis=1).mean() for found in (ours, expected)]
    assert abs(fallback[0] - fallback[1]) < 4 * (0.25 / DRAWS) ** 0.5 * 2**0.5  # four standard deviations at most


def box_of(params: dict[str, Any]) -> list[int]:
    return [params[name] for name in ("top", "left", "height", "width")]


def center_crop(size: tuple[int, int], ratio: tuple[float, float]) -> list[int]:
    """torchvision's result if nothing that it draws fits: ratios beyond every bound make sure of that."""
    sampler = v2.RandomResizedCrop(8, scale=(1.0, 1.0), ratio=ratio)
    sampler._log_ratio = torch.log(torch.tensor([1e6, 1e6]))
    return box_of(sampler.make_params([torch.empty(3, *size)]))


@pytest.mark.parametrize(
    ("size", "ratio", "share"),
    [
        ((50, 400), (3 / 4, 4 / 3), 0.99),
        ((400, 51), (3 / 4, 4 / 3), 0.99),
        ((33, 100), (2.0, 2.5), 0.99),
        ((7, 7), (0.5, 2.0), 0),  # some draws fit
    ],
)
def test_an_image_that_no_draw_fits_gets_torchvisions_center_crop(
    size: tuple[int, int], ratio: tuple[float, float], share: float
) -> None:
    found = BatchRandomResizedCrop(8, scale=(1.0, 1.0), ratio=ratio).draw(200, *size)[0]
    assert (found == torch.tensor(center_crop(size, ratio))).all(1).float().mean() > share


@given(
    st.tuples(lengths, lengths),
    st.sampled_from([(0.01, 0.02), (0.08, 1.0), (1.0, 1.0)]),
    st.sampled_from([(0.75, 4 / 3), (1.0, 1.0), (0.01, 0.02), (50.0, 60.0)]),
)
def test_boxes_are_inside_the_image(
    size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    found, flip, _ = BatchRandomResizedCrop(8, scale=scale, ratio=ratio).draw(17, *size)
    assert (found.dtype, flip.dtype) == (torch.int64, torch.bool)
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] >= 1).all()
    assert (found[:, :2] + found[:, 2:] <= torch.tensor(size)).all()


def test_every_place_has_the_same_probability() -> None:
    found, _, _ = BatchRandomResizedCrop(8, scale=(0.25, 0.25), ratio=(1.0, 1.0)).draw(DRAWS, 4, 4)
    assert (found[:, 2:] == 2).all()  # so that there are three places down and three across
    counts = np.bincount((3 * found[:, 0] + found[:, 1]).numpy(), minlength=9)
    assert len(counts) == 9
    assert stats.chisquare(counts).pvalue > 1e-3


def test_each_image_has_its_own_crop_and_its_own_flip() -> None:
    found, flip, _ = BatchRandomResizedCrop(8, flip_probability=0.3).draw(DRAWS, 240, 320)
    assert len({tuple(box) for box in found.tolist()}) > 0.99 * DRAWS
    assert abs(flip.float().mean() - 0.3) < 4 * (0.3 * 0.7 / DRAWS) ** 0.5
    assert abs(np.corrcoef(flip, found[:, 1])[0, 1]) < 4 / DRAWS**0.5


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, 100)])
def test_flips_never_or_always(probability: float, expected: int) -> None:
    assert BatchRandomResizedCrop(8, flip_probability=probability).draw(100, 24, 32)[1].sum() == expected


def test_draws_come_from_torchs_generator_or_the_one_that_is_given() -> None:
    crop, x = BatchRandomResizedCrop(8, flip_probability=0.5, interpolation=["bilinear", "bicubic"]), batch_of()
    torch.manual_seed(5)
    first, state = crop(x), torch.get_rng_state()
    for seed in range(2):
        torch.manual_seed(5)
        np.random.seed(seed)  # noqa: NPY002, it must not matter
        assert torch.equal(crop(x), first)
    outs = [crop(x, generator=seeded(seed)) for seed in (7, 7, 8)]
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_an_interpolation_is_drawn_for_each_batch() -> None:
    crop = BatchRandomResizedCrop(8, interpolation=("bilinear", "bicubic"))
    assert {crop.draw(1, 24, 32)[2] for _ in range(50)} == {"bilinear", "bicubic"}


# --- batches of any structure


@given(images(min_batch=0))
def test_the_input_is_not_edited_and_its_format_is_kept(x: Tensor) -> None:
    before = x.clone()
    out = BatchRandomResizedCrop((7, 5))(x)
    assert torch.equal(x, before)
    assert (out.shape, out.dtype) == ((*x.shape[:2], 7, 5), x.dtype)
    assert out.is_contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)


def test_labels_stay_the_same_object_wherever_they_stand() -> None:
    x, labels = batch_of(), torch.arange(5)
    crop = BatchRandomResizedCrop((5, 7), mean=MEAN, std=STD, dtype=torch.float16)
    nested = {"a": [{"label": labels}], "b": (x, "text")}
    wrapped = (tv_tensors.Image(x), labels, x)  # the plain tensor is not taken for images
    for batch in ((x, labels), [labels, x], {"label": labels, "image": x}, nested, wrapped):
        out = crop(batch)
        leaves = [leaf for leaf in torch.utils._pytree.tree_leaves(out) if isinstance(leaf, Tensor)]
        assert type(out) is type(batch)
        assert sum(leaf is labels for leaf in leaves) == 1
        changed = [(leaf.shape, leaf.dtype) for leaf in leaves if leaf is not labels and leaf is not x]
        assert changed == [((5, 3, 5, 7), torch.float16)]


def test_the_first_plain_tensor_with_four_dimensions_has_the_images() -> None:
    features, x, more = torch.rand(5, 7), batch_of(), batch_of()
    out = BatchRandomResizedCrop((5, 7))((features, x, more))
    assert out[0] is features
    assert out[1].shape == (5, 3, 5, 7)
    assert out[2] is more


def test_a_batch_in_a_structure_is_cropped_as_it_is_alone() -> None:
    crop, x = BatchRandomResizedCrop((5, 7), flip_probability=0.5), batch_of()
    alone, wrapped, listed = (crop(batch, generator=seeded(2)) for batch in (x, tv_tensors.Image(x), [x, 0]))
    assert type(wrapped) is tv_tensors.Image
    assert torch.equal(alone, wrapped)
    assert torch.equal(alone, listed[0])


def test_the_frames_of_a_video_share_a_crop() -> None:
    crop, frames = BatchRandomResizedCrop((5, 7), flip_probability=0.5), batch_of()
    video = crop(tv_tensors.Video(frames[:, None].expand(-1, 4, -1, -1, -1)), generator=seeded(2))
    assert (type(video), video.shape) == (tv_tensors.Video, (5, 4, 3, 5, 7))
    assert torch.equal(video, crop(frames, generator=seeded(2))[:, None].expand_as(video))


def test_masks_lie_under_their_images() -> None:
    x = torch.zeros(8, 3, 64, 64, dtype=torch.uint8)
    x[:, :, 20:40, 10:30] = 255
    crop = BatchRandomResizedCrop(64, flip_probability=0.5)
    out, masks = crop((tv_tensors.Image(x), tv_tensors.Mask(x[:, 0].long() // 255)))
    assert (type(masks), masks.dtype) == (tv_tensors.Mask, torch.int64)
    different = (out[:, 0] > 127) != (masks > 0)
    assert different.float().mean() < 0.02  # nearest and bilinear differ at edges
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) > 4


def expected_mask(mask: Tensor, box: list[int], flipped: bool) -> np.ndarray:
    """The nearest pixels of a crop of a mask, resized to 10 x 30."""
    top, left, height, width = box
    rows, columns = (2 * np.arange(10) + 1) * height // 20 + top, (2 * np.arange(30) + 1) * width // 60 + left
    expected = mask.numpy()[..., rows, :][..., columns]
    return expected[..., ::-1] if flipped else expected


def test_targets_of_each_image_are_cropped_with_it() -> None:
    mask = tv_tensors.Mask(torch.randint(9, (2, 40, 20), dtype=torch.uint8))
    target = {"boxes": boxes([[5.0, 10, 15, 30]], (40, 20)), "mask": mask, "labels": torch.tensor([7])}
    crop = BatchRandomResizedCrop((10, 30), flip_probability=0.5)
    drawn, flip, _ = crop.draw(3, 40, 20, generator=seeded(11))
    assert 0 < flip.sum() < 3
    _, targets = crop((batch_of(3, (40, 20)), [target] * 3), generator=seeded(11))
    for box, flipped, after in zip(drawn.tolist(), flip.tolist(), targets, strict=True):
        top, left, height, width = box
        x = np.clip((np.array([5, 15]) - left) * 30 / width, 0, 30)
        y = np.clip((np.array([10, 30]) - top) * 10 / height, 0, 10)
        x = 30 - x[::-1] if flipped else x
        np.testing.assert_allclose(after["boxes"], [[x[0], y[0], x[1], y[1]]], rtol=1e-5, atol=1e-5)
        assert after["boxes"].canvas_size == (10, 30)
        np.testing.assert_array_equal(after["mask"], expected_mask(mask, box, flipped))
        assert after["labels"] is target["labels"]


@pytest.mark.parametrize("shape", [(9, 40, 20), (1, 40, 20), (40, 20)])
@pytest.mark.parametrize("batch", [1, 2, 40])
def test_masks_of_one_image_are_cropped_alike_in_batches_of_any_length(shape: tuple[int, ...], batch: int) -> None:
    masks = [tv_tensors.Mask(mask) for mask in torch.randint(9, (batch, *shape), dtype=torch.uint8)]
    crop = BatchRandomResizedCrop((10, 30), flip_probability=0.5)
    drawn, flip, _ = crop.draw(batch, 40, 20, generator=seeded(11))
    _, out = crop((batch_of(batch, (40, 20)), masks), generator=seeded(11))
    for box, flipped, before, after in zip(drawn.tolist(), flip.tolist(), masks, out, strict=True):
        np.testing.assert_array_equal(after, expected_mask(before, box, flipped))


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
        error = (compiled(x) - expected).abs().amax((0, 2, 3))
        assert (error <= 1 / 255 / torch.tensor(STD) + 1e-6).all()


@pytest.mark.cuda
def test_cuda_batches_stay_there_and_have_the_draws_of_a_cpu() -> None:
    crop, x = BatchRandomResizedCrop((5, 7), flip_probability=0.5), batch_of()
    out, labels = crop((x.cuda(), torch.arange(5)), generator=seeded(2))
    assert out.is_cuda
    assert not labels.is_cuda
    assert (out.cpu().int() - crop(x, generator=seeded(2)).int()).abs().max() <= 1
    assert crop(x.cuda(), generator=torch.Generator("cuda")).is_cuda
