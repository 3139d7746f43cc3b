"""``resize_positions`` against timm, torchvision, and DINOv2's convention written as a sum over pixels in float64."""

import numpy as np
import pytest
import torch
from timm.layers import pos_embed, pos_embed_rel
from torch import Tensor
from torchvision.models.vision_transformer import interpolate_embeddings

import resizenet as rn
from resizenet.functional import resize_positions

CONVENTIONS = ("timm", "torchvision", "dinov2")
GRIDS = [((14, 14), (7, 7)), ((14, 14), (16, 16)), ((14, 14), (7, 28)), ((5, 7), (11, 3)), ((3, 5), (1, 1))]
ROUNDING = {"rtol": 0, "atol": 2e-6}


def embeddings(grid: tuple[int, int], *, prefix: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(1, prefix + grid[0] * grid[1], 6, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("prefix", [0, 1, 5])
@pytest.mark.parametrize(("old", "new"), GRIDS)
def test_timm_is_what_timm_computes(old: tuple[int, int], new: tuple[int, int], prefix: int) -> None:
    before = embeddings(old, prefix=prefix)
    expected = pos_embed.resample_abs_pos_embed(before, list(new), list(old), num_prefix_tokens=prefix)
    torch.testing.assert_close(resize_positions(before, old, new, num_prefix_tokens=prefix), expected, **ROUNDING)


@pytest.mark.parametrize("side", [1, 3, 7, 16])
def test_torchvision_is_what_torchvision_computes(side: int) -> None:
    before = embeddings((14, 14), prefix=1)
    state = interpolate_embeddings(16 * side, 16, {"encoder.pos_embedding": before})
    found = resize_positions(before, 14, side, convention="torchvision", num_prefix_tokens=1)
    torch.testing.assert_close(found, state["encoder.pos_embedding"], **ROUNDING)


def cubic_rows(points: np.ndarray, length: int) -> np.ndarray:
    """(len(points), length): Keys' cubic kernel with a = -0.75 around each point; the border's pixel repeats."""
    rows = np.zeros((len(points), length))
    for row, point in zip(rows, points, strict=True):
        for pixel in range(int(np.floor(point)) - 1, int(np.floor(point)) + 3):
            d, a = abs(pixel - point), -0.75
            weight = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)
            row[min(max(pixel, 0), length - 1)] += weight
    return rows


POINTS = {  # where the old grid is read, per axis
    "torchvision": lambda old, new: np.arange(new) * (old - 1) / max(new - 1, 1),
    "dinov2": lambda old, new: (np.arange(new) + 0.5) / ((new + 0.1) / old) - 0.5,
}


@pytest.mark.parametrize("convention", POINTS)
@pytest.mark.parametrize(("old", "new"), [*GRIDS, ((37, 37), (16, 16)), ((37, 37), (16, 9))])
def test_each_new_embedding_is_the_cubic_mean_around_a_point_of_the_old_grid(
    old: tuple[int, int], new: tuple[int, int], convention: str
) -> None:
    before = embeddings(old, dtype=torch.float64)
    rows, columns = (cubic_rows(POINTS[convention](*sides), sides[0]) for sides in zip(old, new, strict=True))
    expected = np.einsum("yh,xw,hwc->yxc", rows, columns, before.numpy().reshape(*old, -1)).reshape(1, -1, 6)
    np.testing.assert_allclose(resize_positions(before, old, new, convention=convention), expected, rtol=0, atol=1e-12)


def test_the_conventions_differ() -> None:
    before = embeddings((14, 14))
    found = [resize_positions(before, 14, 7, convention=convention) for convention in CONVENTIONS]
    assert all(not torch.allclose(found[i], found[j], atol=1e-3) for i, j in [(0, 1), (0, 2), (1, 2)])


@pytest.mark.parametrize(("old", "new"), [(7, 4), (7, 3), (7, 8), (8, 4)])
def test_tables_of_relative_positions_are_resized_as_those_of_levit(old: int, new: int) -> None:
    table = torch.randn((2 * old - 1) ** 2, 3)
    expected = pos_embed_rel.resize_rel_pos_bias_table_levit(table, ((2 * new - 1) ** 2, 3))
    torch.testing.assert_close(resize_positions(table, 2 * old - 1, 2 * new - 1), expected, **ROUNDING)


def test_a_table_keeps_its_symmetry_so_the_offset_zero_stays_in_the_middle() -> None:
    distance = torch.linspace(-1, 1, 13).square()
    table = (distance[:, None] + distance).reshape(-1, 1)
    resized = resize_positions(table, 13, 7).reshape(7, 7)
    assert resized.argmin() == 24
    torch.testing.assert_close(resized, resized.flip(0, 1))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_prefix_tokens_are_kept_bit_for_bit(convention: str) -> None:
    before = embeddings((5, 7), prefix=3)
    resized = resize_positions(before, (5, 7), (4, 9), convention=convention, num_prefix_tokens=3)
    assert torch.equal(resized[:, :3], before[:, :3])
    assert torch.equal(resized[:, 3:], resize_positions(before[:, 3:], (5, 7), (4, 9), convention=convention))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_kept_and_autocast_does_not_round(convention: str, dtype: torch.dtype) -> None:
    before = embeddings((5, 7), dtype=dtype)
    expected = resize_positions(before.double(), (5, 7), (3, 11), convention=convention).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        resized = resize_positions(before, (5, 7), (3, 11), convention=convention)
    assert resized.dtype == dtype
    torch.testing.assert_close(resized, expected)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_batch_of_one_and_none_give_the_same_and_the_input_is_not_changed(convention: str) -> None:
    before = embeddings((5, 7), prefix=1)
    copy = before.clone()
    batched, plain = (
        resize_positions(x, (5, 7), 6, convention=convention, num_prefix_tokens=1) for x in (before, before[0])
    )
    assert torch.equal(batched[0], plain)
    assert torch.equal(before, copy)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_equal_grids_give_a_copy(convention: str) -> None:
    before = embeddings((5, 7))
    same = resize_positions(before, (5, 7), (5, 7), convention=convention)
    assert torch.equal(same, before)
    assert same.data_ptr() != before.data_ptr()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gradients_are_right(convention: str) -> None:
    before = torch.randn(1 + 3 * 4, 2, dtype=torch.float64, requires_grad=True)
    options = {"convention": convention, "num_prefix_tokens": 1}
    assert torch.autograd.gradcheck(lambda x: resize_positions(x, (3, 4), (5, 2), **options), before)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_tensors_without_values_have_shapes(convention: str) -> None:
    resized = resize_positions(embeddings((5, 7)).to("meta"), (5, 7), (4, 9), convention=convention)
    assert (resized.shape, resized.is_meta) == ((1, 36, 6), True)


@pytest.mark.parametrize(
    ("before", "options", "error", "message"),
    [
        (torch.rand(1, 197, 8), {}, rn.ShapeError, r"expected \(1, 196, C\) or \(196, C\) for a grid of 14x14 and 0"),
        (torch.rand(2, 196, 8), {}, rn.ShapeError, r"got \(2, 196, 8\)"),
        (torch.rand(196), {}, rn.ShapeError, r"got \(196,\)"),
        (torch.rand(196, 0), {}, rn.ShapeError, r"got \(196, 0\)"),
        (torch.ones(196, 8, dtype=torch.int64), {}, rn.DtypeError, r"a floating point tensor \(1, P"),
        ([1.0], {}, rn.DtypeError, r"resize_positions: expected a dense tensor .*, got list"),
        (torch.rand(196, 8), {"new_grid": 0}, rn.SizeError, "new_grid: expected an int or"),
        (torch.rand(196, 8), {"old_grid": (14, 1.5)}, rn.SizeError, "old_grid: expected an int or"),
        (torch.rand(196, 8), {"num_prefix_tokens": -1}, rn.ArgumentError, "num_prefix_tokens: expected a non-negative"),
        (torch.rand(196, 8), {"convention": "dino"}, rn.UnknownNameError, "did you mean 'dinov2'"),
    ],
)
def test_mistakes_are_named(before: object, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resize_positions(before, **({"old_grid": 14, "new_grid": 7} | options))
