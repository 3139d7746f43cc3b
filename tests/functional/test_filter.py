"""``resize_filter``: "area" against cells cut by hand, "pinv" against NumPy's least squares, both on photographs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor
from torch.nn import functional as F

import resizenet as rn
import strategies
from resizenet.functional import fold_upscale, resize_filter

EXACT = {"rtol": 0, "atol": 1e-12}
METHODS = ("center", "area", "pinv")
KERNELS = [(7, 3), (7, 5), (5, 3), (11, 7), (3, 1), (3, 7), (5, 7), (1, 3), (16, 8), (8, 10)]
ODD_AND_EVEN = [(14, 5), (4, 3), (3, 8)]


def filters(k: int, *, out_channels: int = 5, in_channels: int = 2) -> Tensor:
    return torch.randn(out_channels, in_channels, k, k, dtype=torch.float64)


def upscaled(x: Tensor, size: int) -> Tensor:
    """Bilinear, by torch."""
    return F.interpolate(x, (size, size), mode="bilinear", align_corners=False)


def responses(weight: Tensor, patches: Tensor) -> Tensor:
    return torch.einsum("oihw,nihw->no", weight, patches)


def errors(weight: Tensor, kernel_size: int, patches: Tensor) -> dict[str, float]:
    """The mean squared error that "pinv" minimizes, for each method; the patches have the smaller size."""
    k = weight.shape[-1]
    large = upscaled(patches, max(k, kernel_size))
    before, after = (large, patches) if kernel_size <= k else (patches, large)
    wanted = responses(weight, before)
    return {
        method: (responses(resize_filter(weight, kernel_size, method=method), after) - wanted).square().mean().item()
        for method in METHODS
    }


def patches_of(images: Tensor, side: int) -> Tensor:
    """(N, 2, side, side): every window of (B, H, W), two as the channels of one patch."""
    windows = images.unfold(1, side, side).unfold(2, side, side).reshape(-1, side, side)
    return windows[: len(windows) // 2 * 2].reshape(-1, 2, side, side)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return torch.from_numpy(load_digits().images) / 16


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """(2, 105, 105), gray."""
    gray = np.stack([image[:420, :420].mean(-1) for image in load_sample_images().images]) / 255
    return torch.from_numpy(gray.reshape(2, 105, 4, 105, 4).mean((2, 4)))


# --- area


@pytest.mark.parametrize(("k", "kernel_size"), KERNELS + ODD_AND_EVEN)
def test_area_gives_each_new_pixel_the_weights_that_it_covers(k: int, kernel_size: int) -> None:
    weight = filters(k)
    # k * k' cells per side, which both sizes divide
    cells = np.repeat(np.repeat(weight.numpy(), kernel_size, 2), kernel_size, 3) / kernel_size**2
    expected = cells.reshape(5, 2, kernel_size, k, kernel_size, k).sum((3, 5))
    torch.testing.assert_close(resize_filter(weight, kernel_size, method="area"), torch.from_numpy(expected), **EXACT)


def test_area_is_exact_for_images_upscaled_by_repetition() -> None:
    weight, small = filters(9), torch.randn(7, 2, 3, 3, dtype=torch.float64)
    large = small.repeat_interleave(3, 2).repeat_interleave(3, 3)
    smaller = resize_filter(weight, 3, method="area")
    torch.testing.assert_close(responses(smaller, small), responses(weight, large), **EXACT)


@pytest.mark.parametrize("method", ["area", "pinv"])
@pytest.mark.parametrize(("k", "kernel_size"), KERNELS + ODD_AND_EVEN)
def test_the_response_to_a_constant_image_is_kept(k: int, kernel_size: int, method: str) -> None:
    weight = filters(k)
    resized = resize_filter(weight, kernel_size, method=method)
    torch.testing.assert_close(resized.sum((2, 3)), weight.sum((2, 3)), **EXACT)


def test_center_does_not_keep_the_response_to_a_constant_image() -> None:
    weight = filters(7)
    assert not torch.allclose(resize_filter(weight, 3).sum((2, 3)), weight.sum((2, 3)), rtol=0.01)


# --- pinv


@pytest.mark.parametrize(("k", "kernel_size"), KERNELS)
def test_pinv_responds_to_a_patch_as_the_larger_filter_responds_to_its_upscaling(
    k: int, kernel_size: int, digits: Tensor
) -> None:
    weight, patches = filters(k), patches_of(digits, min(k, kernel_size, 8))
    if patches.shape[-1] < min(k, kernel_size):
        patches = upscaled(patches, min(k, kernel_size))
    assert errors(weight, kernel_size, patches)["pinv"] < 1e-24


@pytest.mark.parametrize(("k", "kernel_size"), [(7, 3), (7, 5), (5, 3), (16, 8), (4, 3)])
def test_pinv_is_the_least_squares_solution(k: int, kernel_size: int, photographs: Tensor) -> None:
    weight, patches = filters(k), patches_of(photographs, kernel_size)
    wanted = responses(weight, upscaled(patches, k))
    expected = np.linalg.lstsq(patches.flatten(1).numpy(), wanted.numpy(), rcond=None)[0].T
    resized = resize_filter(weight, kernel_size, method="pinv")
    torch.testing.assert_close(resized.flatten(1), torch.from_numpy(expected), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("k", "kernel_size"), [(3, 7), (5, 7), (1, 3)])
def test_pinv_for_a_larger_kernel_is_the_solution_of_least_norm(k: int, kernel_size: int) -> None:
    weight = filters(k)
    basis = torch.eye(k * k, dtype=torch.float64).reshape(-1, 1, k, k)
    # one equation per patch with a single bright pixel; lstsq returns the solution of least norm
    system = upscaled(basis, kernel_size).flatten(1).numpy()
    expected = np.linalg.lstsq(system, weight.reshape(-1, k * k).T.numpy(), rcond=None)[0].T
    resized = resize_filter(weight, kernel_size, method="pinv")
    torch.testing.assert_close(resized.reshape(10, -1), torch.from_numpy(expected), **EXACT)


@pytest.mark.parametrize(("k", "kernel_size"), [(7, 3), (7, 5), (5, 3), (3, 7), (3, 5)])
@pytest.mark.parametrize("images", ["digits", "photographs"])
def test_pinv_is_never_worse_on_real_patches(
    k: int, kernel_size: int, images: str, request: pytest.FixtureRequest
) -> None:
    found = errors(filters(k), kernel_size, patches_of(request.getfixturevalue(images), min(k, kernel_size)))
    assert found["pinv"] <= 1e-9 * min(found["center"], found["area"])


@pytest.mark.parametrize(("k", "kernel_size"), [(7, 3), (7, 5), (5, 3)])
def test_in_a_convolution_over_photographs_pinv_is_also_the_closest(
    k: int, kernel_size: int, photographs: Tensor
) -> None:
    """This does not follow from the algebra: windows of the upscaled image reach beyond those of the small one."""
    weight, small = filters(k, in_channels=1), photographs[:, None]
    wanted = F.conv2d(upscaled(small, 105 // kernel_size * k), weight, stride=k)
    error = {
        m: (F.conv2d(small, resize_filter(weight, kernel_size, method=m), stride=kernel_size) - wanted).norm()
        / wanted.norm()
        for m in METHODS
    }
    assert 0 < error["pinv"] < error["area"] < 0.1 < error["center"]


def pi_resized(weight: Tensor, kernel_size: int) -> np.ndarray:
    """FlexiViT's PI-resize as its section 3.4 writes it: pinv(B') vec(w), B being a resize of whole patches.

    Source: Beyer et al. 2022, arXiv 2212.08013. The resize of its code is bilinear without antialiasing.
    """
    k = weight.shape[-1]
    basis = torch.eye(k * k, dtype=torch.float64).reshape(-1, 1, k, k)
    resized = F.interpolate(basis, (kernel_size, kernel_size), mode="bilinear", antialias=False)
    inverse = np.linalg.pinv(resized.flatten(1).numpy())  # (k * k, k' * k') is B'
    return (weight.reshape(-1, k * k).numpy() @ inverse.T).reshape(*weight.shape[:2], kernel_size, kernel_size)


@pytest.mark.parametrize(("k", "kernel_size"), [(4, 6), (8, 10), (3, 8), (5, 12)])
def test_pinv_for_a_larger_kernel_is_the_pi_resize_of_flexivit(k: int, kernel_size: int) -> None:
    weight = filters(k)
    resized = resize_filter(weight, kernel_size, method="pinv").numpy()
    np.testing.assert_allclose(resized, pi_resized(weight, kernel_size), rtol=0, atol=1e-11)


def test_the_pi_resize_to_a_quarter_skips_pixels_which_pinv_does_not() -> None:
    weight = filters(16)
    published, resized = pi_resized(weight, 4), resize_filter(weight, 4, method="pinv")
    skipped = torch.from_numpy(np.isin(np.arange(16) % 4, (0, 3)))
    changed = torch.where(skipped | skipped[:, None], 0.0, weight)
    np.testing.assert_allclose(published, pi_resized(changed, 4), rtol=0, atol=1e-11)
    assert not np.allclose(published.sum((2, 3)), weight.sum((2, 3)), rtol=0.01)
    torch.testing.assert_close(resized.sum((2, 3)), weight.sum((2, 3)), **EXACT)


def test_pinv_uses_half_integer_pixel_centers() -> None:
    weight = filters(7)
    rows = [np.interp(np.arange(7) / 3, np.arange(3), row) for row in np.eye(3)]
    corners_aligned = torch.from_numpy(np.stack(rows))  # (3, 7)
    other = corners_aligned @ weight @ corners_aligned.T
    assert not torch.allclose(resize_filter(weight, 3, method="pinv"), other, rtol=0.01)


# --- all


@pytest.mark.parametrize("method", METHODS)
@given(weight=strategies.odd_filters())
def test_the_same_size_is_a_copy(method: str, weight: Tensor) -> None:
    same = resize_filter(weight, weight.shape[-1], method=method)
    assert torch.equal(same, weight)
    assert same.data_ptr() != weight.data_ptr()


@pytest.mark.parametrize("method", METHODS)
@given(weight=strategies.odd_filters())
def test_dtype_and_memory_format_are_kept_and_the_input_is_not_changed(method: str, weight: Tensor) -> None:
    before = weight.clone()
    resized = resize_filter(weight, 3, method=method)
    assert resized.dtype == weight.dtype
    assert torch.equal(weight, before)
    if not weight.is_contiguous():  # a 1x1 kernel or a single channel is both
        assert resized.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("method", METHODS)
@given(weight=strategies.odd_filters())
def test_a_flipped_filter_becomes_the_flipped_filter(method: str, weight: Tensor) -> None:
    for axes in ((2,), (3,)):
        torch.testing.assert_close(
            resize_filter(weight.flip(axes), 5, method=method), resize_filter(weight, 5, method=method).flip(axes)
        )


@pytest.mark.parametrize("method", ["area", "pinv"])
def test_half_precision_is_rounded_once(method: str) -> None:
    weight = filters(7)
    for dtype in (torch.float16, torch.bfloat16):
        half = weight.to(dtype)
        torch.testing.assert_close(
            resize_filter(half, 3, method=method),
            resize_filter(half.double(), 3, method=method).to(dtype),
            rtol=2**-7,
            atol=1e-6,
        )


@pytest.mark.parametrize("method", ["area", "pinv"])
def test_autocast_does_not_round_weights(method: str) -> None:
    weight = filters(7).float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = resize_filter(weight, 3, method=method)
    assert torch.equal(inside, resize_filter(weight, 3, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_right(method: str) -> None:
    for kernel_size in (3, 7):
        weight = filters(5, out_channels=1, in_channels=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda w, size=kernel_size: resize_filter(w, size, method=method), weight)


def test_center_keeps_the_middle_or_pads_with_zeros() -> None:
    weight, x = filters(3), torch.rand(2, 2, 11, 13, dtype=torch.float64)
    middle = resize_filter(torch.arange(49.0).reshape(1, 1, 7, 7), 3)
    assert middle.flatten().tolist() == [16, 17, 18, 23, 24, 25, 30, 31, 32]
    assert resize_filter(torch.arange(16.0).reshape(1, 1, 4, 4), 2).flatten().tolist() == [5, 6, 9, 10]
    torch.testing.assert_close(
        F.conv2d(x, resize_filter(weight, 7), padding=3), F.conv2d(x, weight, padding=1), **EXACT
    )


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        *((torch.rand(shape), rn.ShapeError, ", got") for shape in [(3, 7, 7), (1, 1, 0, 0), (1, 1, 3, 7)]),
        (torch.ones(1, 1, 3, 3, dtype=torch.int64), rn.DtypeError, "a floating point tensor .*, got torch.int64"),
        (torch.ones(1, 1, 3, 3).to(torch.float8_e5m2), rn.DtypeError, "tensor .*, got torch.float8_e5m2"),
        (torch.ones(1, 1, 3, 3).to_sparse(), rn.DtypeError, "a dense tensor .*, got torch.sparse_coo"),
        ([[[[1.0]]]], rn.DtypeError, "a dense tensor .*, got list"),
    ],
)
def test_other_filters_are_refused(weight: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"resize_filter: expected .*{message}"):
        resize_filter(weight, 3)
    with pytest.raises(error, match=f"fold_upscale: expected .*{message}"):
        fold_upscale(weight)


@pytest.mark.parametrize(
    ("kernel_size", "message"),
    [(0, "a positive int, got 0"), (10**30 + 1, "a positive int")],
)
def test_other_kernel_sizes_are_refused(kernel_size: int, message: str) -> None:
    with pytest.raises(rn.ArgumentError, match=f"kernel_size: expected {message}"):
        resize_filter(torch.rand(1, 1, 3, 3), kernel_size)


@pytest.mark.parametrize(("k", "kernel_size"), [(3, 4), (16, 7)])
def test_center_needs_two_odd_or_two_even_sizes(k: int, kernel_size: int) -> None:
    message = f'kernel_size: method="center" needs two odd or two even sizes, got {k} and {kernel_size}; use "area"'
    with pytest.raises(rn.ArgumentError, match=message):
        resize_filter(torch.rand(1, 1, k, k), kernel_size)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(
        rn.UnknownNameError, match=r"method: expected one of 'center', 'area', 'pinv', got 'pin'; did you mean 'pinv'"
    ):
        resize_filter(torch.rand(1, 1, 3, 3), 3, method="pin")
