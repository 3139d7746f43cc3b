"""``resize`` and ``resize_matrix``: properties, references, conventions, and the cases that torch's kernels lack."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given
from PIL import Image
from torch import Tensor

import reference
from resizenet import ArgumentError, DtypeError, ShapeError, SizeError, UnknownNameError
from resizenet.functional import crop_resize, resize, resize_matrix
from strategies import (
    Resizing,
    antialiases,
    half_dtypes,
    image_dtypes,
    images,
    interpolations,
    lengths,
    linear_interpolations,
    resizings,
    sizes,
    views,
)

EXACT = {"rtol": 0, "atol": 1e-12}  # float64 sums of up to 32 x 32 products of numbers below 2
PIL_MODES = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def image_of(rule: Resizing, *, channels: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(1, channels, *rule.before, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- properties


@given(resizings(), lengths)
def test_resize_preserves_constants(rule: Resizing, value: int) -> None:
    out = resize(torch.full((1, 1, *rule.before), float(value), dtype=torch.float64), rule.after, **rule.rule)
    torch.testing.assert_close(
        out, torch.full((1, 1, *rule.after), float(value), dtype=torch.float64), rtol=1e-12, atol=0
    )


@given(images(), interpolations, antialiases)
def test_resize_to_the_same_size_is_the_identity_and_a_new_tensor(
    x: Tensor, interpolation: str, antialias: bool
) -> None:
    out = resize(x, tuple(x.shape[-2:]), interpolation=interpolation, antialias=antialias)
    assert torch.equal(out, x)
    assert out.data_ptr() != x.data_ptr()


@given(resizings())
def test_resize_commutes_with_flips(rule: Resizing) -> None:
    x = image_of(rule)
    for axes in ([-1], [-2], [-1, -2]):
        torch.testing.assert_close(
            resize(x.flip(axes), rule.after, **rule.rule), resize(x, rule.after, **rule.rule).flip(axes), **EXACT
        )


@given(resizings())
def test_resize_commutes_with_transposition(rule: Resizing) -> None:
    x = image_of(rule)
    torch.testing.assert_close(
        resize(x.mT, rule.after[::-1], **rule.rule), resize(x, rule.after, **rule.rule).mT, **EXACT
    )


@given(resizings())
def test_resize_is_linear(rule: Resizing) -> None:
    x, y = image_of(rule), image_of(rule, seed=1)
    sum_first = resize(3 * x - 2 * y, rule.after, **rule.rule)
    torch.testing.assert_close(
        sum_first, 3 * resize(x, rule.after, **rule.rule) - 2 * resize(y, rule.after, **rule.rule), **EXACT
    )


@given(resizings())
def test_resize_is_separable(rule: Resizing) -> None:
    x = image_of(rule)
    rows_first = resize(resize(x, (rule.after[0], rule.before[1]), **rule.rule), rule.after, **rule.rule)
    torch.testing.assert_close(resize(x, rule.after, **rule.rule), rows_first, **EXACT)


@given(resizings())
def test_the_gradient_of_resize_is_its_adjoint(rule: Resizing) -> None:
    x, g = image_of(rule).requires_grad_(), image_of(Resizing(rule.after, rule.after, "", True), seed=1)
    resize(x, rule.after, **rule.rule).backward(g)
    rows, columns = (
        torch.from_numpy(reference.resize_matrix(*axis, *rule.rule.values()))
        for axis in zip(rule.before, rule.after, strict=True)
    )
    torch.testing.assert_close(x.grad, rows.T @ g @ columns, rtol=1e-13, atol=1e-12)  # one pixel sums the whole result


@given(resizings(linear_interpolations.filter(lambda name: name == "bilinear")))
def test_bilinear_stays_within_the_range_of_the_image(rule: Resizing) -> None:
    x = image_of(rule)
    out = resize(x, rule.after, **rule.rule)
    assert x.min() - 1e-12 <= out.min()
    assert out.max() <= x.max() + 1e-12


def test_bicubic_overshoots_at_an_edge() -> None:
    edge = torch.tensor([0.0, 0, 0, 1, 1, 1], dtype=torch.float64).reshape(1, 1, 1, 6)
    assert resize(edge, (1, 13), interpolation="bicubic").max() > 1.05


@given(resizings())
def test_resize_equals_the_reference(rule: Resizing) -> None:
    x = image_of(rule)
    expected = torch.from_numpy(reference.resize(x.numpy(), rule.after, rule.interpolation, rule.antialias))
    torch.testing.assert_close(resize(x, rule.after, **rule.rule), expected, **EXACT)


@given(lengths, lengths, interpolations, antialiases)
def test_the_matrix_equals_the_reference(before: int, after: int, interpolation: str, antialias: bool) -> None:
    matrix = resize_matrix(before, after, interpolation=interpolation, antialias=antialias, dtype=torch.float64)
    expected = torch.from_numpy(reference.resize_matrix(before, after, interpolation, antialias))
    torch.testing.assert_close(matrix, expected, **EXACT)


@pytest.mark.parametrize("after", [1, 3, 7, 11, 26, 39])
def test_nearest_exact_takes_the_pixel_under_the_center(after: int) -> None:
    ramp = torch.arange(13.0).reshape(1, 1, 1, 13)
    expected = [(2 * i + 1) * 13 // (2 * after) for i in range(after)]  # no ties from 13 to these lengths
    assert resize(ramp, (1, after), interpolation="nearest-exact").flatten().tolist() == expected


def test_the_nearest_exact_matrix_breaks_ties_to_the_right() -> None:
    # the center of 49 pixels lies between the two
    assert resize_matrix(2, 49, interpolation="nearest-exact")[24].tolist() == [0, 1]


def test_the_matrix_has_the_given_dtype_and_device() -> None:
    assert resize_matrix(5, 3).dtype == torch.get_default_dtype()
    assert resize_matrix(5, 3, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert resize_matrix(5, 3, device="meta").device.type == "meta"


# --- PIL

PIL_SIZES = [
    ((37, 53), (13, 19)),
    ((13, 19), (37, 53)),
    ((37, 13), (11, 29)),
    ((101, 7), (3, 7)),
    ((1, 1), (5, 3)),
    ((29, 31), (1, 1)),
]
PIL_ROWS_FIRST = (
    (37, 13),
    (11, 29),
)  # PIL shrinks before it enlarges and torch does columns first, so bicubic clamps differently between the axes


@pytest.mark.parametrize("interpolation", PIL_MODES)
@pytest.mark.parametrize(("before", "after"), [size for size in PIL_SIZES if size != PIL_ROWS_FIRST])
def test_uint8_is_within_one_level_of_pil(before: tuple[int, int], after: tuple[int, int], interpolation: str) -> None:
    image = np.random.default_rng(0).integers(256, size=(*before, 3), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(image).resize(after[::-1], PIL_MODES[interpolation])).astype(int)
    ours = resize(torch.from_numpy(image).permute(2, 0, 1)[None], after, interpolation=interpolation)[0].permute(
        1, 2, 0
    )
    assert ours.dtype == torch.uint8
    assert np.abs(ours.numpy().astype(int) - theirs).max() <= 1  # both round fixed-point sums, PIL after each axis


@pytest.mark.parametrize("interpolation", PIL_MODES)
@pytest.mark.parametrize(("before", "after"), PIL_SIZES)
def test_float32_equals_pil(before: tuple[int, int], after: tuple[int, int], interpolation: str) -> None:
    image = np.random.default_rng(0).random(before, dtype=np.float32)
    theirs = np.array(Image.fromarray(image).resize(after[::-1], PIL_MODES[interpolation]))
    ours = resize(torch.from_numpy(image)[None, None], after, interpolation=interpolation)[0, 0]
    torch.testing.assert_close(
        ours, torch.from_numpy(theirs), rtol=0, atol=2e-6
    )  # some 16 float32 roundings of numbers near 1


# --- conventions


def row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def test_convention_pixel_centers_are_at_half_integers() -> None:
    out = resize(row(0, 4, 8, 12), (1, 8))
    torch.testing.assert_close(out, row(0, 1, 3, 5, 7, 9, 11, 12), **EXACT)
    with_corners = torch.nn.functional.interpolate(row(0, 4, 8, 12), (1, 8), mode="bilinear", align_corners=True)
    assert (out - with_corners).abs().max() > 0.5


def test_convention_antialias_is_the_default() -> None:
    impulse = row(0, 0, 0, 7, 0, 0, 0, 0)
    torch.testing.assert_close(
        resize(impulse, (1, 4)), row(0, 21 / 8, 7 / 8, 0), **EXACT
    )  # inside the image (1, 3, 3, 1) / 8
    torch.testing.assert_close(resize(impulse, (1, 4), antialias=False), row(0, 3.5, 0, 0), **EXACT)
    assert torch.equal(resize_matrix(8, 4), resize_matrix(8, 4, antialias=True))
    assert not torch.equal(resize_matrix(8, 4), resize_matrix(8, 4, antialias=False))


@pytest.mark.parametrize(("antialias", "a"), [(True, -0.5), (False, -0.75)])
def test_convention_bicubic_has_pils_coefficient_with_antialias_and_opencvs_without(antialias: bool, a: float) -> None:
    matrix = resize_matrix(11, 22, interpolation="bicubic", antialias=antialias, dtype=torch.float64)
    taps = [
        reference.keys_cubic(distance, a) for distance in (1.25, 0.25, 0.75, 1.75)
    ]  # the 12th center is at 5.75, pixels 4 to 7 at 4.5 to 7.5
    torch.testing.assert_close(matrix[11, 4:8], torch.tensor(taps, dtype=torch.float64), **EXACT)
    out = resize(
        torch.eye(11, dtype=torch.float64)[None, None], (22, 11), interpolation="bicubic", antialias=antialias
    )[0, 0]
    torch.testing.assert_close(out, matrix, **EXACT)


# --- dtypes, memory formats and sizes


@given(images(dtypes=half_dtypes), sizes, linear_interpolations)
def test_half_precision_on_a_cpu_is_float32_rounded_once(x: Tensor, size: tuple[int, int], interpolation: str) -> None:
    out = resize(x, size, interpolation=interpolation)
    assert out.dtype == x.dtype
    expected = reference.resize(x.double().numpy(), size, interpolation)
    # half a unit in the last place of numbers below 2, and float32's own error
    assert np.abs(out.double().numpy() - expected).max() <= torch.finfo(x.dtype).eps / 2 + 1e-5


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.uint8], ids=str)
@pytest.mark.parametrize("size", [(5, 1), (23, 1), (1, 1)])
@pytest.mark.parametrize("antialias", [True, False])
def test_a_result_one_pixel_wide_is_right(dtype: torch.dtype, size: tuple[int, int], antialias: bool) -> None:
    x = (200 * torch.rand(2, 3, 11, 7)).to(dtype)
    out = resize(x, size, antialias=antialias)
    expected = reference.resize(x.double().numpy(), size, antialias=antialias)
    rounding = {torch.float64: 1e-12, torch.bfloat16: 1.0, torch.uint8: 0.5 + 1e-4}[
        dtype
    ]  # bf16 has steps of 1 from 128 to 256
    assert np.abs(out.double().numpy() - expected).max() <= rounding


@given(views(), sizes, interpolations, antialiases)
@example(torch.arange(9, dtype=torch.uint8).view(1, 1, 1, 9).mT, (5, 4), "bilinear", True)  # strides (9, 9, 1, 9)
def test_the_strides_of_an_image_do_not_matter(
    x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool
) -> None:
    rule = {"interpolation": interpolation, "antialias": antialias}
    out = resize(x, size, **rule)
    expected = resize(x.clone(memory_format=torch.contiguous_format), size, **rule)
    rounding = 1 if x.dtype == torch.uint8 else torch.finfo(x.dtype).eps
    torch.testing.assert_close(out.double(), expected.double(), rtol=0, atol=2 * rounding)


def test_a_nan_does_not_spread_over_a_result_one_pixel_wide() -> None:
    x = torch.rand(1, 1, 64, 5)
    x[..., 0, 0] = torch.nan
    assert resize(x, (32, 1)).isnan().flatten().nonzero().flatten().tolist() in ([0], [0, 1])


@given(images(dtypes=image_dtypes, min_batch=0), sizes, interpolations, antialiases)
def test_dtype_and_memory_format_are_kept_and_the_input_is_not_changed(
    x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool
) -> None:
    before = x.clone()
    out = resize(x, size, interpolation=interpolation, antialias=antialias)
    assert torch.equal(x, before)
    assert (out.shape, out.dtype) == ((*x.shape[:2], *size), x.dtype)
    for layout in (torch.contiguous_format, torch.channels_last):
        alone = not all(x.is_contiguous(memory_format=f) for f in (torch.contiguous_format, torch.channels_last))
        assert out.is_contiguous(memory_format=layout) or not (alone and x.is_contiguous(memory_format=layout))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_under_autocast_the_result_has_autocasts_dtype(dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, 13, 17)
    with torch.autocast("cpu", torch.bfloat16):
        out = resize(x.to(dtype), (5, 7))
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(
        out.float(), resize(x, (5, 7)), rtol=0, atol=2**-8
    )  # bf16 has 8 bits: rounded in and out


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8], ids=str)
def test_autocast_does_not_change_float64_and_uint8(dtype: torch.dtype) -> None:
    x = (255 * torch.rand(2, 3, 13, 17)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        assert resize(x, (5, 7)).dtype == dtype


def test_uint8_is_clamped_where_bicubic_overshoots() -> None:
    edge = torch.tensor([0, 0, 0, 255, 255, 255], dtype=torch.uint8).reshape(1, 1, 1, 6)
    out = resize(edge, (1, 13), interpolation="bicubic").flatten().tolist()
    assert out[:3] == [0, 0, 0]
    assert out[-3:] == [255, 255, 255]
    assert sorted(out) == out


X = torch.rand(1, 3, 5, 7)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X[0], ShapeError, r"expected \(B, C, H, W\), got 3 dimensions \(3, 5, 7\)"),
        (X[0, 0], ShapeError, r"got 2 dimensions \(5, 7\)"),
        (X[None], ShapeError, r"got 5 dimensions \(1, 1, 3, 5, 7\)"),
        (X[:, :0], ShapeError, r"at least one channel and one pixel, got \(1, 0, 5, 7\)"),
        (X[:, :, :0], ShapeError, r"one pixel, got \(1, 3, 0, 7\)"),
        (X[..., :0], ShapeError, r"one pixel, got \(1, 3, 5, 0\)"),
        *(
            (X.to(dtype), DtypeError, f"expected a floating point or uint8 tensor, got {dtype}; convert it first")
            for dtype in (torch.int64, torch.int8, torch.bool, torch.complex64, torch.float8_e5m2)
        ),
        (X.tolist(), DtypeError, "expected a dense tensor .*, got list"),
        (X.numpy(), DtypeError, "got ndarray"),
        (None, DtypeError, "got NoneType"),
        (X.to_sparse(), DtypeError, "got torch.sparse_coo"),
    ],
)
@pytest.mark.parametrize("operation", [resize, crop_resize], ids=lambda operation: operation.__name__)
def test_other_images_are_refused(operation: Callable[..., Tensor], x: object, error: type, message: str) -> None:
    args = (x, 5) if operation is resize else (x, torch.tensor([[0, 0, 5, 7]]), 5)
    with pytest.raises(error, match=f"{operation.__name__}: .*{message}"):
        operation(*args)


def test_other_sizes_and_interpolations_are_refused() -> None:
    with pytest.raises(SizeError, match="size: expected an int"):
        resize(X, (5, 0))
    with pytest.raises(
        UnknownNameError, match=r"interpolation: expected one of .* got 'bilinaer'; did you mean 'bilin"
    ):
        resize(X, 5, interpolation="bilinaer")


@pytest.mark.parametrize("lengths", [(0, 5), (5, -1), (5.0, 5), (True, 5), (10**30, 5), (5, 2**31)])
def test_the_matrix_needs_positive_lengths(lengths: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match=r"(in|out)_size: expected a positive int"):
        resize_matrix(*lengths)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, "float32"])
def test_the_matrix_needs_a_floating_point_dtype(dtype: object) -> None:
    with pytest.raises(DtypeError, match=f"resize_matrix: expected a floating point dtype, got {dtype!r}"):
        resize_matrix(5, 3, dtype=dtype)


@pytest.mark.cuda
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("before", "after"), [((941, 13), (10, 7)), ((2003, 1999), (3, 5)), ((37, 53), (13, 19))])
def test_cuda_equals_the_reference_at_any_factor(
    before: tuple[int, int], after: tuple[int, int], interpolation: str
) -> None:
    x = torch.rand(1, 1, *before)
    out = resize(x.cuda(), after, interpolation=interpolation)
    expected = torch.from_numpy(reference.resize(x.double().numpy(), after, interpolation))
    torch.testing.assert_close(
        out.cpu().double(), expected, rtol=0, atol=2e-6
    )  # float32 sums of weights that add up to 1
    assert out.is_cuda


@pytest.mark.cuda
def test_cuda_supports_uint8() -> None:
    x = torch.randint(256, (2, 3, 37, 53), dtype=torch.uint8)
    difference = resize(x.cuda(), (13, 19)).cpu().int() - resize(x, (13, 19)).int()
    assert difference.abs().max() <= 1  # the CPU kernel rounds fixed-point sums after each axis
