"""``crop_resize`` against torchvision and a float64 reference, by one resize per image and by two matrix products."""

from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

import reference
from resizenet import ArgumentError, DtypeError, ShapeError, SizeError, UnknownNameError
from resizenet.functional import crop_resize
from strategies import Cropping, croppings, image_dtypes, images, interpolations

both_paths = pytest.mark.parametrize("path", ["each", "matrices"])
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def crop_by(path: str, *args: object, **options: object) -> Tensor:
    """``crop_resize`` as a CPU computes it in eager mode, or as ``torch.compile`` traces it."""
    with mock.patch.object(torch.compiler, "is_compiling", return_value=path == "matrices"):
        return crop_resize(*args, **options)


def images_of(case: Cropping, channels: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(len(case.boxes), channels, *case.before, generator=generator, dtype=torch.float64)


def cut(image: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    top, left, height, width = box
    return image[..., top : top + height, left : left + width]


def expected_of(x: Tensor, case: Cropping) -> Tensor:
    """Crop, resize and mirror each image in float64 loops."""
    results = []
    for image, box, flipped in zip(x.double(), case.boxes, case.flip, strict=True):
        resized = reference.resize(cut(image, box).numpy(), case.after, case.interpolation, case.antialias)
        results.append(resized[..., ::-1] if flipped else resized)
    return torch.from_numpy(np.stack(results))


def torchvision_of(x: Tensor, case: Cropping) -> Tensor:
    """torchvision's result for each image by itself."""
    rule = {"interpolation": InterpolationMode(case.interpolation), "antialias": case.antialias}
    results = []
    for image, box, flipped in zip(x, case.boxes, case.flip, strict=True):
        resized = TF.resized_crop(image, *box, size=list(case.after), **rule)
        results.append(TF.horizontal_flip(resized) if flipped else resized)
    return torch.stack(results)


def random_boxes(batch: int, height: int, width: int) -> Tensor:
    lengths = torch.stack([torch.randint(1, height + 1, (batch,)), torch.randint(1, width + 1, (batch,))], 1)
    room = torch.tensor([height, width]) - lengths
    return torch.cat([(torch.rand(batch, 2) * (room + 1)).long(), lengths], 1)


def random_case(
    before: tuple[int, int],
    after: tuple[int, int],
    interpolation: str = "bilinear",
    *,
    antialias: bool = True,
    batch: int = 16,
) -> Cropping:
    boxes, flip = random_boxes(batch, *before).tolist(), (torch.rand(batch) < 0.5).tolist()
    return Cropping(before, [tuple(box) for box in boxes], flip, after, interpolation, antialias)


# --- equal to references


@both_paths
@given(case=croppings())
def test_crops_equal_the_reference(path: str, case: Cropping) -> None:
    x = images_of(case)
    torch.testing.assert_close(crop_by(path, x, **case.arguments), expected_of(x, case), rtol=0, atol=1e-12)


@given(croppings(interpolations.filter(lambda name: name == "nearest-exact")))
def test_nearest_crops_by_matrices_equal_the_reference_including_ties(case: Cropping) -> None:
    x = images_of(case)
    assert torch.equal(crop_by("matrices", x, **case.arguments), expected_of(x, case))


SIZES = [((29, 37), (11, 13)), ((29, 37), (64, 71)), ((61, 17), (31, 40)), ((101, 7), (5, 1)), ((13, 13), (13, 13))]
WIDE_SIZES = [sizes for sizes in SIZES if sizes[1][1] > 1]  # torch's kernels are wrong for results one pixel wide


@both_paths
@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize("antialias", [True, False])
def test_uint8_is_within_one_level_of_torchvision_and_of_the_reference(
    path: str, before: tuple[int, int], after: tuple[int, int], antialias: bool
) -> None:
    case, x = random_case(before, after, antialias=antialias), torch.randint(256, (16, 3, *before), dtype=torch.uint8)
    out = crop_by(path, x, **case.arguments)
    assert out.dtype == torch.uint8
    assert (out.double() - expected_of(x, case)).abs().max() <= 1
    if (before, after) in WIDE_SIZES:
        assert (out.int() - torchvision_of(x, case).int()).abs().max() <= 1


@both_paths
def test_a_uint8_column_that_is_a_transposed_row_equals_the_reference(path: str) -> None:
    x = torch.randint(256, (2, 3, 1, 19), dtype=torch.uint8).mT  # contiguous for torch, though its W stride is 19
    case = Cropping((19, 1), [(0, 0, 19, 1), (2, 0, 16, 1)], [False, True], (5, 4), "bilinear", True)
    assert (crop_by(path, x, **case.arguments).double() - expected_of(x, case)).abs().max() <= 1


@both_paths
@pytest.mark.parametrize(("before", "after"), WIDE_SIZES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_float_equals_torchvision(
    path: str, before: tuple[int, int], after: tuple[int, int], interpolation: str, antialias: bool
) -> None:
    case, x = random_case(before, after, interpolation, antialias=antialias), torch.rand(16, 3, *before)
    torch.testing.assert_close(crop_by(path, x, **case.arguments), torchvision_of(x, case), rtol=0, atol=1e-5)


@both_paths
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_uint8_is_normalized_as_in_torchvision(path: str, dtype: torch.dtype) -> None:
    case, x = random_case((29, 37), (19, 23)), torch.randint(256, (16, 3, 29, 37), dtype=torch.uint8)
    out = crop_by(path, x, **case.arguments, mean=MEAN, std=STD, dtype=dtype)
    unit = crop_by(path, x, **case.arguments, dtype=dtype)
    scaled = TF.to_dtype(torchvision_of(x, case), torch.float64, scale=True)
    level, rounding = 1 / 255 / min(STD), 4 * torch.finfo(dtype).eps  # numbers are below 4
    assert out.dtype == unit.dtype == dtype
    torch.testing.assert_close(out.double(), TF.normalize(scaled, MEAN, STD), rtol=0, atol=level + rounding)
    torch.testing.assert_close(unit.double(), scaled, rtol=0, atol=1 / 255 + rounding)


@both_paths
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_one_rounding_of_the_exact_result(path: str, dtype: torch.dtype) -> None:
    case, x = random_case((29, 37), (11, 53)), torch.rand(16, 3, 29, 37).to(dtype)
    exact = (expected_of(x, case) - 0.5) / 0.25
    out = crop_by(path, x, **case.arguments, mean=[0.5] * 3, std=[0.25] * 3)
    assert (out.double() - exact).abs().max() <= 1.001 * (exact.to(dtype).double() - exact).abs().max()


# --- properties and conventions


@both_paths
@given(x=images(dtypes=image_dtypes, min_batch=0), interpolation=interpolations)
def test_dtype_and_memory_format_are_kept_and_the_input_is_not_changed(
    path: str, x: Tensor, interpolation: str
) -> None:
    before, boxes, flip = x.clone(), random_boxes(len(x), *x.shape[2:]), torch.ones(len(x), dtype=torch.bool)
    out = crop_by(path, x, boxes, (5, 3), flip=flip, interpolation=interpolation)
    assert torch.equal(x, before)
    assert (out.shape, out.dtype) == ((*x.shape[:2], 5, 3), x.dtype)
    assert out.is_contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)


@both_paths
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest-exact"])
@pytest.mark.parametrize("antialias", [True, False])
def test_pixels_outside_the_box_do_not_contribute(path: str, interpolation: str, antialias: bool) -> None:
    x, boxes = torch.rand(2, 3, 17, 19), [(3, 5, 7, 4), (16, 18, 1, 1)]
    other = torch.full_like(x, torch.nan)
    for image, old, box in zip(other, x, boxes, strict=True):
        cut(image, box)[:] = cut(old, box)
    rest = torch.tensor(boxes), (5, 6)
    options = {"interpolation": interpolation, "antialias": antialias}
    assert torch.equal(crop_by(path, x, *rest, **options), crop_by(path, other, *rest, **options))


@both_paths
@given(case=croppings(), fraction=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)))
def test_a_non_finite_pixel_changes_only_results_that_read_it(
    path: str, case: Cropping, fraction: tuple[float, float]
) -> None:
    """torch's kernels also read up to two neighbors whose weight is 0."""
    x = images_of(case)
    lengths = case.boxes[0][2:]
    pixel = [int(share * length) for share, length in zip(fraction, lengths, strict=True)]
    cut(x[0], case.boxes[0])[:, pixel[0], pixel[1]] = torch.inf
    out = crop_by(path, x, **{**case.arguments, "flip": None})[0, 0]

    def reads(axis: int, margin: int) -> reference.Array:
        rule = case.interpolation, case.antialias
        matrix = np.abs(reference.resize_matrix(lengths[axis], case.after[axis], *rule))
        return matrix[:, max(0, pixel[axis] - margin) : pixel[axis] + margin + 1].max(1) > 1e-9

    must, may = (np.outer(reads(0, margin), reads(1, margin)) for margin in (0, 2 if path == "each" else 1))
    assert not out[must].isfinite().any()
    assert out[~may].isfinite().all()


@both_paths
def test_a_batch_is_its_images_one_by_one(path: str) -> None:
    x, boxes = torch.rand(5, 3, 17, 19, dtype=torch.float64), random_boxes(5, 17, 19)
    flip = torch.tensor([True, False, True, True, False])
    parts = zip(x.split(1), boxes.split(1), flip.split(1), strict=True)
    one_by_one = torch.cat([crop_by(path, image, box, 7, flip=flipped) for image, box, flipped in parts])
    torch.testing.assert_close(crop_by(path, x, boxes, 7, flip=flip), one_by_one, rtol=0, atol=1e-12)


@both_paths
def test_convention_boxes_are_top_left_height_width(path: str) -> None:
    x, boxes = torch.arange(20.0).reshape(1, 1, 4, 5), torch.tensor([[1, 2, 2, 3]], dtype=torch.int16)
    assert crop_by(path, x, boxes, (2, 3)).flatten().tolist() == [7, 8, 9, 12, 13, 14]
    flipped = crop_by(path, x, boxes, (2, 3), flip=torch.tensor([True]))
    assert flipped.flatten().tolist() == [9, 8, 7, 14, 13, 12]


@both_paths
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32, torch.uint64], ids=str)
def test_boxes_of_small_integer_dtypes_do_not_overflow(path: str, dtype: torch.dtype) -> None:
    x, boxes = torch.rand(1, 1, 300, 400), torch.tensor([[200, 150, 100, 250]])
    assert torch.equal(crop_by(path, x, boxes.to(dtype), 7), crop_by(path, x, boxes, 7))


@both_paths
def test_convention_antialias_is_the_default(path: str) -> None:
    x, boxes = torch.rand(1, 1, 16, 16), torch.tensor([[0, 0, 16, 16]])
    default = crop_by(path, x, boxes, 4)
    assert torch.equal(default, crop_by(path, x, boxes, 4, antialias=True))
    assert (default - crop_by(path, x, boxes, 4, antialias=False)).abs().max() > 0.05


@both_paths
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_under_autocast_the_result_has_autocasts_dtype_if_none_is_given(path: str, dtype: torch.dtype) -> None:
    x, boxes = torch.rand(2, 3, 7, 9, dtype=dtype), random_boxes(2, 7, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert crop_by(path, x, boxes, 5).dtype == torch.bfloat16
        given_dtype = crop_by(path, x, boxes, 5, dtype=torch.float32)
    assert torch.equal(given_dtype, crop_by(path, x, boxes, 5, dtype=torch.float32))


@both_paths
def test_the_gradient_is_right_and_zero_outside_the_box(path: str) -> None:
    x = torch.rand(2, 1, 5, 7, dtype=torch.float64, requires_grad=True)
    boxes, flip = torch.tensor([[1, 2, 3, 4], [0, 0, 5, 7]]), torch.tensor([True, False])
    moments = {"mean": [0.5], "std": [0.2]}
    assert torch.autograd.gradcheck(lambda x: crop_by(path, x, boxes, (2, 9), flip=flip, **moments), x)
    crop_by(path, x, boxes, (2, 9), flip=flip).sum().backward()
    inside = x.grad[0, :, 1:4, 2:6].abs().sum()
    assert inside > 0
    assert x.grad[0].abs().sum() == inside


@pytest.mark.parametrize(
    ("dtype", "options", "rounding"),
    [
        (torch.uint8, {"dtype": torch.float32, "mean": MEAN, "std": STD}, 1e-5),
        (torch.float32, {"interpolation": "bicubic", "antialias": False}, 1e-3),
    ],
    ids=["uint8", "float32"],
)
def test_calls_compile_without_a_graph_break(dtype: torch.dtype, options: dict[str, object], rounding: float) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(crop_resize, fullgraph=True, backend="aot_eager")
    for batch, size in ((3, (13, 19)), (4, (31, 23))):
        x = (255 * torch.rand(batch, 3, *size)).to(dtype)
        args = (
            x,
            random_boxes(batch, *size),
            (5, 7),
        )
        flip = torch.rand(batch) < 0.5
        expected = crop_by("matrices", *args, flip=flip, **options)
        torch.testing.assert_close(compiled(*args, flip=flip, **options), expected, rtol=0, atol=rounding)


# --- mistakes

X, BOX = torch.rand(1, 3, 7, 9), torch.tensor([[0, 0, 7, 9]])


@both_paths
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (SizeError, "each at least 1, got 0", {"size": 0}),
        (UnknownNameError, "interpolation: expected one of", {"interpolation": "area"}),
        (ShapeError, r"expected \(B, C, H, W\), got 3 dimensions", {"images": X[0]}),
        (DtypeError, "got torch.int64; convert it first", {"images": X.long()}),
        (ShapeError, r"each of 1 images, \(1, 4\), got \(2, 4\)", {"boxes": BOX.expand(2, 4)}),
        (ShapeError, r"\(1, 4\), got \(4,\)", {"boxes": BOX[0]}),
        (ShapeError, r"\(1, 4\), got \(1, 5\)", {"boxes": torch.zeros(1, 5).long()}),
        (DtypeError, "boxes in whole pixels, an integer dtype, got torch.float32", {"boxes": BOX.float()}),
        (DtypeError, "integer dtype, got torch.bool", {"boxes": BOX.bool()}),
        (DtypeError, "boxes as a tensor, got list", {"boxes": BOX.tolist()}),
        (DtypeError, "flip to be bool, got torch.int64", {"flip": torch.tensor([1])}),
        (DtypeError, "flip to be bool, got list", {"flip": [True]}),
        (ShapeError, r"flip of shape \(1,\), got \(2,\)", {"flip": torch.tensor([True, False])}),
        (DtypeError, "torch.float32 -> torch.uint8", {"dtype": torch.uint8}),
        (DtypeError, "torch.float32 -> torch.int32", {"dtype": torch.int32}),
        (DtypeError, "expected dtype to be a torch.dtype, got 'float32'", {"dtype": "float32"}),
        (ArgumentError, "expected mean to be one number for each channel, got 0.5", {"mean": 0.5}),
        (ArgumentError, "expected std to be one number for each channel, got 'abc'", {"std": "abc"}),
        (ArgumentError, "mean to be one number for each channel, got .*nan", {"mean": [0, 0, float("nan")]}),
        (
            DtypeError,
            "mean and std need a floating point result, got torch.uint8",
            {"images": X.byte(), "mean": [0.5] * 3},
        ),
        (ShapeError, "expected mean for 3 channels, got 2", {"mean": [0.5, 0.5]}),
        (ArgumentError, r"expected positive std, got \(1.0, 0.0, 1.0\)", {"std": [1, 0, 1]}),
    ],
)
def test_mistakes_say_what_was_expected(
    path: str, error: type[Exception], message: str, change: dict[str, object]
) -> None:
    with pytest.raises(error, match=message):
        crop_by(path, **{"images": X, "boxes": BOX, "size": 5, **change})


@pytest.mark.parametrize(
    "box",
    [
        *[(-1, 0, 3, 3), (0, -1, 3, 3), (5, 0, 3, 3), (0, 7, 3, 3), (0, 0, 8, 9)],  # outside
        *[(0, 0, 0, 3), (0, 0, 3, 0), (0, 0, 3, -2)],  # empty
        *[(2**62, 0, 3, 3), (2**63 - 1, 0, 1, 3)],  # the sum overflows
    ],
)
def test_boxes_that_leave_the_image_or_are_empty_are_named(box: tuple[int, ...]) -> None:
    boxes = torch.tensor([[0, 0, 7, 9], [6, 8, 1, 1], box])
    message = rf"inside images of 7 x 9, got .* = \({', '.join(map(str, box))}\) for image 2"
    with pytest.raises(ArgumentError, match=message):
        crop_resize(torch.rand(3, 3, 7, 9), boxes, 5)


# --- a GPU


@pytest.mark.cuda
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("kernels", ["auto", "never"])
@pytest.mark.parametrize(
    ("dtype", "rounding"), [(torch.float64, 1e-10), (torch.float32, 2e-5), (torch.float16, 2e-3)], ids=str
)
def test_a_gpu_gives_what_a_cpu_does(
    dtype: torch.dtype, rounding: float, kernels: str, interpolation: str, layout: torch.memory_format
) -> None:
    x, boxes, flip = torch.rand(64, 3, 97, 61, dtype=dtype), random_boxes(64, 97, 61), torch.rand(64) < 0.5
    options = {"interpolation": interpolation, "mean": MEAN, "std": STD}
    expected = crop_resize(x.double(), boxes, (31, 67), flip=flip, **options)
    x = x.cuda().contiguous(memory_format=layout)
    for where in ("cpu", "cuda"):
        out = crop_resize(x, boxes.to(where), (31, 67), flip=flip.to(where), kernels=kernels, **options)
        assert (out.is_cuda, out.dtype, out.is_contiguous(memory_format=layout)) == (True, dtype, True)
        torch.testing.assert_close(out.cpu().double(), expected, rtol=0, atol=rounding)


@pytest.mark.cuda
@pytest.mark.parametrize("kernels", ["auto", "never"])
def test_uint8_on_a_gpu_is_within_one_level_of_a_cpu(kernels: str) -> None:
    x, boxes = torch.randint(256, (64, 3, 97, 61), dtype=torch.uint8), random_boxes(64, 97, 61)
    flip = torch.rand(64) < 0.5
    out = crop_resize(x.cuda(), boxes, (31, 67), flip=flip, kernels=kernels).cpu()
    assert out.dtype == torch.uint8
    assert (out.int() - crop_resize(x, boxes, (31, 67), flip=flip).int()).abs().max() <= 1
