"""``fold_upscale`` against upscaling and convolving, done by torch in float64, and against a loop over the taps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.nn import functional as F

import resizenet as rn
import strategies
from resizenet.functional import fold_upscale

EXACT = {"rtol": 0, "atol": 1e-12}
CASES = [(k, scale, step) for k in (1, 3, 5, 7, 9) for scale in (1, 2, 3, 4) for step in (1, 2)]


def case(k: int) -> tuple[Tensor, Tensor]:
    return torch.randn(5, 3, k, k, dtype=torch.float64), torch.randn(2, 3, 17, 23, dtype=torch.float64)


def upscaled(x: Tensor, scale: int, *, align_corners: bool = False) -> Tensor:
    size = (scale * x.shape[2], scale * x.shape[3])
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


def large_and_small(k: int, scale: int, step: int, mode: str = "constant") -> tuple[Tensor, Tensor, int]:
    """Upscale-then-convolve, the folded convolution, and the number of outputs whose window crosses the border."""
    weight, x = case(k)
    folded = fold_upscale(weight, scale=scale, stride=scale * step)
    reach = folded.shape[-1] // 2
    large = F.conv2d(F.pad(upscaled(x, scale), [k // 2] * 4, mode=mode), weight, stride=scale * step)
    small = F.conv2d(F.pad(x, [reach] * 4, mode=mode), folded, stride=step)
    return large, small, math.ceil(reach / step)


@pytest.mark.parametrize(("k", "scale", "step"), CASES)
def test_folded_equals_upscaled_away_from_the_border(k: int, scale: int, step: int) -> None:
    large, small, margin = large_and_small(k, scale, step)
    assert large.shape == small.shape
    inside = (..., slice(margin, small.shape[2] - margin), slice(margin, small.shape[3] - margin))
    assert small[inside].numel()
    torch.testing.assert_close(small[inside], large[inside], **EXACT)


@pytest.mark.parametrize(("k", "scale", "step"), CASES)
def test_with_replicate_padding_folded_equals_upscaled_everywhere(k: int, scale: int, step: int) -> None:
    large, small, _ = large_and_small(k, scale, step, mode="replicate")
    torch.testing.assert_close(small, large, **EXACT)


PATCHES = [  # (k, stride, scale, folded k, folded stride)
    *((16, 16, scale, *folded) for scale, folded in {2: (10, 8), 4: (6, 4), 8: (4, 2)}.items()),
    *((4, 4, scale, *folded) for scale, folded in {2: (4, 2), 4: (3, 1)}.items()),
    (14, 14, 2, 9, 7),
    (4, 2, 2, 4, 1),  # patches that overlap
]


@pytest.mark.parametrize(("k", "stride", "scale", "folded_k", "folded_stride"), PATCHES)
@pytest.mark.parametrize("size", [(32, 32), (17, 23)])
def test_unpadded_patches_are_folded_exactly_with_replicate_padding(
    k: int, stride: int, scale: int, folded_k: int, folded_stride: int, size: tuple[int, int]
) -> None:
    weight, x = torch.randn(5, 3, k, k, dtype=torch.float64), torch.randn(2, 3, *size, dtype=torch.float64)
    folded = fold_upscale(weight, scale=scale, stride=stride)
    assert folded.shape == (5, 3, folded_k, folded_k)
    small = F.conv2d(F.pad(x, [1] * 4, mode="replicate"), folded, stride=folded_stride)
    torch.testing.assert_close(small, F.conv2d(upscaled(x, scale), weight, stride=stride), rtol=0, atol=2e-13)


def test_with_zero_padding_unpadded_patches_differ_at_the_border() -> None:
    weight, x = torch.randn(5, 3, 16, 16, dtype=torch.float64), torch.randn(2, 3, 32, 32, dtype=torch.float64)
    differs = F.conv2d(x, fold_upscale(weight, stride=16), stride=8, padding=1) - F.conv2d(
        upscaled(x, 2), weight, stride=16
    )
    differs = differs.abs().amax((0, 1)) > 1e-3
    assert differs[0].all()
    assert not differs[1:-1, 1:-1].any()


@pytest.mark.parametrize(("k", "padding", "small"), [(3, 0, (1, 1)), (5, 1, (1, 2)), (6, 2, (2, 2)), (4, 1, (1, 1))])
def test_another_padding_shifts_the_windows(k: int, padding: int, small: tuple[int, int]) -> None:
    """TensorFlow pads 3x3 filters of stride 2 by nothing above and one pixel below, and 5x5 ones by one and two."""
    weight, x = torch.randn(5, 3, k, k, dtype=torch.float64), torch.randn(2, 3, 17, 23, dtype=torch.float64)
    after = k - 2 - padding
    before_and_after = [padding, after, padding, after]
    large = F.conv2d(F.pad(upscaled(x, 2), before_and_after, mode="replicate"), weight, stride=2)
    folded = fold_upscale(weight, stride=2, padding=padding)
    replicated = F.conv2d(F.pad(x, [small[0], small[1]] * 2, mode="replicate"), folded)
    torch.testing.assert_close(replicated, large, **EXACT)


def test_with_zero_padding_the_outer_two_rows_and_columns_differ() -> None:
    large, small, margin = large_and_small(7, 2, 1)
    assert margin == 2
    differs = (large - small).abs().amax((0, 1)) > 1e-3
    assert all(lines.all() for lines in (differs[:2], differs[-2:], differs[:, :2], differs[:, -2:]))


@pytest.mark.parametrize(
    ("k", "scale", "expected"),
    [(7, 2, 5), (3, 2, 3), (5, 2, 5), (1, 2, 3), (7, 3, 5), (7, 4, 5), (7, 5, 3), (9, 2, 7), (7, 1, 7)],
)
def test_folded_filters_have_the_documented_size(k: int, scale: int, expected: int) -> None:
    assert fold_upscale(torch.rand(2, 3, k, k), scale=scale, stride=scale).shape == (2, 3, expected, expected)
    assert expected == 2 * math.ceil((k + scale - 2) / (2 * scale)) + 1


def test_folded_filters_have_no_border_of_zeros() -> None:
    for k, scale, _ in CASES:
        folded = fold_upscale(torch.rand(1, 1, k, k) + 1, scale=scale, stride=scale)[0, 0]
        assert folded[0].any() or folded[-1].any()


@pytest.mark.parametrize(("k", "scale", "step"), CASES)
def test_each_tap_is_split_between_the_two_pixels_around_it(k: int, scale: int, step: int) -> None:
    weight, _ = case(k)
    folded = fold_upscale(weight, scale=scale, stride=scale * step).numpy()
    expected, center = np.zeros_like(folded), folded.shape[-1] // 2
    for y in range(k):
        for x in range(k):
            (top, down), (left, right) = (divmod((tap - k // 2 + 0.5) / scale - 0.5, 1) for tap in (y, x))
            for dy, share in ((0, 1 - down), (1, down)):
                for dx, part in ((0, 1 - right), (1, right)):
                    if share * part:
                        expected[:, :, center + int(top) + dy, center + int(left) + dx] += (
                            share * part * weight[:, :, y, x].numpy()
                        )
    np.testing.assert_allclose(folded, expected, rtol=0, atol=1e-12)


def test_convention_pixel_centers_are_at_half_integers() -> None:
    weight, x = case(7)
    other = F.conv2d(upscaled(x, 2, align_corners=True), weight, stride=2, padding=3)
    folded = F.conv2d(x, fold_upscale(weight), padding=2)
    assert not torch.allclose(other[..., 4:-4, 4:-4], folded[..., 4:-4, 4:-4], rtol=0.01)


@given(weight=strategies.odd_filters())
def test_the_response_to_a_constant_image_is_kept(weight: Tensor) -> None:
    exact = weight.double()
    torch.testing.assert_close(fold_upscale(exact).sum((2, 3)), exact.sum((2, 3)), **EXACT)


@given(weight=strategies.odd_filters())
def test_dtype_and_memory_format_are_kept_and_the_input_is_not_changed(weight: Tensor) -> None:
    before = weight.clone()
    folded = fold_upscale(weight)
    assert folded.dtype == weight.dtype
    assert torch.equal(weight, before)
    if not weight.is_contiguous():  # a 1x1 kernel or a single channel is both
        assert folded.is_contiguous(memory_format=torch.channels_last)


@given(weight=strategies.odd_filters())
def test_a_scale_of_one_changes_nothing(weight: Tensor) -> None:
    assert torch.equal(fold_upscale(weight, scale=1, stride=3), weight)


def test_gradients_are_right() -> None:
    assert torch.autograd.gradcheck(fold_upscale, case(5)[0][:1, :1].clone().requires_grad_())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 2, "stride": 3}, r"stride: expected a multiple of the scale 2, got 3; resize the images instead"),
        ({"scale": 4, "stride": 2}, r"stride: expected a multiple of the scale 4, got 2"),
        ({"scale": 0}, r"scale: expected a positive int, got 0"),
        ({"scale": 1.5}, r"scale: expected a positive int, got 1.5"),
        ({"stride": -2}, r"stride: expected a positive int, got -2"),
        ({"padding": -1}, r"padding: expected an int from 0 to 6, got -1"),
        ({"padding": 7}, r"padding: expected an int from 0 to 6, got 7"),
    ],
)
def test_other_scales_and_strides_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(rn.ArgumentError, match=message):
        fold_upscale(torch.rand(1, 1, 7, 7), **options)
