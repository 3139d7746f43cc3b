"""Laws of sizes and rounding: plain numbers in, plain numbers out."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given

from resizenet import SizeError
from resizenet._sizes import cover_size, parse_size, round_half_up
from strategies import bad_sizes, lengths, positive_lengths, sizes


@given(lengths)
def test_an_int_means_a_square(length: int) -> None:
    assert parse_size(length) == (length, length)


@given(sizes)
def test_a_pair_is_height_and_width_in_that_order(size: tuple[int, int]) -> None:
    assert parse_size(size) == parse_size(list(size)) == size


def test_whole_numbers_of_numpy_are_sizes() -> None:
    size = parse_size((np.int64(5), np.uint8(7)))
    assert size == (5, 7)
    assert [type(side) for side in size] == [int, int]


@given(bad_sizes)
@example(float("nan"))
@example((3, True))
def test_anything_else_is_a_size_error_that_names_the_argument(size: object) -> None:
    with pytest.raises(SizeError, match=r"^eval_size: expected an int or \(height, width\)"):
        parse_size(size, argument="eval_size")


@given(positive_lengths)
def test_rounding_is_to_the_nearest_whole_pixel_and_never_below_one(length: float) -> None:
    rounded = round_half_up(length)
    assert rounded >= 1
    assert abs(rounded - length) <= 0.5 or length < 0.5


@given(lengths)
def test_convention_a_half_rounds_up(length: int) -> None:
    assert round_half_up(length + 0.5) == length + 1


@given(sizes, sizes)
def test_covering_sizes_cover_and_touch_the_target(size: tuple[int, int], target: tuple[int, int]) -> None:
    covering = cover_size(*size, target)
    assert all(side >= least for side, least in zip(covering, target, strict=True))
    assert any(side == least for side, least in zip(covering, target, strict=True))


@given(sizes, sizes)
def test_covering_sizes_keep_the_shape_to_half_a_pixel(size: tuple[int, int], target: tuple[int, int]) -> None:
    factor = max(Fraction(target[0], size[0]), Fraction(target[1], size[1]))
    for before, after in zip(size, cover_size(*size, target), strict=True):
        assert abs(after - factor * before) <= Fraction(1, 2)


@given(sizes, sizes)
def test_covering_commutes_with_transposition(size: tuple[int, int], target: tuple[int, int]) -> None:
    assert cover_size(*size[::-1], target[::-1]) == cover_size(*size, target)[::-1]


@given(sizes)
def test_an_image_of_the_target_size_stays_as_it_is(size: tuple[int, int]) -> None:
    assert cover_size(*size, size) == size


@pytest.mark.parametrize(
    ("size", "target", "covering"),
    [
        ((20, 25), (10, 10), (10, 13)),  # 12.5: half to even and the floor give 12
        ((25, 20), (10, 10), (13, 10)),
        ((375, 500), (256, 256), (256, 341)),  # 341.3
        ((480, 640), (240, 400), (300, 400)),
        ((1, 1000), (7, 7), (7, 7000)),
        ((32, 32), (224, 160), (224, 224)),
    ],
)
def test_covering_sizes_worked_out_by_hand(size: tuple[int, int], target: tuple[int, int], covering: tuple[int, int]) -> None:
    assert cover_size(*size, target) == covering
