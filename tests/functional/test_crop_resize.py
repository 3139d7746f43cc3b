"""``crop_resize``: torchvision's resized_crop for each image, by one resize each and by two matrix products."""

import contextlib
from collections.abc import Iterator
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

PATHS = ["each", "matrices"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@contextlib.contextmanager
def by(path: str) -> Iterator[None]:
    """What a CPU does in eager mode, or what torch.compile traces."""
    with mock.patch.object(torch.compiler, "is_compiling", return_value=path == "matrices"):
        yield


def images_of(case: Cropping, channels: int = 2) -> Tensor:
    return torch.rand(
        len(case.boxes), channels, *case.before, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )


def oracle(x: Tensor, case: Cropping) -> Tensor:
    """Crop, resize and mirror each image in float64 loops."""
    results = []
    for image, (top, left, height, width), flipped in zip(x.double().numpy(), case.boxes, case.flip, strict=True):
        resized = reference.resize(
            image[:, top : top + height, left : left + width], case.after, case.interpolation, case.antialias
        )
        results.append(resized[..., ::-1] if flipped else resized)
    return torch.from_numpy(np.stack(results))


def theirs(
    x: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    flip: Tensor,
    interpolation: str = "bilinear",
    antialias: bool = True,
) -> Tensor:
    """torchvision's result for each image by itself."""
    results = []
    for image, box, flipped in zip(x, boxes.tolist(), flip.tolist(), strict=True):
        resized = TF.resized_crop(
            image, *box, size=list(size), interpolation=InterpolationMode(interpolation), antialias=antialias
        )
        results.append(TF.horizontal_flip(resized) if flipped else resized)
    return torch.stack(results)


def random_boxes(batch: int, height: int, width: int) -> Tensor:
    lengths = torch.stack([torch.randint(1, height + 1, (batch,)), torch.randint(1, width + 1, (batch,))], 1)
    room = torch.tensor([height, width]) - lengths
    return torch.cat([(torch.rand(batch, 2) * (room + 1)).long(), lengths], 1)


# --- equal to references


@pytest.mark.parametrize("path", PATHS)
@given(case=croppings())
def test_crops_equal_the_oracle(path: str, case: Cropping) -> None:
    x = images_of(case)
    with by(path):
        out = crop_resize(x, **case.arguments)
    torch.testing.assert_close(out, oracle(x, case), rtol=0, atol=1e-12)


@given(croppings(interpolations.filter(lambda name: name == "nearest-exact")))
def test_nearest_crops_by_matrices_equal_the_oracle_ties_included(case: Cropping) -> None:
    x = images_of(case)
    with by("matrices"):
        assert torch.equal(crop_resize(x, **case.arguments), oracle(x, case))


SIZES = [((29, 37), (11, 13)), ((29, 37), (64, 71)), ((61, 17), (31, 40)), ((101, 7), (5, 1)), ((13, 13), (13, 13))]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize("antialias", [True, False])
def test_uint8_is_within_one_level_of_torchvision(
    path: str, before: tuple[int, int], after: tuple[int, int], antialias: bool
) -> None:
    if after[1] == 1 and not antialias:
        after = (after[0], 2)  # torchvision's uint8 kernel is wrong there, see test_a_result_one_pixel_wide_is_right
    x, boxes, flip = (
        torch.randint(256, (16, 3, *before), dtype=torch.uint8),
        random_boxes(16, *before),
        torch.rand(16) < 0.5,
    )
    with by(path):
        out = crop_resize(x, boxes, after, flip=flip, antialias=antialias)
    expected = torch.from_numpy(
        np.stack(
            [oracle_of_one(*args, after, antialias) for args in zip(x, boxes.tolist(), flip.tolist(), strict=True)]
        )
    )
    assert out.dtype == torch.uint8
    assert (
        out.double() - expected
    ).abs().max() <= 1  # both torch's kernels and rounding are within a level of the exact result
    if after[1] > 1:
        assert (out.int() - theirs(x, boxes, after, flip, antialias=antialias).int()).abs().max() <= 1


def oracle_of_one(
    image: Tensor, box: list[int], flipped: bool, after: tuple[int, int], antialias: bool
) -> reference.Array:
    case = Cropping(tuple(image.shape[1:]), [tuple(box)], [flipped], after, "bilinear", antialias)
    return oracle(image[None], case)[0].numpy()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("before", "after"), [sizes for sizes in SIZES if sizes[1][1] > 1])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_float_equals_torchvision(
    path: str, before: tuple[int, int], after: tuple[int, int], interpolation: str, antialias: bool
) -> None:
    x, boxes, flip = torch.rand(16, 3, *before), random_boxes(16, *before), torch.rand(16) < 0.5
    with by(path):
        out = crop_resize(x, boxes, after, flip=flip, interpolation=interpolation, antialias=antialias)
    torch.testing.assert_close(out, theirs(x, boxes, after, flip, interpolation, antialias), rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_uint8_becomes_normalised_numbers_as_in_torchvision(path: str, dtype: torch.dtype) -> None:
    x, boxes, flip = torch.randint(256, (8, 3, 29, 37), dtype=torch.uint8), random_boxes(8, 29, 37), torch.rand(8) < 0.5
    with by(path):
        out = crop_resize(x, boxes, (19, 23), flip=flip, mean=MEAN, std=STD, dtype=dtype)
        unit = crop_resize(x, boxes, (19, 23), flip=flip, dtype=dtype)
    scaled = TF.to_dtype(theirs(x, boxes, (19, 23), flip), torch.float64, scale=True)
    level, rounding = 1 / 255 / min(STD), 3 * torch.finfo(dtype).eps  # numbers are below 3
    assert out.dtype == unit.dtype == dtype
    torch.testing.assert_close(out.double(), TF.normalize(scaled, MEAN, STD), rtol=0, atol=level + rounding)
    torch.testing.assert_close(unit.double(), scaled, rtol=0, atol=1 / 255 + rounding)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_one_rounding_of_the_exact_result(path: str, dtype: torch.dtype) -> None:
    x, case = (
        torch.rand(2, 3, 29, 37).to(dtype),
        Cropping((29, 37), [(1, 2, 23, 31), (0, 0, 29, 37)], [True, False], (11, 53), "bilinear", True),
    )
    exact = (oracle(x, case) - 0.5) / 0.25
    with by(path):
        ours = crop_resize(x, **case.arguments, mean=[0.5] * 3, std=[0.25] * 3)
    assert (ours.double() - exact).abs().max() <= 1.001 * (exact.to(dtype).double() - exact).abs().max()


# --- laws and conventions


@pytest.mark.parametrize("path", PATHS)
@given(x=images(dtypes=image_dtypes, min_batch=0), interpolation=interpolations)
def test_dtype_and_memory_format_are_kept_and_the_input_is_not_edited(path: str, x: Tensor, interpolation: str) -> None:
    before, boxes = x.clone(), random_boxes(len(x), *x.shape[2:])
    with by(path):
        out = crop_resize(x, boxes, (5, 3), flip=torch.ones(len(x), dtype=torch.bool), interpolation=interpolation)
    assert torch.equal(x, before)
    assert (out.shape, out.dtype) == ((*x.shape[:2], 5, 3), x.dtype)
    layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    assert out.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("path", PATHS)
def test_pixels_outside_the_box_do_not_contribute(path: str) -> None:
    x, boxes = torch.rand(2, 3, 17, 19), torch.tensor([[3, 5, 7, 4], [16, 18, 1, 1]])
    noisy = torch.full_like(x, torch.nan)
    for image, old, (top, left, height, width) in zip(noisy, x, boxes.tolist(), strict=True):
        image[:, top : top + height, left : left + width] = old[:, top : top + height, left : left + width]
    for interpolation in ("bilinear", "bicubic", "nearest-exact"):
        for antialias in (True, False):
            with by(path):
                outs = [
                    crop_resize(images, boxes, (5, 6), interpolation=interpolation, antialias=antialias)
                    for images in (x, noisy)
                ]
            assert torch.equal(*outs)


@pytest.mark.parametrize("path", PATHS)
@given(case=croppings(), fraction=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)))
def test_a_non_finite_pixel_changes_only_results_that_read_it(
    path: str, case: Cropping, fraction: tuple[float, float]
) -> None:
    """Torch's kernels also read up to two neighbors whose weight is 0."""
    x = images_of(case)
    top, left, height, width = case.boxes[0]
    row, column = int(fraction[0] * height), int(fraction[1] * width)
    x[0, :, top + row, left + column] = torch.inf
    with by(path):
        out = crop_resize(x, **{**case.arguments, "flip": None})[0, 0]

    def reads(before: int, after: int, pixel: int, margin: int) -> reference.Array:
        matrix = np.abs(reference.resize_matrix(before, after, case.interpolation, case.antialias))
        return matrix[:, max(0, pixel - margin) : pixel + margin + 1].max(1) > 1e-9

    must, may = (
        np.outer(reads(height, case.after[0], row, margin), reads(width, case.after[1], column, margin))
        for margin in (0, 2 if path == "each" else 1)
    )
    assert not out[must].isfinite().any()
    assert out[~may].isfinite().all()


@pytest.mark.parametrize("path", PATHS)
def test_a_batch_is_its_images_one_by_one(path: str) -> None:
    x, boxes, flip = (
        torch.rand(5, 3, 17, 19, dtype=torch.float64),
        random_boxes(5, 17, 19),
        torch.tensor([True, False, True, True, False]),
    )
    with by(path):
        one_by_one = [crop_resize(x[i : i + 1], boxes[i : i + 1], 7, flip=flip[i : i + 1]) for i in range(5)]
        torch.testing.assert_close(crop_resize(x, boxes, 7, flip=flip), torch.cat(one_by_one), rtol=0, atol=1e-12)


@pytest.mark.parametrize("path", PATHS)
def test_convention_boxes_are_top_left_height_width(path: str) -> None:
    x = torch.arange(20.0).reshape(1, 1, 4, 5)
    with by(path):
        assert crop_resize(x, torch.tensor([[1, 2, 2, 3]], dtype=torch.int16), (2, 3)).flatten().tolist() == [
            7,
            8,
            9,
            12,
            13,
            14,
        ]
        flipped = crop_resize(x, torch.tensor([[1, 2, 2, 3]]), (2, 3), flip=torch.tensor([True]))
    assert flipped.flatten().tolist() == [9, 8, 7, 14, 13, 12]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32, torch.uint64], ids=str)
def test_boxes_of_small_integer_dtypes_do_not_overflow(path: str, dtype: torch.dtype) -> None:
    x, boxes = torch.rand(1, 1, 300, 400), torch.tensor([[200, 150, 100, 250]])
    with by(path):
        assert torch.equal(crop_resize(x, boxes.to(dtype), 7), crop_resize(x, boxes, 7))


@pytest.mark.parametrize("path", PATHS)
def test_convention_antialias_is_the_default(path: str) -> None:
    x, boxes = torch.rand(1, 1, 16, 16), torch.tensor([[0, 0, 16, 16]])
    with by(path):
        default, soft, sharp = (
            crop_resize(x, boxes, 4),
            crop_resize(x, boxes, 4, antialias=True),
            crop_resize(x, boxes, 4, antialias=False),
        )
    assert torch.equal(default, soft)
    assert (default - sharp).abs().max() > 0.05


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_under_autocast_the_result_is_autocasts_unless_a_dtype_is_asked_for(path: str, dtype: torch.dtype) -> None:
    x, boxes = torch.rand(2, 3, 7, 9, dtype=dtype), random_boxes(2, 7, 9)
    with by(path), torch.autocast("cpu", torch.bfloat16):
        assert crop_resize(x, boxes, 5).dtype == torch.bfloat16
        asked = crop_resize(x, boxes, 5, dtype=torch.float32)
    with by(path):
        assert torch.equal(asked, crop_resize(x, boxes, 5, dtype=torch.float32))


@pytest.mark.parametrize("path", PATHS)
def test_the_gradient_is_right_and_zero_outside_the_box(path: str) -> None:
    x = torch.rand(2, 1, 5, 7, dtype=torch.float64, requires_grad=True)
    boxes, flip = torch.tensor([[1, 2, 3, 4], [0, 0, 5, 7]]), torch.tensor([True, False])
    with by(path):
        assert torch.autograd.gradcheck(lambda x: crop_resize(x, boxes, (2, 9), flip=flip, mean=[0.5], std=[0.2]), x)
        crop_resize(x, boxes, (2, 9), flip=flip).sum().backward()
    assert x.grad[0, :, 1:4, 2:6].abs().sum() > 0
    assert x.grad[0].abs().sum() == x.grad[0, :, 1:4, 2:6].abs().sum()


@pytest.mark.parametrize(
    ("dtype", "rule"),
    [
        (torch.uint8, {"dtype": torch.float32, "mean": MEAN, "std": STD}),
        (torch.float32, {"interpolation": "bicubic", "antialias": False}),
    ],
    ids=["uint8", "float32"],
)
def test_calls_compile_without_a_graph_break(dtype: torch.dtype, rule: dict[str, object]) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(crop_resize, fullgraph=True, backend="aot_eager")
    for batch, size in ((3, (13, 19)), (4, (31, 23))):
        x = (255 * torch.rand(batch, 3, *size)).to(dtype)
        boxes, flip = random_boxes(batch, *size), torch.rand(batch) < 0.5
        with by("matrices"):
            expected = crop_resize(x, boxes, (5, 7), flip=flip, **rule)
        torch.testing.assert_close(
            compiled(x, boxes, (5, 7), flip=flip, **rule),
            expected,
            rtol=0,
            atol=1e-3 if dtype == torch.float32 else 1e-5,
        )


# --- mistakes

X, BOX = torch.rand(1, 3, 7, 9), torch.tensor([[0, 0, 7, 9]])


@pytest.mark.parametrize("path", PATHS)
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
    with by(path), pytest.raises(error, match=message):
        crop_resize(**{"images": X, "boxes": BOX, "size": 5, **change})


@pytest.mark.parametrize(
    "box",
    [
        (-1, 0, 3, 3),
        (0, -1, 3, 3),
        (5, 0, 3, 3),
        (0, 7, 3, 3),
        (0, 0, 0, 3),
        (0, 0, 3, 0),
        (0, 0, 8, 9),
        (0, 0, 3, -2),
        (2**62, 0, 3, 3),
        (2**63 - 1, 0, 1, 3),
    ],
)
def test_boxes_that_leave_the_image_or_are_empty_are_named(box: tuple[int, ...]) -> None:
    boxes = torch.tensor([[0, 0, 7, 9], [6, 8, 1, 1], box])
    with pytest.raises(
        ArgumentError, match=rf"inside images of 7 x 9, got .* = \({', '.join(map(str, box))}\) for image 2"
    ):
        crop_resize(torch.rand(3, 3, 7, 9), boxes, 5)


# --- a GPU


@pytest.mark.cuda
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("kernels", ["auto", "never"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=str)
def test_a_gpu_gives_what_a_cpu_does(
    dtype: torch.dtype, kernels: str, interpolation: str, layout: torch.memory_format
) -> None:
    x, boxes, flip = (
        torch.rand(64, 3, 97, 61, dtype=dtype).contiguous(memory_format=layout),
        random_boxes(64, 97, 61),
        torch.rand(64) < 0.5,
    )
    rule = {"interpolation": interpolation, "mean": MEAN, "std": STD, "kernels": kernels}
    expected = crop_resize(x.double(), boxes, (31, 67), flip=flip, **rule)
    for where in ("cpu", "cuda"):
        out = crop_resize(x.cuda(), boxes.to(where), (31, 67), flip=flip.to(where), **rule)
        assert (out.is_cuda, out.dtype, out.is_contiguous(memory_format=layout)) == (True, dtype, True)
        torch.testing.assert_close(
            out.cpu().double(),
            expected,
            rtol=0,
            atol={torch.float64: 1e-10, torch.float32: 2e-5, torch.float16: 2e-3}[dtype],
        )


@pytest.mark.cuda
def test_uint8_on_a_gpu_is_within_one_level_of_a_cpu() -> None:
    x, boxes, flip = (
        torch.randint(256, (64, 3, 97, 61), dtype=torch.uint8),
        random_boxes(64, 97, 61),
        torch.rand(64) < 0.5,
    )
    out = crop_resize(x.cuda(), boxes, (31, 67), flip=flip, kernels="auto").cpu()
    assert out.dtype == torch.uint8
    assert (out.int() - crop_resize(x, boxes, (31, 67), flip=flip).int()).abs().max() <= 1
