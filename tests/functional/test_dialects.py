"""``resize(like=)`` against the libraries themselves, and what every dialect has in common."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from dialect_differences import largest_difference
from dialect_references import LIBRARIES, UINT8, make_case, onnx_resize, tensorflow_matrix
from resizenet import ArgumentError, UnknownNameError
from resizenet.functional import OnnxResize, resize, resize_matrix
from resizenet.functional._dialects import _sums

ROWS = [(like, name, antialias) for like, rows in LIBRARIES.items() for name, antialias in rows]
RULES = [  # one for each rule of rounding, and one for each way of making weights
    ("pillow", "bilinear", None),
    ("opencv", "linear", None),
    ("opencv", "cubic", None),
    ("opencv", "area", None),
    ("opencv", "lanczos4", None),
    ("tensorflow", "bicubic", False),
    ("onnx", "linear", True),
    ("scikit-image", "bicubic", True),
    ("matlab", "nearest", True),
    ("matlab", "bicubic", True),
]
each_rule = pytest.mark.parametrize(("like", "name", "antialias"), RULES)
each_row = pytest.mark.parametrize(("like", "name", "antialias"), ROWS)
CASES = 24


def to_batch(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


# --- the libraries


@pytest.mark.parametrize(("like", "name", "antialias"), [row for row in ROWS if row[0] in UINT8])
def test_uint8_equals_the_library_bit_for_bit(like: str, name: str, antialias: bool | None) -> None:
    # OpenCV's vector code rounds float32 sums to even; the reference of MATLAB breaks ties by its own rounding errors
    limit = {"opencv": int(name == "cubic"), "matlab": 2}.get(like, 0)
    assert largest_difference(like, name, antialias, np.uint8, CASES) <= limit


@each_row
def test_float32_equals_the_library_to_rounding(like: str, name: str, antialias: bool | None) -> None:
    # onnxruntime and OpenCV compute positions in float32: at pixel 200 they are rounded to 1.5e-5 of a pixel
    limit = 4e-5 if like in {"onnx", "opencv"} else 2e-6
    assert largest_difference(like, name, antialias, np.float32, CASES) <= limit


@pytest.mark.parametrize(
    ("like", "name", "antialias"), [row for row in ROWS if row[0] in {"scikit-image", "tensorflow"}]
)
def test_float64_equals_the_library(like: str, name: str, antialias: bool | None) -> None:
    assert largest_difference(like, name, antialias, np.float64, CASES) <= 1e-12


@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize(
    ("name", "antialias", "a", "exclude"),
    [("nearest", 0, -0.75, 0)]
    + [("linear", antialias, -0.75, 0) for antialias in (0, 1)]
    + [("cubic", antialias, a, exclude) for antialias in (0, 1) for a, exclude in ((-0.75, 1), (-0.5, 0), (-0.5, 1))],
)
def test_the_attributes_of_onnx(coordinates: str, name: str, antialias: int, a: float, exclude: int) -> None:
    attributes = {"coordinate_transformation_mode": coordinates, "cubic_coeff_a": a, "exclude_outside": exclude}
    like = OnnxResize(**{**attributes, "exclude_outside": bool(exclude)})
    for index in range(10):
        image, size = make_case(index, np.float32, seed=1)
        theirs = onnx_resize(image, size, name, antialias=antialias, **attributes)
        ours = resize(to_batch(image), size, interpolation=name, antialias=bool(antialias), like=like)
        assert np.abs(ours[0].permute(1, 2, 0).numpy() - theirs).max() <= 4e-5


def test_pillow_12_never_resizes_the_vertical_axis_first() -> None:
    image = torch.randint(256, (1, 3, 40, 13), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rule = {"interpolation": "bicubic", "like": "pillow-12"}
    assert torch.equal(resize(image, (7, 29), **rule), resize(resize(image, (40, 29), **rule), (7, 29), **rule))
    assert not torch.equal(
        resize(image, (7, 29), **rule), resize(image, (7, 29), interpolation="bicubic", like="pillow")
    )


@pytest.mark.parametrize("size", [(60, 20), (79, 70), (90, 20)])
def test_torchs_kernel_is_two_levels_from_pillow_unless_pillow_13_swaps_the_passes(size: tuple[int, int]) -> None:
    image = torch.randint(256, (1, 3, 82, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torchs, older, newer = (
        resize(image, size, interpolation="bicubic", like=like).int() for like in ("torch", "pillow-12", "pillow")
    )
    assert (torchs - older).abs().max() <= 2
    assert ((torchs - newer).abs().max() > 10) == (size[0] < 82)


IN = """
116 227 153  69 146 194  59 130 139 106
  2  47 137 249  90  75  16  24 158  44
155  68  46  84 166 156  69 204  32 152
 71 221 137 230 210 153 192 115  30 118
107 143 108  52  51  73 101  21 175  90
 54 158 143  77  26 168 113 229 165 225
  9  47 133 135 130 207 236  43  19  73
129  60  59 243  64 181 249  56  32  86
"""
MATLAB = [  # MATLAB's own results, which the tests of GNU Octave's image package list; one level is its own rounding
    ("bilinear", True, "108 136 125 89 107  111 132 143 114 99  106 110 106 127 136  75 124 154 142 75"),
    ("bilinear", False, "98 152 126 58 112  129 125 172 146 83  116 96 80 116 164  62 143 146 147 53"),
    ("bicubic", True, "105 140 126 81 109  110 134 153 114 93  108 108 94 127 146  67 126 162 149 62"),
    ("bicubic", False, "92 164 123 38 118  139 116 188 167 69  121 87 67 108 180  54 153 141 149 42"),
]


@pytest.mark.parametrize(("name", "antialias", "expected"), MATLAB)
def test_published_results_of_matlab(name: str, antialias: bool, expected: str) -> None:
    image = torch.tensor([int(value) for value in IN.split()], dtype=torch.uint8).reshape(1, 1, 8, 10)
    out = resize(image, (4, 5), interpolation=name, antialias=antialias, like="matlab").flatten().int()
    assert (out - torch.tensor([int(value) for value in expected.split()])).abs().max() <= 1


def test_matlab_does_not_antialias_nearest_unless_it_is_told_to() -> None:
    x = torch.rand(1, 1, 8, 8)
    rule = {"interpolation": "nearest", "like": "matlab"}
    assert torch.equal(resize(x, 4, **rule), resize(x, 4, antialias=False, **rule))
    torch.testing.assert_close(resize(x, 4, antialias=True, **rule), torch.nn.functional.avg_pool2d(x, 2))


def test_a_published_row_of_matlab() -> None:
    out = (
        resize_matrix(2, 3, interpolation="bicubic", like="matlab", dtype=torch.float64)
        @ torch.tensor([10.0, 6]).double()
    )
    torch.testing.assert_close(out, torch.tensor([10.27777777777777, 8, 5.72222222222222]).double(), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_tensorflow_itself() -> None:
    tf = pytest.importorskip("tensorflow")
    for (name, antialias), _ in LIBRARIES["tensorflow"].items():
        for index in range(CASES):
            image, size = make_case(index, np.float32)
            theirs = tf.image.resize(image, size, method=name, antialias=antialias).numpy()
            ours = resize(to_batch(image), size, interpolation=name, antialias=antialias, like="tensorflow")
            # bilinear has positions in float32
            assert np.abs(ours[0].permute(1, 2, 0).numpy() - theirs).max() <= 1e-5, (name, antialias, index)


# --- what a dialect is


def test_weights_are_those_of_the_published_kernels() -> None:
    half = [
        Fraction(-1, 16),
        Fraction(9, 16),
        Fraction(9, 16),
        Fraction(-1, 16),
    ]  # Keys' kernel at 0.5 and 1.5, a = -0.5
    opencv = [Fraction(-3, 32), Fraction(19, 32), Fraction(19, 32), Fraction(-3, 32)]  # a = -0.75
    kinds = [("tensorflow", "bicubic", False, half), ("opencv", "cubic", None, opencv), ("onnx", "cubic", None, opencv)]
    for like, name, antialias, expected in kinds:
        row = resize_matrix(8, 4, interpolation=name, antialias=antialias, like=like, dtype=torch.float64)[1]
        assert row[1:5].tolist() == pytest.approx([float(weight) for weight in expected], abs=1e-7)


@each_row
def test_the_matrix_is_the_resize_of_one_axis(like: str, name: str, antialias: bool | None) -> None:
    rule = {"interpolation": name, "antialias": antialias, "like": like}
    for before, after in ((11, 5), (5, 11), (7, 7), (1, 3), (9, 1)):
        rows = torch.eye(before, dtype=torch.float64).reshape(before, 1, before, 1)
        out = resize(rows, (after, 1), **rule)[:, 0, :, 0]
        # clipping to the range of the image is not part of the matrix
        matrix = resize_matrix(before, after, dtype=torch.float64, **rule).T
        expected = matrix.clamp(min(0.0, 1.0 if before == 1 else 0.0), 1) if like == "scikit-image" else matrix
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


@each_row
def test_constants_are_kept(like: str, name: str, antialias: bool | None) -> None:
    for image in (
        torch.full((1, 1, 13, 9), 0.7, dtype=torch.float64),
        torch.full((1, 1, 13, 9), 201, dtype=torch.uint8),
    ):
        for size in ((5, 4), (29, 31), (5, 31)):
            out = resize(image, size, interpolation=name, antialias=antialias, like=like)
            # OpenCV's 11-bit weights do not always add up to 1
            atol = 1e-6 if image.is_floating_point() else like == "opencv"
            torch.testing.assert_close(out.double(), image[..., :1, :1].double().expand_as(out), rtol=0, atol=atol)


@each_rule
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_batch_is_its_images_one_by_one(like: str, name: str, antialias: bool | None, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (3, 2, 17, 11), generator=generator).to(dtype).contiguous(memory_format=torch.channels_last)
    rule = {"interpolation": name, "antialias": antialias, "like": like}
    out = resize(x, (7, 23), **rule)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last)
    singles = torch.cat([resize(image[None], (7, 23), **rule) for image in x])
    torch.testing.assert_close(out, singles, rtol=0, atol=0 if dtype == torch.uint8 else 1e-3)
    assert resize(x[:0], (7, 23), **rule).shape == (0, 2, 7, 23)


@each_row
def test_uint8_by_matrix_products_equals_uint8_on_a_cpu(
    like: str, name: str, antialias: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU and torch.compile take the products; the sums of both are exact."""
    for index in range(0, 24, 2):
        image, size = make_case(index, np.uint8, seed=2)
        rule = {"interpolation": name, "antialias": antialias, "like": like}
        expected = resize(to_batch(image), size, **rule)
        with monkeypatch.context() as patch:
            patch.setattr(torch.compiler, "is_compiling", lambda: True)
            assert torch.equal(resize(to_batch(image), size, **rule), expected)


@each_rule
def test_uint8_in_many_chunks_equals_uint8_in_one(
    like: str, name: str, antialias: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randint(256, (3, 3, 50, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rule = {"interpolation": name, "antialias": antialias, "like": like}
    expected = [resize(x, size, **rule) for size in ((43, 31), (70, 90))]
    monkeypatch.setattr(_sums, "_CHUNK", 2 * 50 * 60)  # two planes, and one in the last chunk
    found = [resize(x, size, **rule) for size in ((43, 31), (70, 90))]
    assert all(map(torch.equal, found, expected))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_row
def test_uint8_on_a_gpu_equals_uint8_on_a_cpu(like: str, name: str, antialias: bool | None) -> None:
    image = to_batch(make_case(5, np.uint8)[0])
    rule = {"interpolation": name, "antialias": antialias, "like": like}
    assert torch.equal(resize(image.cuda(), (19, 8), **rule).cpu(), resize(image, (19, 8), **rule))


@each_rule
def test_gradients(like: str, name: str, antialias: bool | None) -> None:
    x = torch.rand(1, 1, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    rule = {"interpolation": name, "antialias": antialias, "like": like}
    assert torch.autograd.gradcheck(lambda image: resize(image, (3, 7), **rule), x)


class Resized(torch.nn.Module):
    def __init__(self, **rule: object) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, x: Tensor) -> Tensor:
        return resize(x, (7, 23), **self.rule)


@each_rule
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_torch_export(like: str, name: str, antialias: bool | None, dtype: torch.dtype) -> None:
    x = torch.randint(256, (2, 3, 17, 11), generator=torch.Generator().manual_seed(0)).to(dtype)
    module = Resized(interpolation=name, antialias=antialias, like=like)
    out = torch.export.export(module, (x,)).module()(x)
    torch.testing.assert_close(out, module(x), rtol=0, atol=0 if dtype == torch.uint8 else 1e-3)


@each_rule
def test_torch_export_with_dynamic_shapes(like: str, name: str, antialias: bool | None) -> None:
    """Both axes shrink at all sizes, and Pillow's order of the axes does not change."""
    height, width = torch.export.Dim("height", min=30, max=512), torch.export.Dim("width", min=30, max=34)
    shapes = {0: torch.export.Dim("batch", min=1, max=64), 2: height, 3: width}
    dtype = torch.float32 if name == "area" or like in ("onnx", "scikit-image") else torch.uint8
    module = Resized(interpolation=name, antialias=antialias, like=like)
    x, other = (
        torch.randint(256, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        for shape in ((2, 3, 37, 31), (5, 3, 500, 33))
    )
    exported = torch.export.export(module, (x,), dynamic_shapes={"x": shapes}).module()
    torch.testing.assert_close(exported(other), module(other), rtol=0, atol=0 if dtype == torch.uint8 else 1e-3)


@pytest.mark.slow
@each_rule
def test_torch_compile_with_dynamic_shapes(like: str, name: str, antialias: bool | None) -> None:
    compiled = torch.compile(Resized(interpolation=name, antialias=antialias, like=like), dynamic=True)
    for shape in ((2, 3, 17, 31), (3, 3, 19, 40), (1, 3, 5, 9)):
        x = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        out = compiled(x)
        assert torch.equal(out, resize(x, (7, 23), interpolation=name, antialias=antialias, like=like))


@pytest.mark.slow
@each_rule
def test_torch_compile(like: str, name: str, antialias: bool | None) -> None:
    module = Resized(interpolation=name, antialias=antialias, like=like)
    for dtype in (torch.uint8, torch.float32):
        x = torch.randint(256, (2, 3, 17, 11), generator=torch.Generator().manual_seed(0)).to(dtype)
        out = torch.compile(module, fullgraph=True)(x)
        torch.testing.assert_close(out, module(x), rtol=0, atol=0 if dtype == torch.uint8 else 1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("like", LIBRARIES)
def test_half_precision_is_float32_rounded_once(like: str, dtype: torch.dtype) -> None:
    x = torch.rand(1, 2, 9, 13, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(resize(x, (5, 20), like=like), resize(x.float(), (5, 20), like=like).to(dtype))


def test_a_nan_spreads_only_to_what_reads_it() -> None:
    x = torch.rand(1, 1, 8, 8)
    x[..., 0, 0] = torch.nan
    assert resize(x, 16, like="pillow").isnan().sum() == 9  # three output pixels on each axis


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"like": "pil"}, UnknownNameError, r"like: expected one of 'torch', 'pillow', .*; did you mean"),
        ({"like": None}, UnknownNameError, "like: expected one of"),
        (
            {"like": "pillow", "interpolation": "area"},
            UnknownNameError,
            r"like='pillow'.*expected one of 'nearest', 'box'",
        ),
        ({"like": "torch", "interpolation": "area"}, UnknownNameError, "expected one of 'nearest-exact', 'bilinear'"),
        (
            {"like": "opencv", "antialias": True},
            ArgumentError,
            r"antialias \(like='opencv'\): expected False, got True",
        ),
        ({"like": "pillow", "antialias": False}, ArgumentError, r"antialias \(like='pillow'\): expected True"),
        ({"like": "onnx", "antialias": 3}, ArgumentError, "expected False or True, got 3"),
    ],
)
@pytest.mark.parametrize(
    "call", [lambda **rule: resize(torch.rand(1, 1, 4, 4), 2, **rule), lambda **rule: resize_matrix(4, 2, **rule)]
)
def test_what_a_library_does_not_have_is_refused(
    arguments: dict[str, object], error: type, message: str, call: Callable[..., Tensor]
) -> None:
    with pytest.raises(error, match=message):
        call(**arguments)


@pytest.mark.parametrize(
    "attributes", [{"coordinate_transformation_mode": "tf_crop_and_resize"}, {"cubic_coeff_a": "x"}]
)
def test_other_attributes_of_onnx_are_refused(attributes: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(attributes))):
        OnnxResize(**attributes)


def test_bilinear_and_bicubic_stand_for_linear_and_cubic() -> None:
    x = torch.rand(1, 1, 9, 9)
    for like in ("opencv", "onnx"):
        for name in ("linear", "cubic"):
            assert torch.equal(
                resize(x, 5, interpolation=f"bi{name}", like=like), resize(x, 5, interpolation=name, like=like)
            )


def test_the_reference_of_tensorflow_has_its_published_convention() -> None:
    # half-pixel centers: the center of two pixels lies between them
    assert tensorflow_matrix(2, 1, "bilinear", antialias=False).tolist() == [[0.5, 0.5]]
